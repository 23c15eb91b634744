"""What a session's files hold: `session.json`, and segments of rows in Arrow IPC.

A segment is `seg-NNNNN.arrow.part`, an Arrow stream, while it is recorded and `seg-NNNNN.arrow`,
an Arrow file, once sealed. Both hold one record batch a row, so that damage costs one row, and
both are read by looking for batches: a footer or a length that was hit costs nothing. A row keeps
its `index` for ever; damage and purges leave gaps. `frame` is the picture's bytes, RGB row by
row, compressed with zstd where that makes them fewer.
"""

from __future__ import annotations

import json
import os
import re
import zlib
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
import pyarrow as pa
from pydantic import BaseModel, ConfigDict, Field, PositiveFloat, field_validator

from autopilot.errors import SessionError, UserError
from autopilot.home import check_name
from autopilot.types import Action, ActionSpace, Frame, Held, Reading

FORMAT = 1
Side = Annotated[int, Field(gt=0, le=8192)]

SCHEMA = pa.schema(
    [
        pa.field("index", pa.int64(), nullable=False),
        pa.field("t_ns", pa.int64(), nullable=False),
        pa.field("held", pa.list_(pa.utf8()), nullable=False),
        pa.field("sent", pa.list_(pa.utf8()), nullable=False),
        pa.field("action", pa.list_(pa.int8())),
        pa.field(
            "reading",
            pa.struct(
                [
                    ("lap", pa.int64()),
                    ("lap_times_s", pa.list_(pa.float64())),
                    ("race_time_s", pa.float64()),
                    ("incident", pa.bool_()),
                    ("wrong_way", pa.bool_()),
                    ("finished", pa.bool_()),
                    ("score", pa.float64()),
                    ("confidence", pa.float64()),
                ]
            ),
        ),
        pa.field("crc32", pa.uint32(), nullable=False),
        pa.field("frame", pa.binary(), nullable=False),
    ]
)
_SEGMENT = re.compile(r"seg-(\d{5,})\.arrow(\.part)?")
_MARK = b"\xff\xff\xff\xff"  # every Arrow message begins so, at a multiple of 8 bytes
_HEADER_LIMIT = 1 << 16
_TAIL = b"ARROW1"


class _Versioned(BaseModel):
    """A JSON file that names its format."""

    model_config = ConfigDict(frozen=True)

    format: int = FORMAT

    @field_validator("format")
    @classmethod
    def _known(cls, value: int) -> int:
        if value > FORMAT:
            raise SessionError(
                f"made by a newer autopilot (format {value}; this one reads {FORMAT}): upgrade"
            )
        return value

    @classmethod
    def load(cls, path: Path, advice: str) -> Any:
        """Read and check the file; raises SessionError that names it and ends with `advice`."""
        try:
            return cls.model_validate_json(path.read_bytes())
        except SessionError as e:
            raise SessionError(f"{path}: {e}") from None
        except FileNotFoundError:
            raise SessionError(f"{path} is missing: {advice}") from None
        except OSError as e:
            raise SessionError(f"cannot read {path} ({e.strerror}): {advice}") from e
        except ValueError as e:
            raise SessionError(f"{path} is damaged: {advice}") from e

    def save(self, path: Path) -> None:
        """Write the file atomically; raises OSError."""
        write_atomic(path, self.model_dump_json(indent=2).encode() + b"\n")


class SessionInfo(_Versioned):
    """What is known of a session as a whole: `session.json`.

    `action_space` has the form of `ActionSpace.to_json`; `created` is ISO 8601 in UTC; `frames`
    is how many rows were recorded, known once the session is closed.
    """

    id: str
    game: str
    driver: str
    track: str
    mode: str
    hz: PositiveFloat
    width: Side
    height: Side
    controls: tuple[str, ...]
    label_map: str
    action_space: list[dict[str, Any]]
    lockstep: bool
    noise: float = 0.0
    created: str
    versions: dict[str, str]
    ended: Literal["recording", "saved", "quit", "interrupted"]
    frames: int | None = None

    @field_validator("id")
    @classmethod
    def _safe(cls, value: str) -> str:
        try:
            return check_name(value, "session")
        except UserError as e:
            raise ValueError(str(e)) from e

    @field_validator("action_space")
    @classmethod
    def _valid(cls, value: list[dict[str, Any]]) -> list[dict[str, Any]]:
        ActionSpace.from_json(value)
        return value


class Edits(_Versioned):
    """`edits.json`: ranges [start, stop) of row indices, softly deleted and purged for good."""

    deleted: list[tuple[int, int]] = []
    purged: list[tuple[int, int]] = []


@dataclass(eq=False)
class Row:
    """One moment of a recording.

    `held` is the label, `sent` what went to the device (they differ where noise is injected),
    `action` the label map's word for `held` (None: training skips the frame). `index` is filled
    in by reading: the row's number in its session, deleted rows included.
    """

    frame: Frame
    held: Held
    sent: Held
    action: Action | None
    reading: Reading | None
    index: int = field(default=-1)


