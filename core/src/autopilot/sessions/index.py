"""A session's rows as columns, without their pictures: what lists, laps, checks, training and seeking need.

They are kept in one Arrow file, all rows in one batch; what else is known of them is JSON in the metadata
of its schema.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from autopilot.api.types import ActionSpace, Held, Reading
from autopilot.sessions.home import write_atomic
from autopilot.sessions.segments import PART, SEALED, read_segment, scan, segments

if TYPE_CHECKING:
    from numpy.typing import NDArray

INCIDENT, WRONG_WAY, FINISHED, READ = 1, 2, 4, 8
"""Bits of `Index.flags`: what the referee said, and that it said anything."""

SCHEMA = pa.schema(
    [(name, pa.int64()) for name in ("index", "t_ns", "at", "stop")]
    + [(name, pa.int32()) for name in ("segment", "action", "held", "sent")]
    + [("crc32", pa.uint32()), ("flags", pa.uint8()), ("lap", pa.int32()), ("times", pa.int32())]
    + [(name, pa.float32()) for name in ("race_time_s", "score", "confidence")]
)
_ABOUT, _CRC = b"about", b"crc32"


@dataclass(frozen=True, eq=False)
class Index:
    """The intact rows of a session, N of them, in order; each array has the shape (N,).

    A row lies in the file `files[segment]` from byte `at` to `stop`, and `crc32` is its checksum. `action` is
    the label as one number (`ActionSpace.joint`), -1 where there is none. `held` and `sent` number the sets in
    `sets`. What the referee said is `flags`, `lap`, `times`, which numbers the lap times in `lap_times`, in
    seconds, `race_time_s`, `score` and `confidence` (NaN: not known). `torn` counts segments that were not
    sealed or were cut short.
    """

    index: NDArray[np.int64]
    t_ns: NDArray[np.int64]
    at: NDArray[np.int64]
    stop: NDArray[np.int64]
    segment: NDArray[np.int32]
    action: NDArray[np.int32]
    held: NDArray[np.int32]
    sent: NDArray[np.int32]
    crc32: NDArray[np.uint32]
    flags: NDArray[np.uint8]
    lap: NDArray[np.int32]
    times: NDArray[np.int32]
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
        return replace(self, **{name: getattr(self, name)[rows] for name in SCHEMA.names})

    def since_cut(self, hz: float) -> NDArray[np.int64]:
        """Return for each row how many rows lie between it and the last cut: a pause, or deleted rows.

        That is a gap of over 1.5 periods of `hz`, or a number left out.
        """
        rows = np.arange(len(self))
        cut = (np.diff(self.t_ns, prepend=self.t_ns[:1]) > 1.5e9 / hz) | (np.diff(self.index, prepend=0) != 1)
        return np.asarray(rows - np.maximum.accumulate(np.where(cut, rows, 0)), np.int64)

    def readings(self) -> Iterator[Reading | None]:
        """Yield what the referee said of each row, but for score and confidence."""
        columns = (self.lap, self.times, self.race_time_s, self.flags)
        for lap, times, race_time_s, flags in zip(*(c.tolist() for c in columns), strict=True):
            yield (
                None
                if not flags & READ
                else Reading(
                    lap=lap,
                    lap_times_s=self.lap_times[times],
                    race_time_s=None if np.isnan(race_time_s) else race_time_s,
                    incident=bool(flags & INCIDENT),
                    wrong_way=bool(flags & WRONG_WAY),
                    finished=bool(flags & FINISHED),
                )
            )


def segment_fingerprint(folder: Path) -> list[list[Any]]:
    """Return plain data that change whenever a segment does."""
    parts = []
    for path in sorted(folder.glob("seg-*")):
        with suppress(FileNotFoundError):  # sealed meanwhile: changed, then
            stat = path.stat()
            parts.append([path.name, stat.st_size, stat.st_mtime_ns])
    return parts


def read_index(folder: Path, space: ActionSpace, kept: Path | None) -> Index:
    """Return the index of the session in `folder`; raises SessionError when the disk fails.

    Every row is read and its CRC checked, unless the file `kept` holds an index that was made since the
    last change. It is written where the disk takes it.
    """
    now = segment_fingerprint(folder)
    rows = None if kept is None else _load(kept, now)
    if rows is None:
        rows = _build(folder, space, now)
        if kept is not None and now == segment_fingerprint(folder):
            with suppress(OSError):  # it is only quicker with it
                kept.parent.mkdir(parents=True, exist_ok=True)
                _save(kept, rows)
    _, sets, files, laps, torn = json.loads(rows.schema.metadata[_ABOUT])
    columns = {name: rows.column(name).to_numpy() for name in SCHEMA.names}
    return Index(**columns, sets=list(map(frozenset, sets)), files=files, lap_times=list(map(tuple, laps)), torn=torn)


def _build(folder: Path, space: ActionSpace, now: list[list[Any]]) -> pa.RecordBatch:
    batches = [pa.RecordBatch.from_pylist([], SCHEMA)]
    sets: dict[Held, int] = {}
    lap_times: dict[tuple[float, ...], int] = {(): 0}
    files: list[str] = []
    torn = 0
    for name in segments(folder):
        data, whole = read_segment(folder, name)
        torn += not whole
        records, rows = list(scan(data)), []
        for record, stop in zip(records, [*(r.at for r in records[1:]), len(data)], strict=False):
            v, action = record.values, record.action
            label = -1 if action is None or not space.fits(action) else space.joint(action)  # a foreign recorder's
            held, sent = (sets.setdefault(frozenset(v[k]), len(sets)) for k in ("held", "sent"))
            place = (record.index, record.t_ns, record.at, stop, len(files))
            rows.append((*place, label, held, sent, v["crc32"], *_said(v["reading"], lap_times)))
        columns = zip(zip(*rows, strict=True), SCHEMA.types, strict=False)
        batches += [pa.record_batch([pa.array(*c) for c in columns], schema=SCHEMA)] if rows else []
        files.append(name + (SEALED if (folder / (name + SEALED)).exists() else PART))
    about = json.dumps([now, list(map(sorted, sets)), files, list(lap_times), torn]).encode()
    whole_columns = [column.combine_chunks() for column in pa.Table.from_batches(batches).columns]
    made = pa.record_batch(whole_columns, schema=SCHEMA)
    return made.replace_schema_metadata({_ABOUT: about, _CRC: str(_crc32(made, about))})


def _said(said: dict[str, Any] | None, lap_times: dict[tuple[float, ...], int]) -> tuple[float, ...]:
    """Return what the columns from `flags` on hold for a reading."""
    if said is None:
        return 0, 0, 0, np.nan, np.nan, np.nan
    flags = READ | INCIDENT * said["incident"] | WRONG_WAY * said["wrong_way"] | FINISHED * said["finished"]
    times = lap_times.setdefault(tuple(said["lap_times_s"]), len(lap_times))
    numbers = (np.nan if said[k] is None else said[k] for k in ("race_time_s", "score", "confidence"))
    return flags, said["lap"], times, *numbers


def _save(path: Path, rows: pa.RecordBatch) -> None:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_file(sink, rows.schema) as file:
        file.write_batch(rows)
    write_atomic(path, sink.getvalue())
    path.with_suffix(".npz").unlink(missing_ok=True)  # what older versions kept


def _load(path: Path, now: list[list[Any]]) -> pa.RecordBatch | None:
    """Return what the file holds; None where it is missing, damaged, of another version or stale."""
    try:
        # Not mapped: Windows would let nobody replace it while we have it.
        rows = pa.ipc.open_file(path.read_bytes()).get_batch(0)
        rows.validate(full=True)  # else a damaged length would be followed out of the file
        about = rows.schema.metadata[_ABOUT]
        if not rows.schema.equals(SCHEMA) or int(rows.schema.metadata[_CRC]) != _crc32(rows, about):
            return None
    except (pa.ArrowException, OSError, ValueError, TypeError, KeyError, IndexError):
        return None
    return rows if json.loads(about)[0] == now else None


def _crc32(rows: pa.RecordBatch, about: bytes) -> int:
    crc = zlib.crc32(about)
    for column in rows.columns:
        crc = zlib.crc32(column.to_numpy(), crc)
    return crc
