"""Segments: the files that hold a session's rows, in Arrow IPC.

A segment is `seg-NNNNN.arrow.part`, an Arrow stream, while it is recorded, and `seg-NNNNN.arrow`,
an Arrow file, once sealed. Either holds one record batch a row, so that damage costs one row, and
is read by looking for batches, so that a damaged footer or length costs nothing. A row keeps its
`index` for ever; damage and purges leave gaps. `frame` holds the picture's bytes, compressed with
zstd unless that makes them more (a simulator's pictures shrink 15-fold, noisy ones 1.5-fold).
"""

from __future__ import annotations

import json
import struct
import zlib
from collections.abc import Buffer, Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from autopilot.api.errors import SessionError
from autopilot.api.files import patiently
from autopilot.api.types import Action, Frame, Held, Reading
from autopilot.sessions.home import write_atomic
from autopilot.sessions.info import Ranges, contains

_NAMES = pa.list_(pa.utf8())
_READING = {
    "lap": pa.int64(),
    "lap_times_s": pa.list_(pa.float64()),
    "race_time_s": pa.float64(),
    "incident": pa.bool_(),
    "wrong_way": pa.bool_(),
    "finished": pa.bool_(),
    "score": pa.float64(),
    "confidence": pa.float64(),
}
SCHEMA = pa.schema(
    [
        pa.field("index", pa.int64(), nullable=False),
        pa.field("t_ns", pa.int64(), nullable=False),
        pa.field("held", _NAMES, nullable=False),
        pa.field("sent", _NAMES, nullable=False),
        pa.field("action", pa.list_(pa.int8())),
        pa.field("reading", pa.struct(_READING.items())),
        pa.field("frame", pa.binary(), nullable=False),
        pa.field("crc32", pa.uint32(), nullable=False),
    ]
)
SEALED, PART = ".arrow", ".arrow.part"
_MARK = b"\xff\xff\xff\xff"  # every Arrow message begins so, at a multiple of 8 bytes
_HEADER_LIMIT = 1 << 16
_TAIL = b"ARROW1"


@dataclass(eq=False)
class Row:
    """One moment of a recording.

    `held` is the label, `sent` what went to the device (they differ where noise is injected),
    `action` the label map's word for `held` (None: training skips the frame). `index` is filled
    in by reading: the row's number in its session, deleted rows counted.
    """

    frame: Frame
    held: Held
    sent: Held
    action: Action | None
    reading: Reading | None
    index: int = -1


@dataclass(frozen=True)
class Record:
    """A row as it is stored, checked against its CRC: `values` but for the frame, still packed.

    `at` is the byte of the segment at which it begins.
    """

    at: int
    values: dict[str, Any]
    frame: pa.Buffer
    batch: pa.RecordBatch

    @property
    def index(self) -> int:
        """The row's number in its session."""
        return int(self.values["index"])

    @property
    def action(self) -> Action | None:
        """The row's label."""
        action = self.values["action"]
        return None if action is None else tuple(action)

    @property
    def t_ns(self) -> int:
        """When the frame was taken."""
        return int(self.values["t_ns"])

    def row(self, height: int, width: int) -> Row:
        """Return the row, its image uint8 (height, width, 3); ValueError for another size."""
        v = self.values
        data, size = self.frame, height * width * 3
        if data.size != size:
            data = pa.decompress(data, decompressed_size=size, codec="zstd")
        frame = Frame(np.frombuffer(data, np.uint8).reshape(height, width, 3), self.t_ns)
        said = v["reading"] and Reading(**{**v["reading"], "lap_times_s": tuple(v["reading"]["lap_times_s"])})
        return Row(frame, frozenset(v["held"]), frozenset(v["sent"]), self.action, said, self.index)


def encode(row: Row, index: int) -> bytes:
    """Return the row as one Arrow message."""
    raw = row.frame.image.tobytes()
    packed = pa.compress(raw, codec="zstd", asbytes=True)
    values = {
        "index": index,
        "t_ns": row.frame.t_ns,
        "held": sorted(row.held),
        "sent": sorted(row.sent),
        "action": row.action,
        "reading": row.reading and asdict(row.reading),
        "frame": min(raw, packed, key=len),
        "crc32": 0,
    }
    batch = pa.RecordBatch.from_pylist([values], SCHEMA)
    # Summed as it will be read: Arrow may have turned an int into a float.
    crc = _crc32(batch.drop_columns("frame").to_pylist()[0], values["frame"])
    arrays = [*batch.columns[:-1], pa.array([crc], pa.uint32())]
    message = pa.RecordBatch.from_arrays(arrays, schema=SCHEMA).serialize()
    return bytes(message)


