"""Commands on Windows: a human recorded in another window, a network trained on it, driving; output, Ctrl-C, doctor."""

from __future__ import annotations

import json
import time
from itertools import pairwise
from statistics import median

import pytest
from autopilot.sessions.session import Session
from support import wine
from support.windows import Human, Program

RECORD = "--game ctr --track coco --driver anna --mode N --profile duckstation"


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    return tmp_path_factory.mktemp("home")


def autopilot(environment, home, *args, **variables):
    return Program(environment, "-m", "autopilot", *args, AUTOPILOT_HOME=wine.windows_path(home), **variables)


@pytest.fixture(scope="module")
def session(environment, game, home):
    """Half a minute of a human who holds gas and steers, recorded by the command."""
    human = Human(environment["DISPLAY"])
    recorder = autopilot(environment, home, "record", *RECORD.split(), "--window", "Windows Racing")
    recorder.until(lambda: list(home.glob("sessions/*/seg-*")), 300)
    human.touch("k", True)
    for turn in range(30):
        key = ("left", "right")[turn % 2]
        human.tap(key, 0.5)
        time.sleep(0.3)
    human.let_go()
    human.tap("o", 0.2)
    human.close()
    assert recorder.wait(120) == 0, recorder.lines
    (path,) = home.glob("sessions/*")
    return Session.open(path)


def test_a_human_is_recorded_and_o_saves(session):
    assert session.info.ended == "saved"
    rows = list(session.rows())
    apart_s = [(b.frame.t_ns - a.frame.t_ns) / 1e9 for a, b in pairwise(rows)]
    assert 0.09 < median(apart_s) < 0.12, "a busy machine misses some of ten a second"
    seen = {frozenset(row.held) for row in rows}
    assert {frozenset({"accelerate"}), frozenset({"accelerate", "left"}), frozenset({"accelerate", "right"})} <= seen


def test_it_is_listed_checked_and_told_in_any_code_page(environment, session, home):
    for args in (["sessions"], ["windows"], ["plugins"]):
        done = autopilot(environment, home, *args, PYTHONIOENCODING="cp437")
        assert done.wait(120) == 0, done.lines
    listed = autopilot(environment, home, "sessions", "--json")
    assert listed.wait(120) == 0
    assert session.info.id in "\n".join(listed.lines)


@pytest.mark.slow
def test_a_network_learns_from_it_and_drives_the_window(environment, session, home, game):
    options = "--model nvidia --epochs 2 --batch-size 32 --name coco"
    training = autopilot(environment, home, "train", *options.split())
    assert training.wait(800) == 0, training.lines[-20:]
    assert (home / "bundles/coco/manifest.json").exists()
    game.forget()
    drive = autopilot(environment, home, "drive", "--bundle", "coco", "--window", "Windows Racing", "--json")
    drive.until(lambda: "k" in game.down, 300)
    time.sleep(3)
    human = Human(environment["DISPLAY"])
    human.tap("p", 0.2)
    assert drive.wait(120) == 0, drive.lines
    human.close()
    game.until(lambda: not game.down, 5)
    report = json.loads("\n".join(drive.lines[drive.lines.index("{") :]))
    assert report["timing"]["steps"] > 10


CTRL_C = """
import ctypes, subprocess, sys, threading
kernel = ctypes.windll.kernel32
user = ctypes.windll.user32
kernel.FreeConsole(); kernel.AllocConsole()
kernel.GetConsoleWindow.restype = user.FindWindowW.restype = ctypes.c_void_p
user.ShowWindow(ctypes.c_void_p(kernel.GetConsoleWindow()), 0)
user.SetForegroundWindow(ctypes.c_void_p(user.FindWindowW(None, "Windows Racing")))
args = [sys.executable, "-m", "autopilot", *{args!r}]
pipes = dict(stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
child = subprocess.Popen(args, **pipes)
lines = []
def listen():
    for line in child.stdout: lines.append(line.decode("cp1252", "replace"))
threading.Thread(target=listen, daemon=True).start()
"""
PRESS = """
kernel.SetConsoleCtrlHandler(None, True)
kernel.GenerateConsoleCtrlEvent(0, 0)
result = [child.wait(60), lines]
"""


def test_ctrl_c_in_a_console_ends_a_recording_and_keeps_it(environment, agent, game, tmp_path):
    # A console has a window, which must not take the focus from the game.
    args = [*RECORD.split(), "--window", "Windows Racing", "--home", wine.windows_path(tmp_path)]
    agent.do(CTRL_C.format(args=["record", *args]))
    agent.until(lambda: list(tmp_path.glob("sessions/*/seg-*")), 300)
    time.sleep(2)
    status, lines = agent.do(PRESS, 90)
    (path,) = tmp_path.glob("sessions/*")
    session = Session.open(path)
    assert (status, session.info.ended) in ((0, "quit"), (130, "interrupted"), (0, "interrupted")), lines
    assert len(session) > 5
    assert not any("Traceback" in line for line in lines)
