"""A recorded session: read whatever is intact, delete softly, purge for good."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import filelock

from autopilot.errors import SessionError
from autopilot.sessions.format import (
    Edits,
    Row,
    SessionInfo,
    contains,
    is_whole,
    part_path,
    scan,
    seal,
    segment_path,
    segments,
)
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
        words += [f"{self.damaged} damaged frames skipped"] if self.damaged else []
        words += [f"{self.torn} unfinished segments recovered"] if self.torn else []
        return ", ".join(words) or "ok"


@dataclass(frozen=True)
class _Scan:
    actions: dict[int, Action | None]
    torn: int


class Session:
    """A session's folder, read-only but for `delete`, `restore` and `purge`.

    Rows are numbered as they were recorded; `len`, `label_counts` and `duration_s` leave out the
    deleted ones. What is counted is read once, at the first question.
    """

    def __init__(self, path: Path, info: SessionInfo, live: bool) -> None:
        self.path = path
        self.info = info
        self.live = live

    @classmethod
    def open(cls, path: Path) -> Session:
        """Open a session and change nothing on the disk, even where a crash left a mess.

        Raises SessionError when `session.json` is missing, damaged or of a newer format.
        """
        live = _is_locked(path)  # asked first: a session that ends meanwhile is not called cut off
        info: SessionInfo = SessionInfo.load(path / "session.json", _NO_INFO)
        if info.ended == "recording" and not live:
            info = info.model_copy(update={"ended": "interrupted"})
        return cls(path, info, live)

    @property
    def action_space(self) -> ActionSpace:
        """The axes that this session is labelled with."""
        return ActionSpace.from_json(self.info.action_space)

    @cached_property
    def health(self) -> Health:
        """What a full read of the session finds; every CRC is checked."""
        found = self._scan
        edits = self._edits()
        count = self.info.frames if self.info.frames is not None else self._end
        gone = edits.deleted + edits.purged
        missing = (i for i in range(count) if i not in found.actions)
        damaged = sum(not contains(gone, i) for i in missing)
        return Health(len(found.actions), damaged, found.torn, self.live)

    def __len__(self) -> int:
        deleted = self.deleted()
        return sum(not contains(deleted, index) for index in self._scan.actions)

    def rows(self, include_deleted: bool = False) -> Iterator[Row]:
        """Yield the intact rows in order, one segment in memory at a time.

        Raises SessionError when the frames are not of the size that `session.json` names.
        """
        deleted = [] if include_deleted else self.deleted()
        for number in segments(self.path):
            for record in scan(_read(self.path, number)[1]):
                if contains(deleted, record.values["index"]):
                    continue
                try:
                    yield record.row(self.info.height, self.info.width)
                except (ValueError, OSError) as e:
                    raise SessionError(
                        f"{self.path}: frame {record.values['index']} is not"
                        f" {self.info.width}x{self.info.height}: {_NO_INFO}"
                    ) from e

    def duration_s(self) -> float:
        """Return how long was driven, in seconds; pauses and deleted rows do not count."""
        return len(self) / self.info.hz

    def label_counts(self, include_deleted: bool = False) -> dict[str, int]:
        """Return how many rows have each label in words; `skipped` for those without one."""
        space = self.action_space
        deleted = [] if include_deleted else self.deleted()
        counts = {space.describe(space.split(i)): 0 for i in range(space.joint_size)}
        counts["skipped"] = 0
        for index, action in self._scan.actions.items():
            if not contains(deleted, index):
                counts["skipped" if action is None else space.describe(action)] += 1
        return {label: n for label, n in counts.items() if n}

    def deleted(self) -> list[tuple[int, int]]:
        """Return the ranges [start, stop) of rows that are softly deleted, in order."""
        return self._edits().deleted

    def delete(self, start: int, stop: int) -> None:
        """Delete the rows [start, stop) softly; raises SessionError for rows that do not exist."""
        self._check_range(start, stop)
        with self._editing():
            edits = self._edits()
            self._save(edits, _merged([*edits.deleted, (start, stop)]))

    def restore(self, start: int, stop: int) -> None:
        """Bring the rows [start, stop) back; raises SessionError for rows that do not exist."""
        self._check_range(start, stop)
        with self._editing():
            edits = self._edits()
            left = [(a, min(b, start)) for a, b in edits.deleted]
            right = [(max(a, stop), b) for a, b in edits.deleted]
            self._save(edits, _merged(left + right))

    def purge(self) -> int:
        """Remove the deleted rows from the disk for good, and return how many they were.

        Also seals what a crash left unsealed and removes its leftovers. A crash at any point
        leaves a session that reads the same; purging again finishes the work. Raises SessionError
        while the session is recorded or when the disk fails.
        """
        lock = filelock.FileLock(self.path / ".lock")
        try:
            with lock.acquire(timeout=1), self._editing():
                return self._purge()
        except filelock.Timeout:
            raise SessionError(f"{self.path} is being recorded: end that first") from None
        except OSError as e:
            raise SessionError(f"cannot purge {self.path} ({e.strerror}): nothing is lost") from e

    def fingerprint(self) -> list[object]:
        """Return plain data that change whenever the rows do."""
        stats = [(p.name, p.stat()) for p in segments(self.path).values()]
        return [
            *([name, stat.st_size, stat.st_mtime_ns] for name, stat in stats),
            self.deleted(),
            [self.info.id, self.info.width, self.info.height],
        ]

    @cached_property
    def _scan(self) -> _Scan:
        actions: dict[int, Action | None] = {}
        torn = 0
        for number in segments(self.path):
            path, data = _read(self.path, number)
            torn += not (is_whole(path, data) or (self.live and path.suffix == ".part"))
            for record in scan(data):
                action = record.values["action"]
                actions[record.values["index"]] = None if action is None else tuple(action)
        return _Scan(actions, torn)

    @property
    def _end(self) -> int:
        return max(self._scan.actions, default=-1) + 1

    def _edits(self) -> Edits:
        path = self.path / "edits.json"
        edits: Edits = Edits.load(path, _NO_EDITS) if path.exists() else Edits()
        return edits

    def _editing(self) -> filelock.BaseFileLock:
        return filelock.FileLock(self.path / ".edits.lock", timeout=10)

    def _save(self, edits: Edits, deleted: list[tuple[int, int]]) -> None:
        edits.model_copy(update={"deleted": deleted}).save(self.path / "edits.json")
        self.__dict__.pop("health", None)

    def _check_range(self, start: int, stop: int) -> None:
        if not 0 <= start < stop <= self._end:
            raise SessionError(
                f"{self.path} has no rows {start} to {stop}: choose from 0 to {self._end}"
            )

    def _purge(self) -> int:
        edits = self._edits()
        removed = 0
        for number, path in segments(self.path).items():
            data = _read(self.path, number)[1]
            doomed = sum(contains(edits.deleted, r.values["index"]) for r in scan(data))
            if doomed or path.suffix == ".part":
                seal(data, segment_path(self.path, number), edits.deleted)
            removed += doomed
        for pattern in ("*.part", "*.tmp"):
            for path in self.path.glob(pattern):
                path.unlink()
        if edits.deleted:
            purged = _merged(edits.purged + edits.deleted)
            self._save(edits.model_copy(update={"purged": purged}), [])
        self.__dict__.pop("_scan", None)
        self.__dict__.pop("health", None)
        return removed


def _read(folder: Path, number: int) -> tuple[Path, bytes]:
    """Return a segment's bytes, and the file that they came from; none when it is gone.

    The sealed form is tried again last: a recorder may be renaming the part meanwhile.
    """
    sealed, part = segment_path(folder, number), part_path(folder, number)
    for path in (sealed, part, sealed):
        try:
            return path, path.read_bytes()
        except FileNotFoundError:
            continue
        except OSError as e:
            raise SessionError(f"cannot read {path} ({e.strerror}): check the disk") from e
    return sealed, b""


def _merged(ranges: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """Return the same rows as the fewest ranges, in order; empty ranges vanish."""
    merged: list[tuple[int, int]] = []
    for start, stop in sorted((a, b) for a, b in ranges if a < b):
        if merged and start <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(stop, merged[-1][1]))
        else:
            merged.append((start, stop))
    return merged


def _is_locked(path: Path) -> bool:
    lock = path / ".lock"
    if not lock.exists():
        return False
    try:
        with filelock.FileLock(lock).acquire(timeout=0.1, poll_interval=0.02):
            return False
    except filelock.Timeout:
        return True
    except OSError:  # a folder that we may only read is not one that we record
        return False
