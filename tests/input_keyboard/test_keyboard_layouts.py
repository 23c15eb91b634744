"""Keys are places: whatever layout is in use, a name presses and reads the same key of the keyboard."""

from __future__ import annotations

import shutil
import subprocess

import pytest
from autopilot.desktop.emitter import Emitter
from autopilot_input_keyboard.keys import KEYS, available, evdev_codes, x11_codes
from autopilot_input_keyboard.reader import open_reader
from Xlib import XK, X
from Xlib.ext import xtest

PLACES = {"top": "y", "corner": "z", "home": "q", "comma": ",", "shift": "shift"}


@pytest.fixture(params=["us", "de", "fr"])
def layout(request, desktop):
    if shutil.which("setxkbmap") is None:
        pytest.skip("missing: setxkbmap (Debian package x11-xkb-utils)")
    yield request.param, lambda name: subprocess.run(["setxkbmap", "-display", desktop.name, name], check=True)
    subprocess.run(["setxkbmap", "-display", desktop.name, "us"], check=True)


def test_each_name_is_the_same_key_under_every_layout(layout, desktop):
    name, use = layout
    use(name)
    codes = x11_codes(desktop.display, KEYS)
    assert codes == {key: code + 8 for key, code in evdev_codes(KEYS).items()}
    assert available() == list(KEYS)


def test_pressed_and_read_by_place_also_when_the_layout_changes(layout, desktop, wait_until):
    name, use = layout
    places = evdev_codes(PLACES.values())
    emitter = Emitter("autopilot_input_keyboard.backends:open_backend", PLACES)
    anybody = open_reader(PLACES, {})
    human = open_reader(PLACES, {}, emitter.ours)
    use(name)

    def down():
        bits = desktop.display.query_keymap()
        return {code - 8 for code in range(8, 256) if bits[code // 8] >> code % 8 & 1}

    for control, key in PLACES.items():
        emitter.hold(frozenset({control, "shift"}))
        assert down() == {places[key], places["shift"]}
        wait_until(lambda held={control, "shift"}: anybody.held() == held, 2.0)
        assert human.held() == frozenset()
    emitter.close()
    for one in (anybody, human):
        one.close()


def test_where_keys_are_known_by_symbol_a_layout_that_changes_is_followed(own_desktop, wait_until):
    """Not every server numbers keys by place: on this one Up is nowhere near, and X moves while all runs."""
    display = own_desktop().display

    def put(code, symbol):
        display.change_keyboard_mapping(code, [[XK.string_to_keysym(symbol) if symbol else 0]])
        display.sync()

    def down(*codes):
        bits = display.query_keymap()
        return [bool(bits[code // 8] >> code % 8 & 1) for code in codes] == [True] * len(codes)

    put(111, None)
    put(200, "Up")
    put(53, None)
    put(201, "x")
    emitter = Emitter("autopilot_input_keyboard.backends:open_backend", {"go": "x"}, patience_s=60)
    reader = open_reader({"go": "x"}, {}, emitter.ours)
    emitter.hold(frozenset({"go"}))
    assert down(201)
    put(201, None)
    put(202, "x")
    emitter.release_all()
    assert not down(201)
    emitter.hold(frozenset({"go"}))
    assert down(202)
    emitter.release_all()
    assert not down(202)
    xtest.fake_input(display, X.KeyPress, 202)
    display.sync()
    wait_until(lambda: reader.held() == {"go"}, 60.0)
    xtest.fake_input(display, X.KeyRelease, 202)
    display.sync()
    wait_until(lambda: reader.held() == frozenset(), 60.0)
    emitter.close()
    reader.close()
