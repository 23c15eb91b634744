"""The vocabulary as data: frame, held, axis, action space, reading, step."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Any

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

type Image = NDArray[np.uint8]
"""An RGB picture, uint8, shape (H, W, 3). Evaluated lazily, so that listing plugins does not import numpy."""

type Rectangle = tuple[float, float, float, float]
"""x, y, width, height as shares of a picture's width and height, from its top left corner."""

Box = tuple[int, int, int, int]
"""x, y, width, height in pixels of the screen, or of a window."""

Held = frozenset[str]
"""The controls held at one instant: a state, never press or release events."""

Manoeuvre = tuple[tuple[Held, float], ...]
"""Controls to hold, one set after the other, each for a duration in seconds."""

Action = tuple[int, ...]
"""One index per axis of an action space."""

NOTHING: Held = frozenset()


@dataclass(frozen=True, slots=True)
class Must:
    """A constraint on a value, besides its type: an annotation that autopilot checks; `words` name it in errors."""

    words: str
    holds: Callable[[Any], Any]


Positive = Annotated[float, Must("above 0", lambda number: number > 0)]


@dataclass(frozen=True, slots=True)
class Frame:
    """A picture of the screen: `image` uint8 RGB (H, W, 3), `t_ns` monotonic nanoseconds, for a film its own time."""

    image: Image
    t_ns: int


@dataclass(frozen=True, slots=True)
class Axis:
    """A named categorical axis, e.g. `steer: left forward right`.

    `mirror[i]` is the value that `values[i]` becomes when the picture is flipped left to right.

    Raises ValueError when a value repeats or `mirror` is not its own inverse.
    """

    name: str
    values: tuple[str, ...]
    mirror: tuple[int, ...]

    def __post_init__(self) -> None:
        if len(set(self.values)) != len(self.values) or len(self.values) < 2:
            raise ValueError(f"axis {self.name}: needs two or more distinct values: {self.values}")
        if sorted(self.mirror) != list(range(len(self.values))):
            raise ValueError(f"axis {self.name}: mirror must be a permutation: {self.mirror}")
        if any(self.mirror[self.mirror[i]] != i for i in range(len(self.values))):
            raise ValueError(f"axis {self.name}: mirroring twice must change nothing")


@dataclass(frozen=True, slots=True)
class ActionSpace:
    """A tuple of axes; an action is one index per axis.

    Raises ValueError when it has no axis or two of the same name.
    """

    axes: tuple[Axis, ...]

    def __post_init__(self) -> None:
        names = [axis.name for axis in self.axes]
        if not names or len(set(names)) != len(names):
            raise ValueError(f"an action space needs distinct axes: {names}")

    @property
    def sizes(self) -> tuple[int, ...]:
        """The number of values of each axis."""
        return tuple(len(axis.values) for axis in self.axes)

    @property
    def joint_size(self) -> int:
        """The number of different actions."""
        return math.prod(self.sizes)

    def fits(self, action: Sequence[int | None]) -> bool:
        """Return whether an action has a value of every axis, and no other."""
        pairs = zip(action, self.sizes, strict=False)
        return len(action) == len(self.axes) and all(a is not None and 0 <= a < n for a, n in pairs)

    def joint(self, action: Action) -> int:
        """Return the action as one number, row-major: the last axis changes fastest."""
        index = 0
        for value, size in zip(action, self.sizes, strict=True):
            index = index * size + value
        return index

    def split(self, joint: int) -> Action:
        """Return the action that `joint` numbers; the inverse of `joint`."""
        out: list[int] = []
        for size in reversed(self.sizes):
            joint, value = divmod(joint, size)
            out.append(value)
        return tuple(reversed(out))

    def mirror(self, action: Action) -> Action:
        """Return the action for the picture flipped left to right."""
        return tuple(axis.mirror[i] for axis, i in zip(self.axes, action, strict=True))

    def describe(self, action: Action) -> str:
        """Return the action in words, e.g. `left+gas`."""
        return "+".join(axis.values[i] for axis, i in zip(self.axes, action, strict=True))

    def to_json(self) -> list[dict[str, Any]]:
        """Return plain data, from which `from_json` makes an equal action space."""
        return [{"name": axis.name, "values": list(axis.values), "mirror": list(axis.mirror)} for axis in self.axes]

    @classmethod
    def from_json(cls, data: Any) -> ActionSpace:
        """Make an action space from `to_json`'s data.

        Raises ValueError when the data are invalid.
        """
        try:
            return cls(
                tuple(Axis(str(a["name"]), tuple(map(str, a["values"])), tuple(map(int, a["mirror"]))) for a in data)
            )
        except (TypeError, KeyError, OverflowError) as e:
            raise ValueError(f"not an action space: {data!r:.80}") from e

    def __str__(self) -> str:
        return " x ".join(f"{axis.name}: {' '.join(axis.values)}" for axis in self.axes)


