"""What a session from elsewhere must be before it becomes one of ours: the format's own rules, and bounds."""

from __future__ import annotations

import math
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

from autopilot.api import Action, ActionSpace, SessionError
from autopilot.sessions.home import check_name
from autopilot.sessions.info import Edits, Ranges, SessionInfo, merged
from autopilot.sessions.segments import Record, batches, read_segment, scan, segments
from autopilot.sessions.session import Session

_ROWS = 1 << 40
_TEXT, _WORDS, LABELS = 200, 256, 10_000
_SMALL, _SWELL = 1 << 30, 200
_BESIDE = 1 << 16  # bytes of a row but its frame


def check_session_at(folder: Path) -> None:
    """Check all of a session that was unpacked into `folder`; raises SessionError, or another UserError."""
    info = SessionInfo.load(folder / "session.json", "ask for another pack")
    if info.id != folder.name:
        raise SessionError(f"it is called {info.id!r:.80} inside")
    _check_info(info)
    space = ActionSpace.from_json(info.action_space)
    _check_edits(Session(folder, info, live=False).edits(), info, space)
    last, rows = -1, 0
    stored = sum(p.stat().st_size for p in folder.glob("seg-*"))
    for name in segments(folder):
        data, whole = read_segment(folder, name)
        found = _plain_rows(data)
        _need(whole and found > 0, f"{name} is no segment that was recorded")
        records = list(scan(data))
        _need(len(records) == found, f"{name} has damaged rows")
        rows += found
        _need(rows * info.width * info.height * 3 <= max(_SMALL, _SWELL * stored), "its frames would fill the disk")
        for record in records:
            _need(last < record.index < _ROWS, f"{name} has rows out of order")
            last = record.index
            _check_row(record, info, space)


def _plain_rows(data: bytes) -> int:
    """Return how many rows a segment holds, CRCs not checked; 0 when no recorder can have written it.

    None lies within another one, nor has more than 64 KiB beside its frame: else a few bytes could be read
    as the contents of very many rows.
    """
    end = rows = 0
    for start, stop, batch, frame in batches(data):
        if start < end or batch.nbytes - frame.size > _BESIDE:
            return 0
        end, rows = stop, rows + 1
    return rows


def _check_info(info: SessionInfo) -> None:
    texts = [info.game, info.driver, info.track, info.mode, info.label_map, info.teacher or "", *info.controls]
    for axis in info.action_space:
        texts += [str(axis["name"]), *map(str, axis["values"])]
    texts += [*info.versions, *info.versions.values()]
    check_texts(texts, "session.json")
    _need(ActionSpace.from_json(info.action_space).joint_size <= LABELS, "it has too many labels")
    _need(math.isfinite(info.hz) and info.hz <= 1000, f"its rate is {info.hz:g}")
    _need(0 <= info.noise <= 1 and math.isfinite(info.lap_time_s or 0), "session.json has numbers that are none")
    _need(info.frames is None or 0 <= info.frames < _ROWS, "its number of frames makes no sense")
    _check_ranges(info.human, "human", apart=False)
    if info.part_of is not None:
        check_name(info.part_of, "session")
    try:
        datetime.fromisoformat(info.created)
    except ValueError:
        raise SessionError(f"it was created {info.created!r:.80}, which is no time") from None


def check_texts(texts: list[str], file: str) -> None:
    """Raise SessionError for texts that are too many, too long, or would do something to a terminal."""
    _need(len(texts) <= 4 * _WORDS, f"{file} has too many names")
    _need(all(len(t) <= _TEXT and t.isprintable() for t in texts), f"{file} has names that are no words")


def _check_edits(edits: Edits, info: SessionInfo, space: ActionSpace) -> None:
    _need(not edits.undo and not edits.redo, "edits.json has changes to undo, which could reach other sessions")
    _check_ranges(edits.deleted, "deleted")
    _check_ranges(edits.purged, "purged")
    _check_ranges([edits.window or (0, 1)], "window")
    _check_ranges([(r.start, r.stop) for r in edits.relabelled], "relabelled", apart=False)
    for new in edits.relabelled:
        _need(set(new.held) <= set(info.controls) and _fits(new.action, space), "edits.json has unknown labels")


def _check_ranges(ranges: Ranges, what: str, apart: bool = True) -> None:
    """Refuse ranges that are out of order or bounds; where they must be `apart`, such as touch, too."""
    fine = all(0 <= start < stop <= _ROWS for start, stop in ranges)
    fine = fine and all(a[1] <= b[0] for a, b in pairwise(ranges))
    _need(fine and (not apart or merged(ranges) == list(ranges)), f"its ranges of {what} rows make no sense")


def _check_row(record: Record, info: SessionInfo, space: ActionSpace) -> None:
    values: dict[str, Any] = record.values
    _need({*values["held"], *values["sent"]} <= set(info.controls), f"row {record.index} holds what is no control")
    _need(_fits(record.action, space), f"row {record.index} has an unknown label")
    _need(record.t_ns >= 0, f"row {record.index} has no time")
    if (said := values["reading"]) is not None:
        known = [said[k] for k in ("lap", "lap_times_s", "incident", "wrong_way", "finished", "confidence")]
        fine = None not in known and 0 <= said["lap"] < 1 << 31 and None not in said["lap_times_s"]
        numbers = [*said["lap_times_s"], said["confidence"], said["race_time_s"] or 0] if fine else []
        fine = fine and all(map(math.isfinite, numbers))
        _need(fine, f"row {record.index} has a reading that makes no sense")
    try:
        record.row(info.height, info.width)
    except (ValueError, OSError, MemoryError):
        raise SessionError(f"row {record.index} is no frame of {info.width}x{info.height}") from None


def _fits(action: Action | None, space: ActionSpace) -> bool:
    return action is None or space.fits(action)


def _need(true: bool, otherwise: str) -> None:
    if not true:
        raise SessionError(otherwise)
