"""A recorded session: read whatever is intact, delete softly, purge for good."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from pathlib import Path

import filelock

from autopilot.errors import SessionError
from autopilot.sessions.info import Edits, Ranges, SessionInfo, contains, merged
from autopilot.sessions.segments import SEALED, Record, Row, read_segment, scan, seal, segments
from autopilot.types import Action, ActionSpace

_NO_INFO = "put it back from a copy, or delete the folder"
_NO_EDITS = "delete that file to bring the deleted rows back"


@dataclass(frozen=True)
class Health:
    """What reading a session found.

    `frames` counts intact rows, softly deleted ones included; `damaged` rows that were recorded
    and cannot be read; `torn` segments that were not sealed or were cut short, their intact rows
    recovered; `live` is true while the session is recorded.
    """

    frames: int
    damaged: int
    torn: int
    live: bool

    @property
    def text(self) -> str:
        """The same in words: `ok`, or what is wrong."""
        words = ["being recorded"] if self.live else []
        words += [f"damaged frames: {self.damaged}"] if self.damaged else []
        words += [f"unfinished segments, recovered: {self.torn}"] if self.torn else []
        return ", ".join(words) or "ok"


class Session:
    """A session's folder, read-only but for `delete`, `restore` and `purge`.

    Rows are numbered as they were recorded; `len`, `label_counts` and `duration_s` leave out the
    deleted ones. What is counted is read once, at the first question.
    """

    def __init__(self, path: Path, info: SessionInfo, live: bool) -> None:
        self.path = path
        self.info = info
        self._live = live

    @classmethod
    def open(cls, path: Path) -> Session:
        """Open a session and change nothing on the disk, even where a crash left a mess.

        Raises SessionError when `session.json` is missing, damaged or of a newer format.
        """
        live = _is_locked(path)  # asked first, or a session that just ends would look interrupted
        info = SessionInfo.load(path / "session.json", _NO_INFO)
        if info.ended == "recording" and not live:
            info = info.model_copy(update={"ended": "interrupted"})
        return cls(path, info, live)

    @property
    def action_space(self) -> ActionSpace:
        """The axes that this session is labelled with."""
        return ActionSpace.from_json(self.info.action_space)

    @property
    def health(self) -> Health:
        """What a full read of the session finds; every CRC is checked."""
        actions, torn = self._scan
        edits = _edits(self.path)
        gone = merged(edits.deleted + edits.purged)
        recorded = max([self._end, self.info.frames or 0, *(stop for _, stop in gone)])
        left = recorded - sum(stop - start for start, stop in gone)
        damaged = left - sum(not contains(gone, i) for i in actions)
        return Health(len(actions), damaged, 0 if self._live else torn, self._live)

    def __len__(self) -> int:
        return len(self._actions(include_deleted=False))

    def rows(self, include_deleted: bool = False) -> Iterator[Row]:
        """Yield the intact rows in order, one segment in memory at a time.

        Raises SessionError when the frames are not of the size that `session.json` names.
        """
        for record in self.moments(include_deleted):
            try:
                yield record.row(self.info.height, self.info.width)
            except (ValueError, OSError) as e:
                size = f"{self.info.width}x{self.info.height}"
                raise SessionError(f"{self.path}: a frame is not {size}: {_NO_INFO}") from e

    def moments(self, include_deleted: bool = False) -> Iterator[Record]:
        """Yield what `rows` does with the frames still packed: labels, times and readings."""
        deleted = [] if include_deleted else self.deleted()
        for name in segments(self.path):
            for record in scan(read_segment(self.path, name)[0]):
                if not contains(deleted, record.index):
                    yield record

    def duration_s(self) -> float:
        """Return how long was driven, in seconds; pauses and deleted rows do not count."""
        return len(self) / self.info.hz

    def label_counts(self, include_deleted: bool = False) -> dict[str, int]:
        """Return how many rows have each label in words; `skipped` for those without one."""
        space = self.action_space
        counts = {space.describe(space.split(i)): 0 for i in range(space.joint_size)}
        counts["skipped"] = 0
        for action in self._actions(include_deleted):
            counts["skipped" if action is None else space.describe(action)] += 1
        return {label: n for label, n in counts.items() if n}

    def deleted(self) -> Ranges:
        """Return the ranges [start, stop) of rows that are softly deleted, in order."""
        return _edits(self.path).deleted

    def delete(self, start: int, stop: int) -> None:
        """Delete the rows [start, stop) softly; raises SessionError for rows that do not exist."""
        self._check_range(start, stop)
        with _editing(self.path) as edits:
            _save(self.path, merged([*edits.deleted, (start, stop)]), edits.purged)

    def restore(self, start: int, stop: int) -> None:
        """Bring the rows [start, stop) back; raises SessionError for rows that do not exist."""
        self._check_range(start, stop)
        with _editing(self.path) as edits:
            left = [(a, min(b, start)) for a, b in edits.deleted]
            right = [(max(a, stop), b) for a, b in edits.deleted]
            _save(self.path, merged(left + right), edits.purged)

    def purge(self) -> int:
        """Remove the deleted rows from the disk for good, and return how many they were.

        Also seals what a crash left unsealed and removes its leftovers. A crash at any point
        leaves a session that reads the same; purging again finishes the work. Raises SessionError
        while the session is recorded, or when the disk fails.
        """
        removed = 0
        with _editing(self.path) as edits, filelock.FileLock(self.path / ".lock", timeout=1):
            for name in segments(self.path):
                data, whole = read_segment(self.path, name)
                doomed = sum(contains(edits.deleted, r.index) for r in scan(data))
                if doomed or not whole:
                    seal(data, self.path / (name + SEALED), edits.deleted)
                removed += doomed
            for leftover in [*self.path.glob("*.part"), *self.path.glob("*.tmp")]:
                leftover.unlink()
            if edits.deleted:
                _save(self.path, [], merged(edits.purged + edits.deleted))
        self.__dict__.pop("_scan", None)
        return removed

    def fingerprint(self) -> list[object]:
        """Return plain data that change whenever the rows do."""
        stats: list[object] = [self.deleted(), self.info.width, self.info.height]
        for path in sorted(self.path.glob("seg-*")):
            with suppress(FileNotFoundError):  # sealed meanwhile: changed, then
                stat = path.stat()
                stats += [path.name, stat.st_size, stat.st_mtime_ns]
        return stats

    @cached_property
    def _scan(self) -> tuple[dict[int, Action | None], int]:
        """The labels of all intact rows by index, and the number of torn segments."""
        actions, torn = {}, 0
        for name in segments(self.path):
            data, whole = read_segment(self.path, name)
            actions.update({record.index: record.action for record in scan(data)})
            torn += not whole
        return actions, torn

    @property
    def _end(self) -> int:
        return max(self._scan[0], default=-1) + 1

    def _actions(self, include_deleted: bool) -> list[Action | None]:
        deleted = [] if include_deleted else self.deleted()
        return [action for i, action in self._scan[0].items() if not contains(deleted, i)]

    def _check_range(self, start: int, stop: int) -> None:
        if not 0 <= start < stop <= self._end:
            raise SessionError(f"{self.path} has no rows {start} to {stop}: choose from 0 to {self._end}")


def delete_last(path: Path, frames: int, count: int) -> int:
    """Delete softly the last `count` of the first `frames` rows, skipping deleted ones; return how many it were."""
    with _editing(path) as edits:
        left = list(islice((i for i in range(frames - 1, -1, -1) if not contains(edits.deleted, i)), count))
        if left:
            _save(path, merged([*edits.deleted, *((i, i + 1) for i in left)]), edits.purged)
    return len(left)


def _edits(folder: Path) -> Edits:
    path = folder / "edits.json"
    return Edits.load(path, _NO_EDITS) if path.exists() else Edits()


@contextmanager
def _editing(folder: Path) -> Iterator[Edits]:
    try:
        with filelock.FileLock(folder / ".edits.lock", timeout=10):
            yield _edits(folder)
    except filelock.Timeout:
        raise SessionError(f"{folder} is being recorded or edited: end that first") from None
    except OSError as e:
        raise SessionError(f"cannot change {folder} ({e.strerror}): nothing is lost") from e


def _save(folder: Path, deleted: Ranges, purged: Ranges) -> None:
    Edits(deleted=deleted, purged=purged).save(folder / "edits.json")


def _is_locked(path: Path) -> bool:
    lock = path / ".lock"
    if not lock.exists():
        return False
    try:
        with filelock.FileLock(lock, timeout=0.1, poll_interval=0.02):
            return False
    except filelock.Timeout:
        return True
    except OSError:  # a folder that we may only read is not one that we record
        return False
