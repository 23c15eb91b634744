"""Sessions on disk: written frame by frame, recovered after any crash, read fast for training."""

from __future__ import annotations

from autopilot.sessions.cache import Cached, cached, gather
from autopilot.sessions.index import Index
from autopilot.sessions.info import FORMAT, Edits, Review, SessionInfo
from autopilot.sessions.laps import Lap, LapFinder, LapRule, choose_laps, laps_of
from autopilot.sessions.segments import Row
from autopilot.sessions.session import Health, Session
from autopilot.sessions.store import SessionStore, session_name
from autopilot.sessions.writer import SessionWriter

__all__ = [
    "FORMAT",
    "Cached",
    "Edits",
    "Health",
    "Index",
    "Lap",
    "LapFinder",
    "LapRule",
    "Review",
    "Row",
    "Session",
    "SessionInfo",
    "SessionStore",
    "SessionWriter",
    "cached",
    "choose_laps",
    "gather",
    "laps_of",
    "session_name",
]
