"""Lap times and incidents, by the engine's word."""

from __future__ import annotations

import math

from autopilot.api import Reading

from autopilot_supertuxkart.line import CentreLine, wrap
from autopilot_supertuxkart.simulation import Kart, Simulation

CARRIED_M = 3.0
"""A kart that moves so much farther in a decision than it can drive was carried: a rescue."""
HIT_MPS = 5.0
"""So much speed lost in a decision without the brake, on the road: a wall."""


class Referee:
    """Watches the kart after each decision. An incident is a rescue, a wall, or driving the wrong way."""

    def __init__(self, simulation: Simulation, laps: int, period_s: float) -> None:
        self._simulation, self._laps, self._period_s = simulation, laps, period_s
        self._line = CentreLine(simulation.track)
        self._last = simulation.kart
        self._times: list[float] = []
        self._line_crossed = 0.0
        self.rescues = self.walls = self.off_track = 0

    def reading(self) -> Reading:
        """Return the current state of the race."""
        kart, last = self._simulation.kart, self._last
        incident = False
        if kart is not last:
            incident = self._watch(kart, last)
            self._last = kart
        wrong = abs(wrap(kart.heading - self._line.direction(self._line.place(kart)))) > 0.6 * math.pi
        return Reading(
            lap=len(self._times),
            lap_times_s=tuple(self._times),
            race_time_s=kart.finish_time if kart.finished else kart.time,
            incident=(incident or wrong) and not kart.finished,  # over the line, the game brakes
            wrong_way=wrong,
            finished=kart.finished or 0 < self._laps <= len(self._times),
            counters={
                "laps driven": round(max(0.0, kart.overall) / self._line.length, 2),
                "rescues": self.rescues,
                "walls": self.walls,
                "s off the road": round(self.off_track * self._period_s, 1),
            },
        )

    def _watch(self, kart: Kart, last: Kart) -> bool:
        self.off_track += not kart.on_road
        if kart.laps > max(last.laps, 0):
            crossed = kart.finish_time if kart.finished else kart.lap_time
            self._times.append(round(crossed - self._line_crossed, 3))
            self._line_crossed = crossed
        carried = math.dist(kart.at, last.at) - max(abs(kart.speed), abs(last.speed)) * self._period_s > CARRIED_M
        wall = last.speed - kart.speed > HIT_MPS and not carried
        self.rescues += carried
        self.walls += wall
        return carried or wall
