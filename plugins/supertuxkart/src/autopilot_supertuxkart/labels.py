"""What held controls mean to a network."""

from __future__ import annotations

from autopilot.interfaces import LabelMap
from autopilot.labels import Choice, ChoiceAxis, ChoiceLabelMap

STEER = ChoiceAxis(
    "steer",
    (Choice("left", frozenset({"left"})), Choice("forward"), Choice("right", frozenset({"right"}))),
    precedence=("left", "right", "forward"),
    mirror={"left": "right"},
)


def steer_only() -> LabelMap:
    """Return `steer: left forward right`, with `accelerate` held whatever the action."""
    return ChoiceLabelMap([STEER], always=frozenset({"accelerate"}))
