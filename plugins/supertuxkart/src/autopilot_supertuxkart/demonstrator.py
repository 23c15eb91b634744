"""The demonstrators of the lock-step mode: scripted drivers that read the engine's state.

Both aim at a point of the road ahead (pure pursuit, Coulter 1992, CMU-RI-TR-92-01). They remember
nothing: what they do follows from where the kart is, points and goes, which the picture shows.
"""

from __future__ import annotations

import itertools
import math

from autopilot.types import Held

from autopilot_supertuxkart.line import CentreLine, wrap
from autopilot_supertuxkart.simulation import Simulation

LOOK_M, LOOK_S = 7.0, 0.6
"""The point to aim at lies this far ahead, plus so many seconds at the present speed."""
RADIUS = ((0.0, 2.0), (10.0, 7.5), (25.0, 15.0), (45.0, 30.0))
"""Speed in m/s, and the radius in metres that the kart then turns at most: the game's
kart_characteristics.xml (turn radius)."""
KEY_FROM = 0.15
"""The share of the full steering from which a key is worth holding for a decision."""


class Demonstrator:
    """Steers and keeps the gas held: the three actions of a time trial."""

    def __init__(self, simulation: Simulation) -> None:
        self._simulation = simulation
        self._line = CentreLine(simulation.track)

    def decide(self) -> Held:
        """Return what to hold now."""
        wanted = self._steering()
        steer = {"left"} if wanted < -KEY_FROM else {"right"} if wanted > KEY_FROM else set()
        return frozenset({"accelerate", *steer})

    def _steering(self) -> float:
        """Return the steering that leads to the aim, as a share of all that the kart can."""
        kart = self._simulation.kart
        aim = self._line.point(kart.down_track + LOOK_M + LOOK_S * max(kart.speed, 0.0))
        dx, dz = aim[0] - kart.at[0], aim[2] - kart.at[2]
        bearing = wrap(math.atan2(dx, dz) - kart.heading)
        if abs(bearing) > math.pi / 2:
            return math.copysign(1.0, bearing)
        bend = 2 * math.sin(bearing) / max(math.hypot(dx, dz), 1.0)
        return bend * turning_radius(kart.speed)


def turning_radius(speed: float) -> float:
    """Return the smallest radius in metres at a speed in m/s."""
    for (v0, r0), (v1, r1) in itertools.pairwise(RADIUS):
        if speed < v1:
            return r0 + (r1 - r0) * max(speed - v0, 0.0) / (v1 - v0)
    return RADIUS[-1][1]
