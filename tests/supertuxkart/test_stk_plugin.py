"""The plugin through the command line, and what it says of itself."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest
from autopilot.api.errors import DeviceError
from autopilot.api.game import Game
from autopilot.api.registry import Registry
from autopilot.race.reference import add_reference, find_references
from autopilot.race.result import RaceResult
from autopilot.sessions.session import Session
from autopilot_supertuxkart import assets
from autopilot_supertuxkart.ghosts import ghost, lap_times
from autopilot_supertuxkart.labels import pro, steer_only
from autopilot_supertuxkart.plugin import KEYS, TRACKS


def test_the_game_knows_its_tracks_keys_and_what_a_network_must_not_see():
    _, spec = Registry().find("game", "supertuxkart")
    assert spec.tracks.names == TRACKS
    assert set(spec.controls) == set(KEYS) == set(spec.bindings["keyboard"]["default"])
    assert spec.simulator.clocks == ("lockstep", "wall")
    assert all(0 <= x < x + w <= 1 and 0 <= y < y + h <= 1 for x, y, w, h in spec.hidden)


def test_the_label_map_is_the_time_trials():
    labels = steer_only()
    space = labels.action_space
    assert str(space) == "steer: left forward right"
    for action in ((0,), (1,), (2,)):
        assert labels.action(labels.held(action)) == action
        assert "accelerate" in labels.held(action)
    assert labels.action(frozenset({"left", "right"})) == (0,)
    assert space.mirror((0,)) == (2,)


def test_the_wider_label_map_keeps_skid_nitro_and_fire_apart():
    labels = pro()
    space = labels.action_space
    assert [axis.name for axis in space.axes] == ["steer", "skid", "nitro", "fire"]
    assert labels.action(frozenset({"right", "skid"})) == (2, 1, 0, 0)
    assert labels.held((0, 0, 1, 1)) == {"accelerate", "left", "nitro", "fire"}
    assert space.mirror((2, 1, 0, 1)) == (0, 1, 0, 1)


def test_a_ghosts_lap_times_are_its_race_time_cut_where_it_passed_the_line():
    try:
        laps = ghost("lighthouse", 3)
    except DeviceError:
        pytest.skip("missing: SuperTuxKart (Debian package supertuxkart)")
    assert laps == (pytest.approx(32.4, abs=0.1), pytest.approx(30.7, abs=0.1), pytest.approx(30.1, abs=0.1))
    assert sum(laps) == pytest.approx(93.1235, abs=0.001)  # the file's min_time
    assert ghost("lighthouse", 2) is None
    game = Game(Registry(), "supertuxkart")
    found = find_references(game, "ghost", list(TRACKS), 3)
    assert {r.track for r in found} == {"lighthouse", "snowtuxpeak"}  # of those, at the intermediate level
    table = RaceResult("supertuxkart", "", ("a",), TRACKS, 3, 1, 10.0, ())
    for reference in found:
        table = add_reference(table, "ghost", reference)
    assert (table.drivers, len(table.references), len(table.runs)) == (("a", "ghost:human"), 1, 2)
    lines = [f"{t} {'0 ' * 19}{way} 0" for t, way in ((0, -100), (10, 50), (20, 90), (21, 110), (30, 205))]
    assert lap_times(lines, 2, 29.5) == (20.5, 9.0)


@pytest.mark.slow
def test_a_demonstrator_is_recorded_in_lockstep(tmp_path):
    pytest.importorskip("pystk2", reason="missing: pysupertuxkart2")
    try:
        assets.game_data()
    except DeviceError:
        pytest.skip("missing: SuperTuxKart (Debian package supertuxkart)")
    command = [sys.executable, "-m", "autopilot", "record", "--game", "supertuxkart", "--driver", "demonstrator"]
    env = {k: v for k, v in os.environ.items() if k != "DISPLAY"} | {"AUTOPILOT_HOME": str(tmp_path)}
    options = ["--track", "lighthouse", "--seconds", "4", "--noise", "0.1", "--json"]
    done = subprocess.run([*command, *options], env=env, capture_output=True, text=True, timeout=200)
    assert done.returncode == 0, done.stderr
    (made,) = json.loads(done.stdout)
    session = Session.open(tmp_path / "sessions" / made["session"])
    assert (session.info.mode, session.info.lockstep, session.info.hz) == ("A", True, 10.0)
    rows = list(session.rows())
    assert len(rows) == 40
    assert rows[0].frame.image.shape == (90, 160, 3)
    assert rows[-1].reading.race_time_s == pytest.approx(3.9, abs=0.11)
    assert all(row.action is not None for row in rows)


def test_in_lockstep_nobody_plays(tmp_path):
    command = [sys.executable, "-m", "autopilot", "record", "--game", "supertuxkart", "--clock", "lockstep"]
    env = os.environ | {"AUTOPILOT_HOME": str(tmp_path)}
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=100)
    assert done.returncode == 2
    assert done.stderr == "autopilot: a human plays the real game: leave out --clock lockstep\n"
