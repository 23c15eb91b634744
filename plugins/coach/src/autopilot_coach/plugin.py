"""What this plugin provides: the command `coach`."""

from __future__ import annotations

from autopilot.api import API_VERSION, CommandSpec, hookimpl

AUTOPILOT_API = API_VERSION


@hookimpl
def autopilot_commands() -> list[CommandSpec]:
    """One sitting from play to driver."""
    return [
        CommandSpec("coach", "Play, and watch a network learn to drive beside you.", "autopilot_coach.command:command")
    ]
