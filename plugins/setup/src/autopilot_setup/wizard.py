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
    GameSpec,
    Held,
    Image,
    Reader,
    Registry,
    SourceSettings,
    UserError,
    Window,
    WorldRequest,
)
from autopilot.desktop.bindings import check_hotkeys, split
from autopilot.drive.game import DeviceChoice, Game, program_of
from autopilot.drive.look import look
from autopilot.sessions.home import Home, write_atomic

from autopilot_setup.crop import Picture, find_picture
from autopilot_setup.keys import learn_keys

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
    game = Game(registry, name, home)
    spec, devices = game.spec, options.devices
    if spec.open_world is not None or spec.frame_source is None:
        raise UserError(f"{spec.name} brings its own picture and keys: there is nothing to set up")
    device: DeviceSpec = registry.get("device", devices.device or str(spec.device))
    family = device.bindings or device.name
    picture = home.root / "setup" / f"{spec.name}.png"
    try:
        profile, source, settings = _where(game, registry, devices, family, talk)
        settings = _crop(registry, source, settings, spec.aspects, picture, talk)
        keys, hotkeys = _keys(game, registry, device, profile, devices, talk)
        table: dict[str, Any] = {"region": settings.region, "size": settings.size, "window": settings.window}
        table |= {"monitor": settings.monitor, "video": _lasting_path(settings.video), "profile": profile}
        table["source"] = None if source.name == spec.frame_source else source.name
        screen = {n: list(v) if isinstance(v, tuple) else v for n, v in sorted(table.items()) if v is not None}
        game.bindings.store(screen, family, keys, hotkeys)
    except BaseException as e:
        e.add_note("nothing was stored")  # which Ctrl-C tells
        raise
    talk.say(f"kept in {home.bindings}; record, drive and race use it from now on")

    game = Game(registry, name, home)  # as the user's file has it now
    chosen = DeviceChoice(device=devices.device, profile=profile)
    reacted = said = None
    if device.backend and _wanted(options.try_key, "try a key now, by the virtual keyboard or pad?", talk):
        reacted = _try(game, chosen, talk)
    if spec.hud_learner and _wanted(options.learn_hud, f"learn the race clock now, from {options.hud_s:g} s?", talk):
        talk.say("start a race, drive over the line at least once, and turn round for a few seconds")
        said = game.learn_hud(look(game, chosen, options.hud_s, _progress(options.hud_s, talk)), chosen)
        talk.say(said)
    elif spec.hud_learner:
        talk.say(f"lap times are read once `autopilot learn-hud --game {spec.name}` has seen a race")
    return SetupReport(
        *(spec.name, profile, screen, keys, hotkeys, str(picture), str(home.bindings)), reacted=reacted, hud=said
    )


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


# --- the window and the emulator


def _where(
    game: Game, registry: Registry, devices: DeviceChoice, family: str, talk: Talk
) -> tuple[str, FrameSourceSpec, SourceSettings]:
    """Return the profile, the frame source, and where it looks, in words that last."""
    spec, given = game.spec, devices.settings
    known = list(dict.fromkeys([*spec.programs, *game.bindings.profiles(family)]))
    if devices.profile not in (None, OTHER, *known):
        raise UserError(f"{spec.name} knows no emulator {devices.profile!r}: there are {', '.join(known)}, and {OTHER}")
    source: FrameSourceSpec = registry.get("frame source", devices.source or str(spec.frame_source))
    if given.monitor or given.video or source.windows is None:
        profile = devices.profile or _profile(None, spec, known, talk)
        return profile, source, given
    windows: Callable[[str | None], list[Window]]
    windows = registry.load("frame source", source.name, source.windows, list[Window])
    window = _window(windows, given.window, devices.profile, spec, talk)
    profile = devices.profile or _profile(window, spec, known, talk)
    talk.say(f"the window is {window}, {window.box[2]}x{window.box[3]}")
    if note := spec.programs[profile].note if profile in spec.programs else "":
        talk.say(f"{spec.programs[profile].title}: {note}")
    query = _lasting(window, windows(None), spec.programs[profile].names if profile in spec.programs else ())
    return profile, source, replace(given, window=query, size=window.box[2:])


def _window(
    windows: Callable[[str | None], list[Window]], given: str | None, profile: str | None, spec: GameSpec, talk: Talk
) -> Window:
    """Return the window that the user names or picks."""
    if given is not None:
        return windows(given)[0]
    while True:
        found = windows(None)
        if not found:
            raise UserError("no window is open: start the emulator with the game, then run setup again")
        programs = [program_of(w, spec) for w in found]
        likely = [n for n, program in enumerate(programs) if program is not None and profile in (None, program)]
        talk.say("which window shows the game?")
        for number, (window, program) in enumerate(zip(found, programs, strict=True), 1):
            mark = f"  <- {spec.programs[program].title}" if program else ""
            talk.say(f"  {number}  {window.title}  ({window.process}, {window.box[2]}x{window.box[3]}){mark}")
        default = str(likely[0] + 1) if len(likely) == 1 else None
        answer = talk.ask("which window: its number, `click`, a part of its title, or `again`", default, WINDOW)
        if answer == "again":
            continue
        try:
            return found[int(answer) - 1] if answer.isdigit() and 0 < int(answer) <= len(found) else windows(answer)[0]
        except UserError as e:
            talk.say(str(e))


