"""What held controls mean to a network that drives CarRacing."""

from __future__ import annotations

from autopilot.api import Choice, ChoiceAxis, ChoiceLabelMap

LEFT, RIGHT = frozenset({"left"}), frozenset({"right"})
GAS, BRAKE = frozenset({"accelerate"}), frozenset({"brake"})


def make_label_map() -> ChoiceLabelMap:
    """Return `steer: left forward right` x `pedal: gas coast brake`.

    Left with right is a contradiction, a frame to skip; gas with brake is the brake.
    """
    steer = ChoiceAxis(
        "steer",
        (Choice("left", LEFT), Choice("forward"), Choice("right", RIGHT)),
        mirror={"left": "right"},
        conflicts=(LEFT | RIGHT,),
    )
    pedal = ChoiceAxis(
        "pedal", (Choice("gas", GAS), Choice("coast"), Choice("brake", BRAKE)), precedence=("brake", "gas")
    )
    return ChoiceLabelMap([steer, pedal])
