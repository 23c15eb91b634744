"""A recorded session: read whatever is intact, review it, purge for good."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import filelock
import numpy as np

from autopilot.api.errors import SessionError
from autopilot.api.files import patiently
from autopilot.api.types import Action, ActionSpace, Held
from autopilot.sessions.home import check_name, sync_folder
from autopilot.sessions.index import Index, read_index, segment_fingerprint
from autopilot.sessions.info import Change, Edits, Ranges, Relabel, Review, SessionInfo, contains, merged, without
from autopilot.sessions.segments import SEALED, Record, Row, read_segment, scan, seal, segments

if TYPE_CHECKING:
    from numpy.typing import NDArray

_NO_INFO = "put it back from a copy, or delete the folder"
_NO_EDITS = "delete that file to bring the deleted rows back"
UNDO = 50
"""So many changes can be undone."""


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
    """A session's folder, read-only but for what changes its edits: `delete`, `restore`, `relabel`,
    `review`, `split`, `undo`, `redo` and `purge`.

    Rows are numbered as they were recorded; `len`, `label_counts` and `duration_s` leave out the
    deleted ones. What is counted is read once, at the first question; where `kept` names a file, from
    that, if it was written since the session's last change.
    """

    def __init__(self, path: Path, info: SessionInfo, live: bool, kept: Path | None = None) -> None:
        self.path = path
        self.info = info
        self._live = live
        self._kept = kept

    @classmethod
    def open(cls, path: Path, kept: Path | None = None) -> Session:
        """Open a session and change nothing in its folder, even where a crash left a mess.

        Its id is the folder's name, whatever it was recorded as: folders are renamed and copied. Raises
        SessionError when `session.json` is missing, damaged or of a newer format.
        """
        info, live = SessionInfo.load(path / "session.json", _NO_INFO), False
        if info.ended == "recording" and not (live := _is_locked(path)):
            info = SessionInfo.load(path / "session.json", _NO_INFO)  # it may have ended meanwhile
            if info.ended == "recording":
                info = info.model_copy(update={"ended": "interrupted"})
        return cls(path, info.model_copy(update={"id": path.name}), live, kept)

    @property
    def action_space(self) -> ActionSpace:
        """The axes that this session is labelled with."""
        return ActionSpace.from_json(self.info.action_space)

    @property
    def health(self) -> Health:
        """What a full read of the session finds; every CRC is checked."""
        index, edits = self.index, self.edits()
        gone = edits.deleted + edits.purged
        recorded = max([self._end, self.info.frames or 0, *(stop for _, stop in gone)])
        start, stop = edits.window or (0, recorded)
        gone = merged([*gone, (0, start), (stop, recorded)])
        left = recorded - sum(stop - start for start, stop in gone)
        damaged = left - int(np.sum(~_inside(index.index, gone)))
        return Health(len(index), damaged, 0 if self._live else index.torn, self._live)

    def __len__(self) -> int:
        return int(np.sum(self.there()))

    @cached_property
    def index(self) -> Index:
        """All intact rows of the session but for their pictures, deleted ones included, labels as recorded."""
        index = read_index(self.path, self.action_space, self._kept)
        if (window := self.edits().window) is None:
            return index
        return index.take((index.index >= window[0]) & (index.index < window[1]))

    def there(self) -> NDArray[np.bool_]:
        """Return which rows of `index` are not deleted."""
        return ~_inside(self.index.index, self.deleted())

    def labels(self) -> NDArray[np.int32]:
        """Return the label of each row of `index` as one number, relabelled rows with the new one; -1 for none."""
        return self._reviewed().action

    def remaining(self) -> Index:
        """Return the rows that are not deleted, relabelled where they are: what laps, checks and training go by."""
        return self._reviewed().take(self.there())

    def _reviewed(self) -> Index:
        index, space = self.index, self.action_space
        held, action, sets = index.held.copy(), index.action.copy(), list(index.sets)
        for new in self.edits().relabelled:
            rows = (index.index >= new.start) & (index.index < new.stop)
            held[rows], action[rows] = len(sets), -1 if new.action is None else space.joint(new.action)
            sets.append(frozenset(new.held))
        return replace(index, held=held, action=action, sets=sets)

    def row(self, number: int) -> Row:
        """Return one row, deleted or not, reading no other; raises SessionError where there is none."""
        index = self.index
        i = int(np.searchsorted(index.index, number))
        if i == len(index) or index.index[i] != number:
            raise SessionError(f"{self.path} has no intact row {number}")
        try:
            with (self.path / index.files[index.segment[i]]).open("rb") as f:
                f.seek(int(index.at[i]))
                data = f.read(int(index.stop[i] - index.at[i]))
        except OSError as e:
            raise SessionError(f"cannot read row {number} of {self.path} ({e.strerror}): open it again") from e
        for record in scan(data):
            if record.index == number:
                return self._row(record, self.edits())
        raise SessionError(f"row {number} of {self.path} has changed on the disk: open it again")

    def rows(self, include_deleted: bool = False) -> Iterator[Row]:
        """Yield the intact rows in order, relabelled where they are, one segment in memory at a time.

        Raises SessionError when the frames are not of the size that `session.json` names.
        """
        edits = self.edits()
        outside = [] if edits.window is None else [(0, edits.window[0]), (edits.window[1], 1 << 62)]
        gone = outside if include_deleted else outside + edits.deleted
        for name in segments(self.path):
            for record in scan(read_segment(self.path, name)[0]):
                if not contains(gone, record.index):
                    yield self._row(record, edits)

    def _row(self, record: Record, edits: Edits) -> Row:
        try:
            row = record.row(self.info.height, self.info.width)
        except (ValueError, OSError) as e:
            size = f"{self.info.width}x{self.info.height}"
            raise SessionError(f"{self.path}: a frame is not {size}: {_NO_INFO}") from e
        for new in edits.relabelled:
            if new.start <= row.index < new.stop:
                return replace(row, held=frozenset(new.held), action=new.action)
        return row

    def duration_s(self) -> float:
        """Return how long was driven, in seconds; pauses and deleted rows do not count."""
        return len(self) / self.info.hz

    def label_counts(self, include_deleted: bool = False) -> dict[str, int]:
        """Return how many rows have each label in words; `skipped` for those without one."""
        space, labels = self.action_space, self.labels() if include_deleted else self.remaining().action
        found = np.bincount(labels + 1, minlength=space.joint_size + 1)
        counts = {space.describe(space.split(i)): int(n) for i, n in enumerate(found[1:])}
        counts["skipped"] = int(found[0])
        return {label: n for label, n in counts.items() if n}

    def deleted(self) -> Ranges:
        """Return the ranges [start, stop) of rows that are softly deleted, in order."""
        return self.edits().deleted

    def delete(self, start: int, stop: int) -> None:
        """Delete the rows [start, stop) softly; raises SessionError for rows that do not exist."""
        self._check_range(start, stop)
        with self._editing() as edits:
            self._change(edits, _change_text("delete", start, stop), deleted=merged([*edits.deleted, (start, stop)]))

    def delete_last(self, frames: int, count: int) -> int:
        """Delete softly the last `count` of the first `frames` rows that are not deleted yet; return how many.

        Raises SessionError when the disk fails. The rows need not be on the disk yet.
        """
        with self._editing() as edits:
            left = list(islice((i for i in range(frames - 1, -1, -1) if not contains(edits.deleted, i)), count))
            deleted = merged([*edits.deleted, *((i, i + 1) for i in left)])
            self._change(edits, f"discard the last {len(left)}", deleted=deleted)
        return len(left)

    def restore(self, start: int, stop: int) -> None:
        """Bring the rows [start, stop) back; raises SessionError for rows that do not exist."""
        self._check_range(start, stop)
        with self._editing() as edits:
            self._change(edits, _change_text("restore", start, stop), deleted=without(edits.deleted, start, stop))

    def relabel(self, start: int, stop: int, held: Held | None, action: Action | None = None) -> None:
        """Let the rows [start, stop) mean `held`, for which the label map says `action`; None: as recorded.

        Raises SessionError for rows that do not exist, or a control or label that the session does not know.
        """
        self._check_range(start, stop)
        if held is not None and not held <= set(self.info.controls):
            raise SessionError(f"{self.info.game} has no control {min(held - set(self.info.controls))!r}")
        space = self.action_space
        if action is not None and not space.fits(action):
            raise SessionError(f"label {action} does not fit axes of {space.sizes} values")
        with self._editing() as edits:
            kept: list[Relabel] = []
            for old in edits.relabelled:
                pieces = without([(old.start, old.stop)], start, stop)
                kept += [old.model_copy(update={"start": a, "stop": b}) for a, b in pieces]
            if held is not None:
                kept.append(Relabel(start=start, stop=stop, held=tuple(sorted(held)), action=action))
            kept.sort(key=lambda r: r.start)
            self._change(edits, _change_text("relabel", start, stop), relabelled=kept)

    def review(self, verdict: Review) -> None:
        """Approve or reject the session: training leaves a rejected one out."""
        with self._editing() as edits:
            self._change(edits, f"mark as {verdict}", review=verdict)

    def split(self, at: int) -> str:
        """Make the rows from `at` on a session of their own and return its id.

        Both share what is on the disk, by hard links where it can. A crash may leave the rows in both:
        splitting again finishes it. Raises SessionError when there would be nothing on one side, while
        the session is recorded, or when the disk fails.
        """
        id = check_name(f"{self.info.part_of or self.info.id}-{at}", "session")
        with self._editing() as edits:
            start, stop = edits.window or (0, self._end)
            if self._live or not start < at < stop:
                why = "it is being recorded" if self._live else f"choose from {start + 1} to {stop - 1}"
                raise SessionError(f"cannot split {self.path} at {at}: {why}")
            window = (at, stop)
            theirs = edits.model_copy(update={"window": window, "undo": [], "redo": []})
            target = self.path.with_name(id)
            if not target.exists():
                self._copy(target, theirs)
            elif Session.open(target).edits() != theirs:
                raise SessionError(f"there is a session {id} already: {target}")
            self._change(edits, f"split at {at}", part=id, window=(start, at))
        return id

    def undo(self) -> str:
        """Take the newest change back and return what it was.

        Raises SessionError when there is none, or when it split a session off that has been changed since.
        """
        return self._step("undo", "redo")

    def redo(self) -> str:
        """Make the change again that was undone last, and return what it is; raises SessionError if there is none."""
        return self._step("redo", "undo")

    def _step(self, back: str, forth: str) -> str:
        """Go back to the state before the last of the changes in `back`, which can then be had again by `forth`."""
        with self._editing() as edits:
            if not (changes := getattr(edits, back)):
                raise SessionError(f"{self.info.id}: nothing to {back}")
            *left, change = changes
            others = [*getattr(edits, forth), Change(what=change.what, **edits.state())]
            hidden = self._hide(change.part, edits) if change.part else None
            self._save(edits, **change.state(), **{back: left, forth: [] if change.part else others})
            if hidden is not None:
                shutil.rmtree(hidden, ignore_errors=True)
        return str(change.what)

    def purge(self) -> int:
        """Remove the deleted rows from the disk for good, and return how many they were.

        What was changed before can no longer be undone. Also seals what a crash left unsealed and removes
        its leftovers. A crash at any point leaves a session that reads the same; purging again finishes
        the work. Raises SessionError while the session is recorded, or when the disk fails.
        """
        removed = 0
        with self._editing() as edits, filelock.FileLock(self.path / ".lock", timeout=1):
            for name in segments(self.path):
                data, whole = read_segment(self.path, name)
                doomed = sum(contains(edits.deleted, r.index) for r in scan(data))
                if doomed or not whole:
                    seal(data, self.path / (name + SEALED), edits.deleted)
                removed += doomed
            for leftover in [*self.path.glob("*.part"), *self.path.glob("*.tmp")]:
                patiently(leftover.unlink)
            if edits.deleted:
                self._save(edits, deleted=[], purged=merged(edits.purged + edits.deleted), undo=[], redo=[])
        self.__dict__.pop("index", None)
        return removed

    def fingerprint(self) -> list[object]:
        """Return plain data that change whenever the frames do."""
        edits = self.edits()
        return [edits.deleted, edits.window, self.info.width, self.info.height, segment_fingerprint(self.path)]

    def edits(self) -> Edits:
        """Return how the session was reviewed; raises SessionError when `edits.json` is damaged or newer."""
        path = self.path / "edits.json"
        return Edits.load(path, _NO_EDITS) if path.exists() else Edits()

    @property
    def _end(self) -> int:
        return int(self.index.index[-1]) + 1 if len(self.index) else 0

    @contextmanager
    def _editing(self) -> Iterator[Edits]:
        try:
            with filelock.FileLock(self.path / ".edits.lock", timeout=10):
                yield self.edits()
        except filelock.Timeout:
            raise SessionError(f"{self.path} is being recorded or edited: end that first") from None
        except OSError as e:
            raise SessionError(f"cannot change {self.path} ({e.strerror}): nothing is lost") from e

    def _change(self, edits: Edits, what: str, part: str | None = None, **state: Any) -> None:
        """Note a change so that it can be undone; one that changes nothing is none."""
        if all(getattr(edits, name) == value for name, value in state.items()):
            return
        before = Change(what=what, part=part, **edits.state())
        self._save(edits, **state, undo=[*edits.undo, before][-UNDO:], redo=[])

    def _save(self, edits: Edits, **changed: Any) -> None:
        edits.model_copy(update=changed | {"format": Edits.newest}).save(self.path / "edits.json")
        if changed.get("window", edits.window) != edits.window:
            self.__dict__.pop("index", None)

    def _copy(self, target: Path, edits: Edits) -> None:
        """Make a session at `target` of the same rows, with other edits, in one rename."""
        part = target.with_name(f".{target.name}.part")
        shutil.rmtree(part, ignore_errors=True)
        part.mkdir()
        for path in self.path.glob("seg-*"):
            try:
                os.link(path, part / path.name)  # a segment is never changed, only replaced
            except OSError:
                shutil.copyfile(path, part / path.name)
        info = {"id": target.name, "part_of": self.info.part_of or self.info.id}
        self.info.model_copy(update=info).save(part / "session.json")
        edits.save(part / "edits.json")
        patiently(lambda: part.rename(target))
        sync_folder(target.parent)

    def _hide(self, id: str, edits: Edits) -> Path | None:
        """Take a session that was split off out of sight, unless it was changed since; return where it is."""
        part = self._split_off(check_name(id, "session"), edits)
        if part is None:  # its undoing was interrupted
            return None
        theirs, mine = part.edits(), self.info.part_of or self.info.id
        if part.info.part_of != mine:
            raise SessionError(f"{part.info.id} was not split off here: if {mine} was renamed, rename it back")
        if theirs.undo or theirs.purged != edits.purged:
            raise SessionError(f"{part.info.id} has been changed since it was split off: undo its changes first")
        hidden = self.path.with_name(f".{id}.undone")
        shutil.rmtree(hidden, ignore_errors=True)
        patiently(lambda: part.path.rename(hidden))
        return hidden

    def _split_off(self, id: str, edits: Edits) -> Session | None:
        """Return the session of the rows that were split off as `id`, whatever its folder is called now."""
        if (path := self.path.with_name(id)).exists():
            return Session.open(path)
        mine = self.info.part_of or self.info.id
        for path in sorted(self.path.parent.glob("[!.]*")):
            with suppress(SessionError):
                part = Session.open(path)
                window = part.edits().window
                if part.info.part_of == mine and window and edits.window and window[0] == edits.window[1]:
                    return part
        return None

    def _check_range(self, start: int, stop: int) -> None:
        if not 0 <= start < stop <= self._end:
            raise SessionError(f"{self.path} has no rows {start} to {stop}: choose from 0 to {self._end}")


def _change_text(verb: str, start: int, stop: int) -> str:
    return f"{verb} {start}" + (f" to {stop - 1}" if stop - start > 1 else "")


def _inside(rows: NDArray[np.int64], ranges: Ranges) -> NDArray[np.bool_]:
    """Return which rows lie in one of the ranges, which are in order and do not overlap."""
    if not ranges:
        return np.zeros(len(rows), bool)
    starts, stops = np.array(ranges, np.int64).T
    at = np.searchsorted(starts, rows, side="right") - 1
    inside: NDArray[np.bool_] = (at >= 0) & (rows < stops[at.clip(0)])
    return inside


def _is_locked(path: Path) -> bool:
    lock = path / ".lock"
    if not lock.exists():
        return False
    try:
        with filelock.FileLock(lock, timeout=0.1, poll_interval=0.02):
            return False
    except OSError as e:  # a folder that we may only read is not one that we record
        return isinstance(e, filelock.Timeout)
