"""One recording session: a world, a driver, and a writer that watches the loop."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from autopilot.api.errors import UserError
from autopilot.api.interfaces import LabelMap
from autopilot.api.specs import Recovery
from autopilot.api.types import Step, WorldRequest
from autopilot.drive.drivers import DemonstratorDriver, Driver, HumanDriver, NoisyDriver
from autopilot.drive.game import DeviceChoice, Game, OpenWorld
from autopilot.drive.keep import Keeper, new_info
from autopilot.drive.recovery import Recovering
from autopilot.drive.run import Observer, run
from autopilot.drive.timing import Timing
from autopilot.sessions.home import Home, is_scripted
from autopilot.sessions.store import session_name


@dataclass(frozen=True)
class RecordOptions:
    """What to record. `driver` is one of the game's demonstrators or the name of the human who plays.

    `actions` is a label map of the game, by default the demonstrator's or the game's own.

    `laps` 0 records until stopped; `max_s` (seconds of game time) stops earlier; `noise` is the
    share of the demonstrator's decisions at which a disturbance starts. The hotkey `discard` deletes the
    last `discard_s` seconds softly, pressed again as many before them.
    """

    driver: str = "human"
    track: str | None = None
    actions: str | None = None
    mode: str | None = None
    hz: float | None = None
    laps: int = 0
    max_s: float | None = None
    noise: float = 0.0
    seed: int = 0
    window: bool = False
    discard_s: float = 5.0
    devices: DeviceChoice = field(default_factory=DeviceChoice)


@dataclass
class RecordProgress:
    """How a recording stands: for the status line."""

    track: str
    path: Path
    timing: Timing
    frames: int = 0
    counts: Counter[str] = field(default_factory=Counter)
    paused: bool = False
    discarded: int = 0
    away: str | None = None
    ending: str = "recording"

    def to_json(self) -> dict[str, Any]:
        """Return what was recorded, as plain data."""
        counts = {"labels": dict(self.counts), "discarded": self.discarded}
        return {"session": self.path.name, "track": self.track, "frames": self.frames, "ending": self.ending} | counts


def record(
    game: Game,
    home: Home,
    options: RecordOptions,
    countdown: Callable[[OpenWorld], None] = lambda world: None,
    watch: Callable[[RecordProgress], None] = lambda progress: None,
) -> list[RecordProgress]:
    """Record a session on each of the tracks that the options name, and return how they ended.

    `countdown` runs once each world is open; `watch` after every frame. A hotkey `quit` or `save`
    ends the remaining tracks too. Raises UserError before anything is recorded when the options
    do not fit the game; nothing that was recorded is lost by any error.
    """
    game.check_demonstrator(options.driver)
    demonstrated = options.driver in game.demonstrators
    if options.noise and not demonstrated:
        raise UserError("--noise disturbs a demonstrator: add --driver demonstrator")
    if not 0 <= options.noise < 1:
        raise UserError(f"--noise {options.noise} must be from 0 to below 1")
    mode = options.mode or ("A" if options.noise and "A" in game.spec.modes else None)
    label_map_name = game.label_map_name(options.actions or game.demonstrators.get(options.driver))
    label_map = game.label_map(label_map_name)
    session_name(game.spec.name, "", options.driver)  # a name for a folder?
    done: list[RecordProgress] = []
    for number, track in enumerate(game.tracks(options.track)):
        request = WorldRequest(
            track=track,
            mode=game.mode(mode),
            hz=options.hz or game.spec.hz,
            laps=options.laps,
            seed=options.seed + number,  # else every track would be disturbed alike
            window=options.window or not demonstrated,
            human=not demonstrated,
            demonstrator=options.driver,
        )
        try:
            done.append(_record_one(game, home, options, request, label_map, label_map_name, countdown, watch))
        except KeyboardInterrupt as e:
            if done:
                e.add_note(f"so are {len(done)} before it")
            raise
        if done[-1].ending in ("saved", "quit"):  # by a hotkey
            break
    return done


def _record_one(
    game: Game,
    home: Home,
    options: RecordOptions,
    request: WorldRequest,
    label_map: LabelMap,
    label_map_name: str,
    countdown: Callable[[OpenWorld], None],
    watch: Callable[[RecordProgress], None],
) -> RecordProgress:
    with game.open(request, options.devices) as world:
        countdown(world)
        timing = Timing(request.hz, world.clock.lockstep, world.device)
        about = (request, options.driver, label_map, label_map_name, world.clock.lockstep)
        info = new_info(game, *about, noise=options.noise)
        with Keeper(home.sessions, info, label_map) as keeper:
            progress = RecordProgress(request.track, keeper.path, timing, counts=keeper.counts)

            def keep(step: Step) -> None:
                keeper(step)
                progress.frames = keeper.frames
                watch(progress)

            def pause(paused: bool) -> None:
                progress.paused = paused
                watch(progress)

            def away(reason: str | None) -> None:
                progress.away = reason
                watch(progress)

            def discard() -> None:
                progress.discarded += keeper.discard(options.discard_s)
                watch(progress)

            limit = None if options.max_s is None else max(1, round(options.max_s * request.hz))
            driver = _driver(world, options, request.seed, label_map, game.spec.recovery)
            observers: list[Observer] = [keep, driver] if isinstance(driver, Recovering) else [keep]
            size = game.spec.frame_size
            ending = run(world, driver, timing, size, observers, limit, pause, away, on_discard=discard)
            progress.ending = ending
            keeper.close("quit" if ending == "quit" else "saved")
    return progress


def _driver(
    world: OpenWorld, options: RecordOptions, seed: int, label_map: LabelMap, recovery: Recovery | None
) -> Driver:
    if options.driver == "human" or not is_scripted(options.driver):
        assert world.reader is not None, "Game.open gives a human a reader or raises"
        return HumanDriver(world.reader)
    if world.demonstrator is None:
        raise UserError(f"there is no {options.driver} here: it may need --clock lockstep")
    driver: Driver = DemonstratorDriver(world.demonstrator, label_map)
    if options.noise:
        driver = NoisyDriver(driver, label_map, options.noise, seed)
    return Recovering(driver, recovery) if recovery else driver
