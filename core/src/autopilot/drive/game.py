"""A game by name: its tracks and modes checked, its world opened with every part in place."""

from __future__ import annotations

import difflib
import logging
import re
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field, replace
from typing import Any

from autopilot.api.errors import DeviceError, PluginError, UserError
from autopilot.api.interfaces import (
    Clock,
    Demonstrator,
    FrameSource,
    HudReader,
    LabelMap,
    OutputDevice,
    Reader,
    Referee,
    World,
)
from autopilot.api.labels import check_label_map
from autopilot.api.registry import Registry
from autopilot.api.specs import DeviceSpec, GameSpec, Reference
from autopilot.api.types import NOTHING, Frame, Held, Reading, SourceSettings, Window, WorldRequest
from autopilot.desktop.bindings import UserBindings, check_hotkeys, split
from autopilot.desktop.emitter import Emitter
from autopilot.sessions.home import Home, check_name

_log = logging.getLogger("autopilot")

LOOK_S = 0.01
"""Between two looks at the human while the loop waits."""


class WallClock:
    """Ticks at a rate; a late tick is skipped, never made up for by a burst."""

    lockstep = False

    def __init__(self, hz: float) -> None:
        self._period = 1.0 / hz
        self._due = time.monotonic() + self._period

    def tick(self, meanwhile: Callable[[], None] | None = None) -> None:
        """Sleep until the next decision is due; call `meanwhile` every `LOOK_S` seconds until then."""
        now = time.monotonic()
        if self._due < now:
            self._due = now
        while (left := self._due - now) > 0:
            time.sleep(left if meanwhile is None else min(left, LOOK_S))
            if meanwhile is not None:
                meanwhile()
            now = time.monotonic()
        self._due += self._period


class Watchable:
    """A simulator's clock slowed down to real time, for a person who looks on."""

    lockstep = True

    def __init__(self, clock: Clock, hz: float) -> None:
        self._clock, self._wall = clock, WallClock(hz)

    def tick(self) -> None:
        """Step the simulator, then wait until the next decision would be due."""
        self._clock.tick()
        self._wall.tick()


class NoDevice:
    """The output device of a human driver: their own keys reach the game by themselves."""

    def hold(self, controls: Held) -> None:
        """Do nothing."""

    def release_all(self) -> None:
        """Do nothing."""

    def close(self) -> None:
        """Do nothing."""


class Readers:
    """Several readers as one: what the human holds on any of them."""

    def __init__(self, readers: Sequence[Reader]) -> None:
        self._readers = readers

    def held(self) -> Held:
        """Return the controls held on any device."""
        return NOTHING.union(*(reader.held() for reader in self._readers))

    def hotkeys(self) -> tuple[str, ...]:
        """Return the hotkeys pressed on any device."""
        return tuple(key for reader in self._readers for key in reader.hotkeys())

    def close(self) -> None:
        """Close each."""
        with ExitStack() as stack:
            for reader in self._readers:
                stack.callback(reader.close)


class HudReferee:
    """A frame source that shows every frame to a HUD reader, and tells what that has read.

    With `laps` the race is over when the times of so many are known, however long the game's own is.
    """

    def __init__(self, source: FrameSource, hud: HudReader, laps: int = 0) -> None:
        self._source, self._hud, self._laps, self._last = source, hud, laps, Reading()

    def read(self) -> Frame:
        """Return the next frame, which the HUD reader has seen; raises as the source does."""
        frame = self._source.read()
        last = self._hud.read(frame)
        enough = 0 < self._laps <= len(last.lap_times_s)
        self._last = replace(last, finished=True) if enough else last
        return frame

    def reading(self) -> Reading:
        """Return how the race stands in the last frame."""
        return self._last

    def close(self) -> None:
        """Close the source."""
        self._source.close()


