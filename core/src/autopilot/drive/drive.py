"""One drive: a bundle, a game, a selector; what happened and how punctual it was."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from autopilot.api.errors import Away, BundleError, UserError
from autopilot.api.interfaces import LabelMap
from autopilot.api.registry import Registry
from autopilot.api.types import Manoeuvre, Reading, Step, WorldRequest
from autopilot.bundle.selector import Selector
from autopilot.drive.drivers import DemonstratorDriver, Driver, HumanDriver, PolicyDriver, RandomDriver, TaughtDriver
from autopilot.drive.game import DeviceChoice, Game, OpenWorld, Watchable
from autopilot.drive.keep import Keeper, LapKeeper, new_info
from autopilot.drive.overlay import Film, Overlay, Window
from autopilot.drive.recovery import Recovering
from autopilot.drive.run import once, run
from autopilot.drive.takeover import Takeover, TakeoverMode
from autopilot.drive.timing import Timing
from autopilot.learn.policy import Policy
from autopilot.sessions.home import Home, is_scripted
from autopilot.sessions.laps import LapRule


@dataclass(frozen=True)
class DriveOptions:
    """How to drive. `laps` 0 drives until stopped; `max_s` is in seconds of game time.

    `record` keeps the drive as a session, the frames that a human took over ready to train on; with a
    `teacher`, one of the game's demonstrators, all of them, labelled by what it would do.
    `keep_laps` keeps each lap that passes as a session of its own. `recover` lets a car that stands still be
    got going as the game says. `engine` is jax or onnx; `say` hears what came of choosing it, `lost` of a film that
    could not be written while the drive went on. `restart` says that this is not the first race: the game may
    have to be told to begin another.
    """

    track: str | None = None
    mode: str | None = None
    laps: int = 0
    max_s: float | None = None
    select: str = "weighted"
    temperature: float = 1.0
    seed: int = 0
    show: bool = False
    film: Path | None = None
    record: bool = False
    teacher: str | None = None
    keep_laps: LapRule | None = None
    recover: bool = True
    restart: bool = False
    takeover: TakeoverMode = "handback"
    engine: str = "jax"
    say: Callable[[str], None] = lambda line: None
    lost: Callable[[str], None] = lambda line: None
    devices: DeviceChoice = field(default_factory=DeviceChoice)


@dataclass
class DriveReport:
    """What a drive came to."""

    driver: str
    track: str
    ending: str
    reading: Reading | None
    timing: dict[str, Any]
    human_frames: int = 0
    session: str | None = None
    stamp: str = ""
    laps_seen: int = 0
    laps_kept: list[dict[str, Any]] | None = None

    def to_json(self) -> dict[str, Any]:
        """Return what a drive was recorded as, as plain data."""
        return {"session": self.session, "track": self.track, "frames": self.timing["steps"], "ending": self.ending}

    def __str__(self) -> str:
        """Return what a person wants to know, in some lines."""
        text = f"{self.driver} on {self.track}: {self.ending}"
        if self.reading is not None:
            text += "; " + (", ".join(f"{t:.2f} s" for t in self.reading.lap_times_s) or "no lap finished")
            if self.reading.score is not None:
                text += f"; score {self.reading.score:.1f}"
            text += f" ({self.stamp})"
        if self.session is not None:
            text += f"\nsession: {self.session}, {self.human_frames} frames driven by you"
        if self.laps_kept is not None:
            text += f"\nkept {len(self.laps_kept)} of {self.laps_seen} laps"
            text += "".join(f"\n  {lap['session']}: {lap['lap_time_s']:.2f} s" for lap in self.laps_kept)
        return text + "".join(f"\nwarning: {line}" for line in self.timing["warnings"])


def load_policy(name: str, game: Game, home: Home, registry: Registry, options: DriveOptions) -> Policy | None:
    """Check that `name` can drive this game, and load it, with its engine, if it is a bundle.

    Raises BundleError for a bundle or an ONNX export that does not fit, UserError for a driver that the game does
    not ship or options that make no sense.
    """
    Selector(options.select, options.temperature, options.seed)
    if options.keep_laps is not None:
        game.check_referee(options.devices, "to keep laps by")
    for scripted in filter(None, (name, options.teacher)):
        game.check_demonstrator(scripted)
    if is_scripted(name):
        return None
    policy = Policy.load(home.bundle(name), registry)
    if policy.manifest.game != game.spec.name:
        raise BundleError(f"bundle {name} drives {policy.manifest.game}, not {game.spec.name}")
    space = game.label_map(policy.manifest.label_map).action_space
    policy.check_fits(game.spec.name, space, game.spec.frame_size)
    if options.engine == "onnx":
        from autopilot.learn.onnx import accelerate

        accelerate(policy, home.bundle(name), options.say)
    return policy


def make_driver(
    name: str, policy: Policy | None, world: OpenWorld, label_map: LabelMap, options: DriveOptions, timing: Timing
) -> Driver:
    """Return the driver of that name: a bundle's policy, or one of `SCRIPTED`."""
    if policy is not None:
        selector = Selector(options.select, options.temperature, options.seed)
        return PolicyDriver(policy, selector, label_map, timing)
    if name == "random":
        return RandomDriver(label_map, options.seed)
    if name == "human" and world.reader is not None:
        return HumanDriver(world.reader)
    if is_scripted(name) and world.demonstrator is not None:
        return DemonstratorDriver(world.demonstrator, label_map)
    raise UserError(f"there is no {name} here: it may need --clock lockstep")


