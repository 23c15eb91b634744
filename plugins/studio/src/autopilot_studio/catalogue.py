"""The sessions as lists need them: opened once, counted once, kept small."""

from __future__ import annotations

import os
import threading
import time
from collections import OrderedDict
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from autopilot.api import UserError
from autopilot.sessions.home import Home
from autopilot.sessions.info import SessionInfo
from autopilot.sessions.session import Session
from autopilot.sessions.store import SessionStore

OPEN = 6
"""So many sessions are kept open, the last ones looked at."""
FIRST_S = 2.0
"""Counting everything begins so long after the start: the first page comes before."""


@dataclass(frozen=True)
class Summary:
    """What a list says of a session: frames not deleted, deleted ones, lap times, label counts, health in words."""

    frames: int
    deleted: int
    incidents: int
    laps_s: tuple[float, ...]
    labels: dict[str, int]
    health: str


@dataclass
class Entry:
    """A session in the list. `key` changes when it does; `error` says why it cannot be opened."""

    id: str
    key: str
    info: SessionInfo | None = None
    review: str = "new"
    error: str = ""
    summary: Summary | None = None

    @property
    def frames(self) -> int:
        """How many frames there are, as far as is known."""
        return self.summary.frames if self.summary else (self.info and self.info.frames) or 0


class Catalogue:
    """All sessions of a home. Safe to be asked by several threads."""

    def __init__(self, home: Home) -> None:
        self.store = SessionStore.of(home)
        self._entries: dict[str, Entry] = {}
        self._open: OrderedDict[str, tuple[str, Session]] = OrderedDict()
        self._lock = threading.Lock()
        self._counting = threading.Lock()

    def entries(self) -> list[Entry]:
        """Return every session, oldest first; what has not changed since is not read again."""
        entries = {}
        for id in self.store.ids():
            key, known = _key(self.store.root / id), self._entries.get(id)
            live = known is not None and known.info is not None and known.info.ended == "recording"
            entries[id] = known if known is not None and known.key == key and not live else self._read(id, key)
        self._entries = entries
        return list(entries.values())

    def _read(self, id: str, key: str) -> Entry:
        try:
            session = self.store.open(id)
            return Entry(id, key, session.info, session.edits().review)
        except (UserError, OSError) as e:
            return Entry(id, key, error=str(e))

    def count(self, entry: Entry) -> Summary | None:
        """Return the summary of a session, None for a broken one or one that is being recorded."""
        if entry.summary is None and entry.info is not None and entry.info.ended != "recording":
            with self._counting:
                if entry.summary is None:
                    try:
                        entry.summary = _summary(self.store.open(entry.id))
                    except (UserError, OSError) as e:
                        entry.error = str(e)
        return entry.summary

    def count_all(self, ended: threading.Event) -> None:
        """Count every session, until `ended`: then sorting by what is counted is quick."""
        ended.wait(FIRST_S)
        for entry in self.entries():
            if ended.wait(0.001):  # whoever waits for a page goes first
                return
            self.count(entry)

    def count_some(self, entries: list[Entry], seconds: float = 0.5) -> None:
        """Count sessions of a list for so long: what a page shows at once."""
        until = time.monotonic() + seconds
        for entry in entries:
            if time.monotonic() > until:
                return
            self.count(entry)

    def session(self, id: str, fresh: bool = False) -> Session:
        """Return a session, with what was read of it before if it has not changed; raises as the store does.

        One that is being recorded counts as changed when a segment is sealed, or always where `fresh` is asked.
        """
        with self._lock:
            session = self.store.open(id)
            key = _key(session.path)
            known = self._open.pop(id, None)
            if known is not None and known[0] == key and not (fresh and session.info.ended == "recording"):
                session = known[1]
            self._open[id] = key, session
            while len(self._open) > OPEN:
                self._open.popitem(last=False)
        return session

    def version(self, id: str) -> str:
        """Return a short text that changes when the session does."""
        return _key(self.store.root / id)


def _key(folder: Path) -> str:
    """Return a text that changes with the session: its segments and edits change by renames in its folder."""
    parts = []
    for name in ("", "/session.json", "/edits.json"):  # asked of every session for each list: plain text is quicker
        with suppress(OSError):
            stat = os.stat(f"{folder}{name}")  # noqa: PTH116
            parts.append(f"{stat.st_ino:x}.{stat.st_mtime_ns:x}")
    return "-".join(parts)


def lap_times(session: Session) -> list[float]:
    """Return the times of the laps that were ended within the session, in seconds, as the referee said them."""
    index = session.index
    read = np.flatnonzero(index.flags)
    if not len(read):
        return []
    times = index.lap_times[int(index.times[read[-1]])]
    return [round(t, 3) for t in times[int(index.lap[read[0]]) : int(index.lap[read[-1]])]]


def _summary(session: Session) -> Summary:
    index, there = session.index, session.there()
    incident = (index.flags & 1).astype(bool)
    begun = incident & ~np.concatenate([[False], incident[:-1]])
    return Summary(
        frames=int(there.sum()),
        deleted=int((~there).sum()),
        incidents=int((begun & there).sum()),
        laps_s=tuple(lap_times(session)),
        labels=session.label_counts(),
        health=session.health.text,
    )


def tally(entries: list[Entry], of: str) -> list[dict[str, Any]]:
    """Return a row for each value of a field of `session.json`: its sessions, frames and label counts."""
    rows: dict[str, dict[str, Any]] = {}
    for entry in entries:
        if entry.summary is None or entry.info is None:
            continue
        name = str(getattr(entry.info, of)) if of else "all sessions"
        row = rows.setdefault(name, {"name": name, "sessions": 0, "frames": 0, "labels": {}})
        row["sessions"] += 1
        row["frames"] += entry.summary.frames
        for label, n in entry.summary.labels.items():
            row["labels"][label] = row["labels"].get(label, 0) + n
    return sorted(rows.values(), key=lambda r: -int(r["frames"]))
