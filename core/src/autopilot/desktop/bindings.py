"""A user's own keys and window for a game: over the game's own, and under what the command line says."""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from autopilot.api.errors import UserError
from autopilot.api.specs import GameSpec
from autopilot.api.types import Bindings, SourceSettings
from autopilot.sessions.home import write_atomic

HOTKEYS = {"panic": "f12"}
"""Every game's, unless it says otherwise: the panic key releases everything and pauses."""

HOTKEY_NAMES = ("pause", "save", "quit", "discard", "panic")

SCREEN = {"profile": "text", "source": "text", "window": "text", "video": "text"} | {
    "monitor": "a number",
    "region": "4 numbers",
    "size": "2 numbers",
}
"""What `[GAME.screen]` may hold."""


class UserBindings:
    """The part of a user's `bindings.toml` that is about one game.

    `[GAME.DEVICE]` gives `control = "key"` for every profile, `[GAME.DEVICE.PROFILE]` for one,
    which may be new and then begins as a copy of the game's first; `[GAME.hotkeys]` gives
    `pause`, `save`, `quit`, `discard` and `panic`. `[GAME.screen]` says which `profile` is the default, where
    the frames come from (`source`, and of it a `window`, `monitor` or `video`), and which `region` (x, y,
    width, height) of that is the game, in a window of the `size` (width, height). Raises UserError, which
    names the place, for a file that says something else.
    """

    def __init__(self, path: Path | None, spec: GameSpec) -> None:
        self._spec, self._path = spec, path
        self._programs = spec.screen.programs if spec.screen else {}
        self._data: Mapping[str, Any] = {}
        if path is None or not path.exists():
            return
        try:
            data = tomllib.loads(path.read_text(encoding="utf-8-sig"))
        except (OSError, ValueError) as e:
            raise UserError(f"{path} cannot be used: {' '.join(str(e).split())}") from e
        self._data = self._table(data.get(spec.name, {}), spec.name, [*spec.bindings, "hotkeys", "screen"])
        for device, table in self._data.items():
            where = f"{spec.name}.{device}"
            if device == "screen":
                self._screen(self._table(table, where, SCREEN))
                continue
            if device == "hotkeys":
                self._keys(table, where, HOTKEY_NAMES)
                continue
            profiles = {k: v for k, v in self._table(table, where).items() if isinstance(v, dict)}
            self._keys({k: v for k, v in table.items() if k not in profiles}, where, spec.controls)
            for profile, keys in profiles.items():
                self._keys(keys, f"{where}.{profile}", spec.controls)

    def _table(self, data: Any, where: str, known: Iterable[str] | None = None) -> Mapping[str, Any]:
        if not isinstance(data, dict):
            raise UserError(f"{self._path}: [{where}] must be a table")
        for name in data if known is not None else ():
            _check(name, list(known or ()), f"{self._path}: [{where}]")
        return data

    def _keys(self, data: Any, where: str, known: Iterable[str]) -> None:
        for name, key in self._table(data, where, known).items():
            if not isinstance(key, str):
                raise UserError(f'{self._path}: {where}.{name} must be the name of a key, such as "x"')

    def _screen(self, table: Mapping[str, Any]) -> None:
        for name, value in table.items():
            words = "text" if isinstance(value, str) else "a number" if type(value) is int else ""
            if isinstance(value, list) and all(type(n) is int for n in value):
                words = f"{len(value)} numbers"
            if words != SCREEN[name]:
                raise UserError(f"{self._path}: {self._spec.name}.screen.{name} must be {SCREEN[name]}")

    def _of_screen(self, name: str) -> Any:
        return self._data.get("screen", {}).get(name)

    @property
    def profile(self) -> str | None:
        """The profile that is used where the command line names none."""
        found: str | None = self._of_screen("profile")
        return found

    @property
    def source(self) -> str | None:
        """The frame source that is used where the command line says nothing of frames."""
        found: str | None = self._of_screen("source")
        return found

    @property
    def settings(self) -> SourceSettings | None:
        """Where that frame source looks."""
        table = self._data.get("screen", {})
        found: dict[str, Any] = {name: tuple(v) if isinstance(v, list) else v for name, v in table.items()}
        settings = SourceSettings(**{n: v for n, v in found.items() if n not in ("profile", "source")})
        return None if settings == SourceSettings() else settings

    def profiles(self, device: str) -> dict[str, Mapping[str, str]]:
        """Return profile -> control -> key of a device: the game's own, and those of the user's that are new."""
        own = {n: keys for n, keys in self._data.get(device, {}).items() if isinstance(keys, dict)}
        return {**own, **self._spec.bindings.get(device, {})}

    def device(self, device: str, profile: str | None, given: Mapping[str, str]) -> dict[str, str]:
        """Return control -> key; `given` is the command line's. Raises UserError for an unknown profile."""
        profiles = self._spec.bindings.get(device)
        if not profiles:
            raise UserError(f"{self._spec.name} has no bindings for the device {device!r}")
        mine = self._data.get(device, {})
        own = {name: keys for name, keys in mine.items() if isinstance(keys, dict)}
        first, known = next(iter(profiles)), {**profiles, **own}
        if profile is not None and profile not in known:
            hint = f"there are {', '.join(known)}"
            if profile in self._programs:
                hint = f"`autopilot setup --game {self._spec.name} --emulator {profile}` asks for its keys"
            raise UserError(f"{self._spec.name} has no profile {profile!r} for {device}: {hint}")
        chosen = profile or (self.profile if self.profile in known else None) or first
        plain = {name: key for name, key in mine.items() if name not in own}
        return {**profiles.get(chosen, profiles[first]), **plain, **own.get(chosen, {}), **given}

    def hotkeys(self, given: Mapping[str, str], profile: str | None = None) -> dict[str, str]:
        """Return hotkey -> key; a profile's program may need some of them itself."""
        program = self._programs.get(profile or self.profile or "")
        own = program.hotkeys if program else {}
        return {**HOTKEYS, **self._spec.hotkeys, **own, **self._data.get("hotkeys", {}), **given}

    def store(self, screen: Mapping[str, Any], device: str, keys: Bindings, hotkeys: Bindings) -> None:
        """Write what the user chose into the file, whole or not at all; the rest of it stays as they wrote it.

        `screen` becomes `[GAME.screen]`; of `keys` (control -> key, for the profile that `screen` names) and
        of `hotkeys` only those are written that would be others without it. Raises UserError where the file
        is written in a way that cannot be added to.
        """
        import tomlkit

        assert self._path is not None, "a home is needed to store anything"
        document = tomlkit.parse(self._path.read_text(encoding="utf-8-sig") if self._path.exists() else "")
        profile = screen["profile"]
        known = profile in self.profiles(device)
        before = self.device(device, profile, {}) if known else {}
        changed = {name: key for name, key in keys.items() if before.get(name) != key}
        now = self.hotkeys({}, profile)
        moved = {name: key for name, key in hotkeys.items() if now[name] != key}
        try:
            game = document.setdefault(self._spec.name, tomlkit.table(is_super_table=True))
            game["screen"] = screen
            if changed:
                own = game.setdefault(device, tomlkit.table(is_super_table=True))
                own.setdefault(profile, tomlkit.table()).update(changed)
            if moved:
                game.setdefault("hotkeys", tomlkit.table()).update(moved)
            text = tomlkit.dumps(document)
            tomllib.loads(text)
        except (ValueError, TypeError, AttributeError) as e:  # tomlkit's own are ValueErrors
            raise UserError(f"{self._path} cannot be added to ({e}): write [{self._spec.name}.screen] by hand") from e
        self._path.parent.mkdir(parents=True, exist_ok=True)
        write_atomic(self._path, text.encode())


def split(given: Mapping[str, str], spec: GameSpec) -> tuple[dict[str, str], dict[str, str]]:
    """Return what the command line binds, controls and hotkeys apart; UserError for an unknown name."""
    for name in given:
        _check(name, [*spec.controls, *HOTKEY_NAMES], "--bind")
    controls = {name: key for name, key in given.items() if name in spec.controls}
    return controls, {name: key for name, key in given.items() if name not in spec.controls}


def check_hotkeys(hotkeys: Mapping[str, str], bindings: Mapping[str, str]) -> None:
    """Raise UserError where a hotkey's key does something else as well."""
    taken: dict[str, str] = {key: control for control, key in bindings.items()}
    for name, key in hotkeys.items():
        if taken.setdefault(key, name) != name:
            raise UserError(f"the key {key!r} is both {taken[key]} and {name}: bind one of them otherwise")


def _check(name: str, known: list[str], where: str) -> None:
    if name not in known:
        near = difflib.get_close_matches(name, known, n=3, cutoff=0.5)
        hint = f"did you mean {' or '.join(near)}?" if near else f"there are: {', '.join(known)}"
        raise UserError(f"{where}: unknown name {name!r}; {hint}")
