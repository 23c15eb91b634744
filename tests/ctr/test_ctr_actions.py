"""Crash Team Racing's action spaces: what is held means, and is held again for, each action."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
from autopilot.api.errors import PluginError, UserError
from autopilot.api.game import Game
from autopilot.api.registry import Registry
from autopilot_ctr.game import CTR, KEYBOARD

SPACES = {
    "timetrial": "steer: left forward right",
    "original": "steer: left forward right",
    "slide": "steer: left forward right x slide: none hold boost",
    "arcade": "steer: left forward right x slide: none hold boost x item: keep use",
}


@pytest.fixture(scope="module")
def game() -> Game:
    return Game(Registry(), "ctr")


def means(game: Game, name: str, controls: str) -> str | None:
    labels = game.label_map(name)
    action = labels.action(frozenset(controls.split()))
    return None if action is None else labels.action_space.describe(action)


@pytest.mark.parametrize("name", SPACES)
def test_every_action_is_held_as_what_it_means(game: Game, name: str) -> None:
    labels = game.label_map(f"ctr-{name}")
    assert str(labels.action_space) == SPACES[name]
    for action in itertools.product(*(range(n) for n in labels.action_space.sizes)):
        held = labels.held(action)
        assert labels.action(held) == action
        assert "accelerate" in held
        assert held <= set(CTR.controls)


@pytest.mark.parametrize("name", ["timetrial", "slide", "arcade"])
def test_the_mirrored_picture_has_the_mirrored_label(game: Game, name: str) -> None:
    labels = game.label_map(name)
    swap = {"left": "right", "right": "left", "slide_left": "slide_right", "slide_right": "slide_left"}
    buttons = ("accelerate", "left", "right", "slide_left", "slide_right", "item", "brake")
    for n in range(len(buttons) + 1):
        for held in map(frozenset[str], itertools.combinations(buttons, n)):
            if {"left", "right"} <= held:
                continue  # left wins, whichever way round
            action = labels.action(held)
            assert action is not None, "no frame is skipped"
            mirrored = labels.action(frozenset(swap.get(c, c) for c in held))
            assert mirrored == labels.action_space.mirror(action)


def test_a_slide_is_held_by_either_button_and_boosted_by_both(game: Game) -> None:
    pressed = ["left", "left slide_left", "left slide_left slide_right", "slide_left", "slide_right right", ""]
    assert [means(game, "slide", f"accelerate {p}") for p in pressed] == [
        *("left+none", "left+hold", "left+boost", "forward+hold", "right+hold", "forward+none")
    ]
    labels = game.label_map("slide")
    keys = [sorted(labels.held((0, slide)) & {"slide_left", "slide_right"}) for slide in (1, 2, 1, 2, 0)]
    taps = [now - before for before, now in itertools.pairwise(map(set, keys))]
    assert taps == [{"slide_right"}, set(), {"slide_right"}, set()], "the held button stays down: the other one taps"


def test_items_are_an_axis_of_their_own(game: Game) -> None:
    assert means(game, "arcade", "accelerate right item slide_right") == "right+hold+use"
    assert means(game, "arcade", "accelerate") == "forward+none+keep"


def test_the_original_s_rule_skips_frames_without_a_key(game: Game) -> None:
    held = ["", "accelerate", "left", "left right accelerate", "right accelerate", "brake"]
    assert [means(game, "original", h) for h in held] == [None, "forward", "left", "left", "right", None]
    assert [means(game, "timetrial", h) for h in held] == ["forward", "forward", "left", "left", "right", "forward"]


def test_short_names_of_label_maps_are_the_game_s_own(game: Game) -> None:
    assert game.label_map_name("slide") == game.label_map_name("ctr-slide") == "ctr-slide"
    assert game.label_map_name() == "ctr-timetrial"
    with pytest.raises(PluginError, match="slid"):
        game.label_map_name("slid")
    with pytest.raises(UserError, match="belongs to carracing"):
        game.label_map_name("carracing")


@pytest.mark.parametrize(
    ("given", "mode"), [("N", "N"), ("adjust", "A"), ("Dark", "D"), (None, "N"), ("rain", "rain"), ("wall-2", "wall-2")]
)
def test_modes_by_letter_by_name_and_of_one_s_own(game: Game, given: str | None, mode: str) -> None:
    assert game.mode(given) == mode


def test_a_mode_of_one_s_own_is_a_name_and_other_games_have_none(game: Game) -> None:
    with pytest.raises(UserError, match=r"has no mode '\.\./x'"):
        game.mode("../x")
    with pytest.raises(UserError, match="has no mode 'rain'"):
        Game(Registry(), "carracing").mode("rain")


def test_recovery_and_restart_hold_what_the_game_has() -> None:
    assert CTR.race.recovery is not None
    assert CTR.race.recovery.wrong_way
    left, right = CTR.race.recovery.manoeuvres
    mirror: Any = {"left": "right", "right": "left"}
    assert right == tuple((frozenset(mirror.get(c, c) for c in held), s) for held, s in left)
    (back, _), (forth, _) = left
    assert (back, forth) == ({"brake", "left"}, {"accelerate", "right"})
    for held, seconds in (*left, *right, *CTR.race.restart):
        assert held <= set(CTR.controls)
        assert seconds > 0
    assert all(set(held) <= set(KEYBOARD["duckstation"]) for held, _ in CTR.race.restart)
