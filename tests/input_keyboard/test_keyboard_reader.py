"""Reading what a human holds on a real X server, without our own presses."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time

import pytest
from autopilot.api.errors import DeviceError, UserError
from autopilot.desktop.emitter import Emitter
from autopilot_input_keyboard.reader import KeyboardReader, listener_state, open_reader

BINDINGS = {"left": "left", "go": "x", "brake": "z"}
HOTKEYS = {"pause": "t", "save": "o", "quit": "p"}


@pytest.fixture
def reader(desktop):
    reader = open_reader(BINDINGS, HOTKEYS)
    yield reader
    reader.close()
    reader.close()


def test_held_is_what_is_down_now(reader, desktop, wait_until):
    assert reader.held() == frozenset()
    desktop.press("Left")
    desktop.press("x")
    wait_until(lambda: reader.held() == {"left", "go"}, 1.0)
    desktop.release("Left")
    wait_until(lambda: reader.held() == {"go"}, 1.0)
    desktop.release("x")
    wait_until(lambda: reader.held() == frozenset(), 1.0)


def test_a_key_bound_to_nothing_is_no_control(reader, desktop):
    desktop.press("a")
    time.sleep(0.05)
    assert reader.held() == frozenset()
    desktop.release("a")


def test_a_key_that_is_let_go_and_tapped_again_between_two_looks_is_not_lost(wait_until):
    """The keyboard is a script here: when a reader looks, a real one's presses cannot be fitted between."""
    taps, looks = [frozenset("x")], []

    def keyboard():
        looks.append(None)
        return frozenset(), taps.pop() if taps else frozenset()

    reader = KeyboardReader({"go": "x"}, {"pause": "x"}, (keyboard, lambda: None))
    reader.held()
    for count in (1, 2):
        taps.append(frozenset("x"))
        seen = len(looks)
        wait_until(lambda seen=seen: not taps and len(looks) > seen + 2, 60.0)
        assert reader.held() == {"go"}
        assert reader.held() == frozenset()
        assert reader.hotkeys() == ("pause",), count
    reader.close()


def test_our_own_presses_are_never_the_humans(desktop, wait_until):
    emitter = Emitter("autopilot_input_keyboard.backends:open_backend", {**BINDINGS, "echo": "t"})
    reader = open_reader(BINDINGS, HOTKEYS, emitter.ours)
    desktop.touch("z", down=True)  # XTest's own keys the guard may release, on a machine that starves the emitter
    wait_until(lambda: reader.held() == {"brake"}, 1.0)
    seen = set()
    for turn in range(200):
        emitter.hold(frozenset({"left", "echo"} if turn % 2 else {"go"}))
        time.sleep(turn % 7 / 1000)
        seen.add(reader.held())
    emitter.close()
    time.sleep(0.05)
    assert seen | {reader.held()} == {frozenset({"brake"})}
    assert reader.hotkeys() == ()
    desktop.touch("z", down=False)
    reader.close()


def test_a_key_that_we_hold_too_is_the_humans_while_their_keyboard_holds_it(desktop, wait_until):
    emitter = Emitter("autopilot_input_keyboard.backends:open_backend", BINDINGS)
    reader = open_reader(BINDINGS, HOTKEYS, emitter.ours)
    emitter.hold(frozenset({"left", "go"}))
    assert reader.held() == frozenset()
    desktop.touch("Left", down=True)
    wait_until(lambda: reader.held() == {"left"}, 1.0)
    emitter.release_all()
    assert "Left" not in desktop.down(), "the server forgets the real key with ours"
    assert reader.held() == {"left"}
    emitter.hold(frozenset({"left"}))
    desktop.touch("Left", down=False)
    wait_until(lambda: reader.held() == frozenset(), 1.0)
    emitter.close()
    reader.close()


