"""The first run of a game on the screen: its window, its picture in that, its keys, its display."""

from __future__ import annotations

from autopilot.setup.crop import Picture, find_picture
from autopilot.setup.wizard import SetupOptions, SetupReport, Talk, setup

__all__ = ["Picture", "SetupOptions", "SetupReport", "Talk", "find_picture", "setup"]
