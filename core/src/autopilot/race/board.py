"""A leaderboard: all drivers of a game, by the races that were kept."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Container, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from autopilot.race.result import RaceResult, RunResult
from autopilot.sessions.home import Home, is_scripted, read_json

type Course = tuple[str, int]
"""A track, and over how many laps: what times and scores can be compared on."""

type Runs = Sequence[RunResult]


@dataclass(frozen=True)
class Standing:
    """A driver on the board: its runs, of how many tracks, and how it compares with the board's first driver.

    `kind` is `bundle`, `gone` (a bundle that is not there any more), `human`, `demonstrator`, `random` or `published`.
    A ratio is the median over the courses that both drove; `lap_ratio` of median laps, `score_ratio` of mean scores.
    """

    driver: str
    kind: str
    runs: int = 0
    finished: int = 0
    tracks: int = 0
    incident_laps: int = 0
    median_lap_s: float | None = None
    mean_score: float | None = None
    lap_ratio: float | None = None
    score_ratio: float | None = None


@dataclass(frozen=True)
class Board:
    """The standings, the best first; what ratios compare with; and what was left out, in words."""

    game: str
    compared_with: str | None
    standings: tuple[Standing, ...]
    notes: tuple[str, ...]


def board(home: Home, game: str, bundles: Mapping[str, int]) -> Board:
    """Return the leaderboard of a game, by all races of a home; `bundles` drive it: name -> `st_mtime_ns` when written.

    What raced under a bundle's name before that was written was another network, and is left out.
    """
    notes: list[str] = []
    by_driver: dict[str, dict[Course, list[RunResult]]] = {name: {} for name in bundles}
    earlier = 0
    for path in sorted(home.races.glob("*/race.json")):
        try:
            result, kept_ns = read_result(path), path.stat().st_mtime_ns
        except (OSError, ValueError) as e:
            notes.append(f"race {path.parent.name} cannot be read ({type(e).__name__}) and is left out")
            continue
        for run in result.runs if result.game == game else ():
            if bundles.get(run.driver, 0) > kept_ns:
                earlier += 1
            else:
                by_driver.setdefault(run.driver, {}).setdefault((run.track, result.laps), []).append(run)
    if earlier:
        runs = "run" if earlier == 1 else "runs"
        notes.append(f"left out: {earlier} {runs} of earlier bundles of the same names")
    first = next((name for name in ("demonstrator", "human") if by_driver.get(name)), None)
    with_first = by_driver.get(first or "", {})
    standings = [_standing(name, _kind(name, bundles), mine, with_first) for name, mine in by_driver.items()]
    return Board(game, first, tuple(sorted(standings, key=_rank)), tuple(notes))


def games_raced(home: Home) -> list[str]:
    """Return the games of which races were kept, by name."""
    games = set()
    for path in home.races.glob("*/race.json"):
        with suppress(OSError, ValueError):
            games.add(read_result(path).game)
    return sorted(games)


def read_result(path: Path) -> RaceResult:
    """Return what a `race.json` holds; raises OSError, or ValueError for one that is none."""
    from pydantic import TypeAdapter

    return TypeAdapter(RaceResult).validate_python(read_json(path.read_bytes()))


def _kind(name: str, bundles: Container[str]) -> str:
    if is_scripted(name):
        return name.partition("-")[0]
    return "published" if ":" in name else "bundle" if name in bundles else "gone"


def _standing(name: str, kind: str, mine: Mapping[Course, Runs], first: Mapping[Course, Runs]) -> Standing:
    runs = [run for some in mine.values() for run in some]
    shared = [(mine[course], first[course]) for course in mine if course in first]
    return Standing(
        driver=name,
        kind=kind,
        runs=len(runs),
        finished=sum(run.finished for run in runs),
        tracks=len({track for track, _ in mine}),
        incident_laps=sum(len(run.incident_laps) for run in runs),
        median_lap_s=_median_lap(runs),
        mean_score=_mean_score(runs),
        lap_ratio=_ratio(shared, _median_lap),
        score_ratio=_ratio(shared, _mean_score),
    )


def _median_lap(runs: Runs) -> float | None:
    laps = [seconds for run in runs for seconds in run.laps_s]
    return round(statistics.median(laps), 3) if laps else None


def _mean_score(runs: Runs) -> float | None:
    scores = [run.score for run in runs if run.score is not None]
    return round(statistics.mean(scores), 1) if scores else None


def _ratio(shared: Sequence[tuple[Runs, Runs]], of: Callable[[Runs], float | None]) -> float | None:
    """Return the median, over courses, of how two drivers compare."""
    pairs = [(of(mine), of(first)) for mine, first in shared]
    ratios = [one / other for one, other in pairs if one is not None and other]
    return round(statistics.median(ratios), 3) if ratios else None


def _rank(row: Standing) -> tuple[Any, ...]:
    """Sort by the share of races finished; then by lap ratio, or where there are no laps by score ratio."""
    share = row.finished / row.runs if row.runs else -1.0
    ratios = (row.lap_ratio is None, row.lap_ratio or 0.0, -(row.score_ratio or 0.0))
    return -share, *ratios, -(row.mean_score or 0.0), row.driver
