"""A session's rows as columns, without their pictures: what lists, timelines and seeking need."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from autopilot.api.types import Action, ActionSpace, Held, Reading
from autopilot.sessions.home import write_atomic
from autopilot.sessions.segments import PART, SEALED, Record, read_segment, scan, segments

if TYPE_CHECKING:
    from numpy.typing import NDArray

INCIDENT, WRONG_WAY, FINISHED, READ = 1, 2, 4, 8
"""Bits of `Index.flags`: what the referee said, and that it said anything."""

_DTYPES = {"t_ns": "i8", "action": "i4", "held": "i4", "sent": "i4", "segment": "i4", "at": "i8"}
_DTYPES |= {"lap": "i4", "times": "i4", "flags": "u1", "race_time_s": "f4", "score": "f4", "confidence": "f4"}


@dataclass(frozen=True, eq=False)
class Index:
    """The intact rows of a session, N of them, in order; each array has the shape (N,).

    `action` is the label as one number (`ActionSpace.joint`), -1 where there is none. `held` and `sent`
    number the sets in `sets`, `times` the lap times in `lap_times`, in seconds. A row lies in the file
    `files[segment]` from byte `at` to `stop`. What the referee said is `lap`, `times`, `flags`, `race_time_s`,
    `score` and `confidence` (NaN: not known). `torn` counts segments that were not sealed or were cut short.
    """

    index: NDArray[np.int64]
    t_ns: NDArray[np.int64]
    action: NDArray[np.int32]
    held: NDArray[np.int32]
    sent: NDArray[np.int32]
    segment: NDArray[np.int32]
    at: NDArray[np.int64]
    stop: NDArray[np.int64]
    lap: NDArray[np.int32]
    times: NDArray[np.int32]
    flags: NDArray[np.uint8]
    race_time_s: NDArray[np.float32]
    score: NDArray[np.float32]
    confidence: NDArray[np.float32]
    sets: list[Held]
    files: list[str]
    lap_times: list[tuple[float, ...]]
    torn: int

    def __len__(self) -> int:
        return len(self.index)

    def take(self, rows: NDArray[np.bool_]) -> Index:
        """Return some of the rows."""
        arrays = {f.name: getattr(self, f.name)[rows] for f in fields(self) if f.name in (*_DTYPES, "index", "stop")}
        return Index(**arrays, sets=self.sets, files=self.files, lap_times=self.lap_times, torn=self.torn)

    def readings(self) -> Iterator[Reading | None]:
        """Yield what the referee said of each row, as far as it is kept here."""
        columns = (self.lap, self.times, self.race_time_s, self.flags)
        for lap, times, race_time_s, flags in zip(*(c.tolist() for c in columns), strict=True):
            yield (
                Reading(
                    lap=lap,
                    lap_times_s=self.lap_times[times],
                    race_time_s=None if np.isnan(race_time_s) else race_time_s,
                    incident=bool(flags & INCIDENT),
                    wrong_way=bool(flags & WRONG_WAY),
                    finished=bool(flags & FINISHED),
                )
                if flags & READ
                else None
            )


def stamp(folder: Path) -> list[list[Any]]:
    """Return plain data that change whenever a segment does."""
    found = []
    for path in sorted(folder.glob("seg-*")):
        with suppress(FileNotFoundError):  # sealed meanwhile: changed, then
            stat = path.stat()
            found.append([path.name, stat.st_size, stat.st_mtime_ns])
    return found


def read_index(folder: Path, space: ActionSpace, kept: Path | None) -> Index:
    """Return the index of the session in `folder`; raises SessionError when the disk fails.

    Every row is read and its CRC checked, unless the file `kept` holds an index that was made since the
    last change. It is written where the disk takes it.
    """
    now = stamp(folder)
    if kept is not None and (found := _load(kept, now)) is not None:
        return found
    made = _build(folder, space)
    if kept is not None and now == stamp(folder):
        with suppress(OSError):  # it is only quicker with it
            kept.parent.mkdir(parents=True, exist_ok=True)
            _save(kept, made, now)
    return made


def _build(folder: Path, space: ActionSpace) -> Index:
    columns: dict[str, list[Any]] = {name: [] for name in ("index", "stop", *_DTYPES)}
    sets: dict[Held, int] = {}
    lap_times: dict[tuple[float, ...], int] = {(): 0}
    files: list[str] = []
    torn = 0
    for name in segments(folder):
        data, whole = read_segment(folder, name)
        torn += not whole
        files.append(name + (SEALED if (folder / (name + SEALED)).exists() else PART))
        first = len(columns["at"])
        for record in scan(data):
            for key, value in _values(record, space, sets, lap_times).items():
                columns[key].append(value)
            columns["segment"].append(len(files) - 1)
        columns["stop"] += [*columns["at"][first + 1 :], len(data)][: len(columns["at"]) - first]
    arrays: dict[str, Any] = {name: np.array(columns[name], _DTYPES.get(name, "i8")) for name in columns}
    return Index(**arrays, sets=list(sets), files=files, lap_times=list(lap_times), torn=torn)


def _values(
    record: Record, space: ActionSpace, sets: dict[Held, int], lap_times: dict[tuple[float, ...], int]
) -> dict[str, Any]:
    v, said = record.values, record.values["reading"]
    found = {
        "index": v["index"],
        "t_ns": v["t_ns"],
        "action": _joint(record.action, space),
        "held": sets.setdefault(frozenset(v["held"]), len(sets)),
        "sent": sets.setdefault(frozenset(v["sent"]), len(sets)),
        "at": record.at,
    }
    if said is None:
        nothing = {"race_time_s": np.nan, "score": np.nan, "confidence": np.nan}
        return found | nothing | {"lap": 0, "times": 0, "flags": 0}
    flags = READ | INCIDENT * said["incident"] | WRONG_WAY * said["wrong_way"] | FINISHED * said["finished"]
    numbers = {k: np.nan if said[k] is None else said[k] for k in ("race_time_s", "score", "confidence")}
    times = lap_times.setdefault(tuple(said["lap_times_s"]), len(lap_times))
    return found | numbers | {"lap": said["lap"], "times": times, "flags": flags}


def _joint(action: Action | None, space: ActionSpace) -> int:
    """Return the label as one number; -1 for none, or one that a foreign recorder made up."""
    if action is None or len(action) != len(space.sizes):
        return -1
    fits = all(0 <= value < size for value, size in zip(action, space.sizes, strict=True))
    return space.joint(action) if fits else -1


def _save(path: Path, index: Index, now: list[list[Any]]) -> None:
    rest = [now, [sorted(s) for s in index.sets], index.files, index.lap_times, index.torn]
    arrays = {name: getattr(index, name) for name in ("index", "stop", *_DTYPES)}
    file = io.BytesIO()
    np.savez(file, rest=np.frombuffer(json.dumps(rest).encode(), np.uint8), **arrays)
    write_atomic(path, file.getbuffer())


def _load(path: Path, now: list[list[Any]]) -> Index | None:
    try:
        with np.load(path, allow_pickle=False) as found:
            arrays = {name: found[name] for name in found.files}
        made, sets, files, laps, torn = json.loads(arrays.pop("rest").tobytes())
        if made != now:
            return None
        lap_times = [tuple(times) for times in laps]
        return Index(**arrays, sets=[frozenset(s) for s in sets], files=files, lap_times=lap_times, torn=torn)
    except (
        OSError,
        EOFError,
        ValueError,
        KeyError,
        TypeError,
        zipfile.BadZipFile,
    ):  # missing, damaged or of another version
        return None
