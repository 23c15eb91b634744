"""Frozen descriptors of what a plugin provides.

They hold import strings (`package.module:attribute`), so that listing plugins imports nothing
heavy; `load` imports one when it is needed. Descriptors are checked when they are registered: every field
against its type and the constraints of that type. `Target` is an import string, `Pattern` a regular
expression; `Positive` and `Pixels` are above 0; `ClockName` is `lockstep` or `wall`; `SOME` is not empty.
"""

from __future__ import annotations

import importlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

from autopilot.api.types import Manoeuvre, Must, Positive, Rectangle


def _compiles(text: str) -> bool:
    try:
        re.compile(text)
    except re.error:
        return False
    return True


Target = Annotated[str, Must("an import string such as package.module:name", re.compile(r"\w+(\.\w+)*:\w+").fullmatch)]
Pattern = Annotated[str, Must("a regular expression", _compiles)]
Pixels = Annotated[int, Must("above 0", lambda number: number > 0)]
ClockName = Annotated[str, Must("lockstep or wall", ("lockstep", "wall").__contains__)]
RaceText = Annotated[str, Must("lap times such as 40.94 44.79*", re.compile(r"(\d+(\.\d+)?\*?\s*)*").fullmatch)]
SOME = Must("one or more", bool)


def load(target: str) -> Any:
    """Import what `package.module:attribute` names.

    Raises ImportError when the module, and AttributeError when the attribute is missing.
    """
    module, _, attribute = target.partition(":")
    return getattr(importlib.import_module(module), attribute)


@dataclass(frozen=True, slots=True)
class SteerCorrection:
    """How the steering label changes for a shifted or rotated picture, so that training can show a car off its line.

    `values` are values of `axis` from the far left to the far right. When the picture is shifted by
    `pixels` to the right (of a frame as wide as `GameSpec.frame_size`) and rotated by `degrees` clockwise
    around `pivot` (x, y as shares of its width and height), the car appears too far left,
    or pointing too far left, by that amount, and the label moves `pixels * per_pixel + degrees *
    per_degree` values to the right, a fraction of one by chance: on the average over the data the
    correction is exact; the label of an axis of levels moves by the same share of its way. Both numbers must be
    measured. `pixel_aspect` is a pixel's width over its height in the world; `static_regions` do not move
    with the road, such as the car itself. Rotation suits games seen from above; else leave `per_degree` None.
    """

    per_pixel: float
    per_degree: float | None = None
    axis: str = "steer"
    values: tuple[str, ...] = ("left", "forward", "right")
    pivot: tuple[float, float] = (0.5, 0.5)
    pixel_aspect: float = 1.0
    static_regions: tuple[Rectangle, ...] = ()


@dataclass(frozen=True, slots=True)
class Program:
    """A program in which a game on the screen is played, such as an emulator.

    Its window is recognised by a part of its process's name, or of the window's class: `names`, lower case.
    `hotkeys` replace those hotkeys of the game that the program uses itself; `note` is advice for the player.
    """

    title: str
    names: tuple[str, ...]
    hotkeys: Mapping[str, str] = field(default_factory=dict)
    note: str = ""


@dataclass(frozen=True, slots=True)
class Recovery:
    """How a stationary car that a policy drives is unstuck: a rescue key, or a way back.

    `manoeuvres` are tried in turn. With `wrong_way` they are also tried when the referee has reported the wrong
    way for a second: for games that show this to a human as well.
    """

    manoeuvres: Annotated[tuple[Manoeuvre, ...], SOME]
    wrong_way: bool = False


@dataclass(frozen=True, slots=True)
class Reference:
    """Published times to race against: `drivers` maps a name to its races, each a lap time for every lap.

    A race is text such as `40.94 44.79* 41.98`: seconds, `*` for an incident; a race with
    fewer laps than `laps` was not finished. `source` says where the times were published and what they are.
    """

    track: str
    laps: int
    drivers: Mapping[str, tuple[RaceText, ...]]
    source: str


