"""The parts of a world that core joins for a game on the screen: frame source, device, readers, display."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field, replace
from typing import Any

from autopilot.api.errors import Away, DeviceError, UserError
from autopilot.api.game import Game
from autopilot.api.interfaces import FrameSource, HudReader, Reader
from autopilot.api.registry import Registry
from autopilot.api.specs import DeviceSpec, GameSpec, ScreenSpec
from autopilot.api.types import NOTHING, Frame, Held, SourceSettings, Window
from autopilot.desktop.bindings import UserBindings, check_hotkeys, split
from autopilot.desktop.emitter import Emitter
from autopilot.sessions.home import Home, check_name


@dataclass(frozen=True)
class DeviceChoice:
    """Which device and keys the user asked for; None means the game's own default.

    `device` presses for a policy, and is what a human plays with. `bind` maps controls and hotkeys
    to keys. `clock` is `wall` or `lockstep`. `world` holds what is chosen of a simulator's options.
    """

    device: str | None = None
    bind: Mapping[str, str] = field(default_factory=dict)
    profile: str | None = None
    source: str | None = None
    clock: str | None = None
    settings: SourceSettings = field(default_factory=SourceSettings)
    world: Mapping[str, Any] = field(default_factory=dict)

    @property
    def names_source(self) -> bool:
        """Whether the user said where frames come from."""
        return self.source is not None or self.settings != SourceSettings(background=self.settings.background)


BLACK = 8
"""A picture none of whose values (0 to 255) is above this is black."""

BLACK_S = 10.0
"""How long a game may load before it shows something."""

NOTHING_SEEN = (
    "show the game and start again; if it is shown, it cannot be seen this way: name its --window, or another --source"
)

DEFAULTS = DeviceChoice()
"""What the game says, or the user has stored."""


def chosen_source(registry: Registry, choice: DeviceChoice) -> str | None:
    """Return the frame source that the user named, or that plays the film that they named."""
    if choice.source is not None or choice.settings.video is None:
        return choice.source
    players: list[str] = [spec.name for _, spec in registry.provided("frame source") if spec.films]
    if not players:
        raise UserError("no plugin plays films: name a frame source by --source")
    return players[0]


class Readers:
    """Several readers as one: what the human holds on any of them."""

    def __init__(self, readers: Sequence[Reader]) -> None:
        self._readers = readers
        for show in (reader.show for reader in readers if hasattr(reader, "show")):
            self.show = show  # one of them is a window

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


class LitSource:
    """A frame source whose black pictures are nobody's: none is given before the game has shown something.

    So it is from the start, and again after the game was away. A picture that grows black in between is the game's.
    """

    def __init__(self, source: FrameSource) -> None:
        self._source, self._lit, self._ever = source, False, False
        self._black_since: float | None = None
        if skip := getattr(source, "skip", None):
            self.skip: Callable[[float], None] = skip

    def read(self) -> Frame:
        """Return the next frame; raises Away while it is black, DeviceError where it begins so for `BLACK_S`."""
        try:
            frame = self._source.read()
        except Away:
            self._lit, self._black_since = False, None
            raise
        except EOFError as e:
            if self._ever or self._black_since is None:
                raise
            raise DeviceError("the picture is black to its end: name another --source or --video") from e
        if not self._lit and int(frame.image.max()) <= BLACK:
            now = time.monotonic()
            self._black_since = self._black_since or now
            if not self._ever and now - self._black_since > BLACK_S:
                raise DeviceError(f"the picture has been black for {BLACK_S:g} s: {NOTHING_SEEN}")
            raise Away(f"the picture is black; waiting{'' if self._ever else f' up to {BLACK_S:g} s'} for the game's")
        self._lit = self._ever = True
        return frame

    def close(self) -> None:
        """Close the source."""
        self._source.close()


def program_of(window: Window, spec: GameSpec) -> str | None:
    """Return the profile of the program that a window belongs to, if the game knows it."""
    words, programs = f"{window.process} {window.kind}".lower(), spec.screen.programs if spec.screen else {}
    return next((name for name, p in programs.items() if any(part in words for part in p.names)), None)


class Desktop:
    """What a user has chosen for a game on this desktop: keys, window, display. Without a home, the game's own."""

    def __init__(self, game: Game, home: Home | None, choice: DeviceChoice = DEFAULTS) -> None:
        self._game, self._spec, self._registry, self.choice = game, game.spec, game.registry, choice
        self._screen = game.spec.screen or ScreenSpec()
        self._granted = str(home.granted) if home else None
        self._hud_folder = home.hud / check_name(game.spec.name, "game") if home else None
        self.bindings = UserBindings(home.bindings if home else None, game.spec)
        self._ours: dict[str, Callable[[], frozenset[str]]] = {}

    @property
    def profile(self) -> str:
        """The chosen profile of the bindings: the user's, or the first of the game's own device."""
        first = next(iter(self._spec.bindings.get(self._screen.device or "", {})), "default")
        return check_name(self.choice.profile or self.bindings.screen.profile or first, "profile")

    # --- the display

    def hud_reader(self) -> HudReader | None:
        """Return the game's reader of its display, if it has one and what that needs was learned."""
        if self._spec.hud is None or self._hud_folder is None:
            return None
        reader: HudReader | None = self._game.load(self._spec.hud.reader, HudReader | None)(
            self._hud_folder, self.profile
        )
        return reader

    def check_referee(self, purpose: str) -> None:
        """Raise UserError, with what to do, where nobody would say the lap times for a purpose."""
        if not self._spec.race.referee and self.hud_reader() is None:
            self.check_set_up()  # first things first
            what = f"there are no lap times {purpose}" if self._spec.hud is None else self._spec.hud.advice
            raise UserError(f"{self._spec.name} has no referee: {what}")

    def learn_hud(self, frames: Iterable[Frame]) -> str:
        """Let the game learn its display from native frames, and return what it says of that.

        Raises UserError when the game needs nothing learned, or was shown something else.
        """
        if self._spec.hud is None or self._spec.hud.learner is None or self._hud_folder is None:
            raise UserError(f"{self._spec.name} has nothing to learn: its lap times need no templates")
        said: str = self._game.load(self._spec.hud.learner, str)(frames, self._hud_folder, self.profile)
        return said

    # --- frames

    def open_source(self) -> FrameSource:
        """Open the frame source alone, which gives no black picture before the game's first.

        Raises UserError where the game has none, DeviceError as that does.
        """
        self.check_set_up()
        stored = None if self.choice.names_source else self.bindings.screen.source
        name = chosen_source(self._registry, self.choice) or stored or self._screen.frame_source
        if name is None:
            raise UserError(f"{self._spec.name} names no frame source: say --source, with one of `autopilot plugins`")
        spec, settings = self._registry.get("frame source", name), replace(self.settings, folder=self._granted)
        source: FrameSource = self._registry.load("frame source", name, spec.open, FrameSource)(settings)
        return LitSource(source)

    @property
    def settings(self) -> SourceSettings:
        """Where the frame source is to look: what the user said or has stored, or else the game's window."""
        if self.choice.names_source:
            return self.choice.settings
        stored = self.bindings.screen.settings()
        if stored == SourceSettings():
            stored = SourceSettings(window=self._screen.window)
        return replace(stored, background=self.choice.settings.background)

    def check_set_up(self) -> None:
        """Raise DeviceError, with what to do first, where the game is to be found on the screen and is not there.

        One that was never set up is there if a program that it knows has a window: that can be clicked on.
        """
        spec, screen, query = self._spec, self._screen, self.settings.window
        if spec.simulator or screen.frame_source is None or self.choice.names_source or query is None:
            return
        source = self._registry.get("frame source", self.bindings.screen.source or screen.frame_source)
        if source.windows is None:
            return
        program = "emulator" if screen.programs else "game"
        first, setup = f"start the {program}", f"`autopilot setup --game {spec.name}`"
        try:
            clicked = query == "click"
            find = self._registry.load("frame source", source.name, source.windows, list[Window])
            windows = find(None if clicked else query)
        except DeviceError as e:
            here = f"{spec.name} is played on the screen, and none can be seen from here"
            raise DeviceError(f"{here}: in a desktop session {first}, then {setup}") from e
        except UserError as e:
            raise DeviceError(f"{e}; {first}, then {setup} if it was not set up as it is now") from e
        if clicked and not any(program_of(w, spec) or not screen.programs for w in windows):
            raise DeviceError(
                f"{spec.name} was not set up, and no {program} that it knows is open: {first}, then {setup}"
            )

    # --- keys and buttons

    def open_device(self, hz: float) -> Emitter:
        """Open what presses for a policy, in a process of its own; raises UserError where there is none."""
        name = self.choice.device or self._screen.device
        if name is None:
            raise UserError(f"{self._spec.name} names no output device: say --input, with one of `autopilot plugins`")
        plugin, spec = self._registry.find("device", name)
        if spec.backend is None:
            raise UserError(f"device {name!r} can only read; choose another with --input")
        self._registry.load("device", name, spec.backend)  # an import that fails is the plugin's fault, by name
        device = Emitter(spec.backend, self._keys(spec)[0], max(0.25, 1.5 / hz), f"{plugin.dist}: device {spec.name!r}")
        self._ours[spec.bindings or spec.name] = device.ours
        return device

    def check_holds(self, controls: Held) -> None:
        """Raise UserError, with the devices that can, where the device that presses has no key for one of these."""
        device: DeviceSpec = self._registry.get("device", str(self.choice.device or self._screen.device))
        if not (missing := sorted(controls - self._keys(device)[0].keys())):
            return
        bound = {name: self.bindings.device(name, None, {}) for name, keys in self._spec.bindings.items() if keys}
        able = [f"--input {name}" for name, keys in bound.items() if controls <= keys.keys()]
        hint = f"choose {' or '.join(able)}" if able else f"bind it by --bind {missing[0]}=KEY"
        raise UserError(f"{device.name} has no key or button for {', '.join(missing)}: {hint}")

    @property
    def reads(self) -> bool:
        """Whether the game names a device that reads what a human holds."""
        return self._screen.reader is not None

    def open_readers(self, human: bool) -> Reader | None:
        """Open what a human may hold: the game's reader, which has the hotkeys, and other devices; None without."""
        main, chosen = self._screen.reader, self.choice.device if human else None
        if main is None:
            return None
        readers = [self._reader(main, controls=chosen in (None, main), hotkeys=True)]
        try:
            if chosen not in (None, main):
                readers.append(self._reader(str(chosen), controls=True, hotkeys=False))
            offered = [s for _, s in self._registry.provided("device") if s.reader and s.name in self._spec.bindings]
            for spec in offered if chosen is None else ():
                # A device that this machine lacks is no fault: `autopilot doctor` tells of it.
                with suppress(DeviceError):
                    if spec.name != main:
                        readers.append(self._reader(spec.name, controls=True, hotkeys=False))
        except BaseException:
            Readers(readers).close()
            raise
        return readers[0] if len(readers) == 1 else Readers(readers)

    def _reader(self, name: str, controls: bool, hotkeys: bool) -> Reader:
        spec: DeviceSpec = self._registry.get("device", name)
        if spec.reader is None:
            raise UserError(f"device {name!r} cannot read what a human holds")
        make = self._registry.load("device", name, spec.reader, Reader)
        bindings, keys = self._keys(spec)
        ours = self._ours.get(spec.bindings or spec.name, frozenset)
        reader: Reader = make(bindings if controls else {}, keys if hotkeys else {}, ours)
        return reader

    def _keys(self, device: DeviceSpec) -> tuple[dict[str, str], dict[str, str]]:
        """Return control -> key of a device, and the hotkeys, each checked against the other."""
        family, choice = device.bindings or device.name, self.choice
        wanted = choice.device or self._screen.device
        controls, hotkeys = split(choice.bind, self._spec)
        mine = wanted in (None, device.name, family) or self._registry.get("device", wanted).bindings == family
        bindings = self.bindings.device(family, choice.profile if mine else None, controls if mine else {})
        keys = self.bindings.hotkeys(hotkeys, choice.profile)
        if self._screen.reader in (device.name, family):
            check_hotkeys(keys, bindings)
        return bindings, keys
