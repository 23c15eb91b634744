"""`autopilot unpack`."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import click
from autopilot.commands import App, GroupedCommand, common, examples


@click.command(
    cls=GroupedCommand, epilog=examples("autopilot unpack anna.pack", "autopilot unpack anna.pack --home ~/together")
)
@click.argument("file", type=click.Path(path_type=Path))
@common
def command(app: App, file: Path) -> None:
    """Add the sessions or the bundle of a pack to yours; your own stay unchanged.

    The whole pack is checked first, and no code in it is run. A session or bundle that you have is skipped;
    a different one of the same name gets a new name.
    """
    from autopilot.commands import ui

    from autopilot_sharing.unpack import Unpacked, unpack

    with ui.steps("unpacking", file.stat().st_size if file.is_file() else None) as tell:
        done = unpack(file, app.home, tell)

    def words(d: Unpacked) -> str:
        if d.outcome == "renamed":
            return f", called {d.session} in the pack: another {d.kind} has that name here"
        known = ": you have it already" + (", reviewed otherwise; your review stays" if d.review else "")
        return known if d.outcome == "known" else ""

    lines = [f"{d.id}{words(d)}" for d in done]
    new = sum(d.outcome != "known" for d in done)
    data = {f"{kind}s": [asdict(d) for d in done if d.kind == kind] for kind in ("session", "bundle")}
    where = app.home.bundles if data["bundles"] else app.home.sessions
    app.print({**data, "added": new}, "\n".join([*lines, f"{new} of {len(done)} added to {where}"]))
