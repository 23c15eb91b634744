"""`autopilot drive`."""

from __future__ import annotations

from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from autopilot.commands import (
    App,
    Finite,
    GroupedCommand,
    common,
    driving_options,
    examples,
    force_option,
    option_group,
    world_options,
)

if TYPE_CHECKING:
    from autopilot.desktop.desktop import DeviceChoice
    from autopilot.drive.drive import Drive
    from autopilot.drive.run import Observer


@click.command(
    cls=GroupedCommand,
    epilog=examples(
        "autopilot drive --input gamepad                       the newest bundle, in the game that it knows",
        "autopilot drive --bundle carracing-nvidia --track 3 --laps 1 --show",
        "autopilot drive --game carracing --bundle carracing-nvidia --film lap.mp4 --laps 1",
        "autopilot drive --game ctr --bundle coco --input keyboard --profile duckstation --region 0,0,1280,720",
        "autopilot drive --game ctr --bundle coco --select argmax --bind accelerate=x --engine onnx",
        "autopilot drive --game ctr --bundle coco --record     correct it by hand, then train on that",
        'autopilot drive --game ctr --bundle coco --laps 3 --races 10 --keep-laps "time < 41.5 and clean"',
    ),
)
@click.option(
    "--bundle", metavar="NAME", help="Who drives: a bundle, demonstrator or random (default: the newest bundle)."
)
@click.option("--game", metavar="NAME", help="Which game (default: the bundle's).")
@click.option("--track", metavar="NAME", help="Which track (default: the game's first).")
@click.option("--mode", metavar="MODE", help="Recording mode, by letter or name (default: the game's first).")
@click.option("--laps", metavar="N", type=click.IntRange(0), default=0, show_default=False, help="Stop after N laps.")
@click.option("--seconds", "max_s", metavar="S", type=Finite(0, min_open=True), help="Stop after S seconds.")
@click.option("--races", metavar="N", type=click.IntRange(1), default=1, help="Races, one after another.")
@click.option("--show", is_flag=True, help="Show the frames with bars of the probabilities, in real time.")
@click.option(
    "--takeover",
    type=click.Choice(["handback", "pause", "off"]),
    default="handback",
    help="When you press a key of the game, you drive: until you let go, or until the pause key.",
)
@option_group(
    "What is kept",
    click.option("--film", metavar="FILE", type=click.Path(path_type=Path), help="Write what --show shows, as an mp4."),
    force_option,
    click.option("--record", is_flag=True, help="Keep the drive as a session; training uses the part that you drove."),
    click.option("--keep-laps", metavar="RULE", help="Keep as a session each lap that passes: time < 41.5 and clean."),
)
@driving_options
@world_options
@common
def command(app: App, bundle: str | None, game: str | None, devices: DeviceChoice, **options: Any) -> None:
    """Let a bundle drive until the race is over, or you press P or Ctrl-C; then all keys are released."""
    from autopilot.commands import ui
    from autopilot.commands.status import Countdown, Status, describe_drive

    with ui.status() as line:

        def watching(drive: Drive) -> list[Observer]:
            status = Status(line, partial(describe_drive, scored=drive.game.spec.race.scored))
            first = not (drive.worlds.lockstep() or drive.options.restart)
            return [Countdown(), status] if first else [status]

        reports = app.drive(bundle, game, devices=devices, watching=watching, **options)
    if not app.json:
        ui.timing_lines(reports[-1].timing)
    film = options["film"]
    lines = [*map(str, reports), *([f"film: {film}"] if film is not None and not app.losses else [])]
    data = [asdict(report) for report in reports]
    app.print(data if options["races"] > 1 else data[0], "\n".join(lines))
