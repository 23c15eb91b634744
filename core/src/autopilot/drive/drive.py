"""One drive: a driver, a game, its observers; what happened and how punctual it was."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from autopilot.api.errors import UserError
from autopilot.api.game import Game
from autopilot.api.labels import held_by
from autopilot.api.types import Reading, WorldRequest
from autopilot.drive.drivers import Driver, NoisyDriver, RelabellingDriver
from autopilot.drive.lineup import Entrant
from autopilot.drive.overlay import Overlay, Screens
from autopilot.drive.recorder import LapRecorder, SessionRecorder, new_info
from autopilot.drive.recovery import RecoveringDriver, Restart
from autopilot.drive.run import BY_HOTKEY, Ending, Observer, Run
from autopilot.drive.takeover import TakeoverDriver, TakeoverMode
from autopilot.drive.timing import Timing
from autopilot.drive.world import OpenWorld, Worlds
from autopilot.sessions.info import SessionInfo
from autopilot.sessions.laps import LapRule


@dataclass(frozen=True)
class DriveOptions:
    """How to drive. `laps` 0 drives until stopped; `max_s` is in seconds of game time.

    `record` keeps the drive as a session, the frames that a human took over ready to train on; with a
    `teacher`, all of them, labelled by what it would do. `noise` is the share of the decisions at which a
    disturbance starts. `keep_laps` keeps each lap that passes as a session of its own. `recover` lets a car
    that stands still be got going as the game says; `restart` says that this is not the first race: the game
    may have to be told to begin another. `window` asks for the game's own window, `screens` for the overlay.
    The hotkey `discard` deletes the last `discard_s` seconds of a session softly. `takeover` says how a human
    takes the wheel from what drives; None: not at all, and the picture may stand still.
    """

    track: str | None = None
    mode: str | None = None
    laps: int = 0
    max_s: float | None = None
    seed: int = 0
    window: bool = False
    screens: Screens = field(default_factory=Screens)
    record: bool = False
    discard_s: float = 5.0
    noise: float = 0.0
    teacher: str | None = None
    keep_laps: LapRule | None = None
    recover: bool = True
    restart: bool = False
    takeover: TakeoverMode | None = "handback"


@dataclass
class DriveReport:
    """What a drive came to."""

    driver: str
    track: str
    ending: Ending
    reading: Reading | None
    timing: dict[str, Any]
    human_frames: int = 0
    session: str | None = None
    stamp: str = ""
    laps_seen: int = 0
    laps_kept: list[dict[str, Any]] | None = None
    labels: dict[str, int] = field(default_factory=dict)
    discarded: int = 0
    scored: bool = False

    def __str__(self) -> str:
        """Return what a person wants to know, in some lines."""
        text = f"{self.driver} on {self.track}: {self.ending}"
        if self.reading is not None:
            laps = ", ".join(f"{t:.2f} s" for t in self.reading.lap_times_s)
            text += f"; {laps or 'no lap finished'}" * (not self.scored)
            if self.reading.score is not None:
                text += f"; score {self.reading.score:.1f}"
            text += f" ({self.stamp})"
        if self.session is not None:
            text += f"\nsession: {self.session}, {self.human_frames} frames driven by you"
        if self.laps_kept is not None:
            text += f"\nkept {len(self.laps_kept)} of {self.laps_seen} laps"
            text += "".join(f"\n  {lap['session']}: {lap['lap_time_s']:.2f} s" for lap in self.laps_kept)
        return text + "".join(f"\nwarning: {line}" for line in self.timing["warnings"])


class Drive:
    """One drive, put together: the world's request, the driver with its wrappers, the observers.

    Raises UserError, before anything begins, where the options do not fit the game or each other.
    """

    def __init__(self, worlds: Worlds, entrant: Entrant, options: DriveOptions) -> None:
        self.worlds, self.entrant, self.options = worlds, entrant, options
        game = self.game = worlds.game
        if options.keep_laps and game.spec.race.scored:
            raise UserError(f"{game.spec.name} has no laps to keep: --record keeps the whole drive")
        self.request = WorldRequest(
            track=game.tracks(options.track)[0],
            mode=game.mode(options.mode),
            hz=entrant.hz,
            laps=game.laps(options.laps),
            seed=options.seed,
            window=options.window or entrant.human,
            human=entrant.human,
            demonstrator=options.teacher or entrant.name,
        )
        if options.noise and entrant.name not in game.demonstrators:
            raise UserError("--noise disturbs a demonstrator: add --driver demonstrator")
        if not 0 <= options.noise < 1:
            raise UserError(f"--noise {options.noise} must be from 0 to below 1")
        if options.teacher is not None:
            game.check_demonstrator(options.teacher)
        self.recorder = self._recorder() if options.record else None
        self.laps = self._lap_recorder(options.keep_laps) if options.keep_laps else None

    def _info(self, **more: Any) -> SessionInfo:
        who = self.entrant
        return new_info(self.game, self.request, who.name, who.label_map_name, who.label_map, **more)

    def _recorder(self) -> SessionRecorder:
        who, options = self.entrant, self.options
        policy = options.takeover is not None and not who.human and options.teacher is None
        info = self._info(policy=policy, teacher=options.teacher, noise=options.noise)
        return SessionRecorder(self.worlds.home.sessions, info, who.label_map, options.discard_s)

    def _lap_recorder(self, rule: LapRule) -> LapRecorder:
        self.worlds.desktop.check_referee("to keep laps by")
        limit_s = self.game.spec.race.lap_limit_s
        return LapRecorder(self.worlds.home.sessions, self._info(), self.entrant.label_map, rule, limit_s)

    def _driver(self, world: OpenWorld, timing: Timing) -> Driver:
        """Return who drives, with all that is done to their decisions."""
        who, options, recovery = self.entrant, self.options, self.game.spec.race.recovery
        driver = who.driver(world, timing, options.seed)
        if options.noise:
            driver = NoisyDriver(driver, who.label_map, options.noise, options.seed)
        if options.recover and recovery and not who.human:
            driver = RecoveringDriver(driver, recovery, world.referee)
        if options.teacher is not None:
            teacher = replace(who, name=options.teacher, policy=None, human=False)
            driver = RelabellingDriver(driver, teacher.driver(world, timing, options.seed))
        if options.takeover is not None and not who.human:
            driver = TakeoverDriver(driver, world.reader, options.takeover, world.clock.lockstep)
        return driver

    def _observers(self) -> list[Observer]:
        options, spec = self.options, self.game.spec
        found: list[Observer] = [Restart(spec.race.restart)] if options.restart else []
        if options.screens.film is not None or options.screens.show:
            title = f"{self.entrant.name} on {spec.name} {self.request.track} ({spec.race.disclaimer})"
            found.append(Overlay(self.entrant.label_map, title, options.screens, spec.race.scored))
        return found + [o for o in (self.recorder, self.laps) if o is not None]

    def go(self, observers: Sequence[Observer] = ()) -> DriveReport:
        """Drive, and return how it went; `observers` are told last, at every moment.

        Raises DeviceError when the screen or a device cannot be opened. Everything is released whatever happens.
        """
        options, hz = self.options, self.entrant.hz
        with self.worlds.open(self.request, watched=options.screens.show) as world:
            if world.emitter is not None:
                self.worlds.desktop.check_holds(held_by(self.entrant.label_map))
            timing = Timing(hz, world.clock.lockstep)
            limit = None if options.max_s is None else max(1, round(options.max_s * hz))
            watching = [*self._observers(), *observers]
            run = Run(world, self._driver(world, timing), timing, self.game.spec.frame_size, watching, limit)
            ending = run.go()
        return self._report(run, ending)

    def _report(self, run: Run, ending: Ending) -> DriveReport:
        timing = run.timing.report(run.world.emitter.replaced if run.world.emitter else 0)
        report = DriveReport(self.entrant.name, self.request.track, ending, run.reading, timing)
        rules = self.game.spec.race
        report.human_frames, report.stamp, report.scored = run.human_frames, rules.disclaimer, rules.scored
        if self.recorder is not None:
            report.session = self.recorder.writer.path.name
            report.labels, report.discarded = dict(self.recorder.counts), self.recorder.discarded
        if self.laps is not None:
            kept = [{"session": id, "lap_time_s": lap.time_s, "clean": lap.clean} for id, lap in self.laps.kept]
            report.laps_seen, report.laps_kept = self.laps.seen, kept
        return report


Watching = Callable[[Drive], Sequence[Observer]]
"""Returns who is to be told of a drive, such as a status line."""


def drive_in_turn(
    drives: Iterable[Drive], watching: Watching = lambda drive: ()
) -> Iterator[tuple[Drive, DriveReport]]:
    """Make the drives one after another, and give each with its report; a hotkey ends those that were to follow."""
    for done, drive in enumerate(drives):
        try:
            report = drive.go(watching(drive))
        except KeyboardInterrupt as e:
            if done and (drive.recorder or drive.laps):
                kept = f"so are {done} before it" if drive.recorder else f"so is what the {done} races before it kept"
                e.add_note(kept)
            raise
        yield drive, report
        if report.ending in BY_HOTKEY:
            return


def each_track(game: Game, options: DriveOptions) -> list[DriveOptions]:
    """Return the options for each of the tracks that they name, with a seed of its own: none is disturbed alike."""
    tracks = game.tracks(options.track)
    return [replace(options, track=track, seed=options.seed + n) for n, track in enumerate(tracks)]


def each_race(game: Game, options: DriveOptions, races: int) -> list[DriveOptions]:
    """Return the options for each of so many races on one track, one after another, with other seeds.

    Raises UserError for several races where the game says not how to begin another, or of no end.
    """
    ends = options.laps or options.max_s or game.spec.race.scored
    if races > 1 and (options.screens.film or not ends):
        raise UserError("--races: say when a race is over by --laps or --seconds, and leave out --film")
    if races > 1 and not (game.spec.race.restart or game.spec.simulator):
        raise UserError(f"{game.spec.name} says not how to begin another race: leave out --races")
    return [replace(options, seed=options.seed + n, restart=n > 0) for n in range(races)]
