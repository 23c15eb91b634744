"""Keys on Windows: seen by a window, read as the human's or ours, down with nobody's death."""

from __future__ import annotations

import time

import pytest

EMITTER = """
import time
from autopilot.desktop.emitter import Emitter
from autopilot_input_keyboard.reader import open_reader
KEYS = {"left": "left", "go": "x", "brake": "z", "slide": "e"}
emitter = Emitter("autopilot_input_keyboard.backends:open_backend", KEYS, patience_s=300)
reader = open_reader(KEYS, {"quit": "q"}, emitter.ours)
result = emitter.pids
def hold(*controls): emitter.hold(frozenset(controls))
def held(): return sorted(reader.held())
"""
END = "reader.close(); emitter.close()"


@pytest.fixture
def driver(agent, game):
    """The agent with an emitter and a reader."""
    agent.do(EMITTER)
    yield agent
    agent.do(END)
    game.until(lambda: not game.down, 5)


def look(driver, expected, seconds=5.0):
    """Wait until the reader says so."""
    until = time.monotonic() + seconds
    while (held := driver.do("result = held()")) != sorted(expected):
        assert time.monotonic() < until, held


def test_our_keys_come_to_a_window_and_are_nobodys(driver, game):
    driver.do("hold('left', 'go')")
    game.until(lambda: game.down == {"left", "x"}, 5)
    assert driver.do("time.sleep(0.2); result = held()") == []
    driver.do("hold('brake')")
    game.until(lambda: game.down == {"z"}, 5)
    driver.do("hold()")
    game.until(lambda: not game.down, 5)


def test_a_humans_keys_are_read_by_place(driver, human):
    human.touch("left", True)
    human.touch("e", True)
    look(driver, ["left", "slide"])
    human.let_go()
    look(driver, [])


def test_a_humans_tap_on_a_key_that_the_policy_holds_is_seen_and_does_not_lift_it(driver, game, human):
    driver.do("hold('go')")
    game.until(lambda: game.down == {"x"}, 5)
    human.touch("x", True)
    look(driver, ["go"])
    human.touch("x", False)
    look(driver, [])
    time.sleep(0.5)
    assert game.down == {"x"}, "it is ours still"


def test_our_release_does_not_drop_the_humans_key(driver, game, human):
    driver.do("hold('go')")
    game.until(lambda: game.down == {"x"}, 5)
    human.touch("x", True)
    look(driver, ["go"])
    driver.do("hold()")
    time.sleep(0.5)
    assert game.down == {"x"}, "it is theirs still"
    look(driver, ["go"])
    human.touch("x", False)
    game.until(lambda: not game.down, 5)
    look(driver, [])


def test_what_another_program_injects_counts_as_the_humans(driver, game):
    inject = """
import ctypes
from autopilot_input_keyboard import winkeys
def inject(scan, down):
    event = winkeys._Input(1, winkeys._KeyboardInput(0, scan, 8 | (0 if down else 2), 0, 0))
    assert winkeys._user32().SendInput(1, ctypes.byref(event), ctypes.sizeof(event)) == 1
inject(0x2D, {})
"""
    driver.do(inject.format(True) + "\ntime.sleep(0.1); result = held()")
    assert driver.do("result = held()") == ["go"]
    driver.do("inject(0x2D, False)")
    look(driver, [])


def test_keys_go_on_where_another_library_takes_raw_input_and_a_warning_says_so(driver, human):
    took = """
import logging, ctypes
from autopilot_input_keyboard import winkeys
said = []
class Kept(logging.Handler):
    def emit(self, record): said.append((time.time(), record.getMessage()))
logging.getLogger("autopilot").addHandler(Kept())
none = winkeys._RawDevice(1, 6, 1, None)
assert winkeys._user32().RegisterRawInputDevices(ctypes.byref(none), 1, ctypes.sizeof(none))
"""
    driver.do(took)
    begun = time.time()
    human.touch("left", True)
    look(driver, ["left"], 2.0)
    ((said, text),) = driver.do("result = said")
    assert said - begun < 1.0
    assert "keys came no more" in text
    human.touch("left", False)
    look(driver, [], 2.0)
    human.tap("e", 0.3)
    look(driver, ["slide"], 2.0)
    assert driver.do("result = len(said)") == 1, "they come again"


def test_doctor_finds_the_keyboard_fit(agent, game):
    probes = """
from autopilot.api import Registry
from autopilot_setup.doctor import _device
registry = Registry()
plugin, spec = registry.find("device", "keyboard")
result = [[p.ok, p.detail] for p in _device(registry, plugin.dist, spec, {"name": "keyboard", "patience": 60})]
"""
    result = agent.do(probes)
    assert all(ok for ok, _ in result), result
    assert "told from the human's" in result[-1][1]
