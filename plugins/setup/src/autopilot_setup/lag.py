"""The lag of the loop: how long after a key goes down a frame shows its effect, measured on the user's own game.

A control is held and let go again in a pattern by the loop that drives, and of each spot of the picture it is asked
whether it follows that pattern: so a game needs to tell nothing, and a moving road does no harm.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace

import cv2
import numpy as np
from autopilot.api import NOTHING, Away, Decision, DeviceError, Frame, FrameSource, Held, Image, Step, UserError
from autopilot.desktop.desktop import Desktop
from autopilot.drive.drivers import Driver
from autopilot.drive.run import Observer, Run
from autopilot.drive.takeover import TakeoverDriver
from autopilot.drive.timing import Timing
from autopilot.drive.world import OpenWorld, WallClock
from numpy.typing import NDArray

HZ = 60.0
"""How often the picture is taken: a game on the screen shows hardly more."""
PATIENT_HZ = 2.5
"""The keys are let go where this process decides nothing for as long as a loop at such a rate may take: 0.6 s."""
WAIT_S = 60.0
"""How long the game may take to be clicked on."""
AFTER_S, STEP_S = 0.5, 0.01
"""So long after a choice its effect is looked for, in such steps."""
APART_S = (0.55, 0.85)
"""Between two choices: longer than that, and never the same, for games have rhythms."""
STANDING, MOVING = 28, 40
"""So many choices, first without gas, then with it where the picture of a car that stands says too little."""
SIZE = (48, 27)
GAP_S = 0.15
"""A choice after which no picture was taken for so long is left out."""
ORDERS, CLEAR = 100, 1.2
"""An effect is one when its t is so many times the largest of as many other random orders of the same choices: a
permutation test (Nichols and Holmes 2002), exact here because the order was drawn."""
LATER = 3
"""For so many steps more it must be one; how it looks is learned then."""
ENOUGH, SHARE, SPREAD_S = 8, 0.7, 0.08
"""A lag is sure from so many changes, in such a share of which it was seen, half of them within so many seconds."""

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Lag:
    """From a decision to the frame that shows its effect, in milliseconds: the median, 10th and 90th percentile.

    None, and the reason in `doubt`, where that is not sure. `seen` of `changes` changes were seen.
    """

    ms: float | None = None
    low_ms: float | None = None
    high_ms: float | None = None
    seen: int = 0
    changes: int = 0
    doubt: str = ""

    def rows(self, hz: float) -> int:
        """Return in how manyeth row after the decision's own a loop at a rate sees the effect."""
        return max(1, int(np.ceil((self.ms or 0.0) * hz / 1000)))