@dataclass(frozen=True)
class DeviceChoice:
    """Which device and keys the user asked for; None means the game's own default.

    `device` presses for a policy, and is what a human plays with. `bind` maps controls and hotkeys
    to keys. `clock` is `wall` or `lockstep`.
    """

    device: str | None = None
    bind: Mapping[str, str] = field(default_factory=dict)
    profile: str | None = None
    source: str | None = None
    clock: str | None = None
    settings: SourceSettings = field(default_factory=SourceSettings)

    @property
    def names_source(self) -> bool:
        """Whether the user said where frames come from."""
        return self.source is not None or self.settings != SourceSettings(background=self.settings.background)


@dataclass
class OpenWorld:
    """A world with nothing missing that a loop needs."""

    source: FrameSource
    device: OutputDevice
    clock: Clock
    reader: Reader | None
    referee: Referee | None
    demonstrator: Demonstrator | None
    on_close: Callable[[], None] | None

    def __enter__(self) -> OpenWorld:
        return self

    def __exit__(self, *exc: object) -> None:
        _close(self)


def _close(world: World | OpenWorld) -> None:
    """Close every part that is there, the device first, whichever of them fails."""
    with ExitStack() as stack:
        if world.on_close is not None:
            stack.callback(world.on_close)
        for part in (world.source, world.reader, world.device):
            if part is not None:
                stack.callback(part.close)


def program_of(window: Window, spec: GameSpec) -> str | None:
    """Return the profile of the program that a window belongs to, if the game knows it."""
    words = f"{window.process} {window.kind}".lower()
    return next((name for name, p in spec.programs.items() if any(part in words for part in p.names)), None)


