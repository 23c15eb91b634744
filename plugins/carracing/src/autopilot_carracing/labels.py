"""What held controls mean to a network that drives CarRacing."""

from __future__ import annotations

from autopilot.labels import Choice, ChoiceAxis, ChoiceLabelMap


def make_label_map() -> ChoiceLabelMap:
    """Return `steer: left forward right` x `pedal: gas coast brake`.

    Left with right is a contradiction, a frame to skip; gas with brake is the brake.
    """
    return ChoiceLabelMap(
        [
            ChoiceAxis(
                "steer",
                (
                    Choice("left", frozenset({"left"})),
                    Choice("forward"),
                    Choice("right", frozenset({"right"})),
                ),
                mirror={"left": "right"},
                conflicts=(frozenset({"left", "right"}),),
            ),
            ChoiceAxis(
                "pedal",
                (
                    Choice("gas", frozenset({"accelerate"})),
                    Choice("coast"),
                    Choice("brake", frozenset({"brake"})),
                ),
                precedence=("brake", "gas"),
            ),
        ]
    )
