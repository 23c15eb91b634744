"""What this plugin provides: the game, its label maps, and the command `ctr`."""

from __future__ import annotations

from autopilot.api import API_VERSION, CommandSpec, GameSpec, LabelMapSpec, hookimpl

from autopilot_ctr.game import CTR

AUTOPILOT_API = API_VERSION


@hookimpl
def autopilot_games() -> list[GameSpec]:
    """Crash Team Racing, played in an emulator on the screen."""
    return [CTR]


@hookimpl
def autopilot_label_maps() -> list[LabelMapSpec]:
    """Left, forward or right with the gas held, which a time trial needs; with power slides; with items."""
    return [
        LabelMapSpec(name, f"{axes}; accelerate always held", "ctr", f"autopilot_ctr.labels:{make}")
        for name, axes, make in (
            ("ctr-timetrial", "steer: left forward right", "timetrial"),
            ("ctr-original", "the same, but a frame with no key is skipped", "original"),
            ("ctr-slide", "steer x slide: none hold boost", "slide"),
            ("ctr-arcade", "steer x slide x item: keep use", "arcade"),
        )
    ]


@hookimpl
def autopilot_commands() -> list[CommandSpec]:
    """Tracks and keys to look up, a display to learn, the original program's recordings."""
    return [
        CommandSpec("ctr", "Crash Team Racing: its tracks and keys.", "autopilot_ctr.commands:ctr"),
        CommandSpec(
            "learn-hud", "Learn to read lap times from your own driving.", "autopilot_ctr.learn_hud_command:command"
        ),
        CommandSpec("import", "Make sessions of what CTR-AI recorded.", "autopilot_ctr.import_command:command"),
    ]