def _profile(window: Window | None, spec: GameSpec, known: Sequence[str], talk: Talk) -> str:
    """Return the profile of the window's program, or the one that the user names."""
    found = window and program_of(window, spec)
    if found is not None or len(known) < 2:
        return found or (known[0] if known else OTHER)
    while True:
        answer = talk.ask(f"which emulator is it: {', '.join(known)}, or {OTHER}", None, "--emulator NAME")
        if answer in (*known, OTHER):
            return answer
        talk.say(f"there is no {answer!r}")


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


# --- the picture in the window


def _crop(
    registry: Registry,
    source: FrameSourceSpec,
    settings: SourceSettings,
    aspects: Sequence[float],
    path: Path,
    talk: Talk,
) -> SourceSettings:
    """Return the settings with the region that the user agreed to; its picture is at `path`."""
    given, decided = settings.region, settings.region is not None
    whole = replace(settings, region=None, background=True)
    while True:
        frames = _grab(registry, source, whole, 1 if given else FRAMES, talk)
        high, wide = frames[0].shape[:2]
        found = Picture(given, _outside(given, wide, high)) if given else find_picture(frames, aspects)
        _draw(frames[-1], found.box, path)
        x, y, width, height = found.box
        talk.show(path)
        talk.say(f"the picture is {width}x{height} at {x},{y} in {wide}x{high}: inside the red frame of {path}")
        question = "is that the game's picture? yes, no (stop), again (look anew), or x,y,width,height"
        doubt = f"this is unsure: {found.doubt}; " if found.doubt else ""
        default = None if doubt else "yes"
        answer = "yes" if decided and not doubt else talk.ask(doubt + question, default, "--region X,Y,W,H")
        given, decided = None, False
        if answer.casefold() in ("y", "yes") and not (doubt and "does not lie" in doubt):
            full = found.box == (0, 0, wide, high)
            size = settings.size if settings.window and not full else None
            return replace(settings, region=None if full else found.box, size=size)
        if answer.casefold() in ("n", "no"):
            raise UserError("stopped, and nothing was stored: show the game in the window, or give --region X,Y,W,H")
        try:
            x, y, width, height = map(int, answer.split(","))
            given = (x, y, width, height)
        except ValueError:
            if answer != "again":
                talk.say(f"{answer!r} is no answer")


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


# --- the keys


def _keys(
    game: Game, registry: Registry, device: DeviceSpec, profile: str, devices: DeviceChoice, talk: Talk
) -> tuple[dict[str, str], dict[str, str]]:
    """Return control -> key for every control, and the hotkeys that were given."""
    spec, family = game.spec, device.bindings or device.name
    given, hotkeys = split(devices.bind, spec)
    known = game.bindings.device(family, profile, {}) if profile in game.bindings.profiles(family) else {}
    all_hotkeys = game.bindings.hotkeys(hotkeys, profile)
    on_keyboard = spec.reader in (device.name, family)
    asked = [c for c in spec.controls if c not in given]
    learned = {}
    if asked and device.reader and device.names:
        with talk.pressing() as pressing:
            if pressing:
                taken = {key: control for control, key in given.items()}
                taken |= {key: f"the hotkey {n}" for n, key in all_hotkeys.items()} if on_keyboard else {}
                read = _open_reader(registry, device)
                with closing(read[1]):
                    learned = learn_keys(asked, known, taken, read[0], talk.say)
    keys = {c: k for c in spec.controls if (k := given.get(c) or learned.get(c) or known.get(c))}
    missing = [c for c in spec.controls if c not in keys]
    if missing:
        raise UserError(f"the keys of {profile} are not known: say which by --bind {missing[0]}=KEY, for each control")
    twice = [(a, b, k) for a, k in keys.items() for b in keys if a < b and keys[b] == k]
    for one, other, key in twice:
        raise UserError(f"{one} and {other} are both on the key {key!r}: bind one otherwise")
    if on_keyboard:
        check_hotkeys(all_hotkeys, keys)
    return keys, hotkeys


def _open_reader(registry: Registry, device: DeviceSpec) -> tuple[Callable[[], Held], Any]:
    """Return what tells the names of all keys held, and the reader to close."""
    names = registry.load("device", device.name, str(device.names), Sequence[str])()
    load = registry.load("device", device.name, str(device.reader), Reader)
    reader = load({name: name for name in names}, {}, frozenset)
    return reader.held, reader


def _try(game: Game, devices: DeviceChoice, talk: Talk) -> bool | None:
    """Hold one control for a moment as drive would; return whether the game reacted, if the user says so."""
    spec = game.spec
    control = next(c for c in ("accelerate", *spec.controls) if c in spec.controls)
    talk.say(f"click into the game now: {control} is held for {TAP_S:g} s as soon as it has the focus")
    request = WorldRequest(track=game.tracks(None)[0], mode=game.mode(None), hz=10.0)
    with game.open(request, devices) as world:
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
