"""What the plugin says that it provides, as the registry finds it."""

from __future__ import annotations

import re
import subprocess
import sys
from itertools import product

import pytest
from autopilot.api.analogue import levels
from autopilot.api.registry import Registry
from autopilot.api.specs import load
from autopilot.api.types import NOTHING
from autopilot_carracing.labels import make_analogue_label_map, make_label_map
from autopilot_carracing.plugin import STEER

LABELS = make_label_map()
SPACE = LABELS.action_space


def test_the_registry_finds_game_and_label_map():
    registry = Registry()
    plugin, game = registry.find("game", "carracing")
    assert (plugin.dist, plugin.status) == ("autopilot-carracing", "ok")
    assert game.frame_size == (160, 90)
    assert game.hz == 12.5
    assert game.simulator.demonstrators == {
        "demonstrator": "carracing",
        "demonstrator-fast": "carracing",
        "demonstrator-analogue": "carracing-analogue",
    }
    assert game.race.referee
    assert callable(load(game.simulator.open_world))
    assert set(game.bindings["window"]["default"]) == set(game.controls) - set(levels("steer", STEER))
    label_map = load(registry.get("label map", game.label_map).make)()
    assert str(label_map.action_space) == "steer: left forward right x pedal: gas coast brake"


@pytest.mark.parametrize(("name", "fits"), [("0", True), ("999999999", True), ("-1", False)])
def test_a_track_is_a_seed(name, fits):
    game = Registry().get("game", "carracing")
    assert bool(re.fullmatch(game.tracks.pattern, name)) == fits


def test_listing_the_plugin_imports_nothing_heavy_and_greets_nobody():
    code = (
        "import sys, autopilot_carracing.plugin as p; p.autopilot_games(); "
        "p.autopilot_label_maps(); "
        "assert not {'gymnasium', 'pygame', 'Box2D', 'numpy'} & set(sys.modules); "
        "import autopilot_carracing.world"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == ""


def test_every_action_survives_the_way_through_the_controls():
    for action in product(range(3), range(3)):
        assert LABELS.action(LABELS.held(action)) == action


def test_keys_and_a_stick_mean_something_to_either_label_map():
    analogue = make_analogue_label_map()
    words = {
        ("left",): ("left+coast", "-1+coast"),
        ("steer:-0.6", "accelerate"): ("left+gas", "-0.6+gas"),
        ("steer:0.4",): ("forward+coast", "0.4+coast"),
        (): ("forward+coast", "0+coast"),
        ("steer:1", "brake", "accelerate"): ("right+brake", "1+brake"),
    }
    for held, (by_key, by_stick) in words.items():
        for labels, wanted in ((LABELS, by_key), (analogue, by_stick)):
            assert labels.action_space.describe(labels.action(frozenset(held))) == wanted
    for both in ({"left", "right"}, {"left", "steer:0.6"}):
        assert LABELS.action(frozenset(both)) is analogue.action(frozenset(both)) is None
    assert str(analogue.action_space).startswith("steer: -1 -0.8 -0.6 -0.4 -0.2 0 0.2 0.4 0.6 0.8 1 x pedal:")


def test_mirroring_swaps_left_and_right_and_no_pedal():
    for action in product(range(3), range(3)):
        swap = {"left": "right", "right": "left"}
        mirrored = frozenset(swap.get(control, control) for control in LABELS.held(action))
        assert SPACE.mirror(action) == LABELS.action(mirrored)
    assert SPACE.describe(SPACE.mirror(LABELS.action(frozenset({"left"})))) == "right+coast"


@pytest.mark.parametrize(
    ("held", "said"),
    [
        (NOTHING, "forward+coast"),
        ({"accelerate", "left"}, "left+gas"),
        ({"accelerate", "brake"}, "forward+brake"),
        ({"right", "accelerate", "brake"}, "right+brake"),
    ],
)
def test_what_held_controls_mean(held, said):
    assert SPACE.describe(LABELS.action(frozenset(held))) == said


def test_left_with_right_is_a_frame_to_skip():
    assert LABELS.action(frozenset({"left", "right", "accelerate"})) is None
