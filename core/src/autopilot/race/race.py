"""Running the races: one world per run, the referee's word for everything."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

from autopilot.api.errors import UserError
from autopilot.api.registry import Registry
from autopilot.api.types import Reading, Step
from autopilot.drive.drive import DriveOptions, drive, load_policy
from autopilot.drive.game import Game, OpenWorld
from autopilot.race.reference import add_reference, find_references
from autopilot.race.result import RaceResult, Run
from autopilot.sessions.home import Home


@dataclass(frozen=True)
class RaceOptions:
    """Who races where. `drive` carries what applies to each run: selector, devices, seed.

    `reference` names published times of the game, which join the table.
    """

    drivers: tuple[str, ...]
    tracks: str | None = None
    laps: int = 3
    races: int = 1
    drive: DriveOptions = field(default_factory=DriveOptions)
    films: Path | None = None
    reference: str | None = None


class _Book:
    """Watches one run and notes on which laps there was an incident, and how many."""

    def __init__(self, watch: Callable[[Step], None]) -> None:
        self.laps: set[int] = set()
        self.incidents = 0
        self._during = False
        self._watch = watch

    def __call__(self, step: Step) -> None:
        reading = step.reading
        if reading is not None:
            if reading.incident:
                self.laps.add(reading.lap)
                self.incidents += not self._during
            self._during = reading.incident
        self._watch(step)


def race(
    game: Game,
    home: Home,
    registry: Registry,
    options: RaceOptions,
    watch: Callable[[str, str, int, Step], None] = lambda driver, track, race, step: None,
    keep: Callable[[RaceResult], None] = lambda result: None,
    countdown: Callable[[OpenWorld], None] = lambda world: None,
    tell: Callable[[str], None] = lambda news: None,
) -> RaceResult:
    """Let each driver race on each track and return the table's data.

    `keep` is given what there is after each run, so that an interruption costs only one. `countdown` runs
    before the first one and before a human's; a game on the screen is told to begin the others. `tell` hears
    of a pause, and why the game is away. Every driver is checked before the first one starts. Raises UserError
    for an unknown driver or track, a game without a referee, or a reference of another race.
    """
    game.check_referee(options.drive.devices, "to race by")
    if options.laps < 1 or options.races < 1:
        raise UserError("--laps and --races must be 1 or more")
    if not options.drivers or len(set(options.drivers)) != len(options.drivers):
        raise UserError("--drivers needs a list of different names")
    tracks = game.tracks(options.tracks)
    policies = {name: load_policy(name, game, home, registry, options.drive) for name in options.drivers}
    spec = game.spec
    about = (spec.name, spec.title, options.drivers, tuple(tracks), options.laps, options.races, spec.hz)
    result = RaceResult(*about, runs=(), stamp=spec.stamp)
    references = find_references(game, options.reference, tracks, options.laps) if options.reference else []
    for track in tracks:
        for number in range(options.races):
            for name in options.drivers:
                book = _Book(lambda step, n=name, t=track, i=number: watch(n, t, i, step))  # type: ignore[misc]
                film = options.films / f"{name}-{track}-{number + 1}.mp4" if options.films else None
                one = replace(
                    options.drive,
                    track=track,
                    laps=options.laps,
                    max_s=spec.lap_limit_s * options.laps,
                    seed=options.drive.seed + number,
                    film=film,
                    restart=bool(result.runs) and name != "human",
                )
                report = drive(name, game, home, registry, one, book, countdown, policies[name], tell)
                if report.ending in ("quit", "saved"):
                    raise KeyboardInterrupt
                if report.human_frames:
                    options.drive.say(f"{name} on {track}, race {number + 1}: a human helped, so its laps do not count")
                run = _run(name, track, number, None if report.human_frames else report.reading, book, options.laps)
                run = replace(run, warnings=tuple(report.timing["warnings"]))
                for line in run.warnings:
                    options.drive.say(f"{name} on {track}, race {number + 1}: warning: {line}")
                result = replace(result, runs=(*result.runs, run))
                keep(result)
    for reference in references:
        result = add_reference(result, str(options.reference), reference)
    return result


def _run(name: str, track: str, number: int, reading: Reading | None, book: _Book, laps: int) -> Run:
    last = reading or Reading()
    times = last.lap_times_s[:laps]
    return Run(
        driver=name,
        track=track,
        race=number,
        laps_s=times,
        incident_laps=tuple(sorted(i for i in book.laps if i < laps)),
        incidents=book.incidents,
        finished=len(times) == laps,
        score=last.score,
        tallies=last.tallies,
    )
