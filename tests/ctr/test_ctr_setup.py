"""The whole of `autopilot setup` on a real X server: the drawn game's window, a terminal, a human's keys."""

from __future__ import annotations

import signal
import subprocess
import sys
import tomllib
from contextlib import contextmanager

import pytest
from autopilot.game import DeviceChoice
from autopilot.home import Home
from autopilot.plugins import Registry
from autopilot.sessions import SessionStore
from autopilot.setup import SetupOptions, setup
from autopilot.types import SourceSettings
from shown import LIGHT

WINDOW = ("--width", "640", "--height", "534")
REGION = [0, 30, 640, 480]
MINE = """# my keys
[ctr.keyboard]
item = "x"  # as I like it

[carracing.hotkeys]
pause = "f9"
"""
KEYS = {"left": "Left", "right": "Right", "up": "Up", "down": "Down", "brake": "j", "item": "x"}


class Answers:
    """A script of answers: the first question that holds a word gets the answer; each is given once."""

    def __init__(self, *answers):
        self.answers, self.said = list(answers), []

    def say(self, line):
        self.said.append(line)

    def ask(self, question, default):
        for number, (word, answer) in enumerate(self.answers):
            if word in question:
                del self.answers[number]
                return answer() if callable(answer) else answer
        raise AssertionError(f"no answer to {question!r}; said: {self.said}")

    def agree(self, question, default):
        return default

    def show(self, picture):
        assert picture.exists()

    @contextmanager
    def pressing(self):
        yield False


@pytest.fixture
def home(tmp_path):
    home = Home(tmp_path / "home")
    home.root.mkdir()
    home.bindings.write_text(MINE)
    return home


def run(home, talk, profile="duckstation", window=None, region=None, bind=()):
    settings = SourceSettings(window=window, region=region)
    return setup(
        "ctr", home, Registry(), SetupOptions(DeviceChoice(None, dict(bind), profile, None, None, settings)), talk
    )


def untouched(home):
    return home.bindings.read_text() == MINE and list(home.root.glob("*.tmp")) == []


def command(home, *args):
    line = [sys.executable, "-m", "autopilot", *args, "--home", str(home.root)]
    return subprocess.run(line, capture_output=True, text=True, timeout=300, stdin=subprocess.DEVNULL)


def test_the_whole_of_it_in_a_terminal_and_then_record_uses_it(desktop, home, terminal):
    game = desktop.show(*WINDOW)
    asked = terminal("setup", "--game", "ctr", "--home", str(home.root))
    asked.answer("its number", "9")
    asked.expect("no window matches '9'")
    asked.answer("its number", "1")
    asked.answer("which emulator is it", "duckstaton")
    asked.expect("there is no 'duckstaton'")
    asked.answer("which emulator is it", "duckstation")
    asked.expect("640x480 at 0,30 in 640x534")
    asked.answer("is that the game's picture?", "0,0,641,480")
    asked.expect("0,0,641,480 does not lie in 640x534")
    asked.answer("is that the game's picture?", "10,30,600,450")
    asked.answer("is that the game's picture?", "again")
    asked.expect("640x480 at 0,30 in 640x534")
    asked.answer("is that the game's picture?", "")
    for control, key in KEYS.items():
        if control == "brake":
            asked.expect("press the key for accelerate (Enter: it is k)")
            for wrong, why in (("Left", "left is left already"), ("t", "t is the hotkey pause already")):
                desktop.tap(wrong)
                asked.expect(why)
            desktop.tap("m", "n")
            asked.expect("several keys at once")
            desktop.tap("m")
            asked.expect("accelerate is m")
        asked.expect(f"press the key for {control}")
        desktop.tap("Return" if control == "up" else "Escape" if control == "down" else key)
        asked.expect(f"{control} is {key.lower()}")
    for control, key in (("slide_left", "q"), ("slide_right", "e")):
        asked.expect(f"press the key for {control}")
        desktop.tap(key)
    asked.expect("kept in")
    asked.answer("try a key now", "y")
    asked.expect("click into the game now")
    desktop.point(640, 480)
    asked.answer("did the game react?", "y")
    asked.answer("learn the race clock now", "n")
    assert asked.end() == 0, asked.seen

    text = home.bindings.read_text()
    assert "# my keys" in text
    assert 'item = "x"  # as I like it' in text
    data = tomllib.loads(text)
    assert data["carracing"] == {"hotkeys": {"pause": "f9"}}
    screen = {"profile": "duckstation", "region": REGION, "size": [640, 534], "window": "process:python3"}
    assert {**data["ctr"]["screen"], "window": "process:python3"} == screen
    assert data["ctr"]["keyboard"] == {"item": "x", "duckstation": {"accelerate": "m"}}, "the others are as they were"

    done = command(home, "record", "--game", "ctr", "--driver", "x", "--seconds", "2", "--json")
    assert done.returncode == 0, done.stderr
    game.send_signal(signal.SIGTERM)
    keys = game.communicate()[0].split("\n")
    assert "press m" in keys, "setup's try came to the game"
    assert "release m" in keys
    (session,) = SessionStore(home).all()
    first, last = session.frames()[0], session.frames()[-1]
    assert len(session.frames()) >= 10
    for frame in (first, last):
        for edge in (frame[0], frame[-1]):
            assert abs(edge.astype(int).mean(0) - LIGHT).max() > 8, "no bar is in the picture"


@pytest.mark.parametrize("step", ["which window", "which emulator", "the game's picture", "the key for right"])
def test_control_c_at_each_step_stores_nothing(desktop, home, terminal, step):
    desktop.show(*WINDOW)
    asked = terminal("setup", "--game", "ctr", "--home", str(home.root))
    for question, answer in (("its number", "1"), ("which emulator", "retroarch"), ("the game's picture", "")):
        if step in ("which window", question):
            break
        asked.answer(question, answer)
    if step == "the key for right":
        asked.expect("the key for left")
        desktop.tap("Left")
    asked.expect("its number" if step == "which window" else step)
    asked.interrupt()
    assert asked.end() == 130, asked.seen
    assert untouched(home)
