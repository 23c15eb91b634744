"""Keyboards and pads on a real kernel's uinput; `make test-qemu` runs these inside QEMU."""

from __future__ import annotations

import os
import signal
import time

import pytest

if os.environ.get("AUTOPILOT_QEMU") != "1":
    pytest.skip("run by `make test-qemu`, on a kernel of its own", allow_module_level=True)

from autopilot.desktop.emitter import Emitter
from autopilot_input_gamepad.backends import probe as probe_pad
from autopilot_input_gamepad.reader import open_reader as open_pads
from autopilot_input_keyboard.reader import open_evdev_reader
from evdev import InputDevice, UInput, ecodes, list_devices

KEYS = {"left": "left", "go": "x", "slide": "shift"}
PAD = {"left": "dpad_left", "up": "dpad_up", "go": "a", "gas": "rt", "steer": "stick_left", "back": "stick_down"}


def until(condition, seconds=20.0):
    """Wait until something comes true; the emulated machine is slow."""
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline, "did not happen in time"
        time.sleep(0.02)
    return found


def emitter(backend, bindings):
    return Emitter(backend, bindings, patience_s=120)


def device(one):
    """The kernel's device behind an emitter."""
    (path,) = (name for name in one.ours() if name.startswith("/dev/"))
    return InputDevice(path)


def events(found):
    """What the kernel passed on since the last call: name and value, reports left out."""
    try:
        read = list(found.read())
    except BlockingIOError:
        return []
    names = {ecodes.EV_KEY: ecodes.bytype[ecodes.EV_KEY], ecodes.EV_ABS: ecodes.bytype[ecodes.EV_ABS]}
    flat = [(names[e.type][e.code], e.value) for e in read if e.type in names]
    return [(name if isinstance(name, str) else name[0], value) for name, value in flat]


@pytest.fixture
def keyboard():
    one = emitter("autopilot_input_keyboard.backends:UinputKeys", KEYS)
    yield one
    one.close()


@pytest.fixture
def person():
    """A person's keyboard, as the kernel sees it."""
    board = UInput({ecodes.EV_KEY: [*range(1, 120)]}, name="a person's keyboard")
    yield board
    board.close()


def tap(board, key, value):
    board.write(ecodes.EV_KEY, ecodes.ecodes[f"KEY_{key}"], value)
    board.syn()


def test_keys_arrive_as_the_kernels_own_events(keyboard):
    found = device(keyboard)
    assert found.name == "autopilot keyboard"
    keyboard.hold(frozenset({"left", "go"}))
    keyboard.hold(frozenset({"go", "slide"}))
    keyboard.hold(frozenset({"go", "slide"}))
    keyboard.release_all()
    assert events(found) == [
        *[("KEY_LEFT", 1), ("KEY_X", 1), ("KEY_LEFT", 0), ("KEY_LEFTSHIFT", 1)],
        *[("KEY_LEFTSHIFT", 0), ("KEY_X", 0)],
    ]


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_the_kernel_releases_when_the_owner_of_the_keys_ends(keyboard, number):
    before = device(keyboard)
    keyboard.hold(frozenset({"left", "go"}))
    assert len(before.active_keys()) == 2
    pids = keyboard.pids
    os.kill(pids[0], number)
    until(lambda: before.path not in list_devices() or keyboard.pids != pids)
    until(lambda: keyboard.pids != pids)
    assert device(keyboard).active_keys() == []
    keyboard.hold(frozenset({"go"}))
    assert device(keyboard).active_keys() == [ecodes.KEY_X]


def test_a_person_is_read_and_our_own_keys_are_not(keyboard, person):
    reader = open_evdev_reader(KEYS, {"pause": "t"}, keyboard.ours)
    tap(person, "LEFT", 1)
    until(lambda: reader.held() == {"left"})
    seen = set()
    for turn in range(100):
        keyboard.hold(frozenset({"go", "slide"}) if turn % 2 else frozenset({"left"}))
        seen.add(reader.held())
    assert seen == {frozenset({"left"})}, "the person's, though the emitter holds the same key at times"
    tap(person, "T", 1)
    until(lambda: reader.hotkeys() == ("pause",))
    tap(person, "T", 0)
    tap(person, "LEFT", 0)
    until(lambda: reader.held() == frozenset())
    reader.close()


def test_a_keyboard_that_is_plugged_in_later_is_read_and_one_unplugged_holds_nothing(keyboard, person):
    reader = open_evdev_reader(KEYS, {}, keyboard.ours)
    later = UInput({ecodes.EV_KEY: [*range(1, 120)]}, name="a second keyboard")
    tap(later, "X", 1)
    until(lambda: reader.held() == {"go"})
    later.close()
    until(lambda: reader.held() == frozenset())
    reader.close()


