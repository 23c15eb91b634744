"""Choosing by driving: candidates race in rounds, and after each the worse half drops out."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from autopilot.api.errors import UserError
from autopilot.drive.drive import DriveOptions
from autopilot.drive.lineup import Lineup
from autopilot.drive.world import Worlds
from autopilot.race.race import Race, RaceOptions
from autopilot.race.result import RunResult

if TYPE_CHECKING:
    from autopilot.learn.policy import Policy

WAYS = (("argmax", 1.0), ("weighted", 1.0), ("weighted", 0.5))
"""How a candidate's actions may be selected, with which temperature."""
NUMBERS = 2
"""Where tracks are numbers, so many new ones are driven in each round."""


@dataclass(frozen=True, order=True)
class Mark:
    """How well something drove, greater is better: the share of races finished, then the pace.

    The pace is the mean score, or minus the mean seconds of a race, where one given up counts as the longest allowed.
    """

    finished: float
    pace: float

    @classmethod
    def of(cls, runs: Sequence[RunResult], longest_s: float) -> Mark:
        """Return the mark of some races."""
        scored = any(run.score is not None for run in runs)
        paces = [run.score or 0.0 if scored else -(run.total_s or longest_s) for run in runs]
        return cls(statistics.mean(run.finished for run in runs), round(statistics.mean(paces), 3))


class Course:
    """Where candidates race, in lock-step: over one lap of each track, or once for a score.

    `tracks` are a,b,…; by default each round goes over new ones, from `seed` on, where the game's tracks are numbers,
    and over those that were `known` where they have names. In each round the races' seed is one higher. Raises
    UserError for a game that waits for no decision, or has no referee, and for a track that it lacks.
    """

    def __init__(self, worlds: Worlds, tracks: str | None = None, seed: int = 5000) -> None:
        self._worlds, self._seed, game = worlds, seed, worlds.game
        if not worlds.lockstep():
            raise UserError(f"--choose-by driving: {game.spec.name} races in real time only, so choose by loss")
        worlds.desktop.check_referee("to choose by")
        self._tracks = None if tracks is None else game.tracks(tracks)
        self._laps = int(not game.spec.race.scored)
        self.longest_s = game.spec.race.lap_limit_s

    def tracks(self, number: int, known: Sequence[str]) -> list[str]:
        """Return the tracks of a round."""
        if self._tracks is not None:
            return self._tracks
        if self._worlds.game.spec.tracks.names:
            return list(dict.fromkeys(known))
        first = self._seed + NUMBERS * number
        return [str(first + i) for i in range(NUMBERS)]

    def race(self, policy: Policy, way: tuple[str, float], number: int, tracks: Sequence[str]) -> list[RunResult]:
        """Return how a policy drives in a round, nobody helping it."""
        name, (select, temperature) = policy.manifest.name, way
        lineup = Lineup(self._worlds.game, lambda name: policy, select, temperature)
        driving = DriveOptions(seed=self._seed + number, recover=False)
        options = RaceOptions((name,), ",".join(tracks), self._laps or None, drive=driving)
        return list(Race(self._worlds, lineup, options).go().runs)


def choose_by_driving(
    course: Course, policies: Sequence[Policy], known: Sequence[str], say: Callable[[str], None]
) -> tuple[int, dict[str, Any]]:
    """Return which policy drives best, and what its bundle is to say: `select`, `temperature`, and how it drove.

    Every policy races in each of `WAYS`; the better half of these pairs goes on to another round, until one is left
    (successive halving, arXiv:1502.07943). Of equal ones the earlier policy, and way, is better. `known` are the
    tracks that were trained on.
    """
    left = [(i, way) for i in range(len(policies)) for way in WAYS]
    runs: dict[tuple[int, tuple[str, float]], list[RunResult]] = {pair: [] for pair in left}
    number = 0

    def mark(pair: tuple[int, tuple[str, float]]) -> Mark:
        return Mark.of(runs[pair], course.longest_s)

    while len(left) > 1:
        tracks = course.tracks(number, known)
        for pair in left:
            runs[pair] += course.race(policies[pair[0]], pair[1], number, tracks)
        left.sort(key=mark, reverse=True)
        number += 1
        (best, way), its = left[0], mark(left[0])
        name = policies[best].manifest.name
        say(f"round {number}: of {len(left)} the best is {name} by {_in_words(way)}: {_told(its, len(runs[left[0]]))}")
        left = left[: math.ceil(len(left) / 2)]
    best, (select, temperature) = left[0]
    its, races = mark(left[0]), len(runs[left[0]])
    driving = {"races": races, "finished": round(its.finished * races), "pace": its.pace}
    return best, {"select": select, "temperature": temperature, "driving": driving}


def _in_words(way: tuple[str, float]) -> str:
    select, temperature = way
    return select if temperature == 1 else f"{select} at temperature {temperature:g}"


def _told(mark: Mark, races: int) -> str:
    pace = f"{-mark.pace:.2f} s" if mark.pace < 0 else f"score {mark.pace:.1f}"
    return f"{mark.finished * races:.0f} of {races} races finished, {pace} on the average"
