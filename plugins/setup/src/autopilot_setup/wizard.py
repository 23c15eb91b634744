"""The steps of `autopilot setup`; what they found is stored together, at the end, or not at all."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

from autopilot.api import (
    Away,
    Box,
    DeviceError,
    DeviceSpec,
    FrameSource,
    FrameSourceSpec,
    Game,
    Image,
    Probe,
    Reader,
    Registry,
    SourceSettings,
    UserError,
    Window,
    WorldRequest,
    split_level,
)
from autopilot.desktop.bindings import check_hotkeys, each_level, split
from autopilot.desktop.desktop import Desktop, DeviceChoice, chosen_source, program_of
from autopilot.drive.watch import watch_screen
from autopilot.drive.world import Worlds
from autopilot.sessions.home import Home, write_atomic

from autopilot_setup.crop import Picture, find_picture
from autopilot_setup.keys import learn_keys
from autopilot_setup.storing import store

OTHER = "other"
"""The profile of a program that nobody has described: all of its keys are asked for."""
FRAMES, APART_S = 6, 0.25
"""The moments that the picture is looked for in."""
PATIENCE_S = 10.0
"""How long the window may be covered or away before setup gives up."""
TAP_S = 0.5
"""How long a key is held to try it."""
WINDOW = "--window TITLE (or process:NAME)"


class Talk(Protocol):
    """Whom setup asks: a person at a terminal, or the answers that were given as options."""

    def say(self, line: str) -> None:
        """Tell something."""

    def ask(self, question: str, default: str | None, option: str) -> str:
        """Return an answer in words; raises UserError when there is nobody to ask and no default.

        `option` says which part of the command line answers the question beforehand.
        """

    def agree(self, question: str, default: bool | None) -> bool | None:
        """Return whether the answer is yes; the default when there is nobody to ask."""

    def show(self, picture: Path) -> None:
        """Show a PNG file."""

    def pressing(self) -> AbstractContextManager[bool]:
        """Keep the keys that are pressed meanwhile from the terminal; gives False when nobody presses any."""


@dataclass(frozen=True)
class SetupOptions:
    """What the user said beforehand. `devices` has the emulator (its profile), window, region, and keys.

    None asks: whether to try a key, whether to learn the display, for `hud_s` seconds.
    """

    devices: DeviceChoice
    try_key: bool | None = None
    learn_hud: bool | None = None
    hud_s: float = 90.0


@dataclass(frozen=True)
class SetupReport:
    """What was stored, where, and what came of trying it."""

    game: str
    profile: str
    screen: dict[str, Any]
    keys: dict[str, str]
    hotkeys: dict[str, str]
    picture: str
    kept: str
    reacted: bool | None
    hud: str | None


def setup(name: str, home: Home, registry: Registry, options: SetupOptions, talk: Talk) -> SetupReport:
    """Find the window, the picture and the keys of a game on the screen, and store them as the user's.

    Raises UserError when the game is not played on the screen, when the user declines or an answer is
    missing, DeviceError when there is no screen; nothing is stored then.
    """
    wizard = Wizard(Game(registry, name), home, options, talk)
    try:
        wizard.find_window()
        wizard.tell_parts()
        wizard.find_picture()
        wizard.find_keys()
        wizard.store()
    except BaseException as e:
        e.add_note("nothing was stored")  # which Ctrl-C tells
        raise
    talk.say(f"kept in {home.bindings}; record, drive and race use it from now on")
    return wizard.try_out()


class Wizard:
    """One set-up of one game: each step finds a part of what `store` then stores together."""

    def __init__(self, game: Game, home: Home, options: SetupOptions, talk: Talk) -> None:
        self._game, self._spec, self._home, self._options, self._talk = game, game.spec, home, options, talk
        self._devices, self._registry = options.devices, game.registry
        if game.spec.simulator is not None or game.spec.screen is None or game.spec.screen.frame_source is None:
            raise UserError(f"{game.spec.name} brings its own picture and keys: there is nothing to set up")
        self._screen = game.spec.screen
        self._device: DeviceSpec = self._registry.get("device", self._devices.device or str(self._screen.device))
        self._family = self._device.bindings or self._device.name
        self._bindings = Desktop(game, home).bindings
        self._picture = home.root / "setup" / f"{game.spec.name}.png"
        source = chosen_source(self._registry, self._devices) or game.spec.screen.frame_source
        self._source: FrameSourceSpec = self._registry.get("frame source", source)
        self._settings = self._devices.settings
        self._profile = OTHER
        self._keys: dict[str, str] = {}
        self._hotkeys: dict[str, str] = {}
        self._stored: dict[str, Any] = {}

    # --- the window and the emulator

    def tell_parts(self) -> None:
        """Tell what the picture is taken from and what presses keys here, and what is in their way."""
        for kind, spec in (("frame source", self._source), ("device", self._device)):
            self._talk.say(f"{kind}: {spec.name}, {spec.title}")
            if spec.probe is not None:
                for probe in self._registry.load(kind, spec.name, spec.probe, list[Probe])():
                    self._talk.say(f"  {probe.name}: {probe.detail}" + (f" ({probe.fix})" if probe.fix else ""))

    def find_window(self) -> None:
        """Ask for the window and the emulator; keep where to look in words that last."""
        given, programs = self._settings, self._screen.programs
        known = list(dict.fromkeys([*programs, *self._bindings.profiles(self._family)]))
        profile = self._devices.profile
        if profile not in (None, OTHER, *known):
            there_are = f"there are {', '.join(known)}, and {OTHER}"
            raise UserError(f"{self._spec.name} knows no emulator {profile!r}: {there_are}")
        if given.monitor or given.video or self._source.windows is None:
            self._profile = profile or self._ask_profile(None, known)
            return
        windows: Callable[[str | None], list[Window]]
        windows = self._registry.load("frame source", self._source.name, self._source.windows, list[Window])
        window = windows(given.window)[0] if given.window is not None else self._ask_window(windows)
        self._profile = profile or self._ask_profile(window, known)
        self._talk.say(f"the window is {window}, {window.box[2]}x{window.box[3]}")
        program = programs.get(self._profile)
        if program is not None and program.note:
            self._talk.say(f"{program.title}: {program.note}")
        query = _lasting(window, windows(None), program.names if program else ())
        self._settings = replace(given, window=query, size=window.box[2:])

    def _ask_window(self, windows: Callable[[str | None], list[Window]]) -> Window:
        talk, profile = self._talk, self._devices.profile
        while True:
            found = windows(None)
            if not found:
                raise UserError("no window can be seen: start the emulator with the game, then run setup again")
            programs = [program_of(w, self._spec) for w in found]
            likely = [n for n, program in enumerate(programs) if program is not None and profile in (None, program)]
            talk.say("which window shows the game?")
            for number, (window, program) in enumerate(zip(found, programs, strict=True), 1):
                mark = f"  <- {self._screen.programs[program].title}" if program else ""
                talk.say(f"  {number}  {window.title}  ({window.process}, {window.box[2]}x{window.box[3]}){mark}")
            default = str(likely[0] + 1) if len(likely) == 1 else None
            answer = talk.ask("which window: its number, `click`, a part of its title, or `again`", default, WINDOW)
            if answer == "again":
                continue
            try:
                if answer.isdigit() and 0 < int(answer) <= len(found):
                    return found[int(answer) - 1]
                return windows(answer)[0]
            except UserError as e:
                talk.say(str(e))

    def _ask_profile(self, window: Window | None, known: Sequence[str]) -> str:
        """Return the profile of the window's program, or the one that the user names."""
        found = window and program_of(window, self._spec)
        if found is not None or len(known) < 2:
            return found or (known[0] if known else OTHER)
        while True:
            answer = self._talk.ask(f"which emulator is it: {', '.join(known)}, or {OTHER}", None, "--emulator NAME")
            if answer in (*known, OTHER):
                return answer
            self._talk.say(f"there is no {answer!r}")

    # --- the picture in the window

    def find_picture(self) -> None:
        """Keep the region of the window that the user agreed to."""
        given, talk = self._settings.region, self._talk
        decided = given is not None
        whole = replace(self._settings, region=None, background=True, folder=str(self._home.granted))
        while True:
            frames = _grab(self._registry, self._source, whole, 1 if given else FRAMES, talk)
            high, wide = frames[0].shape[:2]
            found = Picture(given, _outside(given, wide, high)) if given else find_picture(frames, self._screen.aspects)
            _draw(frames[-1], found.box, self._picture)
            x, y, width, height = found.box
            talk.show(self._picture)
            talk.say(
                f"the picture is {width}x{height} at {x},{y} in {wide}x{high}: inside the red frame of {self._picture}"
            )
            answer = "yes" if decided and not found.doubt else self._ask_picture(found)
            if answer in ("y", "yes") and "does not lie" not in found.doubt:
                self._keep_region(found.box, (wide, high))
                return
            given, decided = self._region(answer), False

    def _ask_picture(self, found: Picture) -> str:
        """Return the answer, such as yes, again or a region; raises UserError for no."""
        question = "is that the game's picture? yes, no (stop), again (look anew), or x,y,width,height"
        doubt = f"this is unsure: {found.doubt}; " if found.doubt else ""
        answer = self._talk.ask(doubt + question, None if doubt else "yes", "--region X,Y,W,H").casefold()
        if answer in ("n", "no"):
            raise UserError("stopped, and nothing was stored: show the game in the window, or give --region X,Y,W,H")
        return answer

    def _region(self, answer: str) -> Box | None:
        try:
            x, y, width, height = map(int, answer.split(","))
        except ValueError:
            if answer != "again":
                self._talk.say(f"{answer!r} is no answer")
            return None
        return x, y, width, height

    def _keep_region(self, box: Box, whole: tuple[int, int]) -> None:
        full = box == (0, 0, *whole)
        size = self._settings.size if self._settings.window and not full else None
        self._settings = replace(self._settings, region=None if full else box, size=size)

    # --- the keys

    def find_keys(self) -> None:
        """Keep a key for every control, and the hotkeys that were given; sticks are not asked for."""
        bound, self._hotkeys = split(self._devices.bind, self._spec)
        given = each_level(bound, self._spec)
        known: dict[str, str] = {}
        if self._profile in self._bindings.profiles(self._family):
            known = self._bindings.device(self._family, self._profile, {})
        learned = self._learn_keys(given, known)
        controls = self._spec.controls
        keys = {c: k for c in controls if (k := given.get(c) or learned.get(c) or known.get(c))}
        if missing := [c for c in controls if c not in keys and split_level(c)[1] is None]:
            say = f"say which by --bind {missing[0]}=KEY, for each control"
            raise UserError(f"the keys of {self._profile} are not known: {say}")
        for one, other, key in [(a, b, k) for a, k in keys.items() for b in keys if a < b and keys[b] == k]:
            raise UserError(f"{one} and {other} are both on the key {key!r}: bind one otherwise")
        if self._on_keyboard:
            check_hotkeys(self._bindings.hotkeys(self._hotkeys, self._profile), keys)
        self._keys = keys

    @property
    def _on_keyboard(self) -> bool:
        return self._screen.reader in (self._device.name, self._family)

    def _learn_keys(self, given: dict[str, str], known: dict[str, str]) -> dict[str, str]:
        """Return control -> key as the user presses them, for those that were not given."""
        asked = [c for c in self._spec.controls if c not in given and split_level(c)[1] is None]
        if not (asked and self._device.reader and self._device.names):
            return {}
        with self._talk.pressing() as pressing:
            if not pressing:
                return {}
            taken = {key: control for control, key in given.items()}
            if self._on_keyboard:
                hotkeys = self._bindings.hotkeys(self._hotkeys, self._profile)
                taken |= {key: f"the hotkey {n}" for n, key in hotkeys.items()}
            names = self._registry.load("device", self._device.name, self._device.names, Sequence[str])()
            load = self._registry.load("device", self._device.name, self._device.reader, Reader)
            with closing(load({name: name for name in names}, {}, frozenset)) as reader:
                return learn_keys(asked, known, taken, reader.held, self._talk.say)

    # --- all of it

    def store(self) -> None:
        """Write all that was found into the user's file, at once; of keys only those that would be others without."""
        settings = self._settings
        table: dict[str, Any] = {"region": settings.region, "size": settings.size, "window": settings.window}
        table |= {"monitor": settings.monitor, "video": _lasting_path(settings.video), "profile": self._profile}
        table["source"] = None if self._source.name == self._screen.frame_source else self._source.name
        self._stored = {n: list(v) if isinstance(v, tuple) else v for n, v in sorted(table.items()) if v is not None}
        bindings, known = self._bindings, self._profile in self._bindings.profiles(self._family)
        before = bindings.device(self._family, self._profile, {}) if known else {}
        usual = bindings.hotkeys({}, self._profile)
        keys = {
            (self._family, self._profile): {n: key for n, key in self._keys.items() if before.get(n) != key},
            ("hotkeys",): {n: key for n, key in self._hotkeys.items() if usual[n] != key},
        }
        changed = {place: chosen for place, chosen in keys.items() if chosen}
        store(self._home.bindings, self._spec.name, self._stored, changed)

    def try_out(self) -> SetupReport:
        """Try a key and learn the display, as far as the user wants it; return what came of it all."""
        spec, options, talk = self._spec, self._options, self._talk
        chosen = DeviceChoice(device=self._devices.device, profile=self._profile)
        worlds = Worlds(self._game, self._home, chosen)  # as the user's file has it now
        reacted = said = None
        if self._device.backend and _wanted(options.try_key, "try a key now, by the virtual keyboard or pad?", talk):
            reacted = _try(worlds, talk)
        if spec.hud is not None and spec.hud.learner is not None:
            question = f"learn the race clock now, from {options.hud_s:g} s?"
            if _wanted(options.learn_hud, question, talk):
                talk.say(spec.hud.lesson)
                frames = watch_screen(worlds.desktop, options.hud_s, _progress(options.hud_s, talk))
                said = worlds.desktop.learn_hud(frames)
                talk.say(said)
            else:
                talk.say(f"lap times are read once `autopilot learn-hud --game {spec.name}` has seen a race")
        where = (spec.name, self._profile, self._stored, self._keys, self._hotkeys)
        return SetupReport(*where, str(self._picture), str(self._home.bindings), reacted=reacted, hud=said)


