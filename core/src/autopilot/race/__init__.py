"""Racing: each driver in turn on each track, and the table that compares them."""

from __future__ import annotations

from autopilot.race.race import RaceOptions, race
from autopilot.race.report import save_reports
from autopilot.race.result import RaceResult, Run, summarise

__all__ = ["RaceOptions", "RaceResult", "Run", "race", "save_reports", "summarise"]
