"""Frozen descriptors of what a plugin provides.

They hold import strings (`package.module:attribute`), so that listing plugins imports nothing
heavy; `load` follows one when the thing is used. They are checked when they are registered: every field
against its type, and against what that type says besides. `Target` is an import string, `Pattern` a regular
expression; `Positive` and `Pixels` are above 0; `ClockName` is `lockstep` or `wall`; `SOME` is not empty.
"""

from __future__ import annotations

import importlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
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
    """How a moved picture wants to be steered, so that training can show the car astray.

    `values` are values of `axis` from the far left to the far right. Where the picture slides
    `pixels` to the right (of a frame as wide as `GameSpec.frame_size`) and turns `degrees` clockwise
    around `pivot` (x, y as shares of its width and height), the car looks as if it stood too far left
    or pointed too far left by as much, and the label moves `pixels * per_pixel + degrees *
    per_degree` values to the right, a fraction of one by chance: on the average over the data the
    correction is exact; the label of an axis of levels moves by the same share of its way. Both numbers must be
    measured. `pixel_aspect` is a pixel's width over its height in the world; `static_regions` is what does not move
    with the road: the car itself. Turning suits games seen from above; leave `per_degree` None where it does not.
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

    Its window is known by a part of its process's name, or of the window's class: `names`, lower case.
    `hotkeys` replace those of the game that this program needs itself; `note` is what a player has to
    know.
    """

    title: str
    names: tuple[str, ...]
    hotkeys: Mapping[str, str] = field(default_factory=dict)
    note: str = ""


@dataclass(frozen=True, slots=True)
class Recovery:
    """How a stationary car that a policy drives is unstuck: a rescue key, or a way back.

    `manoeuvres` are tried in turn. With `wrong_way` they are tried too when the car has faced the wrong
    way for a second, as the referee says it: for games that tell a human so as well.
    """

    manoeuvres: Annotated[tuple[Manoeuvre, ...], SOME]
    wrong_way: bool = False


@dataclass(frozen=True, slots=True)
class Reference:
    """Published times to race against: `drivers` maps a name to its races, each a lap time for every lap.

    A race is text such as `40.94 44.79* 41.98`: seconds, `*` where there was an incident; a race with
    fewer laps than `laps` was given up. `source` says where they were published and what they are.
    """

    track: str
    laps: int
    drivers: Mapping[str, tuple[RaceText, ...]]
    source: str


@dataclass(frozen=True, slots=True)
class Tracks:
    """The tracks of a game: `names` that a user may give; with none, or besides, any that `pattern` matches."""

    names: tuple[str, ...] = ()
    """What they are called; the first is the default, `0` where there is none."""
    aliases: Mapping[str, str] = field(default_factory=dict)
    """Other spelling -> name."""
    pattern: Pattern | None = None
    """A regular expression of further names; where it matches numbers, `0-4` means five of them."""
    help: str = ""
    """What may be given, in words."""


@dataclass(frozen=True, slots=True)
class ScreenSpec:
    """A game on the screen: core joins a frame source, a device and a reader, as far as the world has none."""

    frame_source: str | None = None
    """Where frames come from, unless the user says otherwise; needed where the game's world has no source."""
    device: str | None = None
    """What presses for a policy; needed where the game's world has no device."""
    reader: str | None = None
    """What reads the human's controls and hotkeys."""
    window: str | None = None
    """The title of the game's window, or `click` to let the user pick it."""
    programs: Mapping[str, Program] = field(default_factory=dict)
    """Profile of the bindings -> the program that the game is played in. A profile without bindings has keys
    that only the user knows."""
    aspects: tuple[Positive, ...] = (4 / 3, 16 / 9)
    """Widths over heights that the game's picture may have there, its borders cut off."""


@dataclass(frozen=True, slots=True)
class SimulatorSpec:
    """A game that brings its own world: a simulator, or a program that it starts."""

    open_world: Target
    """Imports `(WorldRequest) -> World`; what that leaves out comes from `GameSpec.screen`."""
    clocks: Annotated[tuple[ClockName, ...], SOME] = ("lockstep",)
    """The clocks that it can run by, of `lockstep` and `wall`, the default first; a human plays by the wall
    clock where there is a choice."""
    demonstrators: Mapping[str, str] = field(default_factory=dict)
    """Its scripted drivers -> their label maps: `demonstrator`, and others called `demonstrator-...`."""
    noise_mode: str | None = None
    """The recording mode of a demonstrator that is disturbed (`--noise`); None: the first."""
    probe: Target | None = None
    """Imports `() -> list[Probe]`: whether a human can play here, where it brings a window of its own."""