@dataclass(frozen=True, slots=True)
class Reading:
    """The state of a race at one instant, from a referee or a HUD reader. It never reaches the policy.

    `lap` counts completed laps, `lap_times_s` holds their times; `incident` is true during one
    (off the road, a rescue, a wall); `score` is the game's own, if it has one, `place` that among opponents, from 1;
    `confidence` is 1 for a simulator, and the reader's estimate for pixels. `counters` are what a
    referee has counted so far, by its own names (such as rescues); a session does not store them.
    """

    lap: int = 0
    lap_times_s: tuple[float, ...] = ()
    race_time_s: float | None = None
    incident: bool = False
    wrong_way: bool = False
    finished: bool = False
    score: float | None = None
    place: int | None = None
    confidence: float = 1.0
    counters: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Decision:
    """What a driver decided on one frame.

    `held` is the label (what should be held here); `sent` is what goes to the output device,
    which differs only when noise is injected or a human drives. `probabilities` has one float32
    vector per axis if a policy decided. `by_human` marks a frame in which the human drove.
    """

    held: Held
    sent: Held
    probabilities: tuple[NDArray[np.float32], ...] | None = None
    by_human: bool = False


@dataclass(frozen=True, slots=True)
class Step:
    """One turn of the loop: the recorded frame, the picture it came from, what was decided."""

    index: int
    frame: Frame
    native: Image
    decision: Decision
    reading: Reading | None


@dataclass(frozen=True, slots=True)
class Probe:
    """The result of testing one capability of this machine; `fix` says what to do if it is missing."""

    name: str
    ok: bool
    detail: str
    fix: str = ""
    required: bool = False


@dataclass(frozen=True, slots=True)
class SourceSettings:
    """What a frame source captures: a window, a monitor (from 1) or a video file.

    `region` (x, y, width, height, in pixels) is a part of it, or of the whole screen; it is valid for a window
    of `size` (width, height), if that is known, and for no other size.
    `background` also asks for frames of a window without the focus: to look at, not to drive with.
    `folder` is where the source may keep what the user allowed it; core names it.
    """

    region: Box | None = None
    video: str | None = None
    window: str | None = None
    monitor: int | None = None
    background: bool = False
    size: tuple[int, int] | None = None
    folder: str | None = None


@dataclass(frozen=True, slots=True)
class Window:
    """A window of some program; `box` is its picture without the frame, `kind` its class on X11."""

    id: int
    title: str
    process: str
    pid: int | None
    box: Box
    kind: str = ""
    minimised: bool = False

    def __str__(self) -> str:
        return f"id:{self.id:#x} {self.title!r} ({self.process or 'unknown program'})"


@dataclass(frozen=True, slots=True)
class WorldRequest:
    """The race that a game's `open_world` should open.

    `laps` 0 means to drive until stopped; `window` asks for a window to watch,
    `human` for one that a person can play in, in real time. `lockstep` chooses the clock,
    `demonstrator` the scripted driver. `running` says that the
    user has named a window or a part of the screen: the game already runs there and must not be started.
    """

    track: str
    mode: str
    hz: float
    laps: int = 1
    seed: int = 0
    window: bool = False
    human: bool = False
    lockstep: bool = False
    running: bool = False
    demonstrator: str = "demonstrator"


Bindings = Mapping[str, str]
"""Control (or hotkey name) -> the name of a key or pad button."""
