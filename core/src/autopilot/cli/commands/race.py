"""`autopilot race`."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from datetime import datetime
from pathlib import Path
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
    world_options,
)

if TYPE_CHECKING:
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
@click.option("--laps", metavar="N", type=int, help="Laps of each race (default: 3, or none where it is scored).")
@click.option("--races", metavar="N", type=int, default=1, help="Races on each track.")
@option_group(
    "What is kept",
    click.option("--name", metavar="NAME", help="Folder of the race (default: the time)."),
    force_option,
    click.option("--films", is_flag=True, help="Film each race of each driver."),
    click.option("--reference", metavar="NAME", help="Add the game's published times of that name to the table."),
)
@driving_options
@world_options
@common
def command(
    app: App,
    game: str | None,
    drivers: str | None,
    tracks: str | None,
    laps: int | None,
    races: int,
    films: bool,
    reference: str | None,
    name: str | None,
    force: bool,
    devices: Any,
    **driving: Any,
) -> None:
    """Let each driver race in turn; lap times or scores by the referee, `*` for an incident."""
    from autopilot.api import Game, Reading, Step
    from autopilot.commands import ui
    from autopilot.commands.choices import game_of, newest_bundle
    from autopilot.commands.status import Countdown, Status
    from autopilot.drive.drive import Drive, DriveOptions
    from autopilot.drive.overlay import Screens
    from autopilot.drive.world import Worlds
    from autopilot.race.race import Race, RaceOptions
    from autopilot.race.report import save_reports
    from autopilot.race.result import RaceResult
    from autopilot.sessions.home import check_name, check_output, new_folder, write_json

    names = [d.strip() for d in (drivers or "").split(",") if d.strip()]
    if drivers is None:
        names = [newest_bundle(app, game)]
    found = Game(app.registry, game or game_of(app, names))
    worlds = Worlds(found, app.home, devices)
    real_time = not worlds.lockstep()
    if drivers is None and "demonstrator" in found.demonstrators and not real_time:
        names.insert(0, "demonstrator")
    how = {option: driving.pop(option) for option in ("select", "temperature", "engine")}
    with ExitStack() as stack:
        if name is None:
            stamp = f"{datetime.now():%Y%m%d-%H%M%S}-{found.spec.name}"
            folder: Path = stack.enter_context(new_folder(app.home.races, stamp))
        else:
            folder = app.home.races / check_name(name, "race")
            check_output(folder / "race.json", force)
        drive = DriveOptions(**driving, screens=Screens(lost=app.lost))
        options = RaceOptions(tuple(names), tracks, laps, races, drive, folder if films else None, reference)
        race = Race(worlds, app.lineup(found, **how), options)
        line = stack.enter_context(ui.status())

        def watching(drive: Drive, number: int) -> list[Observer]:
            def describe(step: Step) -> str:
                now = step.reading or Reading()
                far = f"lap {now.lap + 1}" if race.result.laps else f"score {now.score or 0:.0f}"
                return f"{drive.entrant.name} on {drive.request.track}, race {number + 1}: {far}, decision {step.index}"

            status = Status(line, describe)
            return [Countdown(), status] if real_time and not drive.options.restart else [status]

        def save(write: Callable[[], object]) -> None:
            try:
                write()
            except OSError as e:
                app.lost(f"the race cannot be kept in {folder} ({e.strerror or e}): free space; here is its result")

        def keep(result: RaceResult) -> None:
            save(lambda: write_json(folder / "race.json", result.to_json()))

        try:
            result = race.go(watching, keep, ui.say)
        except KeyboardInterrupt as e:
            there = (folder / "race.json").exists()
            e.add_note(f"the runs that were over are in {folder / 'race.json'}" if there else "no run was over yet")
            raise
    save(lambda: save_reports(result, folder))
    app.print(result.to_json(), lambda: ui.race_tables(result, folder))
