"""Frames as a network takes them, memory-mapped: made from a session once, read at any order."""

from __future__ import annotations

import hashlib
import json
import mmap
import os
import shutil
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

import filelock
import numpy as np

from autopilot.api.errors import SessionError
from autopilot.api.files import patiently
from autopilot.sessions.index import Index
from autopilot.sessions.session import Session

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from autopilot.api.types import Image

CHUNK = 1 << 22  # bytes read at once to check a file


@dataclass(frozen=True)
class Cached:
    """Frames of one session, N of them: uint8 (N, height, width, 3), read-only, a view of `mapping` where there is one.

    `crc32` sums up them, what was held and when: a training that is resumed asks whether it is as before.
    """

    images: NDArray[np.uint8]
    mapping: mmap.mmap | None = None
    crc32: int = 0

    def __len__(self) -> int:
        return len(self.images)

    def forget(self) -> None:
        """Give back the memory of the frames that were looked at; the file still has them.

        Else a training would come to hold all of its data in memory, if only as a copy of files. Where
        the system has no such request (Windows), it takes such pages away as it needs them.
        """
        if self.mapping is not None and hasattr(mmap, "MADV_DONTNEED"):
            self.mapping.madvise(mmap.MADV_DONTNEED)


def cached(
    session: Session, root: Path, key: str, size: tuple[int, int], transform: Callable[[Image], Image]
) -> tuple[Cached, Index]:
    """Return the session's frames as `transform` makes them, uint8 (height, width, 3), and their rows: `remaining`.

    The frames are kept in a folder under `root`, and made anew when the rows, `key` (which stands for
    what `transform` does) or `size` (width, height) change, or the folder is damaged. Raises ValueError when
    `transform` returns another shape, SessionError when the disk is full or the session changes meanwhile.
    """
    name = f"{session.path.name}-{_digest([key, size])}"
    folder = root / f"{name}-{_digest(session.fingerprint())}"
    rows, shape = session.remaining(), (size[1], size[0], 3)
    try:
        root.mkdir(parents=True, exist_ok=True)
        with filelock.FileLock(root / f".{name}.lock"):
            if (frames := _load(folder, shape, rows)) is None:
                for old in root.glob(f"{name}-*"):
                    shutil.rmtree(
                        old, ignore_errors=True
                    )  # Windows keeps what a training reads; the next one tries again
                _build(session, folder, shape, transform, len(rows))
                frames = _load(folder, shape, rows)
    except OSError as e:
        shutil.rmtree(_unfinished(folder), ignore_errors=True)
        raise SessionError(f"cannot keep {name} in {root} ({e.strerror}): free some space") from e
    if frames is None:
        raise SessionError(f"{session.path} was changed while its frames were read: try again")
    return frames, rows


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
    session: Session, folder: Path, shape: tuple[int, int, int], transform: Callable[[Image], Image], count: int
) -> None:
    tmp = _unfinished(folder)
    tmp.mkdir()
    numbers, crc = np.zeros(count, np.int64), 0
    with (tmp / "frames.raw").open("wb") as f:
        for i, row in enumerate(islice(session.rows(), count)):  # one that is being recorded has more by now
            image = np.ascontiguousarray(transform(row.frame.image))
            if image.shape != shape or image.dtype != np.uint8:
                raise ValueError(f"transform made {image.dtype} {image.shape}, not {shape}")
            f.write(image.data)
            crc = zlib.crc32(image.data, crc)
            numbers[i] = row.index
        f.flush()
        os.fsync(f.fileno())
    (tmp / "crc32").write_text(str(zlib.crc32(numbers, crc)))
    patiently(lambda: tmp.rename(folder))


def _load(folder: Path, shape: tuple[int, int, int], rows: Index) -> Cached | None:
    """Return what the folder holds, or None when it is missing or not what was written of these rows."""
    crc = 0
    try:
        expected = int((folder / "crc32").read_text())
        with (folder / "frames.raw").open("rb") as f:
            while chunk := f.read(CHUNK):
                crc = zlib.crc32(chunk, crc)
            mapping = mmap.mmap(f.fileno(), 0, access=mmap.ACCESS_READ) if f.tell() else None
    except (OSError, ValueError):
        return None
    if zlib.crc32(rows.index, crc) != expected:
        return None
    held = list(map(sorted, rows.sets))
    told = json.dumps([[held[i] for i in rows.held.tolist()], rows.t_ns.tolist()])  # as runs of older versions have it
    images = np.frombuffer(mapping or b"", np.uint8).reshape(-1, *shape)
    return Cached(images, mapping, zlib.crc32(told.encode(), crc))


def _unfinished(folder: Path) -> Path:
    return folder.with_name(folder.name + ".tmp")


def _digest(data: list[object]) -> str:
    return hashlib.sha256(json.dumps(data).encode()).hexdigest()[:12]
