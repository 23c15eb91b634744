"""Recording and driving by a film through the command line: the film's times, and no session of nothing."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import tomllib

import numpy as np
import pytest
from autopilot.api import Away, Game, Registry, SourceSettings
from autopilot.desktop import desktop as desktop_module
from autopilot.desktop.desktop import Desktop, DeviceChoice
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
        assert abs((float(row.frame.image.mean()) - 12) / 3 - 30 * at) < 1.2, "the picture is the one of its time"


def shade(number):
    return np.full((90, 160, 3), 12 + 3 * number, np.uint8)


@pytest.mark.parametrize("command", ["record", "drive", "learn-hud", "doctor"])
@pytest.mark.parametrize("what", ["a cut film", "no film", "no such file"])
def test_what_gives_no_picture_leaves_no_session(autopilot, tmp_path, command, what):
    path = tmp_path / "x.mp4"
    if what != "no such file":
        whole = film(tmp_path / "whole.mp4", thirty(0.2)).read_bytes()
        path.write_bytes(whole.replace(b"avc1", b"xxxx") if what == "a cut film" else b"junk" * 999)
    extra = {"record": "--track coco", "drive": "--bundle random --record", "doctor": "--patience 50"}.get(command, "")
    done = autopilot(command, "--game", "ctr", "--video", path, *extra.split())
    assert not list((tmp_path / "home").glob("sessions/*"))
    if command == "doctor":
        assert "x.mp4" in done.stdout
        assert "Unbound" not in done.stdout + done.stderr
    else:
        assert done.returncode == 2, done.stderr
        assert done.stderr.splitlines()[-1].startswith("autopilot: ")
        assert "x.mp4" in done.stderr.splitlines()[-1]


RECORD = ("record", "--game", "ctr", "--track", "coco")
SHOW = "w = show('Kart', 40, 30, 160, 90, 0x305090); focus(w)"
FADE = """import threading, time
def fade():
    d = Display()
    c = d.create_resource_object('window', w.id)
    for colour in (0x305090, 0, 0x305090):
        c.change_attributes(background_pixel=colour)
        c.clear_area()
        d.sync()
        time.sleep(1.5)
threading.Thread(target=fade, daemon=True).start()
"""


def test_what_begins_black_is_waited_for_and_what_turns_black_is_the_game(desktop, sessions, tmp_path):
    app = desktop.app()
    app.do("w = show('Kart', 40, 30, 160, 90, 0x040404); focus(w)")
    program = [sys.executable, "-m", "autopilot", *RECORD, "--window", "kart", "--seconds", "4"]
    env = {**os.environ, "AUTOPILOT_HOME": str(tmp_path / "home")}
    with subprocess.Popen(program, stderr=subprocess.PIPE, text=True, env=env) as recording:
        said = ""
        while "the picture is black; waiting up to" not in said:
            said += recording.stderr.readline() or pytest.fail(said)
        app.do(f"exec({FADE!r})")
        recording.stderr.read()
    assert recording.returncode == 0
    (session,) = sessions()
    bright = [bool(row.frame.image.max() > 8) for row in session.rows()]
    assert bright[0], "it begins with the first picture that is not black"
    assert bright.count(False) >= 5, "a picture that turns black in mid-race is the game's"
    assert bright[-1]


@pytest.mark.parametrize("away", ["w.unmap()", "w.destroy(); w = show('Kart', 40, 30, 160, 90, 0); focus(w)"])
def test_what_comes_back_black_is_not_taken_for_the_game(desktop, monkeypatch, soon, away):
    monkeypatch.setattr(desktop_module, "BLACK_S", 0.1)
    app = desktop.app()
    app.do(SHOW)
    source = Desktop(Game(Registry(), "ctr"), None, DeviceChoice(settings=SourceSettings(window="kart"))).open_source()
    assert source.read().image.any()
    app.do(away)
    assert "black" not in why(source)
    app.do("w.change_attributes(background_pixel=0); w.map(); w.clear_area(); focus(w)")
    soon(lambda: why(source) == "the picture is black; waiting for the game's")
    time.sleep(0.2)
    assert "black" in why(source), "without a limit: a session is being recorded"
    app.do("w.change_attributes(background_pixel=0x305090); w.clear_area()")
    assert source.read().image.any()
    source.close()


def why(source):
    with pytest.raises(Away) as caught:
        source.read()
    return str(caught.value)


@pytest.mark.parametrize("what", ["window", "film"])
def test_what_stays_black_is_refused_and_leaves_no_session(desktop, autopilot, tmp_path, what):
    desktop.app().do("w = show('Kart', 40, 30, 160, 90, 0); focus(w)")
    named = ("--window", "kart")
    if what == "film":
        black = [np.zeros((90, 160, 3), np.uint8)] * 30
        named = ("--video", film(tmp_path / "x.mp4", thirty(1), pictures=black))
    done = autopilot(*RECORD, *named)
    assert done.returncode == 2, done.stderr
    assert done.stderr.splitlines()[-1].startswith("autopilot: the picture ")
    assert "another --source" in done.stderr.splitlines()[-1]
    assert not list((tmp_path / "home").glob("sessions/*"))


def test_setup_keeps_where_a_film_is_not_how_it_was_typed(autopilot, tmp_path):
    film(tmp_path / "x.mp4", thirty(3), pictures=[shade(n % 80) for n in range(90)])
    done = autopilot(
        "setup", "--game", "ctr", "--emulator", "duckstation", "--video", "x.mp4", "--region", "0,0,160,90", "--yes"
    )
    assert done.returncode == 0, done.stderr
    kept = tomllib.loads((tmp_path / "home/bindings.toml").read_text())
    assert kept["ctr"]["screen"]["video"] == str(tmp_path / "x.mp4")