@dataclass
class Pattern(Driver):
    """Holds `steady`, and one or the other of `sides`, chosen anew at random times in a random order.

    So no choice follows from what was before it, and whatever goes with it later is its effect. `choices` keeps
    when each was made, in monotonic nanoseconds, and the side as -1 or 1.
    """

    steady: Held
    sides: tuple[Held, Held]
    count: int
    seed: int = 0
    choices: list[tuple[int, int]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._random, self._due, self._now = random.Random(self.seed), 0, NOTHING
        self._order = [-1, 1] * (self.count // 2)
        self._random.shuffle(self._order)

    @property
    def over(self) -> bool:
        """Whether all choices were made, and the last one had its time."""
        return len(self.choices) >= len(self._order) and time.monotonic_ns() >= self._due

    def decide(self, frame: Frame) -> Decision:
        """Return what to hold now."""
        now = time.monotonic_ns()
        if now >= self._due and not self.over:
            if self._due:  # the first moments of a pattern, and after the game was away, are no choice
                self.choices.append((now, self._order[len(self.choices)]))
                self._now = self.steady | self.sides[self.choices[-1][1] > 0]
            self._due = now + round(self._random.uniform(*APART_S) * 1e9)
        return Decision(self._now, self._now)

    def released(self) -> None:
        """Begin anew."""
        self._due, self._now = 0, self.steady


class Pictures(Observer):
    """Keeps each frame's time in nanoseconds, and its picture, small."""

    def __init__(self) -> None:
        self.times: list[int] = []
        self._small: list[Image] = []

    def step(self, step: Step) -> None:
        """Keep a frame."""
        self.times.append(step.frame.t_ns)
        self._small.append(cv2.resize(step.native, SIZE, interpolation=cv2.INTER_AREA).astype(np.uint8))

    def values(self) -> Floats:
        """Return all of them, (n, features)."""
        return np.array(self._small, np.float32).reshape(len(self._small), -1)


class Sitting:
    """A frame source that is over when the pattern is, and waits for the game's window for so long only."""

    def __init__(self, source: FrameSource, over: Callable[[], bool], say: Callable[[str], None]) -> None:
        self._source, self._over, self._say = source, over, say
        self._until, self._told = time.monotonic() + WAIT_S, ""

    def read(self) -> Frame:
        """Return the next frame; raises as the source does, EOFError at the end, DeviceError after `WAIT_S` without."""
        if self._over():
            raise EOFError
        try:
            frame = self._source.read()
        except Away as e:
            if time.monotonic() > self._until:
                raise DeviceError(f"nothing was measured: {e}") from e
            if str(e) != self._told:
                self._told = str(e)
                self._say(f"waiting: {e}")
            raise
        self._until = time.monotonic() + WAIT_S
        return frame

    def close(self) -> None:
        """Close the source."""
        self._source.close()


def measure(
    desktop: Desktop, controls: Sequence[str], say: Callable[[str], None], watching: Sequence[Observer] = ()
) -> Lag:
    """Hold and release the steering of a game that is driven by `desktop`, and return the lag of the loop.

    At first the car stands; where that is not sure, once more with the gas held. Nothing stays down, whatever
    happens; the human's keys and hotkeys count as in every drive. `watching` sees each step.

    Raises UserError when the human stops it, and DeviceError as the source and the device do.
    """
    sides: tuple[Held, Held] = (frozenset({"left"}), frozenset({"right"}))
    if not sides[0] | sides[1] <= set(controls):
        sides = (frozenset(controls[:1]), NOTHING)
    lag = Lag()
    for steady, count in ((NOTHING, STANDING), (frozenset({"accelerate"}) & set(controls) - sides[0], MOVING)):
        words = " and ".join(sorted({*sides[0], *sides[1]}))
        gas = f", with {' and '.join(steady)} held" if steady else ""
        say(f"click into the game: {words} in turn for {count * sum(APART_S) / 2:.0f} s{gas}; touch nothing meanwhile")
        lag = sit(desktop, Pattern(steady, sides, count), say, watching)
        if lag.ms is not None:
            break
        say(f"not sure: {lag.doubt}")
    return lag


def sit(desktop: Desktop, pattern: Pattern, say: Callable[[str], None], watching: Sequence[Observer] = ()) -> Lag:
    """Drive a game by a pattern until that is over, and return the lag; see `measure`."""
    pictures = Pictures()
    source = Sitting(desktop.open_source(), lambda: pattern.over, say)
    with closing(source):
        device = desktop.open_device(PATIENT_HZ)
        with closing(device):
            reader = desktop.open_readers(human=False)
            driver = TakeoverDriver(pattern, reader, "handback", lockstep=True)
            with OpenWorld(source, device, WallClock(HZ), reader) as world:
                run = Run(world, driver, Timing(HZ, lockstep=False), SIZE, [pictures, *watching])
                ending = run.go()
    if ending != "ended":
        raise UserError("stopped by a hotkey: nothing was measured")
    if run.human_frames:
        return Lag(changes=len(pattern.choices), doubt="keys of the game were pressed meanwhile: touch nothing")
    return answer(np.array(pictures.times, np.int64), pictures.values(), pattern.choices)


def answer(times: NDArray[np.int64], pictures: Floats, choices: Sequence[tuple[int, int]]) -> Lag:
    """Return how long after the `choices` (see `Pattern`) the pictures follow them.

    `times` (n,) are in nanoseconds too, `pictures` is float32 (n, features).
    """
    grid = np.arange(0, AFTER_S + STEP_S / 2, STEP_S) * 1e9
    begun = np.array([at for at, _ in choices], np.int64)
    index = np.searchsorted(times, begun[:, None] + grid, "right") - 1
    old = begun[:, None] + grid - times[index]  # of the last picture there was at a moment
    good = (index[:, 0] >= 0) & (old.max(1, initial=0) < GAP_S * 1e9) if len(choices) else np.zeros(0, bool)
    changed = good & (np.diff([side for _, side in choices], prepend=0) != 0)
    lag = Lag(changes=int(changed.sum()))
    if lag.changes < ENOUGH:
        return replace(lag, doubt="too few pictures came: close what keeps the machine busy")
    index, side = index[good], np.array([side for _, side in choices], np.float32)[good]

    def effect(step: int) -> Floats:
        """Return what the pictures show a step after each choice, and what has moved in them since."""
        return np.concatenate([pictures[index[:, step]], pictures[index[:, step]] - pictures[index[:, 0]]], 1)

    rng = np.random.default_rng(0)
    orders = np.stack([side, *(rng.permutation(side) for _ in range(ORDERS))])
    strength = np.array([_t(effect(step), orders) for step in range(len(grid))])
    clear = strength[:, 0] > CLEAR * strength[:, 1:].max()
    lasting = np.flatnonzero(np.lib.stride_tricks.sliding_window_view(clear, LATER + 1).all(1))
    if not len(lasting):
        return replace(lag, doubt="nothing in the picture surely follows the keys")
    then = effect(int(lasting[0]) + LATER)
    usual = then.mean(0)
    weights = side @ (then - usual)
    weights *= np.abs(weights) > np.abs(weights).max() / 2
    follows = np.stack([(effect(step) - usual) @ weights for step in range(len(grid))], 1) * side[:, None]
    here = changed[good]
    half = (follows[here, 0].mean() + (then - usual) @ weights @ side / len(side)) / 2
    reached = follows[here] > half
    seen = reached.any(1)
    late = times[index[here, reached.argmax(1)]] - begun[good][here]
    return _sure(late[seen] / 1e6, lag)


def _t(values: Floats, orders: Floats) -> Floats:
    """Return the largest |t| of the correlation of any of `values` (choices, features) with each of `orders`."""
    values = values - values.mean(0)
    spread = np.sqrt((values * values).sum(0) + len(values))  # one grey value is noise
    sides = orders - orders.mean(1, keepdims=True)
    # Not by BLAS, whose threads take the processor from the game that goes on.
    r = np.abs(np.einsum("oc,cf->of", sides, values) / spread).max(1) / np.sqrt((sides * sides).sum(1))
    return np.asarray(r * np.sqrt((len(values) - 2) / (1 - np.minimum(r, 0.9999) ** 2)))


def _sure(late_ms: NDArray[np.float64], lag: Lag) -> Lag:
    """Return the lag that single changes gave, or why it is not sure."""
    lag = replace(lag, seen=len(late_ms))
    if len(late_ms) < max(ENOUGH, SHARE * lag.changes):
        return replace(lag, doubt=f"the picture followed only {lag.seen} of {lag.changes} changes")
    low, quarter, middle, most, high = np.percentile(late_ms, [10, 25, 50, 75, 90]).round(1).tolist()
    if most - quarter > SPREAD_S * 1e3:
        return replace(lag, doubt=f"it was anything from {low:.0f} to {high:.0f} ms")
    return replace(lag, ms=middle, low_ms=low, high_ms=high)