def _wanted(given: bool | None, question: str, talk: Talk) -> bool:
    return bool(talk.agree(question, default=False)) if given is None else given


def _progress(seconds: float, talk: Talk) -> Callable[[float, str | None], None]:
    """Return a watcher of `look` that tells of every ten seconds, and of what is in the way."""
    told: list[object] = [None]

    def watch(passed_s: float, away: str | None) -> None:
        state = away or int(passed_s / 10)
        if state != told[0]:
            talk.say(f"waiting: {away}" if away else f"looking on: {passed_s:.0f} of {seconds:.0f} s")
            told[0] = state

    return watch


def _lasting(window: Window, windows: Sequence[Window], names: Sequence[str]) -> str:
    """Return what will name the window in another run: its program, or else its title.

    Raises UserError when another window has both.
    """
    for name in (*names, window.process):
        same = [w for w in windows if name and name.casefold() in f"{w.process} {w.kind}".casefold()]
        if [w.id for w in same] == [window.id]:
            return f"process:{name}"
    if [w.id for w in windows if w.title.casefold() == window.title.casefold()] == [window.id]:
        return f"title:{window.title}"
    raise UserError(
        f"another window of {window.process or 'the same program'} is called {window.title!r} too:"
        " close one of them, then run setup again"
    )


def _lasting_path(video: str | None) -> str | None:
    """Return what will name a file from any folder; cameras and addresses are named so already."""
    return str(Path(video).absolute()) if video and not video.isdigit() and Path(video).is_file() else video


