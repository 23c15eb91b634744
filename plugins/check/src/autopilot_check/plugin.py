"""What this plugin provides: the command `check`, and what training asks."""

from __future__ import annotations

from autopilot.api import API_VERSION, CheckSpec, CommandSpec, hookimpl

AUTOPILOT_API = API_VERSION


@hookimpl
def autopilot_commands() -> list[CommandSpec]:
    """The linter of recorded sessions."""
    return [
        CommandSpec("check", "Find errors in sessions that would spoil a training.", "autopilot_check.command:command")
    ]


@hookimpl
def autopilot_checks() -> list[CheckSpec]:
    """What is looked for before a training."""
    title = "faults of sessions, alone and against each other"
    return [CheckSpec("check", title, "autopilot_check.check:check_before_training")]
