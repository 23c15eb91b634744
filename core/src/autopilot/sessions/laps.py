"""Laps: found in what the referee said of each frame, and chosen by a rule such as `time < 41.5 and clean`."""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

import numpy as np

from autopilot.api.errors import UserError
from autopilot.api.types import Reading
from autopilot.sessions.index import INCIDENT, WRONG_WAY
from autopilot.sessions.session import Session

CLOCK_S, CLOCK_SHARE = 1.0, 0.05
"""A lap whose frames last longer or shorter than its time by more than both was not recorded whole."""


@dataclass(frozen=True, slots=True)
class Lap:
    """A lap recorded whole: the frames [start, stop) of a session, those that are deleted not counted.

    `clean` says that the referee saw no incident and no wrong way. Times are in seconds.
    """

    start: int
    stop: int
    time_s: float
    clean: bool
    session: str = ""
    track: str = ""


@dataclass(slots=True)
class _Stretch:
    """The frames between two crossings of the line; `lasted_s` leaves out pauses and lost frames."""

    start: int
    stop: int = 0
    lasted_s: float = 0.0
    clean: bool = True

    def lap(self, time_s: float) -> Lap | None:
        """Return the lap that took so long, or None if these frames are not all of it."""
        if abs(self.lasted_s - time_s) > max(CLOCK_S, CLOCK_SHARE * time_s):
            return None
        return Lap(self.start, self.stop, time_s, self.clean)


class LapFinder:
    """Is shown what the referee says of each frame, and tells of each lap when its time is known.

    A lap begins with the first frame on it, the first of a race when the clock starts. The time may
    become known some frames after the line, as on a screen.
    """

    def __init__(self, hz: float) -> None:
        self._longest_s = 1.5 / hz
        self._count = 0
        self._begin()

    def _begin(self, index: int | None = None) -> None:
        self._now = _Stretch(self._count if index is None else index)
        self._untimed: list[_Stretch] = []
        self._lap: int | None = None
        self._timed = 0
        self._clock_s = 0.0
        self._last_ns: int | None = None

    @property
    def start(self) -> int:
        """The first frame that may still become part of a lap."""
        return min([self._now.start, *(stretch.start for stretch in self._untimed)])

    def add(self, t_ns: int, reading: Reading | None) -> list[Lap]:
        """Take in the next frame; return the laps that are known with it."""
        index, self._count = self._count, self._count + 1
        if reading is None:  # nothing is known
            self._begin()
            return []
        if (self._lap or 0) > reading.lap or (reading.race_time_s or math.inf) < self._clock_s - CLOCK_S:
            self._begin(index)  # this is another race
        if self._last_ns is not None:
            self._now.lasted_s += min((t_ns - self._last_ns) / 1e9, self._longest_s)
        self._last_ns = t_ns
        if self._lap is None:
            self._lap, self._timed = reading.lap, len(reading.lap_times_s)
        times = reading.lap_times_s[self._timed :]
        self._timed = max(self._timed, len(reading.lap_times_s))
        self._cross(index, reading, bool(times))
        self._now.clean &= not (reading.incident or reading.wrong_way)
        laps = [s.lap(t) for s, t in zip(reversed(self._untimed), reversed(times), strict=False)]
        if times:
            self._untimed.clear()
        return [lap for lap in reversed(laps) if lap is not None]

    def _cross(self, index: int, reading: Reading, timed: bool) -> None:
        """Begin another stretch where the line was crossed, or the clock has started."""
        if reading.lap > (self._lap or 0) or (timed and reading.finished and not self._untimed):
            self._lap = reading.lap
            self._now.stop = index
            self._untimed.append(self._now)
            self._now = _Stretch(index)
        elif not self._clock_s and self._lap == 0 and reading.race_time_s:
            self._now = _Stretch(index)  # what came before was the countdown
        self._clock_s = reading.race_time_s or self._clock_s


