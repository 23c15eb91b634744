"""Manoeuvres: unsticking a stationary car or one that faces the wrong way, and starting the next race."""

from __future__ import annotations

import time
from dataclasses import replace

import numpy as np

from autopilot.api.errors import Away
from autopilot.api.interfaces import Referee
from autopilot.api.specs import Recovery
from autopilot.api.types import Decision, Frame, Image, Manoeuvre
from autopilot.bundle.frames import rescale
from autopilot.drive.drivers import Driver, DriverWrapper
from autopilot.drive.run import Observer, Run

STILL_S, WRONG_S = 2.0, 1.0
"""How long it must stand still, or face the wrong way; after a manoeuvre it has as long again."""

GRID, CHANGED, SHARE = (16, 9), 8, 0.15
"""The picture is looked at as so few mean colours (columns, rows): of a rough wall every pixel differs when the nose
turns a little. A colour that differs by more has changed; while fewer than this share of them have, since the last
picture in which it moved, it stands. In 60 recordings of SuperTuxKart, counted once, standing is up to 0.25, but
mostly not for long, and driving is over 0.15."""


class RecoveringDriver(DriverWrapper):
    """Makes the game's manoeuvres (`RaceSpec.recovery`) in turn when the car needs one; the label stays the driver's.

    That it stands still though something is pressed, it sees by what the driver sees, so that works in
    any game. That it faces the wrong way is the referee's word.
    """

    def __init__(self, driver: Driver, recovery: Recovery, referee: Referee | None = None) -> None:
        super().__init__(driver)
        self._recovery, self._referee = recovery, referee if recovery.wrong_way else None
        self._seen: Image | None = None  # when it moved last
        self._now_ns = self._moved_ns = self._right_ns = 0
        self._manoeuvre: Manoeuvre = ()
        self._made = self._begun_ns = 0

    def decide(self, frame: Frame) -> Decision:
        """Let the driver decide, and perhaps send something else."""
        decision = self.driver.decide(frame)
        paused = frame.t_ns - self._now_ns > STILL_S * 1e9  # or a human drove
        self._now_ns, seen = frame.t_ns, rescale(frame.image, GRID)
        if self._seen is None or paused or not decision.sent or _moves(self._seen, seen):
            self._seen, self._moved_ns = seen, frame.t_ns
        if paused or self._referee is None or not self._referee.reading().wrong_way:
            self._right_ns = frame.t_ns
        lost = frame.t_ns - self._moved_ns >= STILL_S * 1e9 or frame.t_ns - self._right_ns >= WRONG_S * 1e9
        if not self._manoeuvre and lost and decision.sent:
            self._manoeuvre = self._recovery.manoeuvres[self._made % len(self._recovery.manoeuvres)]
            self._made, self._begun_ns = self._made + 1, frame.t_ns
        left_s = (frame.t_ns - self._begun_ns) / 1e9
        for controls, seconds in self._manoeuvre:
            if left_s < seconds:
                return replace(decision, sent=controls)
            left_s -= seconds
        if self._manoeuvre:  # is over: look anew
            self._manoeuvre, self._seen = (), seen
            self._moved_ns = self._right_ns = frame.t_ns
        return decision


def _moves(before: Image, now: Image) -> bool:
    return bool((np.abs(now.astype(np.int16) - before).max(axis=2) > CHANGED).mean() >= SHARE)


class Restart(Observer):
    """Begins another race from where the last one ended: holds the controls of a manoeuvre, then nothing."""

    def __init__(self, manoeuvre: Manoeuvre) -> None:
        self._manoeuvre = manoeuvre

    def prepare(self, run: Run) -> None:
        """Hold them for as long as it says, while the game is there."""
        world, beat_s = run.world, 0.05  # the emitter lets go of what it hears no more of
        for controls, seconds in self._manoeuvre:
            beats = round(seconds / beat_s)
            while beats > 0:
                try:
                    world.source.read()
                    world.device.hold(controls)
                    beats -= 1
                    run.tell_away(None)
                except Away as e:
                    world.device.release_all()
                    run.tell_away(str(e))
                time.sleep(beat_s)
        world.device.release_all()
