"""Who sits at the wheel beside the network: a person, or a stand-in for one where none is there."""

from __future__ import annotations

import math
import random
import time
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable

import numpy as np
from autopilot.api import NOTHING, Decision, Demonstrator, Frame, Held, Image, LabelMap, Manoeuvre, Reader, Reading
from autopilot.drive.drivers import with_taps
from autopilot.drive.takeover import GRACE_S

STILL = 0.5
"""By how much less a pixel changes on the average, of 255, in a picture that stands still."""


class Person(ABC):
    """Decides when to have the wheel, and what to hold meanwhile."""

    trusts = True
    """Whether the network may drive while the person does not take the wheel."""

    @abstractmethod
    def holds(self, frame: Frame, network: Decision | None) -> Held | None:
        """Return what the person who has the wheel holds; None where the network has it, whose decision this is."""

    def glance(self) -> bool:
        """Look at the keys between two decisions; return whether the person takes the wheel at once."""
        return False

    def hand_over(self) -> bool:
        """Give the wheel to the network, or take it back for good; return whether that can be asked of the person."""
        return False


class Player(Person):
    """A person at the keys of the game: `hand_over` gives the wheel away, any key of the game takes it for a moment."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self.trusts = False
        self._tapped = NOTHING
        self._until = -1.0

    def holds(self, frame: Frame, network: Decision | None) -> Held | None:
        """Return what is held, and what was tapped since the last time."""
        held, self._tapped = with_taps(self._reader.held(), self._tapped), NOTHING
        if held:
            self._until = time.monotonic() + GRACE_S
        mine = network is None or not self.trusts or time.monotonic() < self._until
        return held if mine else None

    def glance(self) -> bool:
        """Note a tap shorter than the distance of two decisions."""
        self._tapped |= self._reader.held()
        takes = bool(self._tapped) and self.trusts and time.monotonic() >= self._until
        if self._tapped:
            self._until = time.monotonic() + GRACE_S
        return takes

    def hand_over(self) -> bool:
        """Change who drives while no key is held."""
        self.trusts = not self.trusts
        self._until = -1.0
        return True


class Scripted(Person):
    """The game's demonstrator in a person's place.

    It takes the wheel when the network has left the road or drives the wrong way (the referee's word), when the picture
    has stood still for `STILL_S`, and when for `APART_S` the network gave what it would do itself less than `UNLIKELY`.
    It gives the wheel back when for `CALM_S` nothing of that was so.
    """

    APART_S, CALM_S, STILL_S, UNLIKELY = 0.4, 1.0, 1.0, 0.05

    def __init__(
        self,
        demonstrator: Demonstrator,
        label_map: LabelMap,
        reading: Callable[[], Reading | None],
        hz: float,
        drives: bool = True,
    ) -> None:
        self._demonstrator, self._label_map, self._reading, self._hz = demonstrator, label_map, reading, hz
        self._drives = drives
        self._apart = self._calm = self._still = 0.0
        self._last: Image | None = None

    def holds(self, frame: Frame, network: Decision | None) -> Held | None:
        """Judge the network's decision, then hold something or nothing at all."""
        wish = self._wish(())
        if network is None:
            self._drives = True
        else:
            self._judge(frame, network, wish)
        if self._drives:
            return self._hold(wish)
        self._let_go()
        return None

    def _wish(self, plan: Manoeuvre) -> Held:
        """Return what it would hold after a plan, rounded to what the label map can say."""
        foresees = getattr(self._demonstrator, "decide_after", None) if plan else None
        held = self._demonstrator.decide() if foresees is None else foresees(plan)
        action = self._label_map.action(held)
        return held if action is None else self._label_map.held(action)

    def _judge(self, frame: Frame, network: Decision, wish: Held) -> None:
        step, reading = 1 / self._hz, self._reading()
        unlikely = self._likelihood(network, wish) < self.UNLIKELY
        astray = reading is not None and (reading.incident or reading.wrong_way)
        self._apart = self._apart + step if unlikely else max(0.0, self._apart - step)
        self._calm = 0.0 if astray or unlikely else self._calm + step
        moved = 255.0 if self._last is None else np.abs(np.subtract(frame.image, self._last, dtype=np.int16)).mean()
        self._still = self._still + step if moved < STILL else 0.0
        self._last = frame.image
        alarmed = astray or self._apart >= self.APART_S or self._still >= self.STILL_S
        if self._drives and self._calm >= self.CALM_S:
            self._drives, self._apart = False, 0.0
        elif not self._drives:
            self._drives = self._takes(alarmed)

    def _likelihood(self, network: Decision, wish: Held) -> float:
        action = self._label_map.action(wish)
        pairs = zip(network.probabilities or (), action or (), strict=False)
        return math.prod(float(p[value]) for p, value in pairs)

    def _takes(self, alarmed: bool) -> bool:
        """Return whether the hands are on the wheel already."""
        return alarmed

    def _hold(self, wish: Held) -> Held:
        return wish

    def _let_go(self) -> None:
        return None


class Lagged(Scripted):
    """A stand-in for a real person: late, clumsy, sometimes wrong, and soon bored.

    What it sees leads to a key `LAG_S` seconds later, drawn anew at each change. In its own driving it allows for that,
    as people do: it decides for where the car will be then (a demonstrator that cannot foresee is obeyed late). No key
    is pressed or let go of for less than `PRESS_S`. Every `SLIP_EVERY_S` on the average it slips: for `SLIP_S` its
    hands stay as they are, or off the keys. After `BORED_S` of the same it is late by half as much again. It takes the
    wheel as late as it does anything.
    """

    LAG_S, PRESS_S, SLIP_S, SLIP_EVERY_S, BORED_S = (0.15, 0.25), 0.08, (0.2, 0.5), 25.0, 2.0

    def __init__(
        self,
        demonstrator: Demonstrator,
        label_map: LabelMap,
        reading: Callable[[], Reading | None],
        hz: float,
        seed: int,
        drives: bool = True,
    ) -> None:
        super().__init__(demonstrator, label_map, reading, hz, drives)
        self._random = random.Random(seed)
        self._now = 0.0
        self._plan: deque[tuple[float, Held]] = deque()
        self._goal = self._hands = NOTHING
        self._changed: dict[str, float] = {}
        self._slip: tuple[float, Held] = (-1.0, NOTHING)
        self._wanted, self._since, self._lag_s = NOTHING, 0.0, self.LAG_S[0]
        self._reacts, self._reaches = -1.0, False

    def _takes(self, alarmed: bool) -> bool:
        if self._reacts < 0 and alarmed:
            self._reacts = self._now + self._random.uniform(*self.LAG_S)
        if self._reacts < 0 or self._now < self._reacts:
            return False
        self._reacts = -1.0
        return True

    def _let_go(self) -> None:
        self._now += 1 / self._hz
        self._plan.clear()
        self._goal = self._hands = NOTHING
        self._reaches = True

    def _hold(self, wish: Held) -> Held:
        if self._reaches:  # the first key is what takes the wheel
            self._goal, self._reaches = wish, False
        wish = self._wish(self._coming(sum(self.LAG_S) / 2))
        if wish != self._wanted:
            self._lag_s = self._random.uniform(*self.LAG_S) * (1.5 if self._now - self._since > self.BORED_S else 1)
            self._wanted, self._since = wish, self._now
        self._plan = deque((at, held) for at, held in self._plan if at < self._now + self._lag_s)
        self._plan.append((self._now + self._lag_s, wish))
        while self._plan and self._plan[0][0] <= self._now + 0.5 / self._hz:
            self._goal = self._plan.popleft()[1]
        self._hands = self._press(self._slipped(self._goal))
        self._now += 1 / self._hz
        return self._hands

    def _coming(self, seconds: float) -> Manoeuvre:
        """Return what the hands will hold in the next seconds."""
        plan, held, since = [], self._goal, self._now
        for at, wanted in self._plan:
            until = min(at, self._now + seconds)
            if until > since:
                plan.append((held, until - since))
                since = until
            held = wanted
        return (*plan, (held, max(self._now + seconds - since, 0.0)))

    def _slipped(self, goal: Held) -> Held:
        if self._now < self._slip[0]:
            return self._slip[1]
        if self._random.random() < 1 / (self.SLIP_EVERY_S * self._hz):
            stuck = self._hands if self._random.random() < 0.5 else NOTHING
            self._slip = (self._now + self._random.uniform(*self.SLIP_S), stuck)
        return goal

    def _press(self, goal: Held) -> Held:
        held = set()
        for control in goal | self._hands:
            down, wanted = control in self._hands, control in goal
            if down != wanted and self._now - self._changed.get(control, -1.0) < self.PRESS_S:
                wanted = down
            elif down != wanted:
                self._changed[control] = self._now
            if wanted:
                held.add(control)
        return frozenset(held)