def laps_of(session: Session) -> list[Lap]:
    """Return the laps that were recorded whole. Raises SessionError when the disk fails."""
    info = session.info
    finder, laps = LapFinder(info.hz), []
    index = session.remaining()
    for t_ns, reading in zip(index.t_ns.tolist(), index.readings(), strict=True):
        laps += finder.add(t_ns, reading)
    if info.auto:
        last, clean = len(index), not np.any(index.flags & (INCIDENT | WRONG_WAY))
        laps = [] if info.lap_time_s is None or last != info.frames else [Lap(0, last, info.lap_time_s, clean)]
    return [replace(lap, session=info.id, track=info.track) for lap in laps]


def choose_laps(sessions: Iterable[Session], rule: LapRule, option: str) -> list[Lap]:
    """Return the laps of the sessions that the rule takes; raises UserError where there is none."""
    laps = [lap for session in sessions for lap in laps_of(session)]
    if chosen := rule.choose(laps):
        return chosen
    fastest = f"pass; the fastest of {len(laps)} took {min(lap.time_s for lap in laps):.2f} s" if laps else ""
    raise UserError(f"--{option} {rule.text!r}: no laps {fastest or 'were recorded whole'}")


_CLAUSE = re.compile(
    r"(?P<clean>clean)"
    r"|time\s*(?P<compare><=|>=|<|>)\s*(?:(?P<minutes>\d+):)?(?P<seconds>\d+(?:\.\d+)?)\s*s?"
    r"|best\s+(?P<best>\d+(?:\.\d+)?)\s*(?P<percent>%)?"
)
_COMPARE = {"<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge}
_LONGEST = 100  # characters of a rule
_HELP = 'say for example "time < 41.5 and clean": clauses joined by "and", each of them clean, time < SECONDS'
_ALL = _HELP + " (or <=, >, >=; 1:02.5 is a minute and 2.5 s), best N% or best N"


@dataclass(frozen=True)
class LapRule:
    """Which laps to take: those that pass every test; `best` then takes the fastest of each track.

    `best` is a share up to 1 or a number of laps; None takes all.
    """

    text: str
    tests: tuple[Callable[[Lap], bool], ...] = ()
    best: float | int | None = None

    @classmethod
    def parse(cls, text: str, option: str, ranked: bool = True) -> LapRule:
        """Return the rule that the text states; nothing of it is ever run.

        Raises UserError, which shows what may be said, for another text. Not `ranked`: each lap is judged
        by itself, so that `best` is refused.
        """
        tests: list[Callable[[Lap], bool]] = []
        best: float | int | None = None
        said = f"--{option} {text[:_LONGEST]!r}: "
        for clause in re.split(r"\s+and\s+", text.strip().casefold()[: _LONGEST + 1]):
            match = _CLAUSE.fullmatch(clause.strip())
            if match is None or len(text) > _LONGEST:
                raise UserError(said + (_ALL if ranked else _HELP))
            if match["clean"]:
                tests.append(operator.attrgetter("clean"))
            elif match["compare"]:
                limit, compare = 60 * int(match["minutes"] or 0) + float(match["seconds"]), _COMPARE[match["compare"]]
                tests.append(lambda lap, limit=limit, compare=compare: compare(lap.time_s, limit))  # type: ignore[misc]
            elif not ranked:
                raise UserError(f"{said}a lap is judged when it is driven, so leave out best: {_HELP}")
            else:
                number = float(match["best"])
                whole = number == int(number)
                if best is not None or not number > 0 or (number > 100 if match["percent"] else not whole):
                    raise UserError(f"{said}say best once, from above 0 to 100%, or a whole number of laps: {_ALL}")
                best = number / 100 if match["percent"] else int(number)
        return cls(text, tuple(tests), best)

    def passes(self, lap: Lap) -> bool:
        """Return whether a lap passes every test."""
        return all(test(lap) for test in self.tests)

    def choose(self, laps: Iterable[Lap]) -> list[Lap]:
        """Return the laps that the rule takes; of equal times the earlier ones."""
        passing = sorted(filter(self.passes, laps), key=operator.attrgetter("time_s"))
        if self.best is None:
            return passing
        chosen: list[Lap] = []
        for track in dict.fromkeys(lap.track for lap in passing):
            mine = [lap for lap in passing if lap.track == track]
            count = self.best if isinstance(self.best, int) else math.ceil(self.best * len(mine))
            chosen += mine[:count]
        return chosen
