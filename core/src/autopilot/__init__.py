"""autopilot: a network learns to drive a racing game from the screen alone."""

from __future__ import annotations

__version__ = "0.1.0"
