"""What this plugin provides: the command `studio`."""

from __future__ import annotations

from autopilot.api import API_VERSION, CommandSpec, hookimpl

AUTOPILOT_API = API_VERSION


@hookimpl
def autopilot_commands() -> list[CommandSpec]:
    """The studio, a web page on this machine."""
    return [
        CommandSpec("studio", "Review, correct and compare sessions in a browser.", "autopilot_studio.command:studio")
    ]
