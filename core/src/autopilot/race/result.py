"""What a race came to, as data."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass(frozen=True)
class Run:
    """One driver, once, on one track. Times in seconds of game time.

    `incident_laps` are the numbers (from 0) of laps with an incident; a run that gave up is not
    `finished`, and has fewer laps than were asked. `tallies` is what the referee counted besides, `warnings` what made
    it a poor run.
    """

    driver: str
    track: str
    race: int
    laps_s: tuple[float, ...]
    incident_laps: tuple[int, ...]
    incidents: int
    finished: bool
    score: float | None
    tallies: Mapping[str, float] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()

    @property
    def total_s(self) -> float | None:
        """The race time, if it was finished."""
        return sum(self.laps_s) if self.finished else None

    def cells(self, laps: int) -> list[str]:
        """Return the laps as text: `*` marks an incident, `Incomplete` the lap given up."""
        done = [f"{t:.2f}{'*' if i in self.incident_laps else ''}" for i, t in enumerate(self.laps_s)]
        if not self.finished:
            done.append("Incomplete")
        return (done + [""] * laps)[:laps]


@dataclass(frozen=True)
class RaceResult:
    """All runs of a race, and what was asked; `references` say where published ones among them are from."""

    game: str
    title: str
    drivers: tuple[str, ...]
    tracks: tuple[str, ...]
    laps: int
    races: int
    hz: float
    runs: tuple[Run, ...]
    stamp: str = "AI"
    references: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Return plain data: the runs, a summary by driver and one by track and driver."""
        by_track = [row for track in self.tracks for row in summarise(self, track)]
        return {**asdict(self), "summary": summarise(self), "by_track": by_track}


def _median(values: Sequence[float]) -> float | None:
    return round(statistics.median(values), 3) if values else None


def summarise(result: RaceResult, track: str | None = None) -> list[dict[str, Any]]:
    """Return a row per driver, of one track or of all.

    `score_ratio` and `lap_ratio` compare with the first driver of the list. Tracks differ in length:
    of several, `lap_ratio` is the median of theirs.
    """
    rows: list[dict[str, Any]] = []
    for driver in result.drivers:
        runs = [r for r in result.runs if r.driver == driver and track in (None, r.track)]
        scores = [r.score for r in runs if r.score is not None]
        names = dict.fromkeys(name for r in result.runs for name in r.tallies)
        rows.append(
            {
                "driver": driver,
                "track": track,
                "finished": sum(r.finished for r in runs),
                "runs": len(runs),
                "median_lap_s": _median([t for r in runs for t in r.laps_s]),
                "median_race_s": _median([r.total_s for r in runs if r.total_s is not None]),
                "incident_laps": sum(len(r.incident_laps) for r in runs),
                "incidents": sum(r.incidents for r in runs),
                "mean_score": round(statistics.mean(scores), 1) if scores else None,
                "tallies": {name: round(sum(r.tallies.get(name, 0) for r in runs), 1) for name in names},
            }
        )
    for row in rows:
        for name, key in (("lap_ratio", "median_lap_s"), ("score_ratio", "mean_score")):
            ours, first = row[key], rows[0][key]
            row[name] = round(ours / first, 3) if ours is not None and first else None
    if track is None and len(result.tracks) > 1:
        by_track = [row for t in result.tracks for row in summarise(result, t)]
        for row in rows:
            ratios = [r["lap_ratio"] for r in by_track if r["driver"] == row["driver"]]
            row["lap_ratio"] = _median([r for r in ratios if r is not None])
    return rows
