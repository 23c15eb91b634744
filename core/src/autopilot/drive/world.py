"""A world, opened with every part in place: what the game brings, and of the desktop what it leaves out."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, replace

from autopilot.api.errors import DeviceError, UserError
from autopilot.api.game import Game
from autopilot.api.interfaces import Clock, Demonstrator, FrameSource, HudReader, OutputDevice, Reader, Referee, World
from autopilot.api.types import Frame, Held, Image, Reading, SourceSettings, WorldRequest
from autopilot.api.values import settle
from autopilot.bundle.frames import rescale
from autopilot.desktop.desktop import DEFAULTS, Desktop, DeviceChoice
from autopilot.desktop.emitter import Emitter
from autopilot.sessions.home import Home

_log = logging.getLogger("autopilot")

POLL_S = 0.01
"""Between two looks at the human while the loop waits."""


class WallClock:
    """Ticks at a rate; a late tick is skipped, never made up for by a burst."""

    lockstep = False

    def __init__(self, hz: float) -> None:
        self._period = 1.0 / hz
        self._due = time.monotonic() + self._period

    def tick(self, meanwhile: Callable[[], None] = lambda: None) -> None:
        """Sleep until the next decision is due; call `meanwhile` every `POLL_S` seconds until then."""
        now = time.monotonic()
        if self._due < now:
            self._due = now
        while (left := self._due - now) > 0:
            time.sleep(min(left, POLL_S))
            meanwhile()
            now = time.monotonic()
        self._due += self._period


class SimulatorClock:
    """A simulator's clock; with `hz` slowed down to real time, for a person who looks on."""

    def __init__(self, clock: Clock, hz: float | None = None) -> None:
        self._clock, self._wall = clock, WallClock(hz) if hz else None
        self.lockstep = clock.lockstep

    def tick(self, meanwhile: Callable[[], None] = lambda: None) -> None:
        """Step the simulator, then wait until the next decision would be due."""
        self._clock.tick()
        if self._wall is not None:
            self._wall.tick(meanwhile)


class NoDevice:
    """The output device of a human driver: their own keys reach the game by themselves."""

    def hold(self, controls: Held) -> None:
        """Do nothing."""

    def release_all(self) -> None:
        """Do nothing."""

    def close(self) -> None:
        """Do nothing."""


class HudReferee:
    """Tells what a HUD reader has read in the frames that it was shown.

    With `laps` the race is over when the times of so many are known, however long the game's own is.
    """

    def __init__(self, hud: HudReader, laps: int = 0) -> None:
        self._hud, self._laps, self._last = hud, laps, Reading()

    def show(self, frame: Frame) -> None:
        """Let the reader see the next frame, at native resolution."""
        last = self._hud.read(frame)
        enough = 0 < self._laps <= len(last.lap_times_s)
        self._last = replace(last, finished=True) if enough else last

    def reading(self) -> Reading:
        """Return the current race state, as the last frame shows it."""
        return self._last


class WatchedSource:
    """A frame source that shows each frame to a referee or in a window before it gives it."""

    def __init__(self, source: FrameSource, show: Callable[[Frame], None]) -> None:
        self._source, self._show = source, show

    def read(self) -> Frame:
        """Return the next frame, which was shown; raises as the source does."""
        frame = self._source.read()
        self._show(frame)
        return frame

    def close(self) -> None:
        """Close the source."""
        self._source.close()


@dataclass
class OpenWorld:
    """A world with nothing missing that a run needs; `emitter` is the device where keys or buttons are pressed."""

    source: FrameSource
    device: OutputDevice
    clock: WallClock | SimulatorClock
    reader: Reader | None = None
    referee: Referee | None = None
    demonstrator: Demonstrator | None = None
    on_close: Callable[[], None] | None = None
    emitter: Emitter | None = None

    def __enter__(self) -> OpenWorld:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def read(self, size: tuple[int, int]) -> tuple[Frame, Image]:
        """Return the next frame at `size` (width, height), and the picture that it came from.

        Raises as the source does, and DeviceError for a picture that stands where one of `size` lies.
        """
        native = self.source.read()
        _check_upright(native.image.shape, size)
        return Frame(rescale(native.image, size), native.t_ns), native.image

    def close(self) -> None:
        """Close every part, the device first."""
        _close(self)


def _check_upright(shape: tuple[int, ...], size: tuple[int, int]) -> None:
    """Raise DeviceError for a picture (H, W, 3) that stands where the game's, `size` (width, height), lies."""
    height, width = shape[:2]
    if (height - width) * (size[1] - size[0]) < 0:
        raise DeviceError(
            f"the picture is {width}x{height}, and the game's {size[0]}x{size[1]}: it would be squashed; "
            "choose another --window or --region, or let the plugin turn its frames"
        )