def _outside(box: Box, width: int, height: int) -> str:
    x, y, wide, high = box
    fits = min(x, y) >= 0 and min(wide, high) > 0 and x + wide <= width and y + high <= height
    return "" if fits else f"{','.join(map(str, box))} does not lie in {width}x{height}"


def _grab(registry: Registry, spec: FrameSourceSpec, settings: SourceSettings, count: int, talk: Talk) -> list[Image]:
    """Return frames of the whole window; raises UserError when it cannot be seen for a while."""
    source: FrameSource = registry.load("frame source", spec.name, spec.open, FrameSource)(settings)
    frames: list[Image] = []
    with closing(source):
        until, told = time.monotonic() + PATIENCE_S, ""
        while len(frames) < count:
            try:
                frames.append(source.read().image)
                time.sleep(APART_S if len(frames) < count else 0)
            except EOFError as e:
                raise UserError("the video is over before setup has seen enough of it") from e
            except Away as e:
                if time.monotonic() > until:
                    raise UserError(f"setup cannot see the game: {e}; nothing was stored") from e
                if str(e) != told:
                    talk.say(f"waiting: {e}")
                    told = str(e)
                time.sleep(0.1)
    return frames


def _draw(image: Image, box: Box, path: Path) -> None:
    """Write the window's picture with the region framed in red."""
    import cv2

    shown = cv2.cvtColor(image, cv2.COLOR_RGB2BGR)
    x, y, width, height = box
    cv2.rectangle(shown, (x, y), (x + width - 1, y + height - 1), (0, 0, 255), max(1, image.shape[0] // 240))
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomic(path, cv2.imencode(".png", shown)[1].tobytes())


def _try(worlds: Worlds, talk: Talk) -> bool | None:
    """Hold one control for a moment as drive would; return whether the game reacted, if the user says so."""
    game = worlds.game
    control = next(c for c in ("accelerate", *game.spec.controls) if c in game.spec.controls)
    talk.say(f"click into the game now: {control} is held for {TAP_S:g} s as soon as it has the focus")
    with worlds.open(WorldRequest(track=game.tracks(None)[0], mode=game.mode(None), hz=10.0)) as world:
        until = time.monotonic() + PATIENCE_S
        while True:
            try:
                world.source.read()
                break
            except Away as e:
                if time.monotonic() > until:
                    raise DeviceError(f"no key was tried: {e}; all else is stored") from e
                time.sleep(0.05)
        end = time.monotonic() + TAP_S
        while time.monotonic() < end:
            world.device.hold(frozenset({control}))
            time.sleep(0.05)
        world.device.release_all()
    reacted = talk.agree("did the game react?", default=None)
    if reacted is False:
        talk.say("then see what `autopilot doctor` says of the keyboard, and check the emulator's own key settings")
    return reacted