def drive(
    name: str,
    game: Game,
    home: Home,
    registry: Registry,
    options: DriveOptions,
    watch: Callable[[Step], None] = lambda step: None,
    countdown: Callable[[OpenWorld], None] = lambda world: None,
    policy: Policy | None = None,
    tell: Callable[[str], None] = lambda news: None,
) -> DriveReport:
    """Let `name` (a bundle, or one of `SCRIPTED`) drive one race and return how it went.

    `tell` hears of a pause, and why the game is away. Raises UserError when the bundle does not fit the game,
    DeviceError when the screen or a device cannot be opened. Everything is released whatever happens.
    """
    policy = policy or load_policy(name, game, home, registry, options)
    label_name = policy.manifest.label_map if policy else game.demonstrators.get(name, game.spec.label_map)
    label_map = game.label_map(label_name)
    space = label_map.action_space
    hz = policy.manifest.hz if policy else game.spec.hz
    track = game.tracks(options.track)[0]
    request = WorldRequest(
        track=track,
        mode=game.mode(options.mode),
        hz=hz,
        laps=options.laps,
        seed=options.seed,
        window=name == "human",
        human=name == "human",
        demonstrator=options.teacher or name,
    )
    last: list[Reading | None] = [None]
    human_frames = [0]

    def remember(step: Step) -> None:
        last[0] = step.reading
        human_frames[0] += step.decision.by_human

    with ExitStack() as stack:
        world = stack.enter_context(game.open(request, options.devices))
        screens: list[Film | Window] = []
        if options.film is not None:
            screens.append(stack.enter_context(Film(options.film, hz, options.lost)))
        if options.show:
            screens.append(stack.enter_context(Window(f"autopilot: {name}")))
        overlay = Overlay(space, f"{name} on {game.spec.name} {track} ({game.spec.stamp})")

        def show(step: Step) -> None:
            picture = overlay.draw(step, label_map.action(step.decision.sent))
            for screen in screens:
                screen.add(picture)

        def pause(paused: bool) -> None:
            tell("PAUSED, nothing is held" if paused else "driving")

        def away(reason: str | None) -> None:
            tell(f"WAITING, nothing is held: {reason}" if reason else "driving")

        if options.restart:
            perform(game.spec.restart, world, away)
        else:
            countdown(world)
        if world.reader is not None:
            world.reader.held()  # what was tapped before, to begin the game's race, takes nothing over
        if options.show and world.clock.lockstep:
            world.clock = Watchable(world.clock, hz)
        timing = Timing(hz, world.clock.lockstep, world.device)
        driver = make_driver(name, policy, world, label_map, options, timing)
        observers = [remember, watch, *([show] if screens else [])]
        if options.recover and game.spec.recovery and name != "human":
            driver = Recovering(driver, game.spec.recovery)
            observers.append(driver)
        if options.teacher is not None:
            driver = TaughtDriver(driver, make_driver(options.teacher, None, world, label_map, options, timing))
        limit = None if options.max_s is None else max(1, round(options.max_s * hz))
        takeover = None if name == "human" else Takeover(world.reader, options.takeover)
        keeper = laps = None
        about = (game, request, name, label_map, label_name, world.clock.lockstep)
        if options.record:
            info = new_info(*about, policy=name != "human" and options.teacher is None, teacher=options.teacher)
            keeper = stack.enter_context(Keeper(home.sessions, info, label_map))
            observers.append(keeper)
        if options.keep_laps is not None:
            rule = (options.keep_laps, game.spec.lap_limit_s)
            laps = stack.enter_context(LapKeeper(home.sessions, new_info(*about), label_map, *rule))
            observers.append(laps)
        ending = run(world, driver, timing, game.spec.frame_size, observers, limit, pause, away, takeover)
    session = keeper.path.name if keeper else None
    report = DriveReport(name, track, ending, last[0], timing.report(), human_frames[0], session, game.spec.stamp)
    if laps is not None:
        report.laps_seen = laps.seen
        report.laps_kept = [{"session": id, "lap_time_s": lap.time_s, "clean": lap.clean} for id, lap in laps.kept]
    return report