@dataclass(frozen=True)
class Record:
    """A row as it is stored: checked against its CRC, its frame still packed."""

    values: dict[str, Any]
    frame: pa.Buffer
    batch: pa.RecordBatch

    def row(self, height: int, width: int) -> Row:
        """Return the row, its image uint8 (height, width, 3); ValueError for another size."""
        v, size = self.values, height * width * 3
        data = self.frame
        if data.size != size:
            data = pa.decompress(data, decompressed_size=size, codec="zstd")
        image = np.frombuffer(data, np.uint8).reshape(height, width, 3)
        reading = v["reading"]
        if reading is not None:
            reading = Reading(**{**reading, "lap_times_s": tuple(reading["lap_times_s"])})
        return Row(
            frame=Frame(image, v["t_ns"]),
            held=frozenset(v["held"]),
            sent=frozenset(v["sent"]),
            action=None if v["action"] is None else tuple(v["action"]),
            reading=reading,
            index=v["index"],
        )


def encode(row: Row, index: int) -> pa.Buffer:
    """Return the row as one Arrow message, a multiple of 8 bytes."""
    raw = np.ascontiguousarray(row.frame.image)
    packed = pa.compress(raw, codec="zstd", asbytes=True)
    values = {
        "index": index,
        "t_ns": row.frame.t_ns,
        "held": sorted(row.held),
        "sent": sorted(row.sent),
        "action": row.action,
        "reading": None if row.reading is None else asdict(row.reading),
        "crc32": 0,
        "frame": packed if len(packed) < raw.nbytes else raw.tobytes(),
    }
    batch = pa.RecordBatch.from_pylist([values], schema=SCHEMA)
    crc = _crc32(_values(batch), values["frame"])
    at = SCHEMA.get_field_index("crc32")
    return batch.set_column(at, SCHEMA.field(at), pa.array([crc], pa.uint32())).serialize()


def scan(data: bytes) -> Iterator[Record]:
    """Yield the intact rows of a segment, sealed or not, damaged or not, in order."""
    buffer = pa.py_buffer(data)
    at = data.find(_MARK)
    while at >= 0:
        if (record := _decode(buffer, at)) is not None:
            yield record
        # Lengths in headers are not trusted: a wrong one would cost the rows that it jumps over.
        at = data.find(_MARK, at + 1)


def seal(data: bytes, target: Path, purged: list[tuple[int, int]] | None = None) -> None:
    """Write the intact rows of a segment, less the purged ones, as one Arrow file, atomically.

    Leaves no file when no row remains. Raises OSError, and then `target` is as it was.
    """
    batches = [r.batch for r in scan(data) if not contains(purged or [], r.values["index"])]
    if not batches:
        target.unlink(missing_ok=True)
        return
    sink = pa.BufferOutputStream()
    with pa.ipc.new_file(sink, SCHEMA) as out:
        for batch in batches:
            out.write_batch(batch)
    write_atomic(target, sink.getvalue())


def is_whole(path: Path, data: bytes) -> bool:
    """Return whether a segment was sealed and ends as it should."""
    return path.suffix == ".arrow" and data.endswith(_TAIL)


def segments(folder: Path) -> dict[int, Path]:
    """Return the segments by number, in order; where both forms exist, the sealed one."""
    found: dict[int, Path] = {}
    for path in sorted(folder.iterdir()):
        if match := _SEGMENT.fullmatch(path.name):
            found.setdefault(int(match[1]), path)
    return dict(sorted(found.items()))


def segment_path(folder: Path, number: int) -> Path:
    """Return where the sealed segment of that number is; `.part` is added while it is not."""
    return folder / f"seg-{number:05d}.arrow"


def part_path(folder: Path, number: int) -> Path:
    """Return where the segment of that number is recorded."""
    return folder / f"seg-{number:05d}.arrow.part"


def contains(ranges: list[tuple[int, int]], index: int) -> bool:
    """Return whether one of the ranges [start, stop) holds the index."""
    return any(start <= index < stop for start, stop in ranges)


def write_atomic(path: Path, data: Any) -> None:
    """Write a file so that any crash leaves the old one or the new one, whole and on the disk."""
    tmp = path.with_name(path.name + ".tmp")
    try:
        with tmp.open("wb") as f:
            f.write(data)
            f.flush()
            os.fsync(f.fileno())
        tmp.replace(path)
    except OSError:
        tmp.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Make names that were created or removed in the folder last through a power cut."""
    if os.name == "nt":  # which cannot open a folder, and writes names through by itself
        return
    fd = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def _decode(buffer: pa.Buffer, at: int) -> Record | None:
    size = int.from_bytes(buffer.slice(at + 4, 4).to_pybytes(), "little")
    if at % 8 or not 0 < size <= min(_HEADER_LIMIT, buffer.size - at - 8):
        return None
    try:
        batch = pa.ipc.read_record_batch(buffer.slice(at), SCHEMA)
        # Without this, a damaged offset would be followed outside of the buffer.
        batch.validate(full=True)
        if batch.num_rows != 1:
            return None
        _, offsets, frames = batch.column("frame").buffers()
        start, stop = np.frombuffer(offsets, np.int32, 2).tolist()
        frame = frames.slice(start, stop - start)
        values = _values(batch)
        intact = values["crc32"] == _crc32(values, frame)
    except (pa.ArrowException, OSError, ValueError, TypeError, MemoryError):
        return None  # what damaged bytes are taken for
    return Record(values, frame, batch) if intact else None


def _values(batch: pa.RecordBatch) -> dict[str, Any]:
    values: dict[str, Any] = batch.drop_columns("frame").to_pylist()[0]
    return values


def _crc32(values: dict[str, Any], frame: Any) -> int:
    rest = [value for name, value in values.items() if name != "crc32"]
    return zlib.crc32(frame, zlib.crc32(json.dumps(rest).encode()))
