"""When the policy must let go: a human drives, or the picture stands still."""

from __future__ import annotations

import time
from typing import Literal

import numpy as np

from autopilot.api.errors import Away
from autopilot.api.interfaces import Reader
from autopilot.api.types import NOTHING, Decision, Frame, Image
from autopilot.drive.drivers import Driver, DriverWrapper, with_taps

TakeoverMode = Literal["handback", "pause", "off"]

GRACE_S = 0.5
"""How long after the last key the human still drives: one taps, and does not hold, to steer."""

FROZEN_S = 0.25
"""A picture that does not change for so long while something is held: the game or its picture hangs."""


class TakeoverDriver(DriverWrapper):
    """A policy, until the human takes the wheel: by the first key or stick of the game that they hold.

    `handback` lets the policy drive again soon after they let go, `pause` when they press the
    pause key; `off` never looks. While the human drives nothing is sent. Unless `lockstep`, a picture that
    stands still while the policy holds something counts as away.
    """

    def __init__(self, driver: Driver, reader: Reader | None, mode: TakeoverMode, lockstep: bool) -> None:
        super().__init__(driver)
        self._reader, self._mode = None if mode == "off" else reader, mode
        self._tapped = self._sent = NOTHING
        self._stillness = None if lockstep else Stillness()
        self.active, self._until = False, -1.0

    def decide(self, frame: Frame) -> Decision:
        """Return the human's decision, or else the policy's; raises Away when the picture stands still."""
        decision = self._human()
        if decision is None:
            if self._stillness is not None:
                self._stillness.check(frame.image, bool(self._sent))
            decision = self.driver.decide(frame)
            decision = self._human() or decision  # a key that came while the policy thought
        self._sent = decision.sent
        return decision

    def meanwhile(self) -> bool:
        """Look whether the human takes the wheel now: the next decision knows of it."""
        if self._reader is None or self.active:
            return False
        self._tapped |= self._reader.held()
        if self._tapped:
            self._begin()
            self._sent = NOTHING
        return self.active

    def pause(self) -> bool:
        """Hand back: in mode `pause` by that key."""
        was, self.active = self.active, False
        return was

    def released(self) -> None:
        """Hear that nothing is held, and pass it on."""
        self._sent = NOTHING
        super().released()

    def _human(self) -> Decision | None:
        """Return the human's decision, which sends nothing; None while the policy drives."""
        if self._reader is None:
            return None
        held, self._tapped = with_taps(self._reader.held(), self._tapped), NOTHING
        if held:
            self._begin()
        elif self._mode == "handback" and time.monotonic() >= self._until:
            self.active = False
        return Decision(held, NOTHING, by_human=True) if self.active else None

    def _begin(self) -> None:
        if not self.active:
            self.driver.released()
        self.active, self._until = True, time.monotonic() + GRACE_S


class Stillness:
    """Notices a picture that stands still for `FROZEN_S` while something is held."""

    def __init__(self) -> None:
        self._last: Image | None = None
        self._since, self._frozen = 0.0, False

    def check(self, image: Image, holding: bool) -> None:
        """Take in a frame (uint8); raises Away from when it stands still until it moves again."""
        now = time.monotonic()
        if self._last is None or not np.array_equal(self._last, image):
            self._last, self._since, self._frozen = image, now, False
        self._frozen |= holding and now - self._since >= FROZEN_S
        if self._frozen:
            raise Away("the picture stands still: go on yourself, or wake the game")