def drive_races(
    name: str,
    game: Game,
    home: Home,
    registry: Registry,
    options: DriveOptions,
    races: int,
    watch: Callable[[Step], None] = lambda step: None,
    countdown: Callable[[OpenWorld], None] = lambda world: None,
    tell: Callable[[str], None] = lambda news: None,
) -> list[DriveReport]:
    """Let `name` drive so many races one after another, with other seeds; a hotkey ends the remaining ones too.

    Raises as `drive`, and UserError for several races where the game says not how to begin another, or of
    no end.
    """
    if races > 1 and (options.film or not (options.laps or options.max_s)):
        raise UserError("--races: say when a race is over by --laps or --seconds, and leave out --film")
    if races > 1 and not (game.spec.restart or game.spec.open_world):
        raise UserError(f"{game.spec.name} says not how to begin another race: leave out --races")
    policy = load_policy(name, game, home, registry, options)
    done: list[DriveReport] = []
    for number in range(races):
        one = replace(options, seed=options.seed + number, restart=number > 0)
        try:
            done.append(drive(name, game, home, registry, one, watch, countdown, policy, tell))
        except KeyboardInterrupt as e:
            if done and (options.record or options.keep_laps):
                e.add_note(f"what the {len(done)} races before it kept is there too")
            raise
        if done[-1].ending in ("saved", "quit"):
            break
    return done


def perform(manoeuvre: Manoeuvre, world: OpenWorld, on_away: Callable[[str | None], None]) -> None:
    """Hold a manoeuvre's controls for as long as it says, by the wall clock, while the game is there; then nothing."""
    away = once(on_away)
    beat_s = 0.05  # the emitter lets go of what it hears no more of
    for controls, seconds in manoeuvre:
        beats = round(seconds / beat_s)
        while beats > 0:
            try:
                world.source.read()
                world.device.hold(controls)
                beats -= 1
                away(None)
            except Away as e:
                world.device.release_all()
                away(str(e))
            time.sleep(beat_s)
    world.device.release_all()
