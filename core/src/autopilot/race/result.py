"""What a race came to, as data."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

PODIUM = 3
"""Places on it."""


@dataclass(frozen=True)
class RunResult:
    """One driver, once, on one track. Times in seconds of game time.

    `incident_laps` are the numbers (from 0) of laps with an incident; a run that gave up is not
    `finished`, and has fewer laps than were asked; one without laps is, if it has a score.
    `place` is that among opponents. `tallies` is what the referee counted besides, `warnings` what made it a poor run.
    """

    driver: str
    track: str
    race: int
    laps_s: tuple[float, ...]
    incident_laps: tuple[int, ...]
    incidents: int
    finished: bool
    score: float | None
    place: int | None = None
    tallies: Mapping[str, float] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()

    @classmethod
    def parse(cls, data: Mapping[str, Any]) -> RunResult:
        """Return the run that plain data, as `asdict` makes them, describe."""
        values: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in data.items()}
        return cls(**values)

    @property
    def total_s(self) -> float | None:
        """The race time, if it was finished."""
        return sum(self.laps_s) if self.finished and self.laps_s else None

    def cells(self, laps: int) -> list[str]:
        """Return the laps as text: `*` marks an incident, `Incomplete` the lap given up."""
        done = [f"{t:.2f}{'*' if i in self.incident_laps else ''}" for i, t in enumerate(self.laps_s)]
        if not self.finished:
            done.append("Incomplete")
        return (done + [""] * laps)[:laps]


@dataclass(frozen=True)
class RaceResult:
    """All runs of a race, and what was asked; `references` say where published ones among them are from.

    With `laps` 0 it is scored: drivers compare by their scores alone. `folder` is where it was written, if it was.
    """

    game: str
    title: str
    drivers: tuple[str, ...]
    tracks: tuple[str, ...]
    laps: int
    races: int
    hz: float
    runs: tuple[RunResult, ...]
    stamp: str = "AI"
    references: tuple[str, ...] = ()
    folder: Path | None = None

    def to_json(self) -> dict[str, Any]:
        """Return plain data: the runs, a summary by driver and one by track and driver."""
        by_track = [row for track in self.tracks for row in summarise(self, track)]
        data = asdict(self)
        del data["folder"]  # of one machine
        return {**data, "summary": summarise(self), "by_track": by_track}


def _median(values: Sequence[float]) -> float | None:
    return round(statistics.median(values), 3) if values else None


def summarise(result: RaceResult, track: str | None = None) -> list[dict[str, Any]]:
    """Return a row per driver, of one track or of all.

    `score_ratio` and `lap_ratio` compare with the first driver of the list. Tracks differ in length:
    of several, `lap_ratio` is the median of theirs.
    """
    chosen = [run for run in result.runs if track in (None, run.track)]
    names = dict.fromkeys(name for run in result.runs for name in run.tallies)
    rows = [_summary(driver, track, [run for run in chosen if run.driver == driver]) for driver in result.drivers]
    for row in rows:
        row["tallies"] = {name: row["tallies"].get(name, 0) for name in names}
        row["lap_ratio"] = _ratio(row["median_lap_s"], rows[0]["median_lap_s"])
        row["score_ratio"] = _ratio(row["mean_score"], rows[0]["mean_score"])
    if track is None and len(result.tracks) > 1:
        by_track = [summarise(result, one) for one in result.tracks]
        for i, row in enumerate(rows):
            row["lap_ratio"] = _median([of[i]["lap_ratio"] for of in by_track if of[i]["lap_ratio"] is not None])
    return rows


def _summary(driver: str, track: str | None, runs: Sequence[RunResult]) -> dict[str, Any]:
    scores = [run.score for run in runs if run.score is not None]
    names = dict.fromkeys(name for run in runs for name in run.tallies)
    return {
        "driver": driver,
        "track": track,
        "finished": sum(run.finished for run in runs),
        "runs": len(runs),
        "median_lap_s": _median([t for run in runs for t in run.laps_s]),
        "median_race_s": _median([run.total_s for run in runs if run.total_s is not None]),
        "incident_laps": sum(len(run.incident_laps) for run in runs),
        "incidents": sum(run.incidents for run in runs),
        "mean_score": round(statistics.mean(scores), 1) if scores else None,
        "median_score": _median(scores),
        **_places(runs),
        "best_score": round(max(scores), 1) if scores else None,
        "tallies": {name: round(sum(run.tallies.get(name, 0) for run in runs), 1) for name in names},
    }


def _places(runs: Sequence[RunResult]) -> dict[str, Any]:
    places = [run.place for run in runs if run.place is not None]
    podiums = sum(place <= PODIUM for place in places)
    return {"median_place": _median(places), "podiums": podiums, "wins": places.count(1)}


def _ratio(value: float | None, first: float | None) -> float | None:
    return round(value / first, 3) if value is not None and first else None
