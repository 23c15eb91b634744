"""What held controls mean to a network that drives CarRacing."""

from __future__ import annotations

from autopilot.api import Choice, ChoiceAxis, ChoiceLabelMap, level_axis, levels, split_level

from autopilot_carracing.plugin import STEER

LEFT, RIGHT = frozenset({"left"}), frozenset({"right"})
GAS, BRAKE = frozenset({"accelerate"}), frozenset({"brake"})
HALF = 0.5
"""From so far on, a stick means as much as a key."""

PEDAL = ChoiceAxis("pedal", (Choice("gas", GAS), Choice("coast"), Choice("brake", BRAKE)), precedence=("brake", "gas"))


def make_label_map() -> ChoiceLabelMap:
    """Return `steer: left forward right` x `pedal: gas coast brake`.

    Left with right is a contradiction, a frame to skip; gas with brake is the brake. A stick that is beyond half of
    its way counts as the key.
    """
    far = {control: level for control in levels("steer", STEER) if abs(level := split_level(control)[1] or 0) >= HALF}
    left = [LEFT, *(frozenset({control}) for control, level in far.items() if level < 0)]
    right = [RIGHT, *(frozenset({control}) for control, level in far.items() if level > 0)]
    steer = ChoiceAxis(
        "steer",
        (Choice("left", LEFT, left[1:]), Choice("forward"), Choice("right", RIGHT, right[1:])),
        mirror={"left": "right"},
        conflicts=[one | other for one in left for other in right],
    )
    return ChoiceLabelMap([steer, PEDAL])


def make_analogue_label_map() -> ChoiceLabelMap:
    """Return `steer`, the levels of a stick, x `pedal: gas coast brake`; the keys are its ends."""
    return ChoiceLabelMap([level_axis("steer", STEER, mirror=True, ends=("left", "right")), PEDAL])
