"""Finding plugins and looking up by name what they provide."""

from __future__ import annotations

from autopilot.plugins.guard import Calling
from autopilot.plugins.registry import KINDS, Fault, Plugin, Registry

__all__ = ["KINDS", "Calling", "Fault", "Plugin", "Registry"]
