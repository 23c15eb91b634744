"""Gymnasium environments as games of autopilot: `gymnasium_game` for plugins, files in the home for everybody."""

from autopilot_gymnasium.descriptor import gymnasium_game

__all__ = ["gymnasium_game"]
