"""`autopilot doctor`."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

import click
from autopilot.commands import App, Finite, GroupedCommand, common, examples, world_options

if TYPE_CHECKING:
    from autopilot_setup.loop import Loop


@click.command(
    cls=GroupedCommand,
    epilog=examples(
        "autopilot doctor",
        "autopilot doctor --game ctr --window duckstation    can this game be recorded and driven?",
        "autopilot doctor --lag --game ctr                   how late does the game answer? presses its keys",
        "autopilot doctor --video 0                          what does the camera show?",
        "autopilot doctor --json",
    ),
)
@click.option("--game", metavar="NAME", help="Only what this game needs; see `autopilot plugins`.")
@click.option("--patience", metavar="S", type=Finite(1, 600), default=8.0, help="Time limit, seconds.")
@click.option("--lag", is_flag=True, help="Steer the game for half a minute, to measure how late it answers.")
@click.option("--bundle", metavar="NAME", help="With --lag, the network beside the game (default: its newest).")
@world_options
@common
@click.pass_context
def command(ctx: click.Context, /, app: App, game: str | None, patience: float, devices: Any, **options: Any) -> None:
    """Test each part that recording and driving need, in ten seconds, and show a picture of the screen.

    The exit code is 1 if recording or driving cannot work, with --game for that game. A part that does not answer in
    time is unknown and does not count.

    --lag also measures the loop of a game on the screen: how long after a key its picture shows the effect, how many
    pictures it shows a second, and how many with a network beside it. It presses the keys that steer.
    """
    from autopilot.api import Game, UserError
    from autopilot.commands import ui

    from autopilot_setup.doctor import examine, state

    if options["lag"] and game is None:
        raise UserError("--lag steers a game: say which by --game")
    if options["lag"]:
        from autopilot_setup.loop import check_on_screen

        check_on_screen(Game(app.registry, str(game)).spec)
    report = examine(app.registry, app.home, devices, game, patience)
    loop = _measured(app, str(game), devices, options["bundle"]) if options["lag"] and report.ok else None
    if loop is not None:
        report = replace(report, probes=(*report.probes, *loop.probes()))
    probes = [asdict(p) | {"state": state(p)} for p in report.probes]
    data = {"ok": report.ok} | asdict(report) | {"probes": probes, "picture": report.picture and str(report.picture)}
    data |= {"loop": loop and asdict(loop)} if options["lag"] else {}

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


def _measured(app: App, name: str, devices: Any, bundle: str | None) -> Loop:
    from autopilot.api import Game, UserError
    from autopilot.commands.choices import newest_bundle

    from autopilot_setup.loop import measure_loop

    game = Game(app.registry, name)
    if bundle is None:
        with suppress(UserError):  # there is none yet
            bundle = newest_bundle(app, name)
    policy = None if bundle is None else app.policy(bundle, name)
    return measure_loop(game, app.home, devices, policy, app.say)