def test_a_hotkey_counts_once_per_press_however_long_it_is_held(desktop, wait_until):
    reader = open_reader(HOTKEYS, HOTKEYS)  # as controls too: held() tells what it has seen
    for key, name, seconds in (("t", "pause", 1.2), ("o", "save", 0), ("t", "pause", 0)):
        desktop.press(key)
        wait_until(lambda name=name: reader.held() == {name}, 2.0)
        time.sleep(seconds)  # long enough for auto-repeat
        desktop.release(key)
        wait_until(lambda: reader.held() == frozenset(), 2.0)
    assert reader.hotkeys() == ("pause", "save", "pause")
    assert reader.hotkeys() == ()
    reader.close()


def test_a_short_tap_between_two_looks_is_not_lost(reader, desktop, wait_until):
    pressed = []
    desktop.press("p")
    time.sleep(0.15)
    desktop.release("p")
    time.sleep(0.05)
    assert reader.held() == frozenset()
    wait_until(lambda: pressed.extend(reader.hotkeys()) or pressed == ["quit"], 1.0)


def test_a_tap_between_two_frames_is_held_for_one_of_them(reader, desktop):
    assert reader.held() == frozenset()
    for key in ("x", "Left"):
        desktop.press(key)
        time.sleep(0.15)
        desktop.release(key)
    time.sleep(0.05)
    assert reader.held() == {"go", "left"}
    assert reader.held() == frozenset()


def test_a_release_is_not_delayed_by_a_frame(reader, desktop, wait_until):
    desktop.press("x")
    wait_until(lambda: reader.held() == {"go"}, 2.0)
    desktop.release("x")
    time.sleep(0.1)
    assert reader.held() == frozenset()


def test_a_hotkey_down_from_the_start_was_not_pressed(desktop):
    desktop.press("p")
    reader = open_reader(BINDINGS, HOTKEYS)
    time.sleep(0.05)
    assert reader.hotkeys() == ()
    desktop.release("p")
    reader.close()


def test_it_says_so_when_the_x_server_is_gone(own_desktop, wait_until):
    desktop = own_desktop()
    reader = open_reader(BINDINGS, HOTKEYS)
    desktop.stop()

    def fails():
        try:
            reader.held()
        except DeviceError:
            return True
        return False

    wait_until(fails, 2.0)
    reader.close()


def test_an_unknown_key_is_named(desktop):
    with pytest.raises(UserError, match="did you mean left"):
        open_reader({"left": "leftt"}, HOTKEYS)


def test_without_a_display_one_line_says_so():
    code = "from autopilot_input_keyboard.reader import open_reader as r; r({'a': 'x'}, {})"
    env = {k: v for k, v in os.environ.items() if k != "DISPLAY"}
    run = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True)
    last = run.stderr.strip().splitlines()[-1]
    assert last.startswith("autopilot.api.errors.DeviceError: no keyboard: ")


def test_the_event_listener_of_other_systems_follows_presses(desktop, window, wait_until):
    from pynput.keyboard import Listener

    down, disconnect = listener_state(["left", "x", "f1"])

    def names():
        window.events()  # under Xvfb, other traffic brings the listener its events
        return down()[0]

    def heard():
        desktop.press("F1")  # again and again: what comes before the listener's own request is lost to it
        time.sleep(0.05)
        told = names()
        desktop.release("F1")
        return told == {"f1"}

    wait_until(heard, 5.0)
    wait_until(lambda: names() == frozenset(), 2.0)
    desktop.press("Left")
    desktop.press("x")
    wait_until(lambda: names() == {"left", "x"}, 2.0)
    desktop.release("Left")
    wait_until(lambda: names() == {"x"}, 2.0)
    desktop.release("x")
    wait_until(lambda: names() == frozenset(), 2.0)
    disconnect()

    def ended():
        desktop.tap("F1")  # on X11 the thread ends with the next event only
        return not any(isinstance(thread, Listener) for thread in threading.enumerate())

    wait_until(ended, 2.0)
