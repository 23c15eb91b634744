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
"""An RGB picture, uint8, shape (H, W, 3). Evaluated lazily: listing plugins imports no numpy."""

type Rectangle = tuple[float, float, float, float]
"""x, y, width, height as shares of a picture's width and height, from its top left corner."""

Box = tuple[int, int, int, int]
"""x, y, width, height in pixels of the screen, or of a window."""

Held = frozenset[str]
"""The controls held at one instant: a state, never press or release events."""

Manoeuvre = tuple[tuple[Held, float], ...]
"""What to hold, one after the other, and for how long each, in seconds."""

Action = tuple[int, ...]
"""One index per axis of an action space."""

NOTHING: Held = frozenset()


@dataclass(frozen=True, slots=True)
class Must:
    """What a value must be besides its type: an annotation that autopilot checks, and says in these `words`."""

    words: str
    holds: Callable[[Any], Any]


Positive = Annotated[float, Must("above 0", lambda number: number > 0)]


@dataclass(frozen=True, slots=True)
class Frame:
    """What was on the screen: `image` uint8 RGB (H, W, 3), `t_ns` monotonic nanoseconds, a film's of its own time."""

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
        """How many values each axis has."""
        return tuple(len(axis.values) for axis in self.axes)

    @property
    def joint_size(self) -> int:
        """How many different actions there are."""
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
        """Return plain data from which `from_json` makes an equal action space."""
        return [{"name": axis.name, "values": list(axis.values), "mirror": list(axis.mirror)} for axis in self.axes]

    @classmethod
    def from_json(cls, data: Any) -> ActionSpace:
        """Make an action space from `to_json`'s data.

        Raises ValueError when the data have another form.
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
    """What a referee or a HUD reader says of one instant. It never reaches the policy.

    `lap` counts completed laps, `lap_times_s` holds their times; `incident` is true while one is
    going on (off the road, a rescue, a wall); `score` is the game's own, where it has one;
    `confidence` is 1 for a simulator and what the reader believes for pixels. `counters` is what a
    referee has counted so far, by names of its own (rescues, say); a session does not keep it.
    """

    lap: int = 0
    lap_times_s: tuple[float, ...] = ()
    race_time_s: float | None = None
    incident: bool = False
    wrong_way: bool = False
    finished: bool = False
    score: float | None = None
    confidence: float = 1.0
    counters: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Decision:
    """What a driver decided on one frame.

    `held` is the label (what should be held here); `sent` is what goes to the output device,
    which differs only when noise is injected or a human drives. `probabilities` has one float32
    vector per axis where a policy decided. `by_human` marks a frame that the human took over.
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
    """One capability of this machine, tried; `fix` says what to do when it is missing."""

    name: str
    ok: bool
    detail: str
    fix: str = ""
    required: bool = False


@dataclass(frozen=True, slots=True)
class SourceSettings:
    """Where a frame source looks: a window, a monitor (from 1) or a video file.

    `region` (x, y, width, height, in pixels) is a part of it, or of the whole screen; it was chosen when
    the window was as large as `size` (width, height), if that is known, and is none of another one's.
    `background` asks for frames of a window that has not the focus, too: to look at, not to drive by.
    """

    region: Box | None = None
    video: str | None = None
    window: str | None = None
    monitor: int | None = None
    background: bool = False
    size: tuple[int, int] | None = None


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
    """What a race should be: given to a game's `open_world`.

    `laps` 0 means drive until stopped; `window` asks for a window that a person can look at,
    `human` for one that a person can play in, in real time. `lockstep` says which of the game's
    clocks it runs by, `demonstrator` which of its demonstrators may be asked. `running` says that the
    user has named a window or a place on the screen: the game runs there, and is not to be started.
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