@dataclass(frozen=True, slots=True)
class Tracks:
    """The tracks of a game: the `names` that a user may give, and any name that `pattern` matches."""

    names: tuple[str, ...] = ()
    """Their names; the first is the default, `0` if there is none."""
    aliases: Mapping[str, str] = field(default_factory=dict)
    """Other spelling -> name."""
    pattern: Pattern | None = None
    """A regular expression of further names; if it matches numbers, `0-4` means five tracks."""
    help: str = ""
    """Which names are allowed, in words."""


@dataclass(frozen=True, slots=True)
class ScreenSpec:
    """A game on the screen: core adds a frame source, a device and a reader, if the world has none."""

    frame_source: str | None = None
    """The default frame source; required if the game's world has no source."""
    device: str | None = None
    """The device that presses for a policy; required if the game's world has no device."""
    reader: str | None = None
    """The device that reads the human's controls and hotkeys."""
    window: str | None = None
    """The title of the game's window, or `click` to let the user pick it."""
    programs: Mapping[str, Program] = field(default_factory=dict)
    """Profile of the bindings -> the program in which the game is played. Of a profile without bindings, only the user
    knows the keys."""
    aspects: tuple[Positive, ...] = (4 / 3, 16 / 9)
    """Possible aspect ratios (width over height) of the game's picture, without borders."""


@dataclass(frozen=True, slots=True)
class SimulatorSpec:
    """A game with its own world: a simulator, or a program that it starts."""

    open_world: Target
    """Imports `(WorldRequest, **config) -> World`; missing parts come from `GameSpec.screen`."""
    clocks: Annotated[tuple[ClockName, ...], SOME] = ("lockstep",)
    """The clocks that it supports, `lockstep`, `wall` or both, the default first; a human plays with the wall
    clock if both are supported."""
    demonstrators: Mapping[str, str] = field(default_factory=dict)
    """Its scripted drivers -> their label maps: `demonstrator`, and others called `demonstrator-...`."""
    noise_mode: str | None = None
    """The recording mode for a demonstrator with `--noise`; None: the first."""
    probe: Target | None = None
    """Imports `() -> list[Probe]`: whether a human can play on this machine, if it opens its own window."""
    config: Mapping[str, Any] = field(default_factory=dict)
    """What `open_world` gets besides, so that one function can open several games."""
    options: Mapping[str, Any] = field(default_factory=dict)
    """What it gets besides and a user may change by `--world NAME=VALUE`, with the defaults, whose types values must
    have; what else they must be is for `open_world` to check."""


@dataclass(frozen=True, slots=True)
class HudSpec:
    """A display that lap times are read from: the referee of a game that has only pixels."""

    reader: Target
    """Imports `(folder: Path, profile: str) -> HudReader | None`: `folder` is the user's own for this game,
    `profile` that of the bindings; None means that something must be learned first."""
    learner: Target | None = None
    """Imports `(frames: Iterable[Frame], folder: Path, profile: str) -> str`, which learns it from ten native
    frames a second of the user's own driving, writes it to the folder and returns one line about it; if unsure, it
    writes nothing and raises UserError."""
    lesson: str = "start a race and drive over the line at least once"
    """What the user should do during that time, in words."""
    advice: str = "its display cannot be read yet"
    """What to do first if the reader is None, in words."""


@dataclass(frozen=True, slots=True)
class RaceSpec:
    """How a game is raced."""

    referee: bool = False
    """Whether its world has a referee of its own."""
    scored: bool = False
    """Whether a race has no laps: it is over when the referee says so, and the drivers compare by `Reading.score`."""
    lap_limit_s: Positive = 300.0
    """A lap that takes longer is given up, in seconds; of a game without laps, a race ends after so long."""
    restart: Manoeuvre = ()
    """How to start the next race after one has ended, if opening a world does not."""
    recovery: Recovery | None = None
    """How a stationary car is unstuck."""
    references: Mapping[str, Target] = field(default_factory=dict)
    """Published times by name: imports of `(track, laps) -> Reference | None`."""
    disclaimer: str = "AI"
    """Shown with every time that is displayed or exported."""