@dataclass(frozen=True, slots=True)
class HudSpec:
    """A display that lap times are read from: the referee of a game that has only pixels."""

    reader: Target
    """Imports `(folder: Path, profile: str) -> HudReader | None`: `folder` is the user's own for this game,
    `profile` that of the bindings; None says that something must be learned first."""
    learner: Target | None = None
    """Imports `(frames: Iterable[Frame], folder: Path, profile: str) -> str`, which learns that from ten native
    frames a second of the user's own driving, writes it and says in one line what it was; it raises UserError,
    having written nothing, where it is unsure."""
    lesson: str = "start a race and drive over the line at least once"
    """What the user is to do meanwhile, in words."""
    advice: str = "its display cannot be read yet"
    """What to do first where the reader is None, in words."""


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
    """What starts another race from where the last one ended, where opening a world does not."""
    recovery: Recovery | None = None
    """How a stationary car is unstuck."""
    references: Mapping[str, Target] = field(default_factory=dict)
    """Published times by name: imports of `(track, laps) -> Reference | None`."""
    disclaimer: str = "AI"
    """Goes with every time that is shown or exported."""


@dataclass(frozen=True, slots=True)
class GameSpec:
    """A game: what every one has, and a part each for the screen, its display, and a simulator."""

    name: str
    """What a user types."""
    title: str
    """What it is, in words."""
    controls: Annotated[tuple[str, ...], SOME]
    """The game's verbs, such as `left` or `accelerate`; never keys. An analogue one is there once for each level:
    `*levels("steer", (-1, -0.5, 0.5, 1))`."""
    label_map: str
    """The label map that it is recorded and driven with by default."""
    hz: Positive = 10.0
    """Decisions and frames a second."""
    frame_size: tuple[Pixels, Pixels] = (160, 90)
    """The width and height that frames are recorded at."""
    tracks: Tracks = Tracks()
    """The names of tracks."""
    modes: Annotated[Mapping[str, str], SOME] = field(default_factory=lambda: {"N": "normal"})
    """Recording mode's letter -> words; a letter `*` lets a user record in modes of their own naming."""
    bindings: Mapping[str, Mapping[str, Mapping[str, str]]] = field(default_factory=dict)
    """Device -> profile -> control -> key; the first profile is the default. An analogue control may be bound as a
    whole, to a stick (`steer` -> `left_x`), or by single levels (`steer:-1` -> `left`)."""
    hotkeys: Mapping[str, str] = field(default_factory=dict)
    """`pause`, `save`, `quit`, `discard` -> key."""
    hidden: tuple[Rectangle, ...] = ()
    """What the network must not see: digits, a minimap. It is blackened where training and driving prepare a
    frame; sessions keep the whole frame."""
    steering: SteerCorrection | None = None
    """How the label of a moved picture is corrected; without one, shifted pictures keep their label."""
    race: RaceSpec = RaceSpec()
    """Referee, limits, restart, recovery, published times."""
    screen: ScreenSpec | None = None
    """Where it is played on the screen."""
    simulator: SimulatorSpec | None = None
    """Where it brings its own world."""
    hud: HudSpec | None = None
    """Where lap times are read from the picture."""


@dataclass(frozen=True, slots=True)
class FrameSourceSpec:
    """A frame source: `open` imports `(SourceSettings) -> FrameSource`, `probe` `() -> [Probe]`.

    `windows` imports `(query: str | None) -> list[Window]` where `SourceSettings.window` can name one:
    all windows, the topmost first, or the one that a query means; UserError where that is not one. `films`
    says that it plays `SourceSettings.video`.
    """

    name: str
    title: str
    open: Target
    probe: Target | None = None
    windows: Target | None = None
    films: bool = False


@dataclass(frozen=True, slots=True)
class LabelMapSpec:
    """A label map of one game: `make` imports `() -> LabelMap`."""

    name: str
    title: str
    game: str
    make: Target


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
    """What computes a trained network in JAX's place.

    `accelerate` imports `(policy: Policy, folder: Path, say: Callable[[str], None]) -> Callable[..., tuple]`: what
    gives float32 (size,), an axis's probabilities, for each axis of a preprocessed frame, as `policy.run_jax` does: it
    takes uint8 of `policy.shape`, and arrays like `policy.carry`, which it gives after the probabilities. It
    says in a line by how much they differ, and raises BundleError where that is too much. `folder` is the bundle's;
    an export lies there as `file`. `export` imports `(policy: Policy, path: Path, force: bool) -> tuple[float, float]`,
    which writes one, replacing another only by `force`, and returns that difference and its limit.
    """

    name: str
    title: str
    accelerate: Target
    export: Target | None = None
    file: str = ""


@dataclass(frozen=True, slots=True)
class CheckSpec:
    """A check of what a training is about to learn from.

    `check` imports `(Registry, Sequence[Session], folder: Path, say: Callable[[str], None]) -> None`, which says what
    is worth a look, a line each, and raises UserError for a session that is not fit. `folder` is of what can be made
    again.
    """

    name: str
    title: str
    check: Target
