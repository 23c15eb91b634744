"""Frames as a network takes them, memory-mapped: made from a session once, read at any order."""

from __future__ import annotations

import hashlib
import json
import mmap
import os
import shutil
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import filelock
import numpy as np

from autopilot.api.errors import SessionError
from autopilot.api.types import Held
from autopilot.sessions.segments import Row
from autopilot.sessions.session import Session

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from autopilot.api.types import Image

CHUNK = 1 << 22  # bytes read at once to check a file


@dataclass(frozen=True)
class Cached:
    """The rows of one session that are not deleted, N of them.

    `images` is uint8 (N, height, width, 3), read-only, a view of `mapping` where there is one;
    `held[i]` is what was held at frame i, and `t_ns` int64 (N,) when that was. `notes[i]` is what the
    caller of `cached` noted of that row, if anything. `crc32` sums up all of them.
    """

    images: NDArray[np.uint8]
    held: list[Held]
    t_ns: NDArray[np.int64]
    mapping: mmap.mmap | None = None
    crc32: int = 0
    notes: list[Any] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.held)

    def forget(self) -> None:
        """Give back the memory of the frames that were looked at; the file still has them.

        Else a training would come to hold all of its data in memory, if only as a copy of files. Where
        the system has no such request (Windows), it takes such pages away as it needs them.
        """
        if self.mapping is not None and hasattr(mmap, "MADV_DONTNEED"):
            self.mapping.madvise(mmap.MADV_DONTNEED)


def cached(
    session: Session,
    root: Path,
    key: str,
    size: tuple[int, int],
    transform: Callable[[Image], Image],
    note: Callable[[Row], Any] | None = None,
) -> Cached:
    """Return the session's frames as `transform` makes them: uint8 (height, width, 3).

    They are kept in a folder under `root`, and made anew when the rows, `key` (which stands for
    what `transform` and `note` do) or `size` (width, height) change, or the folder is damaged. What
    `note` returns of each row, plain data, is kept with the frames. Raises
    ValueError when `transform` returns another shape, SessionError when the disk is full.
    """
    name = f"{session.path.name}-{_digest([key, size])}"
    folder = root / f"{name}-{_digest(session.fingerprint())}"
    shape = (size[1], size[0], 3)
    try:
        root.mkdir(parents=True, exist_ok=True)
        with filelock.FileLock(root / f".{name}.lock"):
            if (found := _load(folder, shape)) is None:
                for old in root.glob(f"{name}-*"):
                    shutil.rmtree(old)
                _build(session, folder, shape, transform, note)
                found = _load(folder, shape)
    except OSError as e:
        shutil.rmtree(_unfinished(folder), ignore_errors=True)
        raise SessionError(f"cannot keep {name} in {root} ({e.strerror}): free some space") from e
    assert found is not None, "what was just written reads back"
    return found


def gather(caches: Sequence[Cached], indices: NDArray[np.int64], out: NDArray[np.uint8]) -> None:
    """Copy frames into `out`, uint8 (B, H, W, 3); `indices` int64 (B,) count through all caches.

    What it read is not kept in memory. Raises IndexError for an index that no cache holds,
    ValueError for shapes that differ.
    """
    images = [cache.images for cache in caches]
    ends = np.cumsum([len(i) for i in images])
    if len(out) != len(indices) or any(i.shape[1:] != out.shape[1:] for i in images):
        raise ValueError(f"{len(indices)} frames do not fit {out.shape}")
    if len(indices) and not 0 <= indices.min() <= indices.max() < ends[-1]:
        raise IndexError(f"frames {indices.min()} to {indices.max()} of {ends[-1]}")
    which = np.searchsorted(ends, indices, side="right")
    starts = np.concatenate([[0], ends])[which]
    for to, cache, at in zip(out, which.tolist(), (indices - starts).tolist(), strict=True):
        to[...] = images[cache][at]
    for touched in np.unique(which).tolist():
        caches[touched].forget()


def _build(
    session: Session,
    folder: Path,
    shape: tuple[int, int, int],
    transform: Callable[[Image], Image],
    note: Callable[[Row], Any] | None,
) -> None:
    tmp = _unfinished(folder)
    tmp.mkdir()
    held: list[list[str]] = []
    t_ns: list[int] = []
    notes: list[Any] = []
    crc = 0
    with (tmp / "frames.raw").open("wb") as f:
        for row in session.rows():
            image = np.ascontiguousarray(transform(row.frame.image))
            if image.shape != shape or image.dtype != np.uint8:
                raise ValueError(f"transform made {image.dtype} {image.shape}, not {shape}")
            f.write(image.data)
            crc = zlib.crc32(image.data, crc)
            held.append(sorted(row.held))
            t_ns.append(row.frame.t_ns)
            if note is not None:
                notes.append(note(row))
        f.flush()
        os.fsync(f.fileno())
    rows = json.dumps([held, t_ns] if note is None else [held, t_ns, notes]).encode()
    (tmp / "rows.json").write_bytes(rows)
    (tmp / "crc32").write_text(str(zlib.crc32(rows, crc)))
    tmp.rename(folder)


def _load(folder: Path, shape: tuple[int, int, int]) -> Cached | None:
    """Return what the folder holds, or None when it is missing or not what was written."""
    mapping, crc = None, 0
    try:
        rows = (folder / "rows.json").read_bytes()
        expected = int((folder / "crc32").read_text())
        with (folder / "frames.raw").open("rb") as f:
            while chunk := f.read(CHUNK):
                crc = zlib.crc32(chunk, crc)
            if f.tell():
                mapping = mmap.mmap(f.fileno(), 0, access=mmap.ACCESS_READ)
    except (OSError, ValueError):
        return None
    if zlib.crc32(rows, crc) != expected:
        return None
    held, t_ns, *notes = json.loads(rows)
    images = np.frombuffer(mapping or b"", np.uint8).reshape(-1, *shape)
    known: dict[Held, Held] = {}  # few differ: one object for each
    every = [known.setdefault(h, h) for h in map(frozenset, held)]
    return Cached(images, every, np.array(t_ns, np.int64), mapping, expected, *notes)


def _unfinished(folder: Path) -> Path:
    return folder.with_name(folder.name + ".tmp")


def _digest(data: list[object]) -> str:
    return hashlib.sha256(json.dumps(data).encode()).hexdigest()[:12]