@dataclass(frozen=True, slots=True)
class GameSpec:
    """A game: the fields that every game has, and parts for the screen, its display, and a simulator."""

    name: str
    """The name that a user types."""
    title: str
    """A short description."""
    controls: Annotated[tuple[str, ...], SOME]
    """The game's controls, such as `left` or `accelerate`; never keys. An analogue one is there once for each level:
    `*levels("steer", (-1, -0.5, 0.5, 1))`."""
    label_map: str
    """The default label map for recording and driving."""
    hz: Positive = 10.0
    """Decisions and frames a second."""
    frame_size: tuple[Pixels, Pixels] = (160, 90)
    """Width and height of recorded frames."""
    tracks: Tracks = Tracks()
    """The names of tracks."""
    modes: Annotated[Mapping[str, str], SOME] = field(default_factory=lambda: {"N": "normal"})
    """Recording mode's letter -> description; a letter `*` allows modes of the user's own."""
    bindings: Mapping[str, Mapping[str, Mapping[str, str]]] = field(default_factory=dict)
    """Device -> profile -> control -> key; the first profile is the default. An analogue control may be bound as a
    whole, to a stick (`steer` -> `left_x`), or by single levels (`steer:-1` -> `left`)."""
    hotkeys: Mapping[str, str] = field(default_factory=dict)
    """`pause`, `save`, `quit`, `discard` -> key."""
    hidden: tuple[Rectangle, ...] = ()
    """What the network must not see: digits, a minimap. It is blackened where training and driving prepare a
    frame; sessions keep the whole frame."""
    steering: SteerCorrection | None = None
    """How the label of a shifted or rotated picture is corrected; without it, shifted pictures keep their label."""
    race: RaceSpec = RaceSpec()
    """Referee, limits, restart, recovery, published times."""
    screen: ScreenSpec | None = None
    """If it is played on the screen."""
    simulator: SimulatorSpec | None = None
    """If it has its own world."""
    hud: HudSpec | None = None
    """If lap times are read from the picture."""


@dataclass(frozen=True, slots=True)
class FrameSourceSpec:
    """A frame source: `open` imports `(SourceSettings) -> FrameSource`, `probe` `() -> [Probe]`.

    `windows` imports `(query: str | None) -> list[Window]`, if `SourceSettings.window` is supported:
    all windows, the topmost first, or the one that a query selects; it raises UserError if that is not exactly one.
    `films` says that it plays `SourceSettings.video`.
    """

    name: str
    title: str
    open: Target
    probe: Target | None = None
    windows: Target | None = None
    films: bool = False


@dataclass(frozen=True, slots=True)
class LabelMapSpec:
    """A label map of one game, or of several that have its controls: `make` imports `(**config) -> LabelMap`."""

    name: str
    title: str
    game: str | tuple[str, ...]
    make: Target
    config: Mapping[str, Any] = field(default_factory=dict)

    @property
    def games(self) -> tuple[str, ...]:
        """The names of its games."""
        return (self.game,) if isinstance(self.game, str) else self.game


@dataclass(frozen=True, slots=True)
class ModelSpec:
    """A network: `build` imports `(height, width, outputs, rngs, **config) -> flax.nnx.Module`.

    `outputs` is the size of each axis. The module is called with images (N, H, W, 3), float32 in
    0..255, and returns one array of logits (N, size) per axis, a tuple in their order: shapes are checked before
    the first step, but of two axes of one size swapped logits look the same. `config` holds its parameters with their
    defaults, whose types a user's values must have (None: any); what else they must be is for `build` to check.
    `learning_rate` is the peak of Adam's that suits it. `build` must work under `nnx.eval_shape`.

    The module may also have:

    - `frames: int`: it is called with the last so many frames, (N, frames, H, W, 3), the newest last.
    - `initial_carry(batch) -> arrays`: it is recurrent, called with windows and what it carries, and returns (logits,
      what it carries on). It carries in driving from frame to frame, in training through windows of `frames`.
    - `training_logits(images) -> list[tuple[float, tuple[Array, ...]]]`: weighted heads for the loss, the main one
      included.
    - `loss(logits, labels, weights) -> Array`, in place of the cross-entropies: labels and weights are (N, axes).
    - `optimiser(learning_rate) -> optax.GradientTransformation`, in place of Adam.
    - `augment(key, image, label) -> (image, label)`, after what the options ask for: of one image, or window.
    - `pretrained() -> Mapping[str, Array]`: weights that a training begins with, by their names in a bundle.
    """

    name: str
    title: str
    build: Target
    config: Mapping[str, Any] = field(default_factory=dict)
    learning_rate: Positive = 1e-3


