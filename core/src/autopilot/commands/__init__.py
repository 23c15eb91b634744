"""What a command needs, ours or a plugin's: the `App`, shared options, printing, progress."""

from __future__ import annotations

from autopilot.commands.app import App, Finite, common, driving_options, examples, force_option, world_options

__all__ = ["App", "Finite", "common", "driving_options", "examples", "force_option", "world_options"]
