"""`autopilot race`."""

from __future__ import annotations

from contextlib import ExitStack
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

import click

from autopilot.cli.common import App, common, driving_options, examples, world_options


@click.command(
    epilog=examples(
        "autopilot race --game carracing --drivers demonstrator,carracing-nvidia,random --tracks 100-104 --laps 1",
        "autopilot race --game carracing --drivers human,carracing-nvidia --laps 3 --races 5",
        "autopilot race --game ctr --drivers human,coco --tracks coco --races 5 --reference ctr-ai",
    )
)
@click.option("--game", required=True, help="Which game; see `autopilot plugins`.")
@click.option("--drivers", required=True, help="Bundles, demonstrator, random, human: a,b,…")
@click.option("--tracks", help="Tracks: a,b,… or, where they are numbers, 0-4.")
@click.option("--laps", type=int, default=3, show_default=True)
@click.option("--races", type=int, default=1, show_default=True, help="Races on each track.")
@click.option("--select", type=click.Choice(["weighted", "argmax"]), default="weighted", show_default=True)
@click.option("--temperature", type=float, default=1.0, show_default=True)
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True)
@driving_options
@click.option("--films", is_flag=True, help="Film every run.")
@click.option("--reference", metavar="NAME", help="Add the game's published times of that name to the table.")
@click.option("--name", help="Name of the race's folder (default: the time).")
@world_options
@common
def command(
    app: App,
    game: str,
    drivers: str,
    tracks: str | None,
    laps: int,
    races: int,
    films: bool,
    reference: str | None,
    name: str | None,
    **driving: Any,
) -> None:
    """Let each driver race in turn; lap times by the referee, `*` for an incident."""
    from autopilot.cli import ui
    from autopilot.drive import DriveOptions
    from autopilot.game import Game
    from autopilot.home import check_name, new_folder, write_json
    from autopilot.race import RaceOptions, RaceResult, race, save_reports
    from autopilot.types import Step

    found = Game(app.registry, game, app.home)
    names = tuple(filter(None, (d.strip() for d in drivers.split(","))))
    chosen = DriveOptions(**driving, say=ui.say)
    with ExitStack() as stack:
        if name is None:
            stamp = f"{datetime.now():%Y%m%d-%H%M%S}-{found.spec.name}"
            folder: Path = stack.enter_context(new_folder(app.home.races, stamp))
        else:
            folder = app.home.races / check_name(name, "race")
        options = RaceOptions(names, tracks, laps, races, chosen, folder if films else None, reference)
        line = stack.enter_context(ui.status())

        def watch(driver: str, track: str, number: int, step: Step) -> None:
            lap = step.reading.lap + 1 if step.reading else 1
            line(f"{driver} on {track}, race {number + 1}: lap {lap}, {step.index} decisions")

        def keep(result: RaceResult) -> None:
            write_json(folder / "race.json", result.to_json())

        before = (lambda world: None) if found.lockstep(chosen.devices) else ui.countdown
        result = race(found, app.home, app.registry, options, watch, keep, before, partial(line, news=True))
    save_reports(result, folder)
    app.print(result.to_json(), lambda: ui.race_tables(result, folder))