def _close(world: World | OpenWorld) -> None:
    """Close every part that is there, the device first, whichever of them fails."""
    with ExitStack() as stack:
        if world.on_close is not None:
            stack.callback(world.on_close)
        for part in (world.source, world.reader, world.device):
            if part is not None:
                stack.callback(part.close)


def _shown(source: FrameSource, reader: Reader | None) -> FrameSource:
    """Return the source; where the reader is a window, one that shows all frames in there, the first one now."""
    show: Callable[[Image], None] | None = getattr(reader, "show", None)
    if show is None:
        return source
    shown = WatchedSource(source, lambda frame: show(frame.image))
    shown.read()
    return shown


class Worlds:
    """Opens the worlds of a game, with the devices that the user chose."""

    def __init__(self, game: Game, home: Home, choice: DeviceChoice = DEFAULTS) -> None:
        self.game, self.home, self.choice = game, home, choice
        self.desktop = Desktop(game, home, choice)

    def lockstep(self, human: bool = False) -> bool:
        """Return whether a world runs in lock-step; raises UserError where it cannot run as asked."""
        spec, choice = self.game.spec, self.choice
        clocks = spec.simulator.clocks if spec.simulator else ("wall",)
        if choice.clock is not None and choice.clock not in clocks:
            raise UserError(f"{spec.name} runs by --clock {' or '.join(clocks)} only")
        if (human or choice.names_source) and "wall" in clocks and choice.clock is None:
            return False
        return (choice.clock or clocks[0]) == "lockstep"

    def open(self, request: WorldRequest, watched: bool = False) -> OpenWorld:
        """Open a world; `watched` by a person, a simulator is slowed down to real time.

        Raises UserError when a device was chosen for a game that has its own, DeviceError when
        the screen or a device cannot be opened.
        """
        request = replace(request, lockstep=self.lockstep(request.human), running=self.choice.names_source)
        world = self._of_game(request)
        try:
            self._check(world, request.human)
            return self._complete(world, request, watched)
        except BaseException:
            _close(world)
            raise

    def check_human(self) -> None:
        """Raise UserError where nothing reads what a human holds: neither a device, nor the world, which is opened."""
        track, mode, lockstep = self.game.tracks(None)[0], self.game.mode(None), self.lockstep(human=True)
        request = WorldRequest(track, mode, self.game.spec.hz, human=True, lockstep=lockstep)
        world = World() if self.desktop.reads else self._of_game(request)
        try:
            self._check(world, human=True)
        finally:
            _close(world)

    def _of_game(self, request: WorldRequest) -> World:
        simulator = self.game.spec.simulator
        if simulator is None:
            settle(f"the world of {self.game.spec.name}", {}, self.choice.world)
            return World()
        chosen = settle(f"the world of {self.game.spec.name}", simulator.options, self.choice.world)
        world: World = self.game.load(simulator.open_world, World)(request, **simulator.config, **chosen)
        return world

    def _check(self, world: World, human: bool) -> None:
        name, choice = self.game.spec.name, self.choice
        if human and world.reader is None and not self.desktop.reads:
            raise UserError(f"{name} cannot be played by a human here")
        if (choice.device or choice.bind) and world.device is not None and not (human and self.desktop.reads):
            raise UserError(f"{name} takes its controls itself: leave out --input and --bind")
        if world.source is not None and (choice.source or choice.settings != SourceSettings()):
            raise UserError(f"{name} gives its frames itself: leave out --source, --window, --region")

    def _refereed(self, source: FrameSource, world: World, laps: int) -> FrameSource:
        """Return the source; where the game's display is read, one that shows all frames to that referee."""
        world.hud = world.hud or self.desktop.hud_reader()
        if world.hud is not None:
            referee = world.referee = HudReferee(world.hud, laps)
            return WatchedSource(source, referee.show)
        if self.game.spec.hud is not None:
            _log.warning("autopilot: %s", self.game.spec.hud.advice)
        return source

    def _complete(self, world: World, request: WorldRequest, watched: bool) -> OpenWorld:
        # Each part goes into the world at once, so that it is closed when a later one fails.
        desktop, human = self.desktop, request.human
        source = world.source = world.source or desktop.open_source()
        source = world.source = self._refereed(source, world, request.laps)
        emitter = None if human or world.device else desktop.open_device(request.hz)
        device = world.device = world.device or emitter or NoDevice()
        lockstep = world.clock is not None and world.clock.lockstep
        if world.reader is None and (human or request.window or not lockstep):
            world.reader = desktop.open_readers(human)
            source = world.source = _shown(source, world.reader)
        slow = request.hz if lockstep and (watched or hasattr(world.reader, "show")) else None
        clock = WallClock(request.hz) if world.clock is None else SimulatorClock(world.clock, slow)
        parts = (source, device, clock, world.reader, world.referee, world.demonstrator, world.on_close)
        return OpenWorld(*parts, emitter=emitter)
