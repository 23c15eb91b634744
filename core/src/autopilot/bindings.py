"""Which key each control is: the game's own, a user's file over it, the command line over both."""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from autopilot.errors import UserError
from autopilot.specs import GameSpec

HOTKEYS = {"panic": "f12"}
"""Every game's, unless it says otherwise: the panic key releases everything and pauses."""

HOTKEY_NAMES = ("pause", "save", "quit", "discard", "panic")


class UserBindings:
    """The part of a user's `bindings.toml` that is about one game.

    `[GAME.DEVICE]` gives `control = "key"` for every profile, `[GAME.DEVICE.PROFILE]` for one,
    which may be new and then begins as a copy of the game's first; `[GAME.hotkeys]` gives
    `pause`, `save`, `quit`, `discard` and `panic`. Raises UserError, which names the place, for a file that
    says something else.
    """

    def __init__(self, path: Path | None, spec: GameSpec) -> None:
        self._spec, self._path = spec, path
        self._data: Mapping[str, Any] = {}
        if path is None or not path.exists():
            return
        try:
            data = tomllib.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError) as e:
            raise UserError(f"{path} cannot be used: {' '.join(str(e).split())}") from e
        self._data = self._table(data.get(spec.name, {}), spec.name, [*spec.bindings, "hotkeys"])
        for device, table in self._data.items():
            where = f"{spec.name}.{device}"
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

    def device(self, device: str, profile: str | None, given: Mapping[str, str]) -> dict[str, str]:
        """Return control -> key; `given` is the command line's. Raises UserError for an unknown profile."""
        profiles = self._spec.bindings.get(device)
        if not profiles:
            raise UserError(f"{self._spec.name} has no bindings for the device {device!r}")
        mine = self._data.get(device, {})
        own = {name: keys for name, keys in mine.items() if isinstance(keys, dict)}
        first = next(iter(profiles))
        if profile is not None and profile not in {**profiles, **own}:
            raise UserError(
                f"{self._spec.name} has no profile {profile!r} for {device}: there are {', '.join({**profiles, **own})}"
            )
        chosen = profile or first
        plain = {name: key for name, key in mine.items() if name not in own}
        return {**profiles.get(chosen, profiles[first]), **plain, **own.get(chosen, {}), **given}

    def hotkeys(self, given: Mapping[str, str]) -> dict[str, str]:
        """Return hotkey -> key."""
        return {**HOTKEYS, **self._spec.hotkeys, **self._data.get("hotkeys", {}), **given}


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
