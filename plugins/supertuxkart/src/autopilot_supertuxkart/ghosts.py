"""The human ghosts that the game ships: races of its developers, as text files in its data."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from autopilot.api import Reference
from numpy.typing import NDArray

from autopilot_supertuxkart.assets import game_data

TIME, DISTANCE, FIELDS = 0, 20, 22
"""Columns of a line: seconds, and metres since the start line was crossed; and how many there are at least."""


def reference(track: str, laps: int) -> Reference | None:
    """Return the ghost of a race at the level that we race at. Raises as `ghost` does."""
    times = ghost(track, laps)
    if times is None:
        return None
    race = " ".join(f"{time_s:.3f}" for time_s in times)
    return Reference(track, laps, {"human": (race,)}, "the human whose ghost the game ships, with skids and nitro")


def ghost(track: str, laps: int, difficulty: int = 1) -> tuple[float, ...] | None:
    """Return the lap times in seconds of the quickest ghost of a race, or None where there is none.

    Raises DeviceError when the game is not installed.
    """
    found = _races({"track": track, "laps": str(laps), "difficulty": str(difficulty)})
    return min((race.lap_times_s for race in found), key=sum, default=None)


@dataclass(frozen=True)
class Replay:
    """A human's race: the numbers of each line, float64 (N, 23), the length of a lap in metres, the lap times."""

    rows: NDArray[np.float64]
    length: float
    lap_times_s: tuple[float, ...]


def replay(track: str) -> Replay | None:
    """Return the race with the quickest lap on a track, at whatever level, None where there is none.

    Raises DeviceError when the game is not installed.
    """
    return min(_races({"track": track}), key=lambda race: min(race.lap_times_s), default=None)


def _races(wanted: dict[str, str]) -> Iterator[Replay]:
    """Yield the time trials whose head has these values."""
    wanted = {"mode": "time-trial", "reverse": "0", **wanted}
    for path in sorted((game_data() / "replay").glob("*.replay")):
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
        head = dict(line.split(": ", 1) for line in lines if ": " in line)
        if wanted.items() <= head.items():
            rows = np.array([line.split()[: FIELDS + 1] for line in lines if len(line.split()) > FIELDS], float)
            times = lap_times(lines, int(head["laps"]), float(head["min_time"]))
            yield Replay(rows, -float(rows[0, DISTANCE]), times)


def lap_times(lines: list[str], laps: int, total_s: float) -> tuple[float, ...]:
    """Return the lap times of a replay's lines.

    A kart begins the length of one lap before the line, as the game counts; each lap ends where the
    way passes that length again, between two lines of the file.
    """
    rows = [line.split() for line in lines]
    moves = np.array([(row[TIME], row[DISTANCE]) for row in rows if len(row) >= FIELDS], float)
    length = -moves[0, 1]
    way = np.maximum.accumulate(moves[:, 1])
    crossed = [0.0, *(float(np.interp(n * length, way, moves[:, 0])) for n in range(1, laps)), total_s]
    return tuple(round(after - before, 3) for before, after in itertools.pairwise(crossed))
