"""A Gymnasium environment described as a game: in Python, or by a file `games/NAME.toml` in the home."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, dataclass, field, fields
from functools import cache
from pathlib import Path
from typing import Annotated, Any

from autopilot.api import (
    SOME,
    GameSpec,
    Held,
    LabelMapSpec,
    Must,
    Pixels,
    Positive,
    RaceSpec,
    Rectangle,
    ScreenSpec,
    SimulatorSpec,
    Target,
    Tracks,
    UserError,
    suggest,
)
from autopilot.api.guard import Guard
from autopilot.api.values import Misfit, taker

HOTKEYS = {"pause": "t", "save": "o", "quit": "p", "discard": "u"}
Name = Annotated[str, Must("made of a-z, 0-9 and -", re.compile(r"[a-z0-9][a-z0-9-]{0,63}").fullmatch)]
Id = Annotated[str, Must("such as CarRacing-v3 or ale_py:ALE/Enduro-v5", re.compile(r"(\w+:)?[\w./-]+").fullmatch)]
Count = Annotated[int, Must("1 or more", lambda number: number > 0)]
Number = Annotated[int, Must("0 or more", lambda number: number >= 0)]
Picture = Annotated[str, Must("observation or render", ("observation", "render").__contains__)]


@dataclass(frozen=True)
class Descriptor:
    """An environment and what makes a game of it."""

    name: Name
    """What a user types."""
    id: Id
    """The environment's, as Gymnasium knows it; of another package `package:id`."""
    actions: Annotated[Mapping[Number, tuple[str, ...]], SOME]
    """The number of an action -> the controls that are held for it."""
    hz: Positive
    """Decisions a second of game time."""
    frame_size: tuple[Pixels, Pixels]
    """The width and height that frames are recorded at."""
    keys: Mapping[str, str] = field(default_factory=dict)
    """Control -> the key of a person who plays."""
    steps: Count = 1
    """The environment's steps in each decision."""
    seconds: Positive = 300.0
    """A race ends after so long, where the environment does not end it; in seconds of game time."""
    picture: Picture = "observation"
    """What is shown: the observation, where it is a picture, or what the environment renders."""
    hidden: tuple[Rectangle, ...] = ()
    """What the network must not see, such as the score: x, y, width, height as shares of the picture."""
    title: str = ""
    """What it is, in words."""
    options: Mapping[str, Any] = field(default_factory=dict)
    """What the environment is made with."""
    demonstrator: Target | None = None
    """Imports `(Image, gymnasium.Env) -> set[str]`, a scripted driver: the controls that it would hold now."""

    @property
    def controls(self) -> tuple[str, ...]:
        """All controls, in the order of the actions."""
        return tuple(dict.fromkeys(control for held in self.actions.values() for control in held))

    @property
    def held(self) -> dict[int, Held]:
        """The number of each action -> the controls held for it."""
        return {number: frozenset(controls) for number, controls in self.actions.items()}


def gymnasium_game(
    name: str, id: str, actions: Mapping[int, Sequence[str]], hz: float, **more: Any
) -> tuple[GameSpec, LabelMapSpec]:
    """Return an environment as a game, for the hooks of a plugin; `more` are further fields of `Descriptor`.

    Raises UserError where a field is missing, unknown or wrong.
    """
    return specs_of(make_descriptor({"name": name, "id": id, "actions": actions, "hz": hz, **more}))


def make_descriptor(said: Mapping[str, Any]) -> Descriptor:
    """Check what was said of an environment; raises UserError where a key is missing, unknown or wrong."""
    known = {f.name: f for f in fields(Descriptor)}
    for key in said:
        if key not in known:
            raise UserError(f"unknown key {key!r}; {suggest(key, known)}")
    required = [n for n, f in known.items() if f.default is MISSING and f.default_factory is MISSING]
    if missing := [key for key in required if key not in said]:
        raise UserError(f"the key {missing[0]!r} is missing")
    values = {key: _frozen(value) for key, value in said.items()}
    if isinstance(values["actions"], dict):  # keys are text in TOML
        values["actions"] = {int(k) if str(k).isdecimal() else k: v for k, v in values["actions"].items()}
    found = Descriptor(**values)
    try:
        taker(Descriptor)(found, Guard(""))
    except Misfit as e:
        raise UserError(str(e).replace("a tuple", "a list")) from None
    _check_keys(found)
    return found


