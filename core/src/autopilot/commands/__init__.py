"""What a command needs, ours or a plugin's: the `App`, shared options and their groups, printing, progress."""

from __future__ import annotations

from autopilot.commands.app import App
from autopilot.commands.options import (
    Finite,
    GroupedCommand,
    common,
    driving_options,
    examples,
    force_option,
    option_group,
    workers_option,
    world_options,
)

__all__ = [
    "App",
    "Finite",
    "GroupedCommand",
    "common",
    "driving_options",
    "examples",
    "force_option",
    "option_group",
    "workers_option",
    "world_options",
]
