"""`autopilot doctor`."""

from __future__ import annotations

from dataclasses import asdict

import click

from autopilot.cli.common import App, common, examples


@click.command(epilog=examples("autopilot doctor", "autopilot doctor --json"))
@common
@click.pass_context
def command(ctx: click.Context, app: App) -> None:
    """Try each part that recording and driving need; exit 1 if one must be fixed."""
    from autopilot.cli import ui
    from autopilot.doctor import examine

    probes = examine(app.registry, app.home)
    data = [asdict(p) for p in probes]

    def show() -> None:
        marks = {True: "[green]ok[/]", False: "[yellow]missing[/]"}
        rows = [[p.name, "[red]broken[/]" if p.required and not p.ok else marks[p.ok], p.detail, p.fix] for p in probes]
        ui.table("What works here", ["part", "state", "found", "what to do"], rows)

    app.print(data, show)
    if any(p.required and not p.ok for p in probes):
        ctx.exit(1)
