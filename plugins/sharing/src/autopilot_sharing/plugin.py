"""What this plugin provides: the commands `pack`, `unpack`, `view` and `export`."""

from __future__ import annotations

from autopilot.api import API_VERSION, CommandSpec, hookimpl

AUTOPILOT_API = API_VERSION


@hookimpl
def autopilot_commands() -> list[CommandSpec]:
    """What leaves this machine, and what comes from another."""
    return [
        CommandSpec(
            "pack",
            "Pack sessions or a bundle into one file for somebody else.",
            "autopilot_sharing.pack_command:command",
        ),
        CommandSpec(
            "unpack",
            "Add the sessions or the bundle of such a file to yours.",
            "autopilot_sharing.unpack_command:command",
        ),
        CommandSpec(
            "models",
            "List, show, install and compare bundles, ready-trained ones too.",
            "autopilot_sharing.models_command:command",
        ),
        CommandSpec("view", "Open a session in Rerun.", "autopilot_sharing.view_command:command"),
        CommandSpec(
            "export",
            "Export a network for another engine, or sessions for another program.",
            "autopilot_sharing.export_command:command",
        ),
    ]
