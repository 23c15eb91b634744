"""The one loop that records, drives and races: capture, decide, hold, observe, tick."""

from __future__ import annotations

from autopilot.loop.drivers import (
    DemonstratorDriver,
    Driver,
    HumanDriver,
    NoisyDriver,
    PolicyDriver,
    RandomDriver,
    TaughtDriver,
)
from autopilot.loop.keep import Keeper, LapKeeper, new_info
from autopilot.loop.recovery import Recovering
from autopilot.loop.run import Ending, Observer, once, run
from autopilot.loop.takeover import Takeover, TakeoverMode
from autopilot.loop.timing import Timing

__all__ = [
    "DemonstratorDriver",
    "Driver",
    "Ending",
    "HumanDriver",
    "Keeper",
    "LapKeeper",
    "NoisyDriver",
    "Observer",
    "PolicyDriver",
    "RandomDriver",
    "Recovering",
    "Takeover",
    "TakeoverMode",
    "TaughtDriver",
    "Timing",
    "new_info",
    "once",
    "run",
]
