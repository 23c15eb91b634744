"""Looks through recorded sessions for what would teach a network the wrong thing: `autopilot check`."""

from __future__ import annotations

from autopilot.check.check import Report, admit, check, check_home
from autopilot.check.findings import LOOK, OK, REFUSE, REJECTED, Finding

__all__ = ["LOOK", "OK", "REFUSE", "REJECTED", "Finding", "Report", "admit", "check", "check_home"]
