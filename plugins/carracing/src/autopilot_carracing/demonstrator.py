"""The demonstrator: a scripted driver that reads the simulator and drives as a person could.

It looks at one point of the road ahead and steers towards it (pure pursuit, Coulter 1992,
CMU-RI-TR-92-01), as fast as the bends in sight allow. It remembers nothing: what it does follows
from where the car is, where it points, how fast it goes and how its wheels stand, all of which the
picture shows. So its answer is right from any state, and a network can learn it from one frame.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from autopilot.api import Held, Manoeuvre, levels, nearest_level
from numpy.typing import NDArray

from autopilot_carracing.plugin import STEER
from autopilot_carracing.simulator import STEER_ACC, STEER_RAD, Race
from autopilot_carracing.track import TILE_M, wrap

SMOOTH_TILES = 2.5
"""Sigma of the Gaussian that rounds the centre line off: bends are cut a little, as one does."""
LOOK_M = 4.5
"""The point to aim at lies this far ahead, plus `Style.look_s` seconds at the present speed."""
NEAR_M, FAR_M = 3.0, 30.0
"""As near and as far as it takes that point to be."""
WHEELBASE_M = 3.6
"""3.24 m on the drawing board, but the tyres slip."""
DEAD_RAD, JOINT_GAIN = 0.05, 0.2
"""Steering that is wanted by less is left out, or the car would zigzag; the share of the wheels'
present angle that counts against what is wanted, for damping."""
BRAKE_ACC, ASTRAY_ACC = 80.0, 80.0
"""m/s² to plan with: in braking, and on the way back to the line. The car grips with 219 on the road and
131 on the grass."""
CREEP_SPEED, TURN_SPEED = 21.0, 22.0
"""m/s: what is always allowed; with the aim far to the side or behind."""
TURN_RAD, FREE_BEND = 1.2, 0.025
"""The aim is far to the side beyond this bearing; a bend (1/m) that needs no slowing down."""
SIGHT_TILES, MARGIN_TILES = 10, 0.7
"""How far ahead it looks for bends (the picture shows 37 m), and how early it is slow enough."""
GAS_BELOW, BRAKE_ABOVE = 0.7, 8.0
"""m/s below and above the limit: between them it coasts, which costs hardly any speed."""
MAX_SLIP = 0.15
"""Radians between where the car points and goes beyond which gas would spin it."""


@dataclass(frozen=True)
class Style:
    """How fast it drives: m/s on a straight, m/s² in bends, and how many seconds ahead it aims."""

    top_speed: float = 66.0
    corner_acc: float = 125.0
    look_s: float = 0.27


FAST = Style(top_speed=90.0, corner_acc=140.0, look_s=0.307)
"""A second and a half a lap faster, and now and then over the kerb: chosen on tracks 200 to 339."""

WHEELS_RAD_S = 3.0
"""How fast gymnasium turns the wheels."""
FORESIGHT_S = 0.02
"""The step of the simple model by which it foresees."""


@dataclass(frozen=True, slots=True)
class _Car:
    """The car's state: metres, radians, m/s, rad/s; `joint` is its wheels' angle, `at` the tile that it has reached."""

    x: float
    y: float
    angle: float
    vx: float
    vy: float
    spin: float
    joint: float
    at: float

    @property
    def speed(self) -> float:
        """How fast it is."""
        return math.hypot(self.vx, self.vy)

    @property
    def slip(self) -> float:
        """By how many radians it moves elsewhere than it points."""
        return wrap(math.atan2(-self.vx, self.vy) - self.angle) if self.speed > 3.0 else 0.0

    def after(self, held: Held, seconds: float, heading: float) -> _Car:
        """Return it after so many seconds at its present speed, on a road of that heading.

        By the kinematic bicycle model (doi:10.1109/IVS.2015.7225830); one that slides goes on sliding and turning.
        """
        slip, slides, speed = self.slip, abs(self.slip) > MAX_SLIP, self.speed
        x, y, angle, joint, at = self.x, self.y, self.angle, self.joint, self.at
        lock = min(STEER_RAD, STEER_ACC / max(speed, 1.0) ** 2) * (("left" in held) - ("right" in held))
        most, ahead = WHEELS_RAD_S * FORESIGHT_S, speed * FORESIGHT_S
        for _ in range(round(seconds / FORESIGHT_S)):
            joint += max(-most, min(most, lock - joint))
            angle += (self.spin if slides else speed * math.tan(joint) / WHEELBASE_M) * FORESIGHT_S
            x, y = x - math.sin(angle + slip) * ahead, y + math.cos(angle + slip) * ahead
            at += math.cos(angle + slip - heading) * ahead / TILE_M
        vx, vy = -math.sin(angle + slip) * speed, math.cos(angle + slip) * speed
        return replace(self, x=x, y=y, angle=angle, vx=vx, vy=vy, joint=joint, at=at)


class CarRacingDemonstrator:
    """Decides what to hold from the simulator's state: by `analogue` steering how far, else left or right."""

    def __init__(self, race: Race, style: Style = Style(), analogue: bool = False) -> None:
        self._race, self._style, self._analogue = race, style, analogue
        self._path = _smooth(race.line.points)
        self._curvature = _curvature(self._path)

    def decide(self) -> Held:
        """Return what to hold now."""
        return self._decide(self._car())

    def decide_after(self, plan: Manoeuvre) -> Held:
        """Return what it would hold once the plan was carried out, as far as a simple model foresees."""
        car = self._car()
        for held, seconds in plan:
            car = car.after(held, seconds, self._race.place.heading)
        return self._decide(car)

    def _car(self) -> _Car:
        car, at = self._race.simulator.car, self._race.place.at
        hull, joint = car.hull, car.wheels[0].joint.angle
        (x, y), (vx, vy) = hull.position, hull.linearVelocity
        return _Car(x, y, hull.angle, vx, vy, hull.angularVelocity, joint, at)

    def _decide(self, car: _Car) -> Held:
        bearing, distance = self._aim(car)
        # Far off, it would be content to go past the road in a wide arc.
        distance = min(max(distance, NEAR_M), FAR_M)
        turned_away = abs(bearing) > math.pi / 2
        bend = math.copysign(1.0, bearing) if turned_away else 2 * math.sin(bearing) / distance
        held = set(self._steer(WHEELBASE_M * bend, car.joint))
        limit = min(self._bend_limit(car.at), _turn_limit(bearing, abs(bend)))
        if car.speed < limit - GAS_BELOW and abs(car.slip) < MAX_SLIP:
            held.add("accelerate")
        elif car.speed > limit + BRAKE_ABOVE or abs(car.slip) > math.pi / 2:
            held.add("brake")
        return frozenset(held)

    def _steer(self, wanted: float, joint: float) -> Held:
        """Return what to hold so that the wheels, now at the angle `joint`, turn as `wanted` (radians to the left)."""
        if self._analogue:
            return nearest_level(levels("steer", STEER), -wanted / self._race.lock)
        wanted -= JOINT_GAIN * joint
        return frozenset({"left" if wanted > 0 else "right"} if abs(wanted) > DEAD_RAD else ())

    def _aim(self, car: _Car) -> tuple[float, float]:
        """Return bearing (radians, positive to the left) and distance of the point to aim at."""
        ahead = car.at + (LOOK_M + self._style.look_s * car.speed) / TILE_M
        i, share = int(ahead), ahead % 1.0
        tiles = len(self._path)
        x, y = (1 - share) * self._path[i % tiles] + share * self._path[(i + 1) % tiles]
        dx, dy = x - car.x, y - car.y
        return wrap(math.atan2(-dx, dy) - car.angle), math.hypot(dx, dy)

    def _bend_limit(self, at: float) -> float:
        """Return the speed from which it can still brake for every bend in sight."""
        tiles = np.arange(SIGHT_TILES)
        curvature = self._curvature[(int(at) + tiles) % len(self._path)]
        room = TILE_M * np.maximum(tiles - MARGIN_TILES, 0.0)
        squares = self._style.corner_acc / np.maximum(curvature, 1e-4) + 2 * BRAKE_ACC * room
        return min(self._style.top_speed, math.sqrt(squares.min()))


