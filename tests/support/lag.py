"""When a picture really showed what was held: the truth that a measured lag is compared with."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
from autopilot.api import NOTHING, Image, Step
from autopilot.desktop.desktop import Desktop
from autopilot.drive.run import Observer
from autopilot_setup.lag import STANDING, Lag, Pattern, sit

SIDES = (frozenset({"left"}), frozenset({"right"}))


class Seen(Observer):
    """Keeps for each frame when it was taken, and which side it shows (-1, 1, or 0)."""

    def __init__(self, side: Callable[[Image], int]) -> None:
        self._side = side
        self.frames: list[tuple[int, int]] = []

    def step(self, step: Step) -> None:
        self.frames.append((step.frame.t_ns, self._side(step.native)))

    def late_ms(self, choices: list[tuple[int, int]]) -> list[float]:
        """Return how late each change was shown, where it was within half a second."""
        late = []
        for n, (at, side) in enumerate(choices):
            if n == 0 or side != choices[n - 1][1]:
                shown = [t for t, s in self.frames if at <= t <= at + 5e8 and s == side]
                late += [(shown[0] - at) / 1e6] if shown else []
        return late


def measured_and_true(desktop: Desktop, side: Callable[[Image], int], seconds: float = 600) -> tuple[Lag, float]:
    """Measure until it is sure, for a busy machine may make it unsure; return that, and the truth in milliseconds."""
    until = time.monotonic() + seconds
    said: list[str] = []
    for seed in range(100):
        seen, pattern = Seen(side), Pattern(NOTHING, SIDES, STANDING, seed)
        lag = sit(desktop, pattern, said.append, [seen])
        if lag.ms is not None:
            return lag, float(np.median(seen.late_ms(pattern.choices)))
        said.append(lag.doubt)
        assert time.monotonic() < until, said
    raise AssertionError(said)
