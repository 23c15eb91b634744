"""What this plugin provides: the command `check`."""

from __future__ import annotations

from autopilot.api import API_VERSION, CommandSpec, hookimpl

AUTOPILOT_API = API_VERSION


@hookimpl
def autopilot_commands() -> list[CommandSpec]:
    """The linter of recorded sessions."""
    return [
        CommandSpec(
            "check", "Look through sessions for what would teach the wrong thing.", "autopilot_check.command:command"
        )
    ]
