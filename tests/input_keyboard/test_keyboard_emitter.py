"""The virtual keyboard on a real X server: real presses, and no key that stays down."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from autopilot.api.errors import DeviceError, UserError
from autopilot.desktop.emitter import REPLACEMENTS, Emitter
from autopilot_input_keyboard.probe import probe

BACKEND = "autopilot_input_keyboard.backends:open_backend"
BINDINGS = {"left": "left", "right": "right", "go": "x", "slide": "shift"}

DRIVER = """
import sys, time
from autopilot.desktop.emitter import Emitter
emitter = Emitter("autopilot_input_keyboard.backends:open_backend", {"left": "left", "go": "x"}, float(sys.argv[1]))
emitter.hold(frozenset({"left", "go"}))
print(*emitter.pids, flush=True)
time.sleep(60)
"""


@pytest.fixture
def emitter(desktop):
    emitter = Emitter(BACKEND, BINDINGS)
    yield emitter
    emitter.close()


def driver(patience_s=60):
    """A process that holds two keys; returns it, the process that owns them, and that one's guard."""
    process = subprocess.Popen(
        [sys.executable, "-c", DRIVER, str(patience_s)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    return process, *map(int, process.stdout.readline().split())


def end(process):
    process.kill()
    process.communicate()


@pytest.mark.plain_x11  # sway gives the focus back as it likes
def test_a_window_that_has_lost_the_focus_is_told_of_the_release(desktop, window):
    """The server gives it to whoever has the focus: an emulator would hold the button for good."""
    emitter = Emitter(BACKEND, BINDINGS, patience_s=60)
    emitter.hold(frozenset({"left", "go"}))
    assert sorted(window.events()) == [("press", "Left", False), ("press", "x", False)]
    other = type(window)(desktop.name)
    emitter.hold(frozenset({"go"}))
    assert window.events() == [("release", "Left", True)]
    assert other.events() == [("release", "Left", False)]
    window.window.destroy()
    window.display.sync()
    emitter.release_all()
    assert other.events() == [("release", "x", False)], "the other is gone"
    assert desktop.down() == set()
    emitter.hold(frozenset({"go"}))
    emitter.release_all()
    assert other.events() == [("press", "x", False), ("release", "x", False)]
    emitter.close()
    other.close()


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
    emitter = Emitter(BACKEND, {"brake": "x", "reverse": "x"})
    emitter.hold(frozenset({"brake", "reverse"}))
    emitter.hold(frozenset({"reverse"}))
    assert window.events() == [("press", "x", False)]
    emitter.close()


def test_close_releases_and_may_be_called_twice(desktop):
    emitter = Emitter(BACKEND, BINDINGS)
    emitter.hold(frozenset({"left", "go"}))
    assert emitter.ours() == {"left", "x"}
    emitter.close()
    emitter.close()
    assert desktop.down() == set()
    assert emitter.ours() == frozenset()
    with pytest.raises(DeviceError, match="was closed"):
        emitter.hold(frozenset())


@pytest.mark.parametrize("name", ["SIGKILL", "SIGTERM", "SIGINT", "SIGHUP"])
def test_no_key_stays_down_when_the_driver_and_its_group_are_ended(desktop, wait_until, name):
    process, *_ = driver()
    assert desktop.down() == {"Left", "x"}
    os.killpg(process.pid, getattr(signal, name))
    wait_until(lambda: desktop.down() == set(), 1.5)
    process.communicate()


BUSY_DRIVER = """
import time
from autopilot.desktop.emitter import Emitter
emitter = Emitter("autopilot_input_keyboard.backends:open_backend", {"left": "left", "go": "x"}, 60)
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


def test_no_key_stays_down_when_the_driver_is_stopped_and_it_says_so_later(desktop, wait_until):
    process, *_ = driver()
    assert desktop.down() == {"Left", "x"}
    os.kill(process.pid, signal.SIGSTOP)
    assert wait_until(lambda: desktop.down() == set(), 1.5) > 0.1
    os.kill(process.pid, signal.SIGCONT)
    assert process.stderr.readline() == "autopilot: everything released: no sign of life from the driver for 250 ms\n"
    end(process)


def test_a_loop_that_does_not_decide_loses_the_keys_until_it_does(desktop, wait_until, caplog):
    emitter = Emitter(BACKEND, BINDINGS, patience_s=0.2)
    emitter.hold(frozenset({"go"}))
    time.sleep(0.1)
    emitter.hold(frozenset({"go"}))
    assert wait_until(lambda: desktop.down() == set(), 1.5) > 0.1
    wait_until(lambda: "no decision for 0.2" in caplog.text, 1.0)
    emitter.hold(frozenset({"go"}))
    assert desktop.down() == {"x"}
    emitter.close()


def test_the_owner_of_the_keys_lets_go_on_sigterm(desktop, wait_until):
    process, owner, _ = driver()
    assert desktop.down() == {"Left", "x"}
    os.kill(owner, signal.SIGTERM)
    wait_until(lambda: desktop.down() == set(), 1.5)
    end(process)


@pytest.mark.parametrize("name", ["SIGKILL", "SIGSTOP"])
def test_no_key_stays_down_when_the_owner_of_the_keys_is_killed_or_stopped(desktop, wait_until, name):
    process, owner, _ = driver()
    assert desktop.down() == {"Left", "x"}
    os.kill(process.pid, signal.SIGSTOP)  # so that only the guard can release
    os.kill(owner, getattr(signal, name))
    wait_until(lambda: desktop.down() == set(), 1.5)
    end(process)


def test_a_new_emitter_clears_what_a_killed_one_left_down(desktop):
    process, owner, guard = driver()
    os.kill(process.pid, signal.SIGSTOP)
    os.kill(guard, signal.SIGSTOP)
    os.kill(owner, signal.SIGKILL)
    os.kill(guard, signal.SIGKILL)
    end(process)
    assert desktop.down() == {"Left", "x"}, "X11 keeps the keys of a dead process down"
    emitter = Emitter(BACKEND, BINDINGS)
    assert desktop.down() == set()
    emitter.close()


def test_a_dead_owner_is_replaced_by_one_that_releases_first(emitter, desktop, window, wait_until, caplog):
    emitter.hold(frozenset({"left", "go"}))
    before = emitter.pids
    os.kill(before[0], signal.SIGKILL)
    wait_until(lambda: emitter.pids != before, 10)
    assert desktop.down() == set()
    assert "a new one took over" in caplog.text
    emitter.hold(frozenset({"go"}))
    assert desktop.down() == {"x"}
    assert sorted(window.events()) == [
        *[("press", "Left", False), ("press", "x", False), ("press", "x", False)],
        *[("release", "Left", False), ("release", "x", False)],
    ]


def test_a_driver_whose_owner_and_guard_are_both_killed_releases_before_it_has_a_new_owner(
    emitter, desktop, wait_until, monkeypatch
):
    left, start = [], emitter._start
    monkeypatch.setattr(emitter, "_start", lambda: left.append(desktop.down()) or start())
    emitter.hold(frozenset({"left", "go"}))
    owner, guard = emitter.pids
    os.kill(owner, signal.SIGSTOP)
    os.kill(guard, signal.SIGKILL)
    os.kill(owner, signal.SIGKILL)
    wait_until(lambda: desktop.down() == set(), 10)
    emitter.hold(frozenset({"go"}))
    assert desktop.down() == {"x"}
    assert left == [set()], "another process takes its time"


def test_the_hold_that_meets_a_dead_owner_is_done_by_the_next(emitter, desktop):
    emitter.hold(frozenset({"left"}))
    os.kill(emitter.pids[0], signal.SIGKILL)
    emitter.hold(frozenset({"go"}))
    assert desktop.down() == {"x"}


def test_an_owner_that_is_ended_again_and_again_is_given_up(emitter, desktop, wait_until):
    for _ in range(REPLACEMENTS):
        os.kill(emitter.pids[0], signal.SIGKILL)
        emitter.hold(frozenset({"go"}))
    os.kill(emitter.pids[0], signal.SIGKILL)
    with pytest.raises(DeviceError, match="was ended 6 times"):
        emitter.hold(frozenset({"go"}))
    wait_until(lambda: desktop.down() == set(), 1.5)


def test_a_dead_guard_is_replaced_while_nothing_is_down(desktop, wait_until):
    process, owner, guard = driver()
    os.kill(guard, signal.SIGKILL)
    wait_until(lambda: not Path(f"/proc/{guard}").exists(), 2)  # its owner has noticed
    assert desktop.down() == set()
    wait_until(lambda: desktop.down() == {"Left", "x"}, 10)
    os.kill(process.pid, signal.SIGSTOP)
    os.kill(owner, signal.SIGKILL)
    wait_until(lambda: desktop.down() == set(), 1.5)
    end(process)


def test_hold_says_so_when_the_x_server_is_gone(own_desktop):
    desktop = own_desktop()
    emitter = Emitter(BACKEND, BINDINGS)
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
def test_an_unknown_key_is_named_with_near_matches(desktop, key, message):
    with pytest.raises(UserError, match=message) as caught:
        Emitter(BACKEND, {"left": key})
    assert repr(key) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_control_without_a_key_is_named(emitter, desktop):
    with pytest.raises(UserError, match="no key or button is bound to jump; bound are: left, right"):
        emitter.hold(frozenset({"jump", "left"}))
    assert desktop.down() == set()


def test_without_a_display_one_line_says_so(monkeypatch):
    code = f"from autopilot.desktop.emitter import Emitter; Emitter({BACKEND!r}, {{'left': 'left'}})"
    env = {k: v for k, v in os.environ.items() if k != "DISPLAY"}
    run = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True)
    last = run.stderr.strip().splitlines()[-1]
    assert last.startswith("autopilot.api.errors.DeviceError: no keyboard: ")
    assert last.endswith("DISPLAY set")


def test_probe_presses_nothing(desktop, window):
    (found,) = probe()
    assert (found.ok, found.detail.partition(";")[0]) == (True, "opens, through XTest")
    assert window.events() == []


@pytest.mark.parametrize(
    ("desktop_name", "asks"), [("ubuntu:GNOME", "GNOME"), ("KDE", "KDE Plasma"), ("COSMIC", "COSMIC"), ("sway", None)]
)
def test_probe_says_which_wayland_desktop_may_ask(desktop, monkeypatch, desktop_name, asks):
    monkeypatch.setenv("WAYLAND_DISPLAY", "wayland-0")
    monkeypatch.setenv("XDG_CURRENT_DESKTOP", desktop_name)
    (found,) = probe()
    assert found.ok
    if os.access("/dev/uinput", os.W_OK):
        return  # the kernel's keyboard is taken where it may be: nobody asks
    assert "only X11 windows" in found.detail
    assert found.fix.startswith(f"{asks} may ask whether") if asks else not found.fix


@pytest.mark.plain_x11  # Xwayland has always XTest
def test_probe_names_the_fix_where_keys_cannot_be_pressed(own_desktop):
    own_desktop("-extension", "XTEST")
    (found,) = probe()
    assert not found.ok
    assert "XTEST" in found.fix
