"""The middle of the road: where it is, how wide, and how it bends."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from autopilot_supertuxkart.simulation import Kart

SPACING_M = 1.0
BEND_M = 5.0
"""A bend is measured over so many metres before and behind a point."""
SMOOTH_M = 3.0
"""Sigma of the Gaussian that rounds the corners of the road's segments off."""
STALE_M = 5.0
"""So much nearer than where the engine says that a kart is, the road must be elsewhere, for a kart to be there."""


def wrap[T: (float, NDArray[np.float64])](angle: T) -> T:
    """Return an angle, or each of an array's, between -pi and pi."""
    return (angle + math.pi) % (2 * math.pi) - math.pi


class CentreLine:
    """A closed line of points (N, 3), about a metre apart, by the way down the lap in metres.

    `track` is what `engine.Engine.track` returns. Where the road forks, it is the first branch.
    """

    def __init__(self, track: dict[str, Any]) -> None:
        segments, at = np.asarray(track["segments"]), np.asarray(track["at"])
        self.length = float(track["length"])
        order, i = [], 0
        while i not in order:  # each segment begins where the one before it ends
            order.append(i)
            nearest = np.linalg.norm(segments[:, 0] - segments[i, 1], axis=1) + 1e3 * (at[:, 0] < at[i, 0])
            nearest[i] = np.inf
            if at[i, 1] >= self.length - 1e-3 or not np.isfinite(nearest.min()) or nearest.min() > 1.0:
                break
            i = int(nearest.argmin())
        at, points = at[order, 0], segments[order, 0]
        count = max(8, round(self.length / SPACING_M))
        self.spacing = self.length / count
        grid = np.arange(count) * self.spacing
        closed_at, closed = np.append(at, self.length), np.concatenate([points, points[:1]])
        raw = np.stack([np.interp(grid, closed_at, closed[:, k]) for k in range(3)], axis=1)
        self.points = smooth(raw, SMOOTH_M / self.spacing)
        width = np.asarray(track["width"])[order]
        self._width = np.interp(grid, closed_at, np.append(width, width[0]))
        step = np.roll(self.points, -1, axis=0) - self.points
        self.heading: NDArray[np.float64] = np.arctan2(step[:, 0], step[:, 2])
        reach = round(BEND_M / self.spacing)
        turn = np.roll(self.heading, -reach) - np.roll(self.heading, reach)
        self._bend = wrap(turn) / (2 * reach * self.spacing)

    def point(self, down_track: float) -> NDArray[np.float64]:
        """Return the point (3,) so far down the lap."""
        place = down_track / self.spacing
        i, share = math.floor(place), place % 1.0
        n = len(self.points)
        made: NDArray[np.float64] = (1 - share) * self.points[i % n] + share * self.points[(i + 1) % n]
        return made

    def place(self, kart: Kart) -> float:
        """Return how far down the lap a kart is, in metres.

        The engine's word is that of seconds ago where the kart was put somewhere, or has left the road:
        then it is where the road is nearest.
        """
        away = np.linalg.norm(self.points - kart.at, axis=1)
        nearest = int(away.argmin())
        stale = math.dist(self.point(kart.down_track), kart.at) > away[nearest] + STALE_M
        return nearest * self.spacing if stale else kart.down_track

    def direction(self, down_track: float) -> float:
        """Return where the road leads there: radians, from z towards x."""
        return float(self.heading[math.floor(down_track / self.spacing) % len(self.points)])

    def bends(self, near: float, far: float) -> NDArray[np.float64]:
        """Return how the road bends, point by point, from so far down the lap to so far: radians per metre."""
        first, last = math.floor(near / self.spacing), math.floor(far / self.spacing)
        bend: NDArray[np.float64] = self._bend[np.arange(first, max(first + 1, last)) % len(self._bend)]
        return bend

    def width(self, down_track: float) -> float:
        """Return how wide the road is there, in metres."""
        return float(self._width[math.floor(down_track / self.spacing) % len(self.points)])


def smooth(points: NDArray[np.float64], sigma: float) -> NDArray[np.float64]:
    """Return a closed line of points (N, 3), rounded off by a Gaussian of so many points."""
    reach = math.ceil(4 * sigma)
    weights = np.exp(-0.5 * (np.arange(-reach, reach + 1) / sigma) ** 2)
    weights /= weights.sum()
    closed = np.concatenate([points[-reach:], points, points[:reach]])
    return np.stack([np.convolve(column, weights, "valid") for column in closed.T], axis=1)