@dataclass(frozen=True, slots=True)
class DeviceSpec:
    """A device, with two ends, either of which may be missing.

    `backend` imports `(names: Sequence[str]) -> Backend`, called in the emitter's process with all
    that may be pressed; core gives that process its heartbeat, guard and successor. `reader`
    imports `(Bindings, hotkeys: Bindings, ours: Callable[[], frozenset[str]]) -> Reader`, where
    `ours()` says what our emitter holds now (names, and paths of virtual devices), which is not
    the human's. Either raises UserError for an unknown name, DeviceError where there is no such
    device. A game's bindings are looked up under `bindings`, by default the device's own name.
    `probe` imports `() -> list[Probe]`, `trial` `() -> ContextManager[Trial]`: what `doctor` presses
    through the emitter's process and reads back by the reader. `names` imports `() -> Sequence[str]`: all
    that the reader can read here.
    """

    name: str
    title: str
    backend: Target | None = None
    reader: Target | None = None
    names: Target | None = None
    bindings: str | None = None
    probe: Target | None = None
    trial: Target | None = None


@dataclass(frozen=True, slots=True)
class CommandSpec:
    """A command of the command line: `command` imports a `click.Command`; `plugins NAME` is one below `plugins`.

    With `autopilot.commands.common` it has the general options and gets an `App`. With `cls=GroupedCommand` its help
    lists options in groups: `option_group("Rarely used", click.option(...), ...)` adds some under a heading.
    """

    name: Annotated[str, Must("a word, or `plugins` and a word", re.compile(r"(plugins )?[\w-]+").fullmatch)]
    help: str
    command: Target


@dataclass(frozen=True, slots=True)
class EngineSpec:
    """An engine that computes a trained network instead of JAX.

    `accelerate` imports `(policy: Policy, folder: Path, say: Callable[[str], None]) -> Callable[..., tuple]`, which
    returns a function from a preprocessed frame to the probabilities, float32 (size,) for each axis, as
    `policy.run_jax` does: it takes uint8 of `policy.shape`, and arrays like `policy.carry`, which it returns after the
    probabilities. `accelerate` reports the difference from JAX in a line, and raises BundleError if that is too large.
    `folder` is the bundle's; an export is stored there as `file`. `export` imports
    `(policy: Policy, path: Path, force: bool) -> tuple[float, float]`, which writes an export, replaces a file
    only with `force`, and returns that difference and its limit.
    """

    name: str
    title: str
    accelerate: Target
    export: Target | None = None
    file: str = ""


@dataclass(frozen=True, slots=True)
class ZooSpec:
    """Ready-trained bundles that come with a distribution: each a folder in `folder`, called as the bundle is.

    There is a `card.json` in each beside the bundle's own files, which may hold float16 weights. `folder` is a path in
    the installed package, such as `Path(__file__).parent / "bundles"`.
    """

    name: str
    title: str
    folder: Path


@dataclass(frozen=True, slots=True)
class CheckSpec:
    """A check of the sessions of a training.

    `check` imports `(Registry, Sequence[Session], folder: Path, say: Callable[[str], None]) -> None`, which says
    a line for each warning, and raises UserError for a session that must not be trained on. `folder` is a cache.
    """

    name: str
    title: str
    check: Target