def batches(data: bytes) -> Iterator[tuple[int, int, pa.RecordBatch, pa.Buffer]]:
    """Yield where each batch begins and ends, the batch, and its frame; CRCs are not checked."""
    buffer, at = pa.py_buffer(data), data.find(_MARK)
    while at >= 0:
        if (row := _decode(buffer, at)) is not None:
            yield at, *row
        # Lengths in headers are not trusted: a wrong one would cost the rows that it jumps over.
        at = data.find(_MARK, at + 1)


def scan(data: bytes) -> Iterator[Record]:
    """Yield the intact rows of a segment, sealed or not, damaged or not, in order."""
    intact = list(batches(data))
    if not intact:
        return
    # All rows at once: to_pylist takes 2 us a row on a table and 40 us on a batch of one row.
    table = pa.Table.from_batches([batch.drop_columns("frame") for _, _, batch, _ in intact])
    for (at, _, batch, frame), values in zip(intact, table.combine_chunks().to_pylist(), strict=True):
        if values["crc32"] == _crc32(values, frame):
            yield Record(at, values, frame, batch)


def seal(data: bytes, target: Path, purged: Ranges) -> None:
    """Write a segment's intact rows, less the purged ones, as one Arrow file, atomically.

    Leaves no file when no row remains. Raises OSError, and then `target` is as it was.
    """
    kept = sealed(r for r in scan(data) if not contains(purged, r.index))
    if kept is not None:
        write_atomic(target, kept)
    else:
        patiently(lambda: target.unlink(missing_ok=True))


def sealed(records: Iterable[Record]) -> pa.Buffer | None:
    """Return the rows as an Arrow file's bytes; None when there are none."""
    sink, out = pa.BufferOutputStream(), None
    for record in records:
        out = out or pa.ipc.new_file(sink, SCHEMA)
        out.write_batch(record.batch)
    if out is None:
        return None
    out.close()
    return sink.getvalue()


def segments(folder: Path) -> list[str]:
    """Return the names of the segments, in order, without their endings."""
    return sorted({path.name.partition(".")[0] for path in folder.glob("seg-*")})


def read_segment(folder: Path, name: str) -> tuple[bytes, bool]:
    """Return a segment's bytes, none when it is gone, and whether it is sealed and whole.

    Raises SessionError when the disk fails.
    """
    # The sealed form first: a crash may have left the part beside it; and last again: a recorder
    # may be sealing the part meanwhile.
    for ending in (SEALED, PART, SEALED):
        try:
            data = patiently((folder / (name + ending)).read_bytes)
        except FileNotFoundError:
            continue
        except OSError as e:
            raise SessionError(f"cannot read {folder / name} ({e.strerror}): check the disk") from e
        return data, ending == SEALED and data[len(_TAIL) :].endswith(_TAIL)  # a file begins with it, too
    return b"", True


def _decode(buffer: pa.Buffer, at: int) -> tuple[int, pa.RecordBatch, pa.Buffer] | None:
    """Return where the batch that begins at that byte ends, the batch, and its frame; None where there is none."""
    size = int.from_bytes(buffer[at + 4 : at + 8].to_pybytes(), "little")
    if at % 8 or not 0 < size <= min(_HEADER_LIMIT, buffer.size - at - 8):
        return None
    if (body := _body(buffer[at + 8 : at + 8 + size].to_pybytes())) is None:
        return None
    try:
        batch = pa.ipc.read_record_batch(buffer.slice(at), SCHEMA)
        # Without this, a damaged offset would be followed out of the buffer.
        batch.validate(full=True)
    except (pa.ArrowException, OSError):
        return None
    if batch.num_rows != 1:
        return None
    frame = batch.column("frame")[0].as_buffer()
    return None if frame is None else (at + 8 + size + body, batch, frame)


def _body(header: bytes) -> int | None:
    """Return how long a batch's body is, by its header; None for a compressed one, or no batch at all.

    Compressed by Arrow, a few bytes swell without a limit, and no recorder writes that. The header is a
    flatbuffer: https://flatbuffers.dev/internals/ and Message.fbs of Arrow.
    """

    def field(table: int, number: int) -> int:
        vtable = table - struct.unpack_from("<i", header, table)[0]
        (length,) = struct.unpack_from("<H", header, vtable)
        (at,) = struct.unpack_from("<H", header, vtable + 4 + 2 * number) if 4 + 2 * number < length else (0,)
        return table + at if at else 0

    try:
        (message,) = struct.unpack_from("<I", header)
        batch, length = field(message, 2), field(message, 3)
        if not batch or not length or field(batch + struct.unpack_from("<I", header, batch)[0], 3):
            return None
        size: int = struct.unpack_from("<q", header, length)[0]
    except struct.error:
        return None
    return size if size >= 0 else None


def _crc32(values: dict[str, Any], frame: Buffer) -> int:
    rest = [value for name, value in values.items() if name != "crc32"]
    return zlib.crc32(frame, zlib.crc32(json.dumps(rest).encode()))
