"""What held controls mean to a network."""

from __future__ import annotations

from autopilot.api import Choice, ChoiceAxis, ChoiceLabelMap, LabelMap

STEER = ChoiceAxis(
    "steer",
    (Choice("left", frozenset({"left"})), Choice("forward"), Choice("right", frozenset({"right"}))),
    precedence=("left", "right", "forward"),
    mirror={"left": "right"},
)


def steer_only() -> LabelMap:
    """Return `steer: left forward right`, with `accelerate` held whatever the action."""
    return ChoiceLabelMap([STEER], always=frozenset({"accelerate"}))


def pro() -> LabelMap:
    """Return steering as above, and whether to `skid`, to use `nitro` and to `fire` what was collected."""
    more = [ChoiceAxis(name, (Choice("no"), Choice("yes", frozenset({name})))) for name in ("skid", "nitro", "fire")]
    return ChoiceLabelMap([STEER, *more], always=frozenset({"accelerate"}))
