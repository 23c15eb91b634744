"""The demonstrator that follows a human's race: the recorded line of a ghost that the game ships, its skids and nitro.

It remembers nothing either: where the kart is says where on the line it is, and what the human did there.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from autopilot.api import Held, UserError
from numpy.typing import NDArray

from autopilot_supertuxkart.demonstrator import KEY_FROM, SKID_STEER, DemonstratorPro
from autopilot_supertuxkart.ghosts import DISTANCE, Replay, replay
from autopilot_supertuxkart.line import BEND_M, CentreLine, smooth, wrap
from autopilot_supertuxkart.simulation import Kart, Simulation

PLACE, SKID, NITRO, FIRE = slice(1, 4), 14, 21, 22
"""Columns of a replay's line: metres; the state of a skid, 1 to the left and 2 to the right; what is used up."""
SMOOTH_M = 1.0
LOOK_M, LOOK_S = 5.0, 0.35
"""Nearer than the centre line is looked at: this line cuts the bends already."""
AHEAD_S = 0.3
"""What the human did so far ahead is done now: a key takes a decision, and the wheels as long to turn."""
BEGIN_FROM, BEGIN_SPEED = 0.05, 10.5
"""A skid begins with more steering wanted than this, to the human's side, at more m/s: the game's least is 10."""
NITRO_BELOW, FIRE_BELOW = 0.8, 0.4
"""The human's places for speed are trusted, unless so much steering is wanted."""
TRACKS = ("lighthouse", "snowtuxpeak")
"""Where it was tried, and is as quick as the demonstrator that skids by itself, or quicker."""


def check_track(track: str) -> None:
    """Raise UserError for a track on which there is no human's race to follow."""
    if track not in TRACKS:
        raise UserError(f"demonstrator-ghost follows human races, of {', '.join(TRACKS)}, and not of {track}")


class RecordedLine(CentreLine):
    """The quickest lap of a replay, by the way down the lap as the centre line is, and what was done on it.

    `skid` is -1 to the left, 1 to the right and 0 without, `nitro` and `fire` say where they were used.
    """

    def __init__(self, track: dict[str, Any], replay: Replay) -> None:
        super().__init__(track)
        rows = replay.rows
        way = np.maximum.accumulate(rows[:, DISTANCE])
        on = np.concatenate([[True], np.diff(way) > 0])
        way, rows = way[on], rows[on]
        lap = int(np.argmin(replay.lap_times_s[1:-1])) + 1  # the first one begins at rest, the last one ends
        grid = (lap + np.arange(len(self.points)) / len(self.points)) * replay.length
        recorded = np.stack([np.interp(grid, way, column) for column in rows[:, PLACE].T], axis=1)
        self.points = smooth(recorded, SMOOTH_M / self.spacing)
        step = np.roll(self.points, -1, axis=0) - self.points
        self.heading = np.arctan2(step[:, 0], step[:, 2])
        reach = round(BEND_M / self.spacing)
        lengths = np.linalg.norm(step, axis=1)  # shorter than the centre line's inside a bend
        around = np.convolve(np.concatenate([lengths[-reach:], lengths, lengths[:reach]]), np.ones(2 * reach), "valid")
        self._bend = wrap(np.roll(self.heading, -reach) - np.roll(self.heading, reach)) / around[: len(step)]
        nearest = np.searchsorted(way, grid).clip(0, len(way) - 1)
        self.skid: NDArray[np.int64] = np.select([rows[nearest, SKID] == n for n in (1, 2)], [-1, 1])
        self.nitro, self.fire = (rows[nearest, column] > 0 for column in (NITRO, FIRE))

    def index(self, down_track: float) -> int:
        """Return which point lies so far down the lap."""
        return math.floor(down_track / self.spacing) % len(self.points)


class DemonstratorGhost(DemonstratorPro):
    """Drives a human's line: steers for it, skids where the human skidded, and uses nitro and zippers there."""

    def __init__(self, simulation: Simulation, track: str) -> None:
        super().__init__(simulation)
        check_track(track)
        found = replay(track)
        assert found is not None, "the game ships a race of each of these"
        self._line: RecordedLine = RecordedLine(simulation.track, found)

    def _aim(self, kart: Kart) -> tuple[float, float]:
        x, _, z = self._line.point(self._line.place(kart) + LOOK_M + LOOK_S * max(kart.speed, 0.0))
        return float(x), float(z)

    def decide(self) -> Held:
        """Return what to hold now."""
        kart, before, line = self._simulation.kart, self._before, self._line
        self._before = kart
        wanted = self._steering()
        there = line.index(line.place(kart) + AHEAD_S * kart.speed)
        turn = self._skid(kart, before, wanted, there)
        held = {"accelerate", *(["nitro"] if line.nitro[there] and abs(wanted) < NITRO_BELOW else [])}
        if turn is not None:
            held.add("skid")
        else:
            turn = (wanted > KEY_FROM) - (wanted < -KEY_FROM)
            held |= {"fire"} if line.fire[there] and abs(wanted) < FIRE_BELOW else set()
        return frozenset(held | ({"left"} if turn < 0 else {"right"} if turn > 0 else set()))

    def _skid(self, kart: Kart, before: Kart, wanted: float, there: int) -> int | None:
        """Return whereto a skid is to be steered, -1 left, 1 right; None where there is to be no skid."""
        skids, human = kart.skid > 1.0, int(self._line.skid[there])
        side = int(math.copysign(1.0, wrap(kart.heading - before.heading))) if skids else human
        inwards = wanted * side
        begins = bool(side) and inwards > BEGIN_FROM and kart.speed > BEGIN_SPEED and not kart.jumping
        if not ((inwards > 0 or human == side) if skids else begins):
            return None
        low, high = SKID_STEER if skids else (0.0, 0.0)
        return side * ((inwards > high) - (inwards < low))
