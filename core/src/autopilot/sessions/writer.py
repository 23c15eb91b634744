"""The writer of a session: what `append` has taken survives whatever happens to the process."""

from __future__ import annotations

import errno
import io
import os
import shutil
import time
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import NoReturn, Self

import filelock

from autopilot.api.errors import SessionError
from autopilot.api.files import patiently
from autopilot.api.types import ActionSpace
from autopilot.sessions.home import make_folder, sync_folder
from autopilot.sessions.info import Ranges, SessionInfo
from autopilot.sessions.segments import PART, SCHEMA, SEALED, Row, encode, seal
from autopilot.sessions.session import Session

_MIN_FREE_MB = 50
_SEGMENT_LIMIT = 64_000_000  # bytes; readers hold one segment in memory
_SYNC_S = 1.0
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class SessionWriter:
    """Records one session into a new folder `root/<info.id>`, or `-2` and so on where that is taken.

    A row reaches the kernel before `append` returns and the disk about a second later; a segment
    is sealed in the background every `segment_s` seconds. As a context manager it closes as
    `saved`, or as `interrupted` when left through an exception.

    With `exact` a folder that is taken is an error. Raises SessionError for that, when the folder cannot be
    written, or when the disk is nearly full.
    """

    def __init__(self, root: Path, info: SessionInfo, segment_s: float = 10.0, exact: bool = False) -> None:
        self.path = root / info.id
        self.frames = 0
        self._space = ActionSpace.from_json(info.action_space)
        self._segment_s = segment_s
        self._number = 0
        self._file: io.FileIO | None = None
        self._size = 0
        self._started = self._synced = 0.0
        self._closed = False
        self._tasks: list[Future[None]] = []
        try:
            root.mkdir(parents=True, exist_ok=True)
            if (free := shutil.disk_usage(root).free // 1_000_000) < _MIN_FREE_MB:
                raise SessionError(f"only {free} MB are free in {root}: recording needs {_MIN_FREE_MB} MB")
            if exact:
                self.path.mkdir()
            else:
                self.path = make_folder(root, info.id)
            self._info = info.model_copy(update={"id": self.path.name, "ended": "recording", "frames": None})
            self._lock = filelock.FileLock(self.path / ".lock", thread_local=False)
            self._lock.acquire()
            self._info.save(self.path / "session.json")
        except OSError as e:
            raise SessionError(f"cannot record into {self.path}: {e.strerror}") from e
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="seal")

    def append(self, row: Row) -> None:
        """Write one row; when this returns, the row survives the end of the process.

        Raises ValueError when the frame or the action does not fit `info` or the writer is closed,
        SessionError when the disk is full or fails; what was appended before stays readable.
        """
        image, shape = row.frame.image, (self._info.height, self._info.width, 3)
        if self._closed:
            raise ValueError(f"{self.path} is closed")
        if image.shape != shape or image.dtype != "uint8":
            raise ValueError(f"a frame is {image.dtype} {image.shape}, not uint8 {shape}")
        if row.action is not None and not self._space.fits(row.action):
            raise ValueError(f"action {row.action} does not fit axes of {self._space.sizes} values")
        data, now = encode(row, self.frames), time.monotonic()
        try:
            self._check_tasks()
            if now - self._started >= self._segment_s or self._size >= _SEGMENT_LIMIT:
                self._finish_segment()
            if self._file is None:
                self._file = self._segment.with_suffix(PART).open("xb", 0)
                self._size, self._started = 0, now
            rest = memoryview(data if self._size else bytes(SCHEMA.serialize()) + data)
            self._size += len(rest)
            self.frames += 1  # before it is written: Ctrl-C may end this right after
            try:
                while rest:  # a disk that fills up takes a part before it refuses
                    rest = rest[self._file.write(rest) :]
            except OSError:
                self.frames -= 1
                raise
        except OSError as e:
            self._finish_segment()  # what comes after half a row might not be found
            self._fail(e)
        if now - self._synced >= _SYNC_S:
            self._synced = now
            self._tasks.append(self._pool.submit(self._sync, self._file))

    def discard(self, count: int) -> int:
        """Delete the last `count` rows softly, those left out that are deleted already; return how many it were.

        Raises SessionError when the disk fails.
        """
        return Session.open(self.path).delete_last(self.frames, count)

    def close(self, ended: str = "saved", human: Ranges | None = None, lap_time_s: float | None = None) -> None:
        """Seal what is left and note how the session ended, which rows a human took over, and a lap's time.

        One that was interrupted before its first row is removed. Calling it twice is harmless.

        Raises SessionError when the disk is full or fails; every row stays readable even so.
        """
        if self._closed:
            return
        known = {"ended": ended, "frames": self.frames, "human": human or [], "lap_time_s": lap_time_s}
        info = SessionInfo.model_validate(self._info.model_dump() | known)
        self._closed = True
        try:
            self._finish_segment()
            self._pool.shutdown(wait=True)
            info.save(self.path / "session.json")
            self._check_tasks()
        except OSError as e:
            self._fail(e)
        finally:
            self._lock.release()
            if ended == "interrupted" and not self.frames:
                shutil.rmtree(self.path, ignore_errors=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None:
            self.close()
            return
        with suppress(SessionError):  # the error on its way out is the one to report
            self.close("interrupted")

    @property
    def _segment(self) -> Path:
        return self.path / f"seg-{self._number:05d}"

    def _finish_segment(self) -> None:
        if self._file is not None:
            self._tasks.append(self._pool.submit(self._seal, self._file, self._segment))
            self._file = None
            self._number += 1

    def _sync(self, file: io.FileIO) -> None:
        os.fsync(file.fileno())
        sync_folder(self.path)

    def _seal(self, file: io.FileIO, segment: Path) -> None:
        file.close()
        part = segment.with_suffix(PART)
        with suppress(OSError):  # a part is read as well as a sealed segment, and `purge` seals it
            seal(part.read_bytes(), segment.with_suffix(SEALED), [])
            patiently(part.unlink)

    def _check_tasks(self) -> None:
        """Raise what a finished task of the background raised."""
        while self._tasks and self._tasks[0].done():
            self._tasks.pop(0).result()

    def _fail(self, error: OSError) -> NoReturn:
        safe = f"{self.frames} frames are safe in {self.path}"
        if error.errno in _FULL:
            raise SessionError(f"disk full: {safe}; free some space") from error
        raise SessionError(f"cannot write ({error.strerror}): {safe}") from error