def test_an_xbox_pad_and_its_events():
    one = emitter("autopilot_input_gamepad.backends:xbox", PAD)
    found = device(one)
    assert (found.info.vendor, found.info.product) == (0x045E, 0x028E)
    events(found)
    one.hold(frozenset({"left", "go"}))
    assert sorted(events(found)) == [("ABS_HAT0X", -1), ("BTN_A", 1)]
    one.hold(frozenset({"gas", "steer", "back"}))
    assert sorted(events(found)) == [
        *[("ABS_HAT0X", 0), ("ABS_RZ", 255), ("ABS_X", -32767), ("ABS_Y", 32766), ("BTN_A", 0)]
    ]
    one.hold(frozenset({"gas", "steer", "back"}))
    assert events(found) == []
    one.close()
    assert found.path not in list_devices()


def test_a_dualshock_and_its_events():
    one = emitter("autopilot_input_gamepad.backends:dualshock", PAD)
    found = device(one)
    assert (found.info.vendor, found.info.product) == (0x054C, 0x09CC)
    one.hold(frozenset())
    events(found)
    one.hold(frozenset({"left", "up", "go"}))
    assert sorted(events(found)) == [("ABS_HAT0X", -1), ("ABS_HAT0Y", -1), ("BTN_A", 1)]
    one.hold(frozenset({"steer", "back"}))
    assert sorted(events(found)) == [("ABS_HAT0X", 0), ("ABS_HAT0Y", 0), ("ABS_X", 0), ("ABS_Y", 255), ("BTN_A", 0)]
    one.close()


@pytest.mark.parametrize("kind", ["xbox", "dualshock"])
def test_a_pad_is_read_when_a_person_plugs_it_in_and_not_when_it_is_ours(kind):
    backend = f"autopilot_input_gamepad.backends:{kind}"
    ours = emitter(backend, PAD)
    reader = open_pads({"left": "dpad_left", "go": "a", "gas": "rt"}, {"pause": "start"}, ours.ours)
    ours.hold(frozenset({"left", "go", "gas"}))
    assert reader.held() == frozenset()
    person = emitter(backend, {**PAD, "pause": "start"})
    person.hold(frozenset({"go", "steer"}))
    until(lambda: reader.held() == {"go", "left"})
    person.hold(frozenset({"gas", "pause"}))
    until(lambda: reader.held() == {"gas"})
    assert reader.hotkeys() == ("pause",)
    person.close()
    until(lambda: reader.held() == frozenset())
    assert device(ours).active_keys() != []
    ours.close()
    reader.close()


def test_a_pad_of_a_killed_owner_is_unplugged():
    one = emitter("autopilot_input_gamepad.backends:xbox", PAD)
    before, pids = device(one), one.pids
    one.hold(frozenset({"go"}))
    assert before.active_keys() != []
    os.kill(pids[0], signal.SIGKILL)
    until(lambda: one.pids != pids)
    assert device(one).active_keys() == []
    one.close()


STEER = {f"steer:{level:g}": f"left_x:{level:g}" for level in (-1, -0.6, -0.3, 0.3, 0.6, 1)}


@pytest.mark.parametrize("kind", ["xbox", "dualshock"])
def test_a_sticks_level_is_read_back_and_returns_to_rest_when_its_owner_is_killed(kind):
    bound = {**STEER, "gas:0.5": "rt:0.5", "gas:1": "rt:1"}
    one = emitter(f"autopilot_input_gamepad.backends:{kind}", bound)
    reader = open_pads(bound, {})  # of whatever pad
    assert reader.held() == frozenset()
    for control in STEER:
        one.hold(frozenset({control, "gas:0.5"}))
        until(lambda control=control: reader.held() == {control, "gas:0.5"})
    one.release_all()
    until(lambda: reader.held() == frozenset())
    one.hold(frozenset({"steer:-0.6"}))
    until(lambda: reader.held() == {"steer:-0.6"})
    pids = one.pids
    os.kill(pids[0], signal.SIGKILL)
    until(lambda: one.pids != pids)
    until(lambda: reader.held() == frozenset())
    x = device(one).absinfo(ecodes.ABS_X)
    assert abs(x.value - (x.min + x.max) / 2) <= 1, "the new pad's stick is at rest"
    one.hold(frozenset({"steer:0.3"}))
    until(lambda: reader.held() == {"steer:0.3"})
    one.close()
    reader.close()


def test_a_stick_returns_to_rest_when_the_driver_falls_silent():
    one = Emitter("autopilot_input_gamepad.backends:xbox", STEER, patience_s=2)
    found = device(one)
    one.hold(frozenset({"steer:-0.6"}))
    assert found.absinfo(ecodes.ABS_X).value == -19660
    until(lambda: found.absinfo(ecodes.ABS_X).value == 0)
    one.close()


def test_the_probe_of_the_pad_succeeds():
    assert [found.ok for found in probe_pad()] == [True]
