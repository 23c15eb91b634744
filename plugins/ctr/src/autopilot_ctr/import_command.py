"""`autopilot import`."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

import click
from autopilot.commands import App, GroupedCommand, common, examples


@click.command(
    cls=GroupedCommand,
    name="import",
    epilog=examples(
        "autopilot import ctr-ai training_data/validated",
        "autopilot import ctr-ai old --driver nick --track coco --mode N     where the files' names do not say",
        "autopilot import ctr-ai old --channels rgb                          if red and blue are swapped",
    ),
)
@click.argument("kind", metavar="FORMAT")
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path))
@click.option("--driver", metavar="NAME", help="Who drove, where the files do not say.")
@click.option("--track", metavar="NAME", help="On which track, where the files do not say.")
@click.option("--mode", metavar="MODE", help="In which mode, where the files do not say.")
@click.option("--channels", type=click.Choice(["rgb", "bgr"]), help="Order of the colour channels (default: detected).")
@common
def command(app: App, kind: str, folder: Path, **options: Any) -> None:
    """Import recordings of the original CTR-AI (FORMAT ctr-ai) as sessions; no code in a file is run.

    Sessions imported before stay unchanged. The first frame is shown: check whether its colours are right.
    """
    from autopilot.api import Game, UserError
    from autopilot.commands import ui

    from autopilot_ctr.ctr_ai import ImportRequest
    from autopilot_ctr.imports import FORMAT, PREVIEW, import_recordings

    if kind != FORMAT:
        raise UserError(f"nothing imports {kind!r}: there is {FORMAT}")
    with ui.status() as line:
        request = ImportRequest(folder, **options)
        told = (lambda name, frames: line(f"{name}: {frames} frames"), ui.say)
        done = import_recordings(Game(app.registry, "ctr"), app.home, request, *told)
    lines = [f"{d.session}: {d.frames} frames" + ("" if d.new else " (imported before)") for d in done]
    data = {"sessions": [asdict(d) for d in done], "preview": str(app.home.cache / PREVIEW)}
    if not app.json and any(d.new for d in done):
        ui.preview(app.home.cache / PREVIEW)
    app.print(data, "\n".join([*lines, f"kept in {app.home.sessions}"]))
