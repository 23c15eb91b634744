"""Crash Team Racing's data: tracks, bindings, label map, command."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
from autopilot.api.labels import ChoiceLabelMap
from autopilot.api.registry import Registry
from autopilot.desktop.bindings import HOTKEY_NAMES
from autopilot_ctr.commands import ctr
from autopilot_ctr.emulators import KEYBOARD, PROGRAMS
from autopilot_ctr.game import CTR, TRACKS
from autopilot_ctr.labels import timetrial
from autopilot_input_gamepad.buttons import BUTTONS
from autopilot_input_keyboard.keys import KEYS
from click.testing import CliRunner

LEFT, FORWARD, RIGHT = (0,), (1,), (2,)


def held(*controls):
    return frozenset(controls)


def test_the_registry_offers_the_game_its_label_map_and_its_command():
    registry = Registry()
    game = registry.get("game", "ctr")
    assert (game.hz, game.frame_size) == (10.0, (160, 90))
    spec = registry.get("label map", game.label_map)
    assert spec.game == "ctr"
    assert isinstance(registry.load("label map", spec.name, spec.make)(), ChoiceLabelMap)
    command = registry.get("command", "ctr")
    assert registry.load("command", "ctr", command.command) is ctr
    screen = game.screen
    for kind, name in (("frame source", screen.frame_source), ("device", screen.device), ("device", screen.reader)):
        assert registry.get(kind, name).name == name


def test_there_are_eighteen_tracks_and_every_alias_means_one():
    assert len(CTR.tracks.names) == len(set(CTR.tracks.names)) == 18
    assert {"crash-cove", "roos-tubes", "papus-pyramid", "n-gin-labs", "turbo-track"} <= set(CTR.tracks.names)
    assert set(CTR.tracks.aliases.values()) <= set(CTR.tracks.names)
    assert not set(CTR.tracks.aliases) & set(CTR.tracks.names)
    assert CTR.tracks.aliases["coco"] == "coco-park"
    assert CTR.tracks.aliases["papu"] == "papus-pyramid"
    assert set(CTR.tracks.aliases.values()) == set(CTR.tracks.names), "every track has a short name"


@pytest.mark.parametrize(("device", "known"), [("keyboard", KEYS), ("gamepad", BUTTONS)])
def test_every_control_is_bound_to_a_key_of_its_own_that_exists(device, known):
    assert CTR.bindings[device]
    for profile, binding in CTR.bindings[device].items():
        assert set(binding) == set(CTR.controls), profile
        assert set(binding.values()) <= set(known), profile
        assert len(set(binding.values())) == len(binding), profile


def test_programs_are_profiles_and_their_hotkeys_are_hotkeys():
    assert set(KEYBOARD) == set(PROGRAMS) - {"epsxe"}, "whose keys are not known: setup asks"
    for program in PROGRAMS.values():
        assert all(name == name.lower() for name in program.names)
        assert set(program.hotkeys.values()) <= set(KEYS)
        assert set(program.hotkeys) <= set(HOTKEY_NAMES)


def test_hotkeys_are_keys_that_no_profile_drives_with():
    assert dict(CTR.hotkeys) == {"pause": "t", "save": "o", "quit": "p", "discard": "u"}
    for name, binding in CTR.bindings["keyboard"].items():
        hotkeys = {**CTR.hotkeys, **PROGRAMS[name].hotkeys}
        assert len(set(hotkeys.values())) == len(hotkeys)
        assert not set(hotkeys.values()) & set(binding.values())


def test_action_of_held_of_action_is_the_action():
    labels = timetrial()
    assert str(labels.action_space) == "steer: left forward right"
    for action in (LEFT, FORWARD, RIGHT):
        assert labels.action(labels.held(action)) == action
        assert "accelerate" in labels.held(action)
        assert labels.held(action) <= set(CTR.controls)


@pytest.mark.parametrize(
    ("controls", "action"),
    [
        (held(), FORWARD),
        (held("accelerate"), FORWARD),
        (held("left"), LEFT),
        (held("right", "accelerate"), RIGHT),
        (held("left", "right"), LEFT),
        (held("up", "brake", "item"), FORWARD),
        (held("slide_left", "right"), RIGHT),
    ],
)
def test_precedence_is_left_right_forward_and_no_frame_is_skipped(controls, action):
    assert timetrial().action(controls) == action


def test_the_mirror_swaps_left_and_right():
    space = timetrial().action_space
    assert [space.mirror(a) for a in (LEFT, FORWARD, RIGHT)] == [RIGHT, FORWARD, LEFT]


def test_command_tracks():
    shown = CliRunner().invoke(ctr, ["tracks"])
    assert shown.exit_code == 0
    assert [line.split()[0] for line in shown.output.splitlines()] == list(TRACKS)
    rows = json.loads(CliRunner().invoke(ctr, ["tracks", "--json"]).output)
    assert rows[3] == {"name": "coco-park", "title": "Coco Park", "aliases": ["coco"]}


def test_command_keys():
    shown = CliRunner().invoke(ctr, ["keys"])
    assert shown.exit_code == 0
    lines = [line.split() for line in shown.output.splitlines()]
    assert lines[0] == ["keyboard", "duckstation", "pcsx-redux", "retroarch", "pcsxr", "mednafen"]
    assert ["accelerate", "k", "x", "z", "z", "kp_2"] in lines
    data = json.loads(CliRunner().invoke(ctr, ["keys", "--json"]).output)
    assert data["bindings"]["keyboard"]["duckstation"]["accelerate"] == "k"
    assert data["hotkeys"] == dict(CTR.hotkeys)


def test_listing_the_plugin_imports_nothing_heavy():
    code = (
        "import sys, autopilot_ctr.plugin as p, autopilot_input_keyboard.plugin as k,"
        " autopilot_input_gamepad.plugin as g\n"
        "p.autopilot_games(), p.autopilot_label_maps(), p.autopilot_commands()\n"
        "k.autopilot_devices(), g.autopilot_devices()\n"
        "heavy = {'cv2', 'mss', 'pynput', 'Xlib', 'vgamepad', 'libevdev', 'numpy', 'jax'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"
