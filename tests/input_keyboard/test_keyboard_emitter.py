"""The virtual keyboard on a real X server: real presses, and no key that stays down."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import pytest
from autopilot.errors import DeviceError, UserError
from autopilot_input_keyboard.device import KeyboardEmitter, our_keys
from autopilot_input_keyboard.probe import probe

BINDINGS = {"left": "left", "right": "right", "go": "x", "slide": "shift"}

DRIVER = """
import os, sys, time
from autopilot_input_keyboard.device import KeyboardEmitter
emitter = KeyboardEmitter({"left": "left", "go": "x"}, timeout_s=float(sys.argv[1]))
emitter.hold(frozenset({"left", "go"}))
print(emitter._process.pid, flush=True)
time.sleep(60)
"""


@pytest.fixture
def emitter(desktop):
    emitter = KeyboardEmitter(BINDINGS)
    yield emitter
    emitter.close()


def driver(timeout_s):
    """A process that holds two keys; returns it and the process that owns them."""
    process = subprocess.Popen(
        [sys.executable, "-c", DRIVER, str(timeout_s)], stdout=subprocess.PIPE, text=True, start_new_session=True
    )
    return process, int(process.stdout.readline())


def end(process):
    process.kill()
    process.communicate()


def test_presses_look_like_those_of_a_real_keyboard(emitter, window):
    emitter.hold(frozenset({"left", "go"}))
    assert sorted(window.events()) == [("press", "Left", False), ("press", "x", False)]
    emitter.hold(frozenset({"go", "slide"}))
    assert sorted(window.events()) == [("press", "Shift_L", False), ("release", "Left", False)]
    emitter.release_all()
    assert sorted(window.events()) == [("release", "Shift_L", False), ("release", "x", False)]


def test_holding_the_same_again_sends_nothing(emitter, window, desktop):
    for _ in range(5):
        emitter.hold(frozenset({"left", "go"}))
    assert [kind for kind, _, _ in window.events()] == ["press", "press"]
    assert desktop.down() == {"Left", "x"}


def test_two_controls_on_one_key_hold_it_until_neither_is_held(desktop, window):
    emitter = KeyboardEmitter({"brake": "x", "reverse": "x"})
    emitter.hold(frozenset({"brake", "reverse"}))
    emitter.hold(frozenset({"reverse"}))
    assert window.events() == [("press", "x", False)]
    emitter.close()


def test_close_releases_and_may_be_called_twice(desktop):
    emitter = KeyboardEmitter(BINDINGS)
    emitter.hold(frozenset({"left", "go"}))
    assert our_keys() >= {"left", "x"}
    emitter.close()
    emitter.close()
    assert desktop.down() == set()
    assert our_keys() == frozenset()
    with pytest.raises(DeviceError, match="was closed"):
        emitter.hold(frozenset())


@pytest.mark.parametrize("name", ["SIGKILL", "SIGTERM", "SIGINT", "SIGHUP"])
def test_no_key_stays_down_when_the_driver_and_its_group_are_ended(desktop, wait_until, name):
    process, _ = driver(timeout_s=60)
    assert desktop.down() == {"Left", "x"}
    os.killpg(process.pid, getattr(signal, name))
    took = wait_until(lambda: desktop.down() == set(), 1.5)
    process.communicate()
    assert took < 1.5


BUSY_DRIVER = """
import sys
import time
from autopilot_input_keyboard.device import KeyboardEmitter
emitter = KeyboardEmitter({"left": "left", "go": "x"}, timeout_s=60)
print(flush=True)
while True:
    emitter.hold(frozenset({"left"}))
    emitter.hold(frozenset({"left", "go"}))
