"""Recording and driving by a film through the command line: the film's times, and no session of nothing."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tomllib

import numpy as np
import pytest
from autopilot.sessions.store import SessionStore
from support.films import film, thirty


@pytest.fixture
def autopilot(desktop, tmp_path):
    def run(*args):
        env = {**os.environ, "AUTOPILOT_HOME": str(tmp_path / "home")}
        program = [sys.executable, "-m", "autopilot", *map(str, args)]
        return subprocess.run(program, capture_output=True, text=True, env=env, timeout=120, cwd=tmp_path)

    return run


@pytest.fixture
def sessions(tmp_path):
    return lambda: SessionStore(tmp_path / "home/sessions").all()[0]


@pytest.mark.parametrize("codec", ["libx264", "libsvtav1"])
def test_a_film_is_recorded_at_the_game_s_rate_by_its_own_time(autopilot, sessions, tmp_path, codec):
    path = film(tmp_path / "x.mp4", thirty(2.5), codec, [shade(n) for n in range(75)])
    done = autopilot("record", "--game", "ctr", "--track", "coco", "--video", path, "--json")
    assert done.returncode == 0, done.stderr
    (session,) = sessions()
    rows = list(session.rows())
    assert json.loads(done.stdout)[0]["ending"] == session.info.ended.replace("saved", "ended")
    times = np.array([row.frame.t_ns for row in rows]) / 1e9
    assert 15 <= len(rows) <= 26, "10 a second, fewer where the machine was busy"
    assert times[0] == 0
    assert times[-1] > 2.2
    np.testing.assert_allclose(np.median(np.diff(times)), 0.1, atol=0.04)
    for row, at in zip(rows, times, strict=True):
        assert abs(float(row.frame.image.mean()) / 3 - 30 * at) < 1.2, "the picture is the one of its time"


def shade(number):
    return np.full((90, 160, 3), 3 * number, np.uint8)


@pytest.mark.parametrize("command", ["record", "drive", "learn-hud", "doctor"])
@pytest.mark.parametrize("what", ["a cut film", "no film", "no such file"])
def test_what_gives_no_picture_leaves_no_session(autopilot, tmp_path, command, what):
    path = tmp_path / "x.mp4"
    if what != "no such file":
        whole = film(tmp_path / "whole.mp4", thirty(0.2)).read_bytes()
        path.write_bytes(whole.replace(b"avc1", b"xxxx") if what == "a cut film" else b"junk" * 999)
    extra = {"record": ["--track", "coco"], "drive": ["--bundle", "random", "--record"]}.get(command, [])
    done = autopilot(command, "--game", "ctr", "--video", path, *extra)
    assert not list((tmp_path / "home").glob("sessions/*"))
    if command == "doctor":
        assert "x.mp4" in done.stdout
        assert "Unbound" not in done.stdout + done.stderr
    else:
        assert done.returncode == 2, done.stderr
        assert done.stderr.splitlines()[-1].startswith("autopilot: ")
        assert "x.mp4" in done.stderr.splitlines()[-1]


def test_setup_keeps_where_a_film_is_not_how_it_was_typed(autopilot, tmp_path):
    film(tmp_path / "x.mp4", thirty(3), pictures=[shade(n % 80) for n in range(90)])
    done = autopilot(
        "setup", "--game", "ctr", "--emulator", "duckstation", "--video", "x.mp4", "--region", "0,0,160,90", "--yes"
    )
    assert done.returncode == 0, done.stderr
    kept = tomllib.loads((tmp_path / "home/bindings.toml").read_text())
    assert kept["ctr"]["screen"]["video"] == str(tmp_path / "x.mp4")
