"""What this plugin provides: the commands `setup` and `doctor`."""

from __future__ import annotations

from autopilot.api import API_VERSION, CommandSpec, hookimpl

AUTOPILOT_API = API_VERSION


@hookimpl
def autopilot_commands() -> list[CommandSpec]:
    """The first run of a game on the screen, and what works here."""
    return [
        CommandSpec(
            "setup", "Set up a game on the screen: window, picture, keys.", "autopilot_setup.setup_command:command"
        ),
        CommandSpec("doctor", "Check what works on this machine.", "autopilot_setup.doctor_command:command"),
    ]
