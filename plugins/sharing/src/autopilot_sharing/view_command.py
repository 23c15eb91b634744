"""`autopilot view`."""

from __future__ import annotations

from pathlib import Path

import click
from autopilot.commands import App, GroupedCommand, common, examples, force_option


@click.command(
    cls=GroupedCommand,
    epilog=examples("autopilot view ID", "autopilot view ID --save lap.rrd      for later, without a screen"),
)
@click.argument("session_id", metavar="SESSION")
@click.option("--save", type=click.Path(path_type=Path), metavar="FILE.rrd", help="Write a file instead.")
@force_option
@common
def command(app: App, session_id: str, save: Path | None, force: bool) -> None:
    """Open a session in Rerun: frames, held controls, labels, laps (the extra `rerun`).

    Use `autopilot studio` to review and correct sessions.
    """
    from autopilot.commands import ui
    from autopilot.sessions.store import SessionStore

    from autopilot_sharing.view import view

    session = SessionStore.of(app.home).open(session_id)
    with ui.steps("reading", len(session)) as tell:
        rows = view(session, save, tell, force)
    where = "shown in Rerun" if save is None else f"{save} ({save.stat().st_size / 1e6:.1f} MB)"
    app.print({"session": session_id, "frames": rows, "file": save and str(save)}, f"{rows} frames: {where}")
