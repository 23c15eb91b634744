"""The table-shaped label map: precedence, contradictions, round trips."""

from __future__ import annotations

import itertools

import pytest
from autopilot.labels import Choice, ChoiceAxis, ChoiceLabelMap
from autopilot.types import Held
from hypothesis import given
from hypothesis import strategies as st

CONTROLS = ("left", "right", "slide", "accelerate", "brake", "item")


def held(*controls: str) -> Held:
    return frozenset(controls)


STEER = ChoiceAxis(
    "steer",
    [Choice("left", held("left")), Choice("forward"), Choice("right", held("right"))],
    mirror={"left": "right"},
    conflicts=[held("left", "right")],
)
PEDAL = ChoiceAxis(
    "pedal",
    [
        Choice("gas", held("accelerate")),
        Choice("coast"),
        Choice("brake", held("brake")),
        Choice("drift", held("brake", "slide")),
    ],
    precedence=["brake", "gas"],
)


def test_one_axis() -> None:
    labels = ChoiceLabelMap([STEER], always=held("accelerate"))
    assert labels.action_space.axes[0].mirror == (2, 1, 0)
    assert labels.action(held("left", "accelerate")) == (0,)
    assert labels.action(held()) == (1,)
    assert labels.action(held("right", "item")) == (2,)
    assert labels.held((1,)) == held("accelerate")


def test_a_contradiction_is_skipped() -> None:
    labels = ChoiceLabelMap([STEER, PEDAL])
    assert labels.action(held("left", "right")) is None
    assert labels.action(held("left", "right", "brake", "item")) is None


def test_precedence_decides_between_choices_and_more_controls_win() -> None:
    labels = ChoiceLabelMap([PEDAL])
    assert labels.action(held("accelerate", "brake")) == (2,)
    assert labels.action(held("accelerate", "brake", "slide")) == (3,)
    turned = ChoiceAxis("pedal", PEDAL.choices, precedence=["gas", "brake"])
    assert ChoiceLabelMap([turned]).action(held("accelerate", "brake")) == (0,)


def test_a_frame_that_matches_no_choice_is_skipped() -> None:
    axis = ChoiceAxis("go", [Choice("gas", held("accelerate")), Choice("stop", held("brake"))])
    assert ChoiceLabelMap([axis]).action(held("item")) is None


def test_every_action_survives_the_way_through_the_controls() -> None:
    labels = ChoiceLabelMap([STEER, PEDAL])
    for action in itertools.product(*(range(n) for n in labels.action_space.sizes)):
        assert labels.action(labels.held(action)) == action


@given(st.frozensets(st.sampled_from(CONTROLS)))
def test_what_is_held_settles_after_one_round(controls: Held) -> None:
    labels = ChoiceLabelMap([STEER, PEDAL])
    action = labels.action(controls)
    assert (action is None) == (held("left", "right") <= controls)
    if action is not None:
        assert labels.held(action) <= controls
        assert labels.action(labels.held(action)) == action


@given(st.frozensets(st.sampled_from(CONTROLS)))
def test_swapping_left_and_right_mirrors_the_label(controls: Held) -> None:
    labels = ChoiceLabelMap([STEER, PEDAL])
    swap = {"left": "right", "right": "left"}
    action = labels.action(controls)
    mirrored = labels.action(frozenset(swap.get(c, c) for c in controls))
    assert mirrored == (None if action is None else labels.action_space.mirror(action))


def test_mirror_pairs_may_be_given_either_way_or_both() -> None:
    for mirror in ({"right": "left"}, {"left": "right", "right": "left"}):
        axis = ChoiceAxis("steer", STEER.choices, mirror=mirror)
        assert axis.axis().mirror == (2, 1, 0)


def test_an_unknown_name_in_the_table_is_refused() -> None:
    with pytest.raises(ValueError, match="not in"):
        ChoiceAxis("steer", STEER.choices, mirror={"left": "starboard"}).axis()
