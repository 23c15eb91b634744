"""A user's own keys and window for a game: over the game's own, and under what the command line says."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StrictInt, ValidationError

from autopilot.api.analogue import split_level
from autopilot.api.errors import UserError, suggest
from autopilot.api.specs import GameSpec
from autopilot.api.types import SourceSettings

HOTKEYS = {"panic": "f12"}
"""Every game's, unless it says otherwise: the panic key releases everything and pauses."""

HOTKEY_NAMES = ("pause", "save", "quit", "discard", "panic")


class Screen(BaseModel):
    """`[GAME.screen]`: the default profile, where frames come from, and what of that is the game."""

    model_config = ConfigDict(extra="forbid")
    profile: str | None = None
    source: str | None = None
    window: str | None = None
    video: str | None = None
    monitor: StrictInt | None = None
    region: tuple[StrictInt, StrictInt, StrictInt, StrictInt] | None = None
    size: tuple[StrictInt, StrictInt] | None = None
    lag_ms: float | None = None

    def settings(self) -> SourceSettings:
        """Return where the frame source looks."""
        return SourceSettings(self.region, self.video, self.window, self.monitor, size=self.size)


WORDS = {"monitor": "a number", "lag_ms": "a number", "region": "4 numbers", "size": "2 numbers"}
"""What such a field must be, in words; the others are text."""


def _by_profile(table: Any) -> Any:
    """Return the keys for every profile under the profile ``, beside those of each."""
    if not isinstance(table, dict):
        return table
    profiles = {name: keys for name, keys in table.items() if isinstance(keys, dict)}
    return {"": {name: key for name, key in table.items() if name not in profiles}, **profiles}


class Table(BaseModel):
    """`[GAME]`: the screen, the hotkeys, and of each device profile -> control -> key."""

    model_config = ConfigDict(extra="allow")
    __pydantic_extra__: dict[str, Annotated[dict[str, dict[str, str]], BeforeValidator(_by_profile)]] = Field(
        init=False
    )
    screen: Screen = Screen()
    hotkeys: dict[str, str] = {}


