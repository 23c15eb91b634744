"""`autopilot check`."""

from __future__ import annotations

from dataclasses import asdict

import click
from autopilot.commands import App, GroupedCommand, common, examples


@click.command(
    cls=GroupedCommand,
    epilog=examples(
        "autopilot check",
        "autopilot check --game ctr",
        "autopilot check --session ID --session ID      only these, compared with each other",
        "autopilot check --json",
    ),
)
@click.option("--session", "sessions", multiple=True, metavar="ID", help="Only this session; repeatable.")
@click.option("--game", metavar="NAME", help="Only sessions of this game.")
@common
@click.pass_context
def command(ctx: click.Context, app: App, sessions: tuple[str, ...], game: str | None) -> None:
    """Find errors in recorded sessions that would teach a network the wrong thing.

    Rejected sessions are left out, as in training. The exit code is 2 if a session is refused.
    `autopilot train` runs the same checks before it starts.
    """
    from autopilot.commands import ui
    from rich.markup import escape

    from autopilot_check.check import check_home
    from autopilot_check.findings import LOOK, OK, REFUSE, REJECTED

    with ui.progress("{task.completed}/{task.total} sessions") as bar:
        task = bar.add_task("check", total=None)

        def watch(done: int, of: int) -> None:
            bar.start()
            bar.update(task, completed=done, total=of)

        report = check_home(app.registry, app.home, sessions, game, watch)
    rows = [
        {"id": s, "verdict": report.verdict(s), "findings": [asdict(f) for f in report.of(s)]} for s in report.sessions
    ]
    together = [asdict(f) for f in report.of(None)]
    data = {"ok": not report.refused, "sessions": rows, "together": together, "left_out": report.left_out}
    marks = {OK: "[green]ok[/]", LOOK: "[yellow]look[/]", REFUSE: "[red]refuse[/]"}
    marks[REJECTED] = "[dim]rejected, left out[/]"

    def show() -> None:
        cells = []
        for s in report.sessions:
            lines = [f"[bold]{f.code}[/]: {escape(f.text)}" for f in report.of(s)]
            cells.append([s, marks[report.verdict(s)], "\n".join(lines)])
        if cells:
            ui.table(f"Sessions in {app.home.sessions}", ["session", "verdict", "what was found"], cells)
        else:
            click.echo(ui.no_sessions(app.home.sessions, game))
        for f in report.of(None):
            click.echo(f"{f.code}: {f.text}")
        for line in report.left_out:
            click.echo(line, err=True)

    app.print(data, show)
    if report.refused:
        ctx.exit(2)
