"""The referee: the environment's own score, laps that we count ourselves, incidents."""

from __future__ import annotations

import math

import numpy as np
from autopilot.api import Reading
from gymnasium.envs.box2d.car_racing import FPS

from autopilot_carracing.track import Place, wrap

EPISODE_FRAMES = 1000
"""CarRacing-v3's TimeLimit."""
LAP_SHARE = 0.95
"""The share of the tiles that a lap must have passed, gymnasium's `lap_complete_percent`."""
JUMP_TILES = 3.0
"""No car drives this far in one frame: it left the road and came to another part of it."""
WRONG_WAY = math.radians(120)
INCIDENT_WHEELS = 2


class CarRacingReferee:
    """Watches every simulator frame and reports the state of the race.

    `score` is what a standard CarRacing-v3 episode would have returned so far, frozen once such
    an episode would have ended. A lap is complete when the car crosses the finish line forwards
    after it passed `LAP_SHARE` of the tiles forwards; what is driven backwards is taken away
    again, what is cut across the grass is missing. (The environment itself ends its only lap at
    the first touch of tile 0, gymnasium#1269.) An incident is two or more wheels on the grass in
    any frame since the last decision.

    The race is finished when the laps that were asked for are complete and the standard episode
    is over too, so that the final score is always that of a whole episode.
    """

    def __init__(self, tiles: int, place: Place, laps: int) -> None:
        self._passed = np.zeros(tiles, dtype=bool)
        self._place = place
        self._laps = laps
        self._frames = 0
        self._score = 0.0
        self._episode_over = False
        self._crossings: list[float] = [0.0]
        self._incident = False
        self._wrong_way = False

    def start_decision(self) -> None:
        """Forget the incident of the decision before: it is told once more if it goes on."""
        self._incident = False

    def watch(self, place: Place, angle: float, wheels_on_grass: int, reward: float, terminated: bool) -> None:
        """Take in one simulator frame; `angle` is the car's, `reward` the environment's."""
        self._frames += 1
        if not self._episode_over:
            self._score += reward
            self._episode_over = terminated or self._frames >= EPISODE_FRAMES
        if self._laps_done:
            return
        self._incident |= wheels_on_grass >= INCIDENT_WHEELS
        self._wrong_way = abs(wrap(angle - place.heading)) > WRONG_WAY
        self._progress(place)

    def _progress(self, place: Place) -> None:
        tiles = len(self._passed)
        before = self._place.at
        moved = (place.at - before + tiles / 2) % tiles - tiles / 2
        self._place = place
        if abs(moved) > JUMP_TILES:
            return
        now = before + moved
        for tile in range(math.floor(now) + 1, math.floor(before) + 1):
            self._passed[tile % tiles] = False
        for tile in range(math.floor(before) + 1, math.floor(now) + 1):
            self._passed[tile % tiles] = True
            if tile % tiles == 0 and self._passed.mean() >= LAP_SHARE:
                self._passed[:] = False
                since = (now - tile) / moved
                self._crossings.append((self._frames - since) / FPS)

    @property
    def _laps_done(self) -> bool:
        return 0 < self._laps < len(self._crossings)

    def reading(self) -> Reading:
        """Return the current state of the race; times are simulated seconds."""
        return Reading(
            lap=len(self._crossings) - 1,
            lap_times_s=tuple(b - a for a, b in zip(self._crossings, self._crossings[1:], strict=False)),
            race_time_s=self._crossings[-1] if self._laps_done else self._frames / FPS,
            incident=self._incident,
            wrong_way=self._wrong_way,
            finished=self._laps_done and self._episode_over,
            score=self._score,
        )