class UserBindings:
    """The part of a user's `bindings.toml` that is about one game.

    `[GAME.DEVICE]` gives `control = "key"` for every profile (of an analogue control its stick, `steer = "left_x"`,
    or a key for one level, `"steer:-1" = "left"`), `[GAME.DEVICE.PROFILE]` for one,
    which may be new and then begins as a copy of the game's first; `[GAME.hotkeys]` gives
    `pause`, `save`, `quit`, `discard` and `panic`. `[GAME.screen]` says which `profile` is the default, where
    the frames come from (`source`, and of it a `window`, `monitor` or `video`), and which `region` (x, y,
    width, height) of that is the game, in a window of the `size` (width, height); `lag_ms` is how long after a
    key its effect is seen there. Raises UserError, which names the place, for a file that says something else.
    """

    def __init__(self, path: Path | None, spec: GameSpec) -> None:
        self._spec = spec
        self._programs = spec.screen.programs if spec.screen else {}
        table = Table()
        if path is not None and path.exists():
            try:
                table = Table.model_validate(tomllib.loads(path.read_text(encoding="utf-8-sig")).get(spec.name, {}))
            except ValidationError as e:
                raise UserError(f"{path}: {self._complaint(e)}") from e
            except (OSError, ValueError) as e:
                raise UserError(f"{path} cannot be used: {' '.join(str(e).split())}") from e
        self.screen, self._hotkeys, self._devices = table.screen, table.hotkeys, table.__pydantic_extra__
        _check(self._devices, [*spec.bindings, "hotkeys", "screen"], f"{path}: [{spec.name}]")
        _check(self._hotkeys, HOTKEY_NAMES, f"{path}: [{spec.name}.hotkeys]")
        for device, profiles in self._devices.items():
            for profile, keys in profiles.items():
                _check(keys, bindable(spec), f"{path}: [{spec.name}.{device}{profile and '.'}{profile}]")

    def _complaint(self, invalid: ValidationError) -> str:
        """Return in words what is wrong at which place of the file."""
        error, game = invalid.errors()[0], self._spec.name
        place = [str(part) for part in error["loc"] if part]
        if error["type"] in ("dict_type", "model_type"):
            return f"[{'.'.join([game, *place])}] must be a table"
        if place[0] != "screen":
            return f'{".".join([game, *place])} must be the name of a key, such as "x"'
        if error["type"] == "extra_forbidden":
            return _unknown(place[1], Screen.model_fields, f"[{game}.screen]")
        return f"{game}.screen.{place[1]} must be {WORDS.get(place[1], 'text')}"

    def profiles(self, device: str) -> dict[str, Mapping[str, str]]:
        """Return profile -> control -> key of a device: the game's own, and those of the user's that are new."""
        own = {name: keys for name, keys in self._devices.get(device, {}).items() if name}
        return {**own, **self._spec.bindings.get(device, {})}

    def device(self, device: str, profile: str | None, given: Mapping[str, str]) -> dict[str, str]:
        """Return control -> key; `given` is the command line's. Raises UserError for an unknown profile."""
        profiles = self._spec.bindings.get(device)
        if not profiles:
            raise UserError(f"{self._spec.name} has no bindings for the device {device!r}")
        own = self._devices.get(device, {"": {}})
        first, known = next(iter(profiles)), [*dict.fromkeys([*profiles, *filter(None, own)])]
        if profile is not None and profile not in known:
            hint = f"there are {', '.join(known)}"
            if profile in self._programs:
                hint = f"`autopilot setup --game {self._spec.name} --emulator {profile}` asks for its keys"
            raise UserError(f"{self._spec.name} has no profile {profile!r} for {device}: {hint}")
        chosen = profile or (self.screen.profile if self.screen.profile in known else None) or first
        layers = (profiles.get(chosen, profiles[first]), own[""], own.get(chosen, {}), given)
        return {control: key for layer in layers for control, key in each_level(layer, self._spec).items()}

    def hotkeys(self, given: Mapping[str, str], profile: str | None = None) -> dict[str, str]:
        """Return hotkey -> key; a profile's program may need some of them itself."""
        program = self._programs.get(profile or self.screen.profile or "")
        return {**HOTKEYS, **self._spec.hotkeys, **(program.hotkeys if program else {}), **self._hotkeys, **given}


def split(given: Mapping[str, str], spec: GameSpec) -> tuple[dict[str, str], dict[str, str]]:
    """Return what the command line binds, controls and hotkeys apart; UserError for an unknown name."""
    names = bindable(spec)
    _check(given, [*names, *HOTKEY_NAMES], "--bind")
    controls = {name: key for name, key in given.items() if name in names}
    return controls, {name: key for name, key in given.items() if name not in names}


def bindable(spec: GameSpec) -> list[str]:
    """Return the game's controls, and the names of the analogue ones, which are bound to a stick as a whole."""
    return list(dict.fromkeys([*spec.controls, *(split_level(control)[0] for control in spec.controls)]))


def each_level(keys: Mapping[str, str], spec: GameSpec) -> dict[str, str]:
    """Return control -> key, where a stick that is bound as a whole (`steer`) is a key for each of its levels."""
    bases = {control: split_level(control)[0] for control in spec.controls}
    whole = {c: keys[name] + c.removeprefix(name) for c, name in bases.items() if name != c and name in keys}
    return whole | {control: key for control, key in keys.items() if control in bases}


def check_hotkeys(hotkeys: Mapping[str, str], bindings: Mapping[str, str]) -> None:
    """Raise UserError where a hotkey's key does something else as well."""
    taken: dict[str, str] = {key: control for control, key in bindings.items()}
    for name, key in hotkeys.items():
        if taken.setdefault(key, name) != name:
            raise UserError(f"the key {key!r} is both {taken[key]} and {name}: bind one of them otherwise")


def _check(names: Iterable[str], known: Iterable[str], where: str) -> None:
    for name in names:
        if name not in known:
            raise UserError(_unknown(name, known, where))


def _unknown(name: str, known: Iterable[str], where: str) -> str:
    return f"{where}: unknown name {name!r}; {suggest(name, known)}"
