"""`autopilot race`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from autopilot.commands import (
    App,
    GroupedCommand,
    common,
    driving_options,
    examples,
    force_option,
    option_group,
    workers_option,
    world_options,
)

if TYPE_CHECKING:
    from autopilot.api import Step
    from autopilot.desktop.desktop import DeviceChoice
    from autopilot.drive.drive import Drive
    from autopilot.drive.run import Observer


@click.command(
    cls=GroupedCommand,
    epilog=examples(
        "autopilot race --tracks 100-104 --laps 1           the newest bundle, after its game's demonstrator",
        "autopilot race --game carracing --drivers demonstrator,carracing-nvidia,random --tracks 100-104 --laps 1",
        "autopilot race --game carracing --drivers human,carracing-nvidia --laps 3 --races 5",
        "autopilot race --game ctr --drivers human,coco --tracks coco --races 5 --reference ctr-ai",
    ),
)
@click.option(
    "--drivers",
    metavar="LIST",
    help="Bundles, demonstrator, random, human: a,b,… (default: the demonstrator, if any, and the newest bundle).",
)
@click.option("--game", metavar="NAME", help="Which game (default: the first bundle's).")
@click.option("--tracks", metavar="LIST", help="Tracks: a,b,… or, where they are numbers, 0-4.")
@click.option("--mode", metavar="MODE", help="Mode of the game, such as arcade.")
@click.option("--laps", metavar="N", type=int, help="Laps of each race (default: 3, or none where it is scored).")
@click.option("--races", metavar="N", type=int, default=1, help="Races on each track.")
@option_group(
    "What is kept",
    click.option("--name", metavar="NAME", help="Folder of the race (default: the time)."),
    force_option,
    click.option("--films", is_flag=True, help="Film each race of each driver."),
    click.option("--reference", metavar="NAME", help="Add the game's published times of that name to the table."),
)
@workers_option
@click.option("--resume", is_flag=True, help="Go on with the race of this --name.")
@driving_options
@world_options
@common
def command(app: App, drivers: str | None, game: str | None, devices: DeviceChoice, **options: Any) -> None:
    """Let each driver race in turn; lap times or scores by the referee, `*` for an incident."""
    from autopilot.api import Reading
    from autopilot.commands import ui
    from autopilot.commands.status import Countdown, Status

    names = None if drivers is None else [d.strip() for d in drivers.split(",") if d.strip()]
    with ui.status() as line:

        def watching(drive: Drive, number: int) -> list[Observer]:
            def describe(step: Step) -> str:
                now = step.reading or Reading()
                far = f"lap {now.lap + 1}" if drive.options.laps else f"score {now.score or 0:.0f}"
                return f"{drive.entrant.name} on {drive.request.track}, race {number + 1}: {far}, decision {step.index}"

            status, first = Status(line, describe), not (drive.worlds.lockstep() or drive.options.restart)
            return [Countdown(), status] if first else [status]

        result = app.race(names, game, devices=devices, watching=watching, **options)
    app.print(result.to_json(), lambda: ui.race_tables(result))
