"""Driving: a bundle drives a game, with an overlay, a film and an honest timing report."""

from __future__ import annotations

from autopilot.drive.drive import DriveOptions, DriveReport, drive, drive_races, load_policy, make_driver
from autopilot.drive.overlay import Film, Overlay, Window
from autopilot.drive.teach import teach

__all__ = [
    "DriveOptions",
    "DriveReport",
    "Film",
    "Overlay",
    "Window",
    "drive",
    "drive_races",
    "load_policy",
    "make_driver",
    "teach",
]
