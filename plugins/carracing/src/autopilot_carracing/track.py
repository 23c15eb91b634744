"""The track as a closed centre line: where on it a point lies.

Positions along it are counted in tiles (3.5 m each) from where the car starts, which is also the
finish line. Angles are Box2D's, in radians: 0 looks along +y, positive turns left.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

TILE_M = 3.5
NEAR_TILES = 15
LOST_M = 12.0
"""A road is 6.7 m to each side; farther off than this, the nearest road may be another."""


def wrap(angle: float) -> float:
    """Return the angle in [-pi, pi)."""
    return (angle + math.pi) % math.tau - math.pi


@dataclass(frozen=True, slots=True)
class Place:
    """Where a point lies: `at` in tiles from the start, `lateral` in metres to the left of the
    centre line, and the `heading` of the road there.
    """

    at: float
    lateral: float
    heading: float


class CentreLine:
    """The centre line of a track, made of gymnasium's list of (alpha, beta, x, y)."""

    def __init__(self, track: Sequence[tuple[float, float, float, float]]) -> None:
        self.points: NDArray[np.float64] = np.asarray(track, dtype=np.float64)[:, 2:4]
        self.tiles = len(self.points)
        self._along = np.roll(self.points, -1, axis=0) - self.points
        self._squared = np.einsum("ij,ij->i", self._along, self._along)

    def locate(self, x: float, y: float, before: Place | None = None) -> Place:
        """Return the place on the centre line nearest to a point.

        `before` is where it was last: roads that run side by side are then not confused, unless
        the point has left the road there by more than `LOST_M`.
        """
        if before is not None:
            first = int(before.at) - NEAR_TILES
            near = self._nearest(x, y, np.arange(first, first + 2 * NEAR_TILES) % self.tiles)
            if abs(near.lateral) < LOST_M:
                return near
        return self._nearest(x, y, np.arange(self.tiles))

    def _nearest(self, x: float, y: float, segments: NDArray[np.int64]) -> Place:
        along = self._along[segments]
        to_point = (x, y) - self.points[segments]
        share = np.einsum("ij,ij->i", to_point, along) / self._squared[segments]
        share = share.clip(0.0, 1.0)
        off = to_point - share[:, None] * along
        squares = np.einsum("ij,ij->i", off, off)
        i = int(squares.argmin())
        (ax, ay), (px, py) = along[i], to_point[i]
        lateral = math.copysign(math.sqrt(squares[i]), ax * py - ay * px)
        return Place(float(segments[i] + share[i]) % self.tiles, lateral, math.atan2(-float(ax), float(ay)))
