"""What this plugin provides: a game for each descriptor in the home, and the command that makes one."""

from __future__ import annotations

from pathlib import Path

from autopilot.api import API_VERSION, CommandSpec, GameSpec, LabelMapSpec, hookimpl

from autopilot_gymnasium.descriptor import games_of

AUTOPILOT_API = API_VERSION


@hookimpl
def autopilot_games(home: Path | None) -> list[GameSpec]:
    """A game for each file in the home's folder `games`."""
    return [game for game, _ in games_of(home)]


@hookimpl
def autopilot_label_maps(home: Path | None) -> list[LabelMapSpec]:
    """Their label maps."""
    return [label_map for _, label_map in games_of(home)]


@hookimpl
def autopilot_commands() -> list[CommandSpec]:
    """Making and listing these files."""
    return [CommandSpec("gymnasium", "Make games of Gymnasium environments.", "autopilot_gymnasium.command:command")]
