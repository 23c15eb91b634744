"""What this plugin provides: two commands below `autopilot plugins`."""

from __future__ import annotations

from autopilot.api import API_VERSION, CommandSpec, hookimpl

AUTOPILOT_API = API_VERSION


@hookimpl
def autopilot_commands() -> list[CommandSpec]:
    """To write a plugin, and to check one."""
    return [
        CommandSpec("plugins new", "Create a plugin from a template that works.", "autopilot_kit.new_command:command"),
        CommandSpec("plugins check", "Check everything that a plugin provides.", "autopilot_kit.check_command:command"),
    ]
