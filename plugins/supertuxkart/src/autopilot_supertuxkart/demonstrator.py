"""The demonstrators of the lock-step mode: scripted drivers that read the engine's state.

Both aim at a point of the road ahead (pure pursuit, Coulter 1992, CMU-RI-TR-92-01). They remember
nothing: what they do follows from where the kart is, points and goes, which the picture shows.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

from autopilot.api import Held

from autopilot_supertuxkart.line import CentreLine, wrap
from autopilot_supertuxkart.simulation import Kart, Simulation

LOOK_M, LOOK_S = 7.0, 0.6
"""The point to aim at lies this far ahead, plus so many seconds at the present speed."""
RADIUS = ((0.0, 2.0), (10.0, 7.5), (25.0, 15.0), (45.0, 30.0))
"""Speed in m/s, and the radius in metres that the kart then turns at most: the game's
kart_characteristics.xml (turn radius)."""
CLEAR_M, CLEAR_AHEAD_M = 1.6, 20.0
"""A banana is passed at this distance; it is looked out for from so far away. Touching one costs two seconds."""
KEY_FROM = 0.15
"""The share of the full steering from which a key is worth holding for a decision."""
SKID_AHEAD_S = (0.1, 1.2)
"""A skid is worth it from a second on. So it begins where the road of these seconds ahead bends one way,"""
SKID_BENDS = (0.18, 0.7)
"""with this share of the full steering on the average, and no more than that anywhere."""
SKID_FROM, SKID_UNTIL = (0.1, 1.0), (0.0, 1.0)
"""It begins and goes on with a steering wanted between these: a skid turns, but not as far as the wheels."""
SKID_STEER = (0.28, 0.6)
"""Below and above, the skid is steered outwards or inwards: it turns by 0.1, 0.47 or 0.78 of the full steering."""
SKID_SPEED = 12.0
"""In m/s; the game's least is 10."""
NITRO_BELOW, FIRE_BELOW = 0.5, 0.2
"""More speed is asked for when less steering is wanted,"""
PUSH_AHEAD_S, PUSH_RADIUS_M = 1.5, 31.0
"""and where the road of these seconds ahead bends no closer than this: at 34 m/s the kart takes 22 m at best."""


class Demonstrator:
    """Steers and keeps the gas held: the three actions of a time trial."""

    def __init__(self, simulation: Simulation) -> None:
        self._simulation = simulation
        self._line = CentreLine(simulation.track)
        self._bananas = [(x, z) for x, _, z in simulation.track["bananas"]]

    def decide(self) -> Held:
        """Return what to hold now."""
        wanted = self._steering()
        steer = {"left"} if wanted < -KEY_FROM else {"right"} if wanted > KEY_FROM else set()
        return frozenset({"accelerate", *steer})

    def _steering(self) -> float:
        """Return the steering that leads to the aim, past bananas, as a share of all that the kart can."""
        kart = self._simulation.kart
        x, z = self._aim(kart)
        dx, dz = x - kart.at[0], z - kart.at[2]
        bearing = wrap(math.atan2(dx, dz) - kart.heading)
        if abs(bearing) > math.pi / 2:
            return math.copysign(1.0, bearing)
        bearing += _around(self._obstacles(kart), kart, kart.heading + bearing)
        bend = 2 * math.sin(bearing) / max(math.hypot(dx, dz), 1.0)
        return bend * turning_radius(kart.speed)

    def _aim(self, kart: Kart) -> tuple[float, float]:
        """Return the point (x, z) to steer at."""
        x, _, z = self._line.point(self._line.place(kart) + LOOK_M + LOOK_S * max(kart.speed, 0.0))
        return float(x), float(z)

    def _obstacles(self, kart: Kart) -> Sequence[tuple[float, float]]:
        """Return where (x, z) something lies that must not be touched."""
        return self._bananas


class DemonstratorPro(Demonstrator):
    """Also skids through bends, for the push at the end of a skid, and uses nitro and the zippers.

    Whether it skids, and where to, it sees from the kart, whoever drives.
    """

    def __init__(self, simulation: Simulation) -> None:
        super().__init__(simulation)
        self._before = simulation.kart

    def decide(self) -> Held:
        """Return what to hold now."""
        kart, before = self._simulation.kart, self._before
        self._before = kart
        wanted = self._steering()
        here = self._line.place(kart)
        ahead = self._line.bends(here, here + PUSH_AHEAD_S * kart.speed)
        push = abs(ahead).max() < 1 / PUSH_RADIUS_M
        held = {"accelerate", *(["nitro"] if push and abs(wanted) < NITRO_BELOW else [])}
        if kart.skid > 1.0:
            side, goes_on = math.copysign(1.0, wrap(kart.heading - before.heading)), SKID_UNTIL
        else:
            side, goes_on = math.copysign(1.0, wanted), SKID_FROM
            if kart.speed < SKID_SPEED or kart.jumping or not self._bends(here, kart.speed, side):
                goes_on = (math.inf, math.inf)
        inwards = wanted * side
        if goes_on[0] < inwards < goes_on[1]:
            held.add("skid")
            low, high = SKID_STEER if kart.skid > 1.0 else (0.0, 0.0)
            turn = side * ((inwards > high) - (inwards < low))
        else:
            turn = (wanted > KEY_FROM) - (wanted < -KEY_FROM)
            held |= {"fire"} if push and abs(wanted) < FIRE_BELOW else set()
        return frozenset(held | ({"left"} if turn < 0 else {"right"} if turn > 0 else set()))

    def _bends(self, here: float, speed: float, side: float) -> bool:
        """Whether the road ahead of a place down the lap bends to a side so that it can be skidded through."""
        near, far = (here + seconds * speed for seconds in SKID_AHEAD_S)
        bends = side * self._line.bends(near, far) * turning_radius(speed)
        return bool(bends.mean() > SKID_BENDS[0] and bends.max() < SKID_BENDS[1])


def turning_radius(speed: float) -> float:
    """Return the smallest radius in metres at a speed in m/s."""
    for (v0, r0), (v1, r1) in itertools.pairwise(RADIUS):
        if speed < v1:
            return r0 + (r1 - r0) * max(speed - v0, 0.0) / (v1 - v0)
    return RADIUS[-1][1]


def _around(bananas: Sequence[tuple[float, float]], kart: Kart, course: float) -> float:
    """Return by what angle to leave a course, to pass the nearest banana on it."""
    sin, cos = math.sin(course), math.cos(course)
    seen = [(x - kart.at[0], z - kart.at[2]) for x, z in bananas]
    places = [(dx * sin + dz * cos, dx * cos - dz * sin) for dx, dz in seen]  # ahead, and to the right
    on_it = [(ahead, right) for ahead, right in places if 0 < ahead < CLEAR_AHEAD_M and abs(right) < CLEAR_M]
    ahead, right = min(on_it, default=(1.0, CLEAR_M))
    return -math.copysign(math.atan2(CLEAR_M - abs(right), ahead), right)
