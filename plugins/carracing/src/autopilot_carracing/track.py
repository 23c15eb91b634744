"""The track as a centre line: where on it a point lies, and how it goes on from there.

Positions along the track are counted in tiles (3.5 m each) from the point where the car starts,
which is also the finish line. Angles are Box2D's: 0 looks along +y, positive turns left.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from gymnasium.envs.box2d.car_racing import TRACK_DETAIL_STEP as TILE_M

NEAR_TILES = 15
LOST_M = 12.0


def wrap(angle: float) -> float:
    """Return the angle, radians, in [-pi, pi)."""
    return (angle + math.pi) % math.tau - math.pi


@dataclass(frozen=True, slots=True)
class Place:
    """Where a point lies: `at` in tiles from the start, `lateral` metres to the left of the centre,
    `heading` radians, the direction of the track there."""

    at: float
    lateral: float
    heading: float

    @property
    def tile(self) -> int:
        """The nearest point of the centre line."""
        return round(self.at)


class CentreLine:
    """The centre line of a closed track, from gymnasium's list of (alpha, beta, x, y)."""

    def __init__(self, track: Sequence[tuple[float, float, float, float]]) -> None:
        data = np.asarray(track, dtype=np.float64)
        self.tiles = len(data)
        self.headings = data[:, 1]
        self.points = data[:, 2:4]

    def locate(self, x: float, y: float, near: int | None = None) -> Place:
        """Return the place nearest to a point.

        `near` is where it was before: roads that run side by side are then not confused, unless
        the point is more than `LOST_M` metres from the road there.
        """
        if near is not None:
            around = np.arange(near - NEAR_TILES, near + NEAR_TILES + 1) % self.tiles
            i, distance = self._nearest(x, y, around)
            if distance < LOST_M:
                return self._place(x, y, i)
        i, _ = self._nearest(x, y, np.arange(self.tiles))
        return self._place(x, y, i)

    def _nearest(self, x: float, y: float, candidates: np.ndarray) -> tuple[int, float]:
        d = self.points[candidates] - (x, y)
        squares = np.einsum("ij,ij->i", d, d)
        best = int(squares.argmin())
        return int(candidates[best]), math.sqrt(squares[best])

    def _place(self, x: float, y: float, i: int) -> Place:
        beta = float(self.headings[i])
        dx, dy = x - self.points[i, 0], y - self.points[i, 1]
        along = -math.sin(beta) * dx + math.cos(beta) * dy
        lateral = -math.cos(beta) * dx - math.sin(beta) * dy
        return Place((i + along / TILE_M) % self.tiles, lateral, beta)
