"""Sessions on disk: written frame by frame, recovered after any crash, read fast for training."""

from __future__ import annotations

from autopilot.sessions.cache import Cached, cached, gather
from autopilot.sessions.info import FORMAT, SessionInfo
from autopilot.sessions.laps import Lap, LapFinder, LapRule, choose_laps, laps_of
from autopilot.sessions.segments import Row
from autopilot.sessions.session import Health, Session
from autopilot.sessions.store import SessionStore
from autopilot.sessions.writer import SessionWriter

__all__ = [
    "FORMAT",
    "Cached",
    "Health",
    "Lap",
    "LapFinder",
    "LapRule",
    "Row",
    "Session",
    "SessionInfo",
    "SessionStore",
    "SessionWriter",
    "cached",
    "choose_laps",
    "gather",
    "laps_of",
]
