"""The demonstrator: a scripted driver that reads the simulator and drives as a person could.

It looks at one point of the road ahead and steers towards it (pure pursuit, Coulter 1992,
CMU-RI-TR-92-01), as fast as the bends in sight allow. It remembers nothing: what it does follows
from where the car is, where it points, how fast it goes and how its wheels stand, all of which the
picture shows. So its answer is right from any state, and a network can learn it from one frame.
"""

from __future__ import annotations

import math

import numpy as np
from autopilot.types import Held
from numpy.typing import NDArray

from autopilot_carracing.simulator import Race
from autopilot_carracing.track import TILE_M, CentreLine, wrap

SMOOTH_TILES = 2.7
"""Sigma of the Gaussian that rounds the centre line off: bends are cut a little, as one does."""
LOOK_M, LOOK_S = 5.0, 0.25
"""The point to steer at lies this far ahead, plus so many seconds at the present speed."""
WHEELBASE_M = 3.6
"""3.24 m on the drawing board; the tyres slip."""
DEAD_RAD = 0.07
"""The wheels are left alone for less than this: full lock one way then the other is a zigzag."""
YAW_S = 0.02
JOINT_GAIN = 0.1
CORNER_ACC, BRAKE_ACC, ASTRAY_ACC = 135.0, 80.0, 100.0
"""m/s² that it reckons with in a bend, while braking, and to get back to the line. The car grips
with 219 on the road and 131 on the grass."""
TOP_SPEED, CREEP_SPEED, TURN_SPEED = 65.0, 20.0, 20.0
SIGHT_TILES = 10
"""The picture shows 37 m of road ahead of the car."""
MARGIN_M = 1.5
GAS_BELOW, BRAKE_ABOVE = 0.8, 5.0
GAS_JOINT, GAS_SLIP = 0.25, 0.3


class CarRacingDemonstrator:
    """Decides what to hold from the simulator's state."""

    def __init__(self, race: Race) -> None:
        self._race = race
        self._path = _smooth(race.line.points)
        self._curvature = _curvature(self._path)

    def decide(self) -> Held:
        """Return what to hold now."""
        car = self._race.simulator.car
        vx, vy = car.hull.linearVelocity
        speed = math.hypot(vx, vy)
        joint = car.wheels[0].joint.angle
        slip = wrap(math.atan2(-vx, vy) - car.hull.angle) if speed > 3.0 else 0.0
        bearing, distance = self._aim(speed)
        turned_away = abs(bearing) > math.pi / 2
        bend = math.copysign(1.0, bearing) if turned_away else 2 * math.sin(bearing) / distance
        held = set()
        wanted = WHEELBASE_M * bend - JOINT_GAIN * joint
        if abs(wanted) > DEAD_RAD:
            held.add("left" if wanted > 0 else "right")
        limit = min(self._bend_limit(), _turn_limit(bearing, abs(bend)))
        may_gas = (abs(joint) < GAS_JOINT or speed < CREEP_SPEED) and abs(slip) < GAS_SLIP
        if speed < limit - GAS_BELOW and may_gas:
            held.add("accelerate")
        elif speed > limit + BRAKE_ABOVE:
            held.add("brake")
        return frozenset(held)

    def _aim(self, speed: float) -> tuple[float, float]:
        """Return the bearing (radians, positive to the left) and distance of the point to aim at."""
        hull = self._race.simulator.car.hull
        ahead = self._race.place.at + (LOOK_M + LOOK_S * speed) / TILE_M
        i, share = int(ahead), ahead % 1.0
        tiles = len(self._path)
        x, y = (1 - share) * self._path[i % tiles] + share * self._path[(i + 1) % tiles]
        dx, dy = x - hull.position[0], y - hull.position[1]
        heading = hull.angle + YAW_S * hull.angularVelocity
        return wrap(math.atan2(-dx, dy) - heading), max(math.hypot(dx, dy), 3.0)

    def _bend_limit(self) -> float:
        """Return the speed from which it can still brake for every bend in sight."""
        tiles = np.arange(SIGHT_TILES)
        curvature = self._curvature[(int(self._race.place.at) + tiles) % len(self._path)]
        room = np.maximum(tiles * TILE_M - MARGIN_M, 0.0)
        squares = CORNER_ACC / np.maximum(curvature, 1e-4) + 2 * BRAKE_ACC * room
        return min(TOP_SPEED, math.sqrt(squares.min()))