class Game:
    """A game that some plugin provides."""

    def __init__(self, registry: Registry, name: str, home: Home | None = None) -> None:
        self._registry = registry
        self.plugin, spec = registry.find("game", name)
        self.spec: GameSpec = spec
        self._name = name
        self._hud_folder = home.hud / check_name(spec.name, "game") if home else None
        self.bindings = UserBindings(home.bindings if home else None, spec)

    def label_map(self, name: str | None = None) -> LabelMap:
        """Return a label map of this game, by default the game's own.

        Raises as `label_map_name`, and PluginError for one that loses actions or speaks of other controls.
        """
        wanted = self.label_map_name(name)
        plugin, spec = self._registry.find("label map", wanted)
        made: LabelMap = self._registry.load("label map", wanted, spec.make, LabelMap)()
        try:
            check_label_map(made, self.spec.controls)
        except ValueError as e:
            raise PluginError(f"{plugin.dist}: label map {spec.name!r}: {e}") from e
        return made

    def label_map_name(self, name: str | None = None) -> str:
        """Return the full name of a label map: of ctr's, `slide` is short for `ctr-slide`.

        Raises PluginError for an unknown name, UserError for another game's label map.
        """
        wanted = name or self.spec.label_map
        mine = {spec.name for _, spec in self._registry.provided("label map") if spec.game == self.spec.name}
        if wanted not in mine and f"{self.spec.name}-{wanted}" in mine:
            return f"{self.spec.name}-{wanted}"
        spec = self._registry.get("label map", wanted)
        if spec.game != self.spec.name:
            raise UserError(f"label map {wanted!r} belongs to {spec.game}, not {self.spec.name}")
        return wanted

    def reference(self, name: str, track: str, laps: int) -> Reference | None:
        """Return the published race of that name on a track, if there is one of so many laps."""
        load = self._load("game", self._name, self.spec.references[name], Reference | None)
        found: Reference | None = load(track, laps)
        return found

    def tracks(self, given: str | None) -> list[str]:
        """Return the tracks that `a,b` or, where tracks are numbers, `0-4,7` names.

        Raises UserError for one that the game does not have.
        """
        if given is None:
            return [self.spec.tracks[0] if self.spec.tracks else "0"]
        found: list[str] = []
        for part in filter(None, (p.strip() for p in given.split(","))):
            span = re.fullmatch(r"(\d+)-(\d+)", part)
            if span and self.spec.track_pattern and int(span[1]) <= int(span[2]):
                if int(span[2]) - int(span[1]) >= 10_000:
                    raise UserError(f"tracks {part}: at most 10,000 at once")
                found += [self._track(str(n)) for n in range(int(span[1]), int(span[2]) + 1)]
            else:
                found.append(self._track(part))
        if not found:
            raise UserError(f"no track in {given!r}: {self._track_help()}")
        return found

    def _track(self, name: str) -> str:
        key = name.casefold()
        names = {t.casefold(): t for t in self.spec.tracks}
        names |= {alias.casefold(): track for alias, track in self.spec.aliases.items()}
        if key in names:
            return names[key]
        if self.spec.track_pattern and re.fullmatch(self.spec.track_pattern, name):
            return name
        near = difflib.get_close_matches(key, names, n=3, cutoff=0.6)
        hint = f"did you mean {' or '.join(near)}?" if near else self._track_help()
        raise UserError(f"{self.spec.name} has no track {name!r}: {hint}")

    def _track_help(self) -> str:
        return self.spec.track_help or "there are: " + ", ".join(self.spec.tracks)

    def mode(self, given: str | None) -> str:
        """Return a mode of this game by its letter or name, or the user's own; the first one by default."""
        if given is None:
            return next(iter(self.spec.modes))
        for letter, words in self.spec.modes.items():
            if given.casefold() in (letter.casefold(), words.casefold(), words.partition(":")[0].casefold()):
                return letter
        if self.spec.own_modes:
            return check_name(given, "mode")
        known = ", ".join(f"{k} ({v})" for k, v in self.spec.modes.items())
        raise UserError(f"{self.spec.name} has no mode {given!r}: there are {known}")

    @property
    def demonstrators(self) -> dict[str, str]:
        """The game's scripted drivers, each with its label map."""
        own = {"demonstrator": self.spec.label_map} if self.spec.demonstrator else {}
        return own | dict(self.spec.demonstrators)

    def check_demonstrator(self, name: str) -> None:
        """Raise UserError when `name` is a demonstrator's that the game does not ship."""
        if name.partition("-")[0] == "demonstrator" and name not in self.demonstrators:
            known = ", ".join(self.demonstrators)
            raise UserError(f"{self.spec.name} ships no {name}" + (f": there are {known}" if known else ""))

    def lockstep(self, choice: DeviceChoice, human: bool = False) -> bool:
        """Return whether a world opened so runs in lock-step; raises UserError where it cannot run as asked."""
        spec = self.spec
        clocks = spec.clocks or (("wall",) if spec.open_world is None else ("lockstep",))
        if choice.clock is not None and choice.clock not in clocks:
            raise UserError(f"{spec.name} runs by --clock {' or '.join(clocks)} only")
        if (human or choice.names_source) and "wall" in clocks and choice.clock is None:
            return False
        return (choice.clock or clocks[0]) == "lockstep"

    def open(self, request: WorldRequest, choice: DeviceChoice = DeviceChoice()) -> OpenWorld:
        """Open a world and fill in the parts that the game leaves to core.

        Raises UserError when a device was chosen for a game that has its own, DeviceError when
        the screen or a device cannot be opened.
        """
        spec = self.spec
        world = World()
        lockstep = self.lockstep(choice, request.human)
        request = replace(request, lockstep=lockstep, running=choice.names_source)
        if spec.open_world is not None:
            world = self._load("game", self._name, spec.open_world, World)(request)
        try:
            return self._complete(world, request, choice or DeviceChoice())
        except BaseException:
            _close(world)
            raise

    def _complete(self, world: World, request: WorldRequest, choice: DeviceChoice) -> OpenWorld:
        spec = self.spec
        if request.human:
            self._check_reader(world)
        if (choice.device or choice.bind) and world.device is not None:
            raise UserError(f"{spec.name} takes its controls itself: leave out --input and --bind")
        if world.source is not None and (choice.source or choice.settings != SourceSettings()):
            raise UserError(f"{spec.name} gives its frames itself: leave out --source, --window, --region")
        # Each part goes into the world at once, so that it is closed when a later one fails.
        source = world.source = world.source or self.open_source(choice)
        ours: dict[str, Callable[[], frozenset[str]]] = {}
        world.hud = world.hud or self.hud_reader(choice)
        if world.hud is None and spec.hud_reader is not None:
            _log.warning("autopilot: %s", self._learn_first)
        if world.hud is not None:
            world.source = world.referee = source = HudReferee(source, world.hud, request.laps)
        if world.device is None:
            world.device = NoDevice() if request.human else self._device(choice, request.hz, ours)
        if world.reader is None and spec.reader is not None:
            world.reader = self._readers(spec.reader, choice, request.human, ours)
        return OpenWorld(
            source=source,
            device=world.device,
            clock=world.clock or WallClock(request.hz),
            reader=world.reader,
            referee=world.referee,
            demonstrator=world.demonstrator,
            on_close=world.on_close,
        )

    def _check_reader(self, world: World) -> None:
        if world.reader is None and self.spec.reader is None:
            raise UserError(f"{self.spec.name} cannot be played by a human here")

    def check_human(self) -> None:
        """Raise UserError where nothing reads what a human holds: neither a device, nor the world, which is opened."""
        world, spec = World(), self.spec
        if spec.reader is None and spec.open_world is not None:
            track, lockstep = self.tracks(None)[0], self.lockstep(DeviceChoice(), human=True)
            request = WorldRequest(track, self.mode(None), spec.hz, human=True, lockstep=lockstep)
            world = self._load("game", self._name, spec.open_world, World)(request)
        try:
            self._check_reader(world)
        finally:
            _close(world)

    def _load(self, kind: str, name: str, target: str, returns: Any = Any) -> Any:
        return self._registry.load(kind, name, target, returns)

    def profile(self, choice: DeviceChoice) -> str:
        """Return the chosen profile of the bindings: the user's, or the first of the game's own device."""
        profiles = self.spec.bindings.get(self.spec.device or "", {})
        return check_name(choice.profile or self.bindings.profile or next(iter(profiles), "default"), "profile")

    def hud_reader(self, choice: DeviceChoice) -> HudReader | None:
        """Return the game's reader of its display, if it has one and what that needs was learned."""
        if self.spec.hud_reader is None or self._hud_folder is None:
            return None
        make = self._load("game", self._name, self.spec.hud_reader, HudReader | None)
        reader: HudReader | None = make(self._hud_folder, self.profile(choice))
        return reader

    def check_referee(self, choice: DeviceChoice, purpose: str) -> None:
        """Raise UserError, with what to do, where nobody would say the lap times for a purpose."""
        if not self.spec.referee and self.hud_reader(choice) is None:
            self.check_set_up(choice)  # first things first
            what = f"there are no lap times {purpose}" if self.spec.hud_reader is None else self._learn_first
            raise UserError(f"{self.spec.name} has no referee: {what}")

    @property
    def _learn_first(self) -> str:
        return f"lap times need templates: autopilot learn-hud --game {self.spec.name}"

    def learn_hud(self, frames: Iterable[Frame], choice: DeviceChoice) -> str:
        """Let the game learn its display from native frames, and return what it says of that.

        Raises UserError when the game needs nothing learned, or was shown something else.
        """
        if self.spec.hud_learner is None or self._hud_folder is None:
            raise UserError(f"{self.spec.name} has nothing to learn: its lap times need no templates")
        learn = self._load("game", self._name, self.spec.hud_learner, str)
        said: str = learn(frames, self._hud_folder, self.profile(choice))
        return said

    def check_set_up(self, choice: DeviceChoice) -> None:
        """Raise DeviceError, with what to do first, where the game is to be found on the screen and is not there.

        One that was never set up is there if a program that it knows has a window: that can be clicked on.
        """
        spec, query = self.spec, self.settings(choice).window
        if spec.open_world or spec.frame_source is None or choice.names_source or query is None:
            return
        source = self._registry.get("frame source", self.bindings.source or spec.frame_source)
        if source.windows is None:
            return
        program = "emulator" if spec.programs else "game"
        first, setup = f"start the {program}", f"`autopilot setup --game {spec.name}`"
        try:
            clicked = query == "click"
            windows = self._load("frame source", source.name, source.windows, list[Window])(None if clicked else query)
        except DeviceError as e:
            here = f"{spec.name} is played on the screen, and none can be seen from here"
            raise DeviceError(f"{here}: in a desktop session {first}, then {setup}") from e
        except UserError as e:
            raise DeviceError(f"{e}; {first}, then {setup} if it was not set up as it is now") from e
        if clicked and not any(program_of(w, spec) or not spec.programs for w in windows):
            raise DeviceError(
                f"{spec.name} was not set up, and no {program} that it knows is open: {first}, then {setup}"
            )

    def open_source(self, choice: DeviceChoice) -> FrameSource:
        """Open the frame source alone; raises UserError where the game has none, DeviceError as that does."""
        self.check_set_up(choice)
        stored = None if choice.names_source else self.bindings.source
        name = choice.source or stored or self.spec.frame_source
        if name is None:
            raise UserError(f"{self.spec.name} names no frame source: say --source screen")
        spec = self._registry.get("frame source", name)
        source: FrameSource = self._load("frame source", name, spec.open, FrameSource)(self.settings(choice))
        return source

    def settings(self, choice: DeviceChoice) -> SourceSettings:
        """Return where the frame source is to look: what the user said or has stored, or else the game's window."""
        if choice.names_source:
            return choice.settings
        stored = self.bindings.settings or SourceSettings(window=self.spec.window)
        return replace(stored, background=choice.settings.background)

    def _device(self, choice: DeviceChoice, hz: float, ours: dict[str, Callable[[], frozenset[str]]]) -> OutputDevice:
        name = choice.device or self.spec.device
        if name is None:
            raise UserError(f"{self.spec.name} names no output device: say --input keyboard")
        plugin, spec = self._registry.find("device", name)
        if spec.backend is None:
            raise UserError(f"device {name!r} can only read; choose another with --input")
        self._load("device", name, spec.backend)  # an import that fails is the plugin's fault, by name
        bindings = self._bindings(spec, choice)[0]
        device = Emitter(spec.backend, bindings, max(0.25, 1.5 / hz), f"{plugin.dist}: device {spec.name!r}")
        ours[spec.bindings or spec.name] = device.ours
        return device

    def _readers(
        self, main: str, choice: DeviceChoice, human: bool, ours: Mapping[str, Callable[[], frozenset[str]]]
    ) -> Reader:
        """Open what the human may hold: the game's reader, which has the hotkeys, and other devices."""

        def open_one(name: str, controls: bool, hotkeys: bool) -> Reader:
            spec: DeviceSpec = self._registry.get("device", name)
            if spec.reader is None:
                raise UserError(f"device {name!r} cannot read what a human holds")
            make = self._load("device", name, spec.reader, Reader)
            bindings, keys = self._bindings(spec, choice)
            reader: Reader = make(
                bindings if controls else {}, keys if hotkeys else {}, ours.get(spec.bindings or spec.name, frozenset)
            )
            return reader

        chosen = choice.device if human else None
        readers = [open_one(main, controls=chosen in (None, main), hotkeys=True)]
        try:
            if chosen not in (None, main):
                readers.append(open_one(str(chosen), controls=True, hotkeys=False))
            others = [s.name for _, s in self._registry.provided("device") if s.reader and s.name in self.spec.bindings]
            for name in others if chosen is None else ():
                # A device that this machine lacks is no fault: `autopilot doctor` tells of it.
                with suppress(DeviceError):
                    readers += [open_one(name, controls=True, hotkeys=False)] if name != main else []
        except BaseException:
            Readers(readers).close()
            raise
        return readers[0] if len(readers) == 1 else Readers(readers)

    def _bindings(self, device: DeviceSpec, choice: DeviceChoice) -> tuple[dict[str, str], dict[str, str]]:
        """Return control -> key of a device, and the hotkeys, each checked against the other."""
        family = device.bindings or device.name
        wanted = choice.device or self.spec.device
        controls, hotkeys = split(choice.bind, self.spec)
        mine = wanted in (None, device.name, family) or self._registry.get("device", wanted).bindings == family
        bindings = self.bindings.device(family, choice.profile if mine else None, controls if mine else {})
        keys = self.bindings.hotkeys(hotkeys, choice.profile)
        if device.name == self.spec.reader or family == self.spec.reader:
            check_hotkeys(keys, bindings)
        return bindings, keys
