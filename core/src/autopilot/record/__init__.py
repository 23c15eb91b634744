"""Recording: a human or a demonstrator drives, every frame and what was held is kept."""

from __future__ import annotations

from autopilot.record.look import look
from autopilot.record.record import RecordOptions, RecordProgress, record

__all__ = ["RecordOptions", "RecordProgress", "look", "record"]
