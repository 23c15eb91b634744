"""`autopilot doctor`."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import click
from autopilot.commands import App, Finite, GroupedCommand, common, examples, world_options


@click.command(
    cls=GroupedCommand,
    epilog=examples(
        "autopilot doctor",
        "autopilot doctor --game ctr --window duckstation    can this game be recorded and driven?",
        "autopilot doctor --video 0                          what does the camera show?",
        "autopilot doctor --json",
    ),
)
@click.option("--game", metavar="NAME", help="Only what this game needs; see `autopilot plugins`.")
@click.option("--patience", metavar="S", type=Finite(1, 600), default=8.0, help="Time limit, seconds.")
@world_options
@common
@click.pass_context
def command(ctx: click.Context, app: App, game: str | None, patience: float, devices: Any) -> None:
    """Test each part that recording and driving need, in ten seconds, and show a picture of the screen.

    The exit code is 1 if recording or driving cannot work, with --game for that game. A part that does not answer in
    time is unknown and does not count.
    """
    from autopilot.commands import ui

    from autopilot_setup.doctor import examine, state

    report = examine(app.registry, app.home, devices, game, patience)
    probes = [asdict(p) | {"state": state(p)} for p in report.probes]
    data = {"ok": report.ok} | asdict(report) | {"probes": probes, "picture": report.picture and str(report.picture)}

    def show() -> None:
        colours = {"ok": "green", "unknown": "cyan", "missing": "yellow", "broken": "red"}
        rows = [[p.name, f"[{colours[state(p)]}]{state(p)}[/]", p.detail, p.fix] for p in report.probes]
        ui.table("What works here", ["part", "state", "found", "what to do"], rows)
        games = []
        for g in report.games:
            words = {name: "not known" if name in g.unknown else "no" for name in ("record", "drive")}
            lacks = (("record", g.record), ("drive", g.drive))
            games.append([g.game, *(f"{words[n]}: {lack}" if lack else "[green]yes[/]" for n, lack in lacks)])
        ui.table("What can be done", ["game", "record yourself", "let it drive"], games)
        if report.picture is not None:
            ui.preview(report.picture)
        ui.out.print(f"{report.seconds:g} s", soft_wrap=True)

    app.print(data, show)
    if not report.ok:
        ctx.exit(1)