def _frozen(value: Any) -> Any:
    if isinstance(value, list | tuple):
        return tuple(map(_frozen, value))
    return {k: _frozen(v) for k, v in value.items()} if isinstance(value, Mapping) else value


def _check_keys(found: Descriptor) -> None:
    """Raise UserError where two actions, or two keys, cannot be told apart."""
    if len(found.actions) < 2 or not found.controls:
        raise UserError("actions: two or more are needed, and one that holds something")
    seen: dict[Held, int] = {}
    for number, held in found.held.items():
        if seen.setdefault(held, number) != number:
            what = "+".join(sorted(held)) or "nothing"
            raise UserError(f"actions: {seen[held]} and {number} both hold {what}: leave one out")
    for control in found.keys:
        if control not in found.controls:
            raise UserError(f"keys: no action holds {control!r}; {suggest(control, found.controls)}")
    taken = {key: f"the hotkey {name}" for name, key in HOTKEYS.items()}
    for control, key in found.keys.items():
        if taken.setdefault(key, control) != control:
            raise UserError(f"keys: {key!r} is both {taken[key]} and {control}: take another key")
    if "render_mode" in found.options:
        raise UserError("options: leave out render_mode: `picture` says what is shown")


def specs_of(found: Descriptor) -> tuple[GameSpec, LabelMapSpec]:
    """Return the descriptors of its game and its label map."""
    teachers = {"demonstrator": found.name} if found.demonstrator else {}
    game = GameSpec(
        name=found.name,
        title=found.title or f"Gymnasium {found.id}",
        controls=found.controls,
        label_map=found.name,
        hz=float(found.hz),
        frame_size=found.frame_size,
        tracks=Tracks(pattern=r"\d{1,9}", help="a seed, from 0 to 999999999"),
        bindings={"window": {"default": dict(found.keys)}},
        hotkeys=HOTKEYS,
        hidden=found.hidden,
        race=RaceSpec(referee=True, scored=True, lap_limit_s=float(found.seconds)),
        screen=ScreenSpec(reader="window"),
        simulator=SimulatorSpec(
            "autopilot_gymnasium.world:open_world", demonstrators=teachers, config={"descriptor": found}
        ),
    )
    what = f"the {len(found.actions)} actions of {found.id}"
    make = "autopilot_gymnasium.world:make_label_map"
    return game, LabelMapSpec(found.name, what, found.name, make, {"descriptor": found})


def folder_of(home: Path) -> Path:
    """Return where a home keeps the files."""
    return home / "games"


def read_file(path: Path) -> Descriptor:
    """Read a file; raises UserError, which names it and what is wrong with it."""
    try:
        said = tomllib.loads(path.read_text(encoding="utf-8"))
        for key in ("name", "demonstrator"):  # the file's own name; code
            if key in said:
                raise UserError(f"the key {key!r} is for plugins: leave it out")
        return make_descriptor({"name": path.stem, **said})
    except OSError as e:
        raise UserError(f"{path}: {e.strerror or e}") from e
    except (ValueError, UserError) as e:  # TOML's errors, and those of its text, are ValueErrors
        raise UserError(f"{path}: {e}") from e


@cache
def _read_as_it_was(path: Path, changed_ns: int) -> tuple[GameSpec, LabelMapSpec] | None:
    """Return the specs of a file; one that is wrong is a game that says so when it is used. None: no fit name."""
    try:
        return specs_of(read_file(path))
    except UserError as e:
        name, fault = path.stem, {"fault": str(e)}
    if not re.fullmatch(r"[a-z0-9][a-z0-9-]{0,63}", name):
        return None
    # The fault is told where the game is used; all other games stay.
    simulator = SimulatorSpec("autopilot_gymnasium.world:open_world", config=fault)
    game = GameSpec(
        name, "its file is faulty", ("none",), name, simulator=simulator, screen=ScreenSpec(reader="window")
    )
    return game, LabelMapSpec(name, "its file is faulty", name, "autopilot_gymnasium.world:make_label_map", fault)


def games_of(home: Path | None) -> list[tuple[GameSpec, LabelMapSpec]]:
    """Return the games that the files in a home describe."""
    if home is None or not (folder := folder_of(home)).is_dir():
        return []
    found = [_read_as_it_was(path, path.stat().st_mtime_ns) for path in sorted(folder.glob("*.toml"))]
    return [specs for specs in found if specs is not None]
