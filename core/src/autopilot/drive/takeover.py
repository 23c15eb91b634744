"""When the policy must let go: a human drives, or the picture stands still."""

from __future__ import annotations

import time
from typing import Literal

import numpy as np

from autopilot.api.errors import Away
from autopilot.api.interfaces import Reader
from autopilot.api.types import NOTHING, Decision, Held, Image

TakeoverMode = Literal["handback", "pause", "off"]

GRACE_S = 0.5
"""How long after the last key the human still drives: one taps, and does not hold, to steer."""

FROZEN_S = 0.25
"""A picture that does not change for so long while something is held: the game or its picture hangs."""


class Takeover:
    """Says whether the human drives: from the first key or stick of the game that they hold.

    `handback` lets the policy drive again soon after they let go, `pause` when they press the
    pause key; `off` never looks.
    """

    def __init__(self, reader: Reader | None, mode: TakeoverMode = "handback", grace_s: float = GRACE_S) -> None:
        self._reader = None if mode == "off" else reader
        self._mode, self._grace_s = mode, grace_s
        self._until = -1.0
        self._tapped: Held = NOTHING
        self.active = False

    def decide(self) -> Decision | None:
        """Return the human's decision, which sends nothing; None while the policy drives."""
        if self._reader is None:
            return None
        held: Held = self._reader.held() | self._tapped
        self._tapped = NOTHING
        if held:
            self._begin()
        elif self._mode == "handback" and time.monotonic() >= self._until:
            self.active = False
        return Decision(held, NOTHING, by_human=True) if self.active else None

    def begins(self) -> bool:
        """Look between two decisions: whether the human takes the wheel now. The next decision knows of it."""
        if self._reader is None or self.active:
            return False
        self._tapped |= self._reader.held()
        if self._tapped:
            self._begin()
        return self.active

    def _begin(self) -> None:
        self.active, self._until = True, time.monotonic() + self._grace_s

    def hand_back(self) -> None:
        """Let the policy drive again: the pause key, in mode `pause`."""
        self.active = False


class Stillness:
    """Notices a picture that stands still for `FROZEN_S` while something is held."""

    def __init__(self) -> None:
        self._last: Image | None = None
        self._since = 0.0
        self._frozen = False

    def check(self, image: Image, holding: bool) -> None:
        """Take in a frame (uint8); raises Away from when it stands still until it moves again."""
        now = time.monotonic()
        if self._last is None or not np.array_equal(self._last, image):
            self._last, self._since, self._frozen = image, now, False
        self._frozen |= holding and now - self._since >= FROZEN_S
        if self._frozen:
            raise Away("the picture stands still: go on yourself, or wake the game")
