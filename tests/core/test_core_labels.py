"""The table-shaped label map: precedence, contradictions, round trips."""

from __future__ import annotations

import itertools

import pytest
from autopilot.api.labels import Choice, ChoiceAxis, ChoiceLabelMap, check_label_map
from autopilot.api.types import Action, ActionSpace, Axis, Held
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
    for options in ({"mirror": {"left": "starboard"}}, {"mirror": {"port": "left"}}, {"precedence": ["starboard"]}):
        with pytest.raises(
            ValueError, match=r"axis steer: (mirror|precedence) names '(starboard|port)', but its values"
        ):
            ChoiceAxis("steer", STEER.choices, **options)  # type: ignore[arg-type]


class Own:
    """A label map that is no table; `back` is what it makes of every frame."""

    def __init__(self, back: Action | None, sizes: tuple[int, ...] = (3, 3)) -> None:
        axes = [Axis(f"axis {i}", tuple(map(str, range(n))), tuple(range(n))) for i, n in enumerate(sizes)]
        self.action_space, self.back = ActionSpace(tuple(axes)), back

    def action(self, controls: Held) -> Action | None:
        return self.back

    def held(self, action: Action) -> Held:
        return held("left", "gas")


def test_a_label_map_that_loses_actions_or_speaks_of_other_controls_is_refused() -> None:
    def check(*axes: ChoiceAxis, always: Held = frozenset()) -> None:
        check_label_map(ChoiceLabelMap(axes, always), CONTROLS)

    check(STEER, PEDAL, always=held("item"))
    same = ChoiceAxis("go", [Choice("on", held("left")), Choice("off", held("left"))])
    with pytest.raises(ValueError, match=r"off holds \['left'\], which means on"):
        check(same)
    for odd in (
        ChoiceAxis("go", [Choice("on", held("gas")), Choice("off")]),
        ChoiceAxis("go", [Choice("on", held("brake"), also=[held("gas")]), Choice("off")]),
        ChoiceAxis("go", [Choice("on", held("brake")), Choice("off")], conflicts=[held("gas", "brake")]),
    ):
        with pytest.raises(ValueError, match="'gas' is no control of the game, which has left, right, slide"):
            check(odd)
    with pytest.raises(ValueError, match=r"on holds \['brake'\], which means no action"):
        check(ChoiceAxis("go", [Choice("on", held("brake")), Choice("off")], conflicts=[held("brake")]))
    with pytest.raises(ValueError, match=r"off holds \['brake'\], which means on"):
        check(ChoiceAxis("go", [Choice("on", held("brake")), Choice("off")]), always=held("brake"))


def test_a_label_map_of_ones_own_is_checked_as_well() -> None:
    with pytest.raises(ValueError, match=r"0\+1 holds \['gas', 'left'\], which means 0\+0"):
        check_label_map(Own((0, 0)), CONTROLS)
    with pytest.raises(ValueError, match="which means no action"):
        check_label_map(Own(None), CONTROLS)
    with pytest.raises(ValueError, match="makes 10000 actions; at most 4096"):
        check_label_map(Own((0,), (100, 100)), CONTROLS)