"""


def test_no_key_stays_down_when_the_driver_is_killed_between_two_holds(desktop, wait_until):
    for pause_ms in range(10, 18):
        process = subprocess.Popen(
            [sys.executable, "-c", BUSY_DRIVER], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        process.stdout.readline()
        time.sleep(pause_ms / 1000)
        process.kill()
        assert process.communicate()[1] == "", "the owner of the keys ends quietly"
        wait_until(lambda: desktop.down() == set(), 1.5)


def test_no_key_stays_down_when_the_driver_hangs(desktop, wait_until):
    process, _ = driver(timeout_s=0.5)
    assert desktop.down() == {"Left", "x"}
    os.kill(process.pid, signal.SIGSTOP)
    assert wait_until(lambda: desktop.down() == set(), 1.5) > 0.2
    end(process)


def test_the_next_hold_after_a_pause_presses_again(desktop, wait_until):
    emitter = KeyboardEmitter(BINDINGS, timeout_s=0.2)
    emitter.hold(frozenset({"go"}))
    wait_until(lambda: desktop.down() == set(), 1.0)
    emitter.hold(frozenset({"go"}))
    assert desktop.down() == {"x"}
    emitter.close()


def test_the_owner_of_the_keys_lets_go_on_sigterm(desktop, wait_until):
    process, owner = driver(timeout_s=60)
    os.kill(owner, signal.SIGTERM)
    wait_until(lambda: desktop.down() == set(), 1.5)
    end(process)


def test_a_new_emitter_clears_what_a_killed_one_left_down(desktop):
    process, owner = driver(timeout_s=60)
    os.kill(owner, signal.SIGKILL)
    end(process)
    assert desktop.down() == {"Left", "x"}, "X11 keeps the keys of a dead process down"
    emitter = KeyboardEmitter(BINDINGS)
    assert desktop.down() == set()
    emitter.close()


def test_hold_says_so_and_releases_when_the_owner_of_the_keys_was_killed(emitter, desktop):
    emitter.hold(frozenset({"left", "go"}))
    emitter._process.kill()
    emitter._process.wait()
    with pytest.raises(DeviceError, match="all keys are released"):
        emitter.hold(frozenset({"go"}))
    assert desktop.down() == set()
    emitter.hold(frozenset({"go"}))
    assert desktop.down() == {"x"}


def test_hold_says_so_when_the_x_server_is_gone(own_desktop):
    desktop = own_desktop()
    emitter = KeyboardEmitter(BINDINGS)
    desktop.stop()
    with pytest.raises(DeviceError) as caught:
        emitter.hold(frozenset({"go"}))
    assert "\n" not in str(caught.value)
    emitter.close()


@pytest.mark.parametrize(
    ("key", "message"),
    [
        ("lefft", "did you mean left"),
        ("X", "did you mean x"),
        ("hyperspace", "keys are single characters|did you mean"),
        ("", "keys are single characters"),
    ],
)
def test_an_unknown_key_is_named_with_near_matches(key, message):
    with pytest.raises(UserError, match=message) as caught:
        KeyboardEmitter({"left": key})
    assert repr(key) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_control_without_a_key_is_named(emitter, desktop):
    with pytest.raises(UserError, match="no key is bound to jump; bound are: left, right"):
        emitter.hold(frozenset({"jump", "left"}))
    assert desktop.down() == set()


def test_without_a_display_one_line_says_so(monkeypatch):
    code = "from autopilot_input_keyboard.device import KeyboardEmitter as K; K({'left': 'left'})"
    env = {k: v for k, v in os.environ.items() if k != "DISPLAY"}
    run = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True)
    last = run.stderr.strip().splitlines()[-1]
    assert last.startswith("autopilot.errors.DeviceError: no keyboard: ")
    assert last.endswith("DISPLAY set")


def test_probe_presses_a_key_and_sees_it(desktop, window):
    (found,) = probe()
    assert found.ok
    assert "a pressed key arrives" in found.detail
    assert window.events() == [("press", "Shift_R", False), ("release", "Shift_R", False)]


def test_probe_names_the_fix_where_keys_cannot_be_pressed(own_desktop):
    own_desktop("-extension", "XTEST")
    (found,) = probe()
    assert not found.ok
    assert "XTEST" in found.fix
