"""What held controls mean to a network: one axis in a time trial, more where it may slide and shoot.

Steering goes by state, not by which key came last: who holds left and right at once steers left, as the
original CTR-AI had it (left before right before forward).
"""

from __future__ import annotations

from autopilot.api import NOTHING, Choice, ChoiceAxis, ChoiceLabelMap, Held, LabelMap

GAS = frozenset({"accelerate"})
L1, R1 = frozenset({"slide_left"}), frozenset({"slide_right"})

SLIDE = ChoiceAxis(
    "slide",
    (Choice("none"), Choice("hold", L1, also=(R1,)), Choice("boost", L1 | R1)),
    precedence=("boost", "hold", "none"),
)
"""A slide is held by either shoulder button, whichever way the kart turns, and boosted by tapping the
other one: so `hold` is one of them and `boost` both, which a decision of 100 ms is long enough for. The
mirror changes nothing: which way it slides is the steering's to say."""

ITEM = ChoiceAxis("item", (Choice("keep"), Choice("use", frozenset({"item"}))))


def _steer(forward: Held = NOTHING) -> ChoiceAxis:
    """Return the steering; `forward` is what must be held to drive straight on."""
    return ChoiceAxis(
        "steer",
        (Choice("left", frozenset({"left"})), Choice("forward", forward), Choice("right", frozenset({"right"}))),
        precedence=("left", "right", "forward"),
        mirror={"left": "right"},
    )


def timetrial() -> LabelMap:
    """Return `steer: left forward right`, with `accelerate` held whatever the action.

    The order of precedence is left, right, forward: who holds left and right at once steers left,
    and who holds neither drives forward, so that no frame is skipped.
    """
    return ChoiceLabelMap([_steer()], always=GAS)


def original() -> LabelMap:
    """Return the same axis by the original's rule: forward is the gas, and a frame without a key is skipped."""
    return ChoiceLabelMap([_steer(forward=GAS)], always=GAS)


def slide() -> LabelMap:
    """Return `steer` x `slide: none hold boost`, the gas held."""
    return ChoiceLabelMap([_steer(), SLIDE], always=GAS)


def arcade() -> LabelMap:
    """Return `steer` x `slide` x `item: keep use`, the gas held."""
    return ChoiceLabelMap([_steer(), SLIDE, ITEM], always=GAS)
