"""What a descriptor makes of actions: a label map that gives each back, its mirror, its contradictions."""

from __future__ import annotations

import pytest
from autopilot.api import UserError, check_label_map, load
from autopilot_gymnasium import gymnasium_game
from autopilot_gymnasium.world import make_label_map

ENDURO = {
    0: [],
    1: ["gas"],
    2: ["right"],
    3: ["left"],
    4: ["brake"],
    5: ["brake", "right"],
    6: ["brake", "left"],
    7: ["right", "gas"],
    8: ["left", "gas"],
}


def made(actions):
    game, label_map = gymnasium_game("g", "Any-v0", actions, 10, frame_size=[84, 84])
    labels = load(label_map.make)(**label_map.config)
    check_label_map(labels, game.controls)
    return labels


def test_every_action_comes_back_and_mirrors():
    labels = made(ENDURO)
    axis = labels.action_space.axes[0]
    assert axis.values == tuple("+".join(held) or "nothing" for held in ENDURO.values())
    assert [axis.values[i] for i in axis.mirror] == [
        *("nothing", "gas", "left", "right", "brake", "brake+left", "brake+right", "left+gas", "right+gas")
    ]


@pytest.mark.parametrize(
    ("held", "means"),
    [("gas right", "right+gas"), ("gas right brake", "brake+right"), ("left right gas", None), ("", "nothing")],
)
def test_what_is_held_means_the_action_that_holds_most_of_it(held, means):
    labels = made(ENDURO)
    action = labels.action(frozenset(held.split()))
    assert (None if action is None else labels.action_space.describe(action)) == means


def test_without_a_rest_nothing_held_is_what_holds_least():
    labels = made({0: ["left"], 1: ["right", "gas"]})
    assert labels.action(frozenset()) == (0,)
    assert labels.action_space.axes[0].mirror == (0, 1), "no pair differs by left and right alone"


def test_a_fault_is_told_by_the_label_map_too():
    with pytest.raises(UserError, match="it is wrong"):
        make_label_map(fault="it is wrong")


@pytest.mark.parametrize("actions", [{}, {0: []}, {0: [], 1: []}])
def test_a_game_needs_two_actions(actions):
    with pytest.raises(UserError, match="actions"):
        made(actions)
