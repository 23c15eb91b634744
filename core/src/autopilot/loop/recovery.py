"""Getting a car going again that stands still, against a wall say."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from autopilot.loop.drivers import Driver
from autopilot.types import Decision, Frame, Held, Image

STILL_MS, PRESS_MS = 2000, 300
"""How long it must stand still, and how long what helps is pressed; then it has as long again."""

CHANGED, SHARE = 8, 0.03
"""A pixel that differs by more has changed; with fewer than this share of them nothing moves. A
running clock is less, the slowest driving more."""


class Recovering:
    """Presses what gets a car going (`GameSpec.recovery`) when the picture says that it stands still.

    It looks at what the driver sees, so it works in any game. The label stays the driver's.
    """

    def __init__(self, driver: Driver, recovery: Held) -> None:
        self._driver, self._recovery = driver, recovery
        self._last: Image | None = None
        self._still_from_ns = 0

    def decide(self, frame: Frame) -> Decision:
        """Let the driver decide, and perhaps send something else."""
        decision = self._driver.decide(frame)
        if self._last is None or _moves(self._last, frame.image):
            self._still_from_ns = frame.t_ns
        self._last = frame.image
        still_ms = (frame.t_ns - self._still_from_ns) // 10**6
        if still_ms < STILL_MS or not decision.sent:
            return decision
        if still_ms >= STILL_MS + PRESS_MS:
            self._still_from_ns = frame.t_ns
        return replace(decision, sent=self._recovery)


def _moves(before: Image, now: Image) -> bool:
    difference = np.abs(now.astype(np.int16) - before).max(axis=2)
    return bool((difference > CHANGED).mean() >= SHARE)
