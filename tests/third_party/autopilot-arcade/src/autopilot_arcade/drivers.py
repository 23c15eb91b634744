"""Scripted drivers: functions of the picture and the environment that return the controls to hold."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

Picture = NDArray[np.uint8]

FAR, OWN, NEAR = 75, 142, 153
"""Enduro's rows of the road: where it is far off, where our car begins, and where it ends."""
LANES = np.linspace(0.12, 0.88, 20)
HALF = 0.125
"""From the middle of one car to that of another, touching, as a share of the road's width; a little more."""


def drive_enduro(image: Picture, env: Any) -> set[str]:
    """Keep to the lane with the fewest cars ahead, near the middle of the road and not far from here.

    `image` is (210, 160, 3). All that is not the colour of its row's grass is an edge, a car, or us, who are grey.
    """
    road = image[FAR:NEAR, 8:].astype(np.int16)
    seen = np.abs(road - np.median(road, axis=1)[:, None]).sum(2) > 12
    columns = np.arange(road.shape[1])
    left = seen.argmax(1)[:, None]
    width = np.maximum(road.shape[1] - 1 - seen[:, ::-1].argmax(1)[:, None] - left, 1)
    across = (columns - left) / width  # 0 is the road's left edge, 1 its right one
    edge = 2 / width + 0.03
    inside = seen & (across > edge) & (across < 1 - edge) & (width > 8)
    grey = np.ptp(road, axis=2) < 12
    own = inside & grey
    own[: OWN - FAR] = False
    if own.sum() <= 20:
        return {"accelerate"}
    here = across[own].mean()
    rows, _ = others = np.nonzero(inside & ~grey)
    near = (rows / (NEAR - FAR)) ** 1.5
    in_the_way = np.abs(LANES[:, None] - across[others]) < HALF
    cost = 0.3 * np.abs(LANES - 0.5) + 0.5 * np.abs(LANES - here) + 0.2 * (in_the_way * near).sum(1)
    aside = LANES[np.argmin(cost)] - here
    return {"accelerate", *(["right"] if aside > 0.04 else ["left"] if aside < -0.04 else [])}


AHEAD, CORNER = 6, 14
"""Tiles of CarRacing's track: what is steered at, and how far a bend is seen."""


def drive_carracing(image: Picture, env: Any) -> set[str]:
    """Steer at a point of the road ahead, and keep a speed at which the bends in sight can be taken.

    One thing at a time, as the discrete actions are: steering first, then gas or brake.
    """
    hull = env.car.hull
    x, y = hull.position
    track = np.array([(at[2], at[3], at[1]) for at in env.track])
    here = int(np.argmin(np.hypot(track[:, 0] - x, track[:, 1] - y)))
    ahead = track[(here + AHEAD) % len(track)]
    wanted = math.atan2(-(ahead[0] - x), ahead[1] - y)
    turn = _wrap(wanted - hull.angle - 0.12 * hull.angularVelocity)
    bend = abs(_wrap(track[(here + CORNER) % len(track), 2] - track[(here + 2) % len(track), 2]))
    speed = math.hypot(*hull.linearVelocity)
    most = max(38.0, 85.0 - 40.0 * bend)
    if speed > most + 12:
        return {"brake"}
    if abs(turn) > 0.10:
        return {"left"} if turn > 0 else {"right"}
    return {"accelerate"} if speed < most else set()


def _wrap(angle: float) -> float:
    return (angle + math.pi) % math.tau - math.pi
