"""The folder that holds all sessions."""

from __future__ import annotations

import difflib
import re
import unicodedata
from datetime import UTC, datetime
from pathlib import Path

from autopilot.api.errors import SessionError, UserError
from autopilot.sessions.home import Home, check_name
from autopilot.sessions.session import Session


def session_name(game: str, track: str, driver: str) -> str:
    """Return a readable name for a session that begins now: `20260131-142501-ctr-coco-park-anna`.

    Raises UserError for a name that looks like a path.
    """
    now = datetime.now(UTC).strftime("%Y%m%d-%H%M%S")
    return "-".join([now, _slug(game), _slug(track), _slug(driver)])


class SessionStore:
    """All sessions under one folder, a folder each, whose name is the session's id.

    `indices` is a folder in which what was counted is kept, so that it is not counted again.
    """

    def __init__(self, root: Path, indices: Path | None = None) -> None:
        self.root = root
        self.indices = indices

    @classmethod
    def of(cls, home: Home) -> SessionStore:
        """Return the sessions of a home."""
        return cls(home.sessions, home.cache / "index")

    def ids(self) -> list[str]:
        """Return the ids of all sessions, oldest first; broken ones included."""
        if not self.root.is_dir():
            return []
        return sorted(p.name for p in self.root.iterdir() if p.is_dir() and p.name[0] != ".")

    def open(self, id: str) -> Session:
        """Open one session; raises UserError for a name that is not one, SessionError if broken."""
        path = self.root / check_name(id, "session")
        if not path.is_dir():
            near = difflib.get_close_matches(id, self.ids(), 3)
            hint = f"did you mean {', '.join(near)}?" if near else "autopilot sessions lists them"
            raise SessionError(f"no session {id!r} in {self.root}: {hint}")
        return Session.open(path, self.indices and self.indices / f"{id}.arrow")

    def all(self) -> tuple[list[Session], list[tuple[str, str]]]:
        """Open every session; those that cannot be come as (id, what is wrong)."""
        sessions: list[Session] = []
        broken: list[tuple[str, str]] = []
        for id in self.ids():
            try:
                sessions.append(self.open(id))
            except UserError as e:
                broken.append((id, str(e)))
        return sessions, broken


def _slug(text: str) -> str:
    if "/" in text or "\\" in text or ".." in text:
        raise UserError(f"{text!r} cannot be part of a name: leave out '/', '\\' and '..'")
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode().lower()
    return re.sub(r"[^a-z0-9]+", "-", plain).strip("-")[:24] or "unnamed"
