"""What this plugin provides: the game, its time-trial label map, and the command `ctr`."""

from __future__ import annotations

from autopilot.hookspecs import API_VERSION, hookimpl
from autopilot.specs import CommandSpec, GameSpec, LabelMapSpec

from autopilot_ctr.game import CTR

AUTOPILOT_API = API_VERSION


@hookimpl
def autopilot_games() -> list[GameSpec]:
    """Crash Team Racing, played in an emulator on the screen."""
    return [CTR]


@hookimpl
def autopilot_label_maps() -> list[LabelMapSpec]:
    """Left, forward or right with the gas held: all that a time trial needs."""
    return [
        LabelMapSpec(
            "ctr-timetrial",
            "steer: left forward right; accelerate always held",
            "ctr",
            make="autopilot_ctr.labels:timetrial",
        )
    ]


@hookimpl
def autopilot_commands() -> list[CommandSpec]:
    """Tracks and keys, to look up before recording."""
    return [CommandSpec("ctr", "Crash Team Racing: its tracks and keys.", "autopilot_ctr.commands:ctr")]
