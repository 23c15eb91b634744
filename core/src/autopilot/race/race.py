"""Running the races: one world per run, the referee's word for everything."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from autopilot.api.errors import UserError
from autopilot.api.types import Reading, Step
from autopilot.drive.drive import Drive, DriveOptions, DriveReport
from autopilot.drive.lineup import Entrant, Lineup
from autopilot.drive.run import BY_HOTKEY, Observer
from autopilot.drive.world import Worlds
from autopilot.race.reference import add_reference, find_references
from autopilot.race.result import RaceResult, RunResult


@dataclass(frozen=True)
class RaceOptions:
    """Who races where. `drive` carries what applies to each run: seed, recovery, mode.

    `laps` is None for what the game is usually raced over: 3, or none where it is scored. `reference` names published
    times of the game, which join the table.
    """

    drivers: tuple[str, ...]
    tracks: str | None = None
    laps: int | None = None
    races: int = 1
    drive: DriveOptions = field(default_factory=DriveOptions)
    films: Path | None = None
    reference: str | None = None

    def check(self) -> None:
        """Raise UserError for numbers or names that make no race."""
        if self.races < 1 or (self.laps is not None and self.laps < 1):
            raise UserError("--laps and --races must be 1 or more")
        if not self.drivers or len(set(self.drivers)) != len(self.drivers):
            raise UserError("--drivers needs a list of different names")


class IncidentCounter(Observer):
    """Notes on which laps of a run there was an incident, and how many."""

    def __init__(self) -> None:
        self.laps: set[int] = set()
        self.incidents = 0
        self._during = False

    def step(self, step: Step) -> None:
        """Take in one step."""
        if (reading := step.reading) is None:
            return
        if reading.incident:
            self.laps.add(reading.lap)
            self.incidents += not self._during
        self._during = reading.incident


Elsewhere = Callable[[Sequence[Drive]], Iterable[tuple[DriveReport, IncidentCounter]]]
"""Makes drives in other processes; gives what came of each, in their order."""


class Race:
    """A race, put together: every driver, track and reference is checked before the first run.

    Raises UserError for an unknown driver or track, a game without a referee, or a reference of another race.
    """

    def __init__(self, worlds: Worlds, lineup: Lineup, options: RaceOptions) -> None:
        worlds.desktop.check_referee("to race by")
        options.check()
        self._worlds, self._options, game = worlds, options, worlds.game
        self._laps = game.laps(options.laps)
        tracks = tuple(game.tracks(options.tracks))
        entrants = [lineup.find(name) for name in options.drivers]
        self._heats = [(t, n, e) for t in tracks for n in range(options.races) for e in entrants]
        spec = game.spec
        about = (spec.name, spec.title, options.drivers, tracks, self._laps, options.races, spec.hz)
        self.result = RaceResult(*about, runs=(), stamp=spec.race.disclaimer)
        wanted = options.reference
        self._references = find_references(game, wanted, list(tracks), self._laps) if wanted else []

    def resume(self, kept: Mapping[str, Any]) -> None:
        """Begin after the runs that a race kept as JSON, which was asked for the same; raises UserError where not."""
        runs = [RunResult.parse(run) for run in kept["runs"][: len(self._heats)]]
        known = [(entrant.name, track, number) for track, number, entrant in self._heats]
        same = all(kept[name] == getattr(self.result, name) for name in ("game", "laps", "hz"))
        if not same or [(run.driver, run.track, run.race) for run in runs] != known[: len(runs)]:
            raise UserError("--resume: that race had other drivers, tracks or laps; --force replaces it")
        self.result = replace(self.result, runs=tuple(runs))

    def go(
        self,
        watching: Callable[[Drive, int], Sequence[Observer]] = lambda drive, number: (),
        keep: Callable[[RaceResult], None] = lambda result: None,
        say: Callable[[str], None] = lambda line: None,
        elsewhere: Elsewhere | None = None,
    ) -> RaceResult:
        """Let each driver race on each track and return the table's data.

        `watching` gives the observers of each run, `keep` is given what there is after each, so that an
        interruption costs only one; `say` hears of a human's help. A hotkey that ends a run ends it all, as
        Ctrl-C does. What makes the drives `elsewhere`, many at once, has nobody watching them.
        """
        drives = [
            Drive(self._worlds, entrant, self._drive_options(heat, track, number, entrant))
            for heat, (track, number, entrant) in enumerate(self._heats)
        ][len(self.result.runs) :]
        heats = self._heats[len(self.result.runs) :]
        outcomes = self._in_turn(drives, watching) if elsewhere is None else elsewhere(drives)
        for (track, number, entrant), (report, counter) in zip(heats, outcomes, strict=True):
            if report.ending in BY_HOTKEY:
                raise KeyboardInterrupt
            if report.human_frames and not entrant.human:
                say(f"{entrant.name} on {track}, race {number + 1}: a human helped, so it does not count")
            run = self._run_result(report, number, counter)
            for line in run.warnings:
                say(f"{entrant.name} on {track}, race {number + 1}: warning: {line}")
            self.result = replace(self.result, runs=(*self.result.runs, run))
            keep(self.result)
        for reference in self._references:
            self.result = add_reference(self.result, str(self._options.reference), reference)
        return self.result

    def _in_turn(
        self, drives: Sequence[Drive], watching: Callable[[Drive, int], Sequence[Observer]]
    ) -> Iterator[tuple[DriveReport, IncidentCounter]]:
        for drive in drives:
            counter = IncidentCounter()
            yield drive.go([counter, *watching(drive, drive.options.seed - self._options.drive.seed)]), counter

    def _drive_options(self, heat: int, track: str, number: int, entrant: Entrant) -> DriveOptions:
        options, drive = self._options, self._options.drive
        film = options.films / f"{entrant.name}-{track}-{number + 1}.mp4" if options.films else None
        return replace(
            drive,
            track=track,
            laps=self._laps,
            max_s=self._worlds.game.spec.race.lap_limit_s * max(self._laps, 1),
            seed=drive.seed + number,
            screens=replace(drive.screens, film=film),
            restart=heat > 0 and not entrant.human,
        )

    def _run_result(self, report: DriveReport, number: int, counter: IncidentCounter) -> RunResult:
        laps, last = self._laps, (None if report.human_frames else report.reading) or Reading()
        times = last.lap_times_s[:laps]
        return RunResult(
            driver=report.driver,
            track=report.track,
            race=number,
            laps_s=times,
            incident_laps=tuple(sorted(i for i in counter.laps if i < laps)),
            incidents=counter.incidents,
            finished=len(times) == laps if laps else last.score is not None,
            score=last.score,
            place=last.place,
            tallies=last.counters,
            warnings=tuple(report.timing["warnings"]),
        )