def _turn_limit(bearing: float, bend: float) -> float:
    """Return the speed at which it can still turn to the point that it aims at."""
    if abs(bearing) > TURN_RAD:
        return TURN_SPEED
    return max(CREEP_SPEED, math.sqrt(ASTRAY_ACC / max(bend - FREE_BEND, 1e-4)))


def _smooth(points: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return a closed line (N, 2), rounded off by a Gaussian of `SMOOTH_TILES`."""
    reach = math.ceil(4 * SMOOTH_TILES)
    weights = np.exp(-0.5 * (np.arange(-reach, reach + 1) / SMOOTH_TILES) ** 2)
    weights /= weights.sum()
    closed = np.concatenate([points[-reach:], points, points[:reach]])
    return np.stack([np.convolve(column, weights, "valid") for column in closed.T], axis=1)


def _curvature(path: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the curvature (N,), 1/m and never negative, at each point of a closed line."""
    step = np.roll(path, -1, axis=0) - path
    heading = np.arctan2(step[:, 1], step[:, 0])
    turn = (np.roll(heading, -1) - heading + np.pi) % (2 * np.pi) - np.pi
    curvature = np.abs(turn) / np.maximum(np.hypot(*step.T), 1.0)
    smoothed: NDArray[np.float64] = np.convolve(np.pad(curvature, 1, mode="wrap"), [0.25, 0.5, 0.25], "valid")
    return smoothed
