"""What held controls mean to a network in a time trial."""

from __future__ import annotations

from autopilot.interfaces import LabelMap
from autopilot.labels import Choice, ChoiceAxis, ChoiceLabelMap


def timetrial() -> LabelMap:
    """Return `steer: left forward right`, with `accelerate` held whatever the action.

    The order of precedence is left, right, forward: who holds left and right at once steers left,
    and who holds neither drives forward, so that no frame is skipped.
    """
    steer = ChoiceAxis(
        "steer",
        (Choice("left", frozenset({"left"})), Choice("forward"), Choice("right", frozenset({"right"}))),
        precedence=("left", "right", "forward"),
        mirror={"left": "right"},
    )
    return ChoiceLabelMap([steer], always=frozenset({"accelerate"}))
