"""`autopilot unpack`."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import click

from autopilot.cli.common import App, common, examples


@click.command(epilog=examples("autopilot unpack anna.pack", "autopilot unpack anna.pack --home ~/together"))
@click.argument("file", type=click.Path(path_type=Path))
@common
def command(app: App, file: Path) -> None:
    """Add the sessions of a pack to yours; what you have already stays as it is.

    All of it is checked first, and nothing in it is run. A session that you have is left out; another one
    of the same name gets a new name.
    """
    from autopilot.cli import ui
    from autopilot.sharing import unpack

    with ui.progress() as bar:
        bar.start()
        task = bar.add_task("unpacking", total=file.stat().st_size if file.is_file() else None)
        done = unpack(file, app.home.sessions, lambda n: bar.advance(task, n))

    def words(outcome: str, session: str, review: bool) -> str:
        if outcome == "renamed":
            return f", called {session} in the pack: another session has that name here"
        known = ": you have it already" + (", reviewed otherwise; your review stays" if review else "")
        return known if outcome == "known" else ""

    lines = [f"{d.id}{words(d.outcome, d.session, d.review)}" for d in done]
    new = sum(d.outcome != "known" for d in done)
    data = {"sessions": [asdict(d) for d in done], "added": new}
    app.print(data, "\n".join([*lines, f"{new} of {len(done)} sessions added to {app.home.sessions}"]))
