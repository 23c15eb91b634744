"""What this plugin provides."""

from __future__ import annotations

from autopilot.hookspecs import API_VERSION

AUTOPILOT_API = API_VERSION
