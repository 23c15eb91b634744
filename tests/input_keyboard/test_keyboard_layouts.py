"""Keys are places: whatever layout is in use, a name presses and reads the same key of the keyboard."""

from __future__ import annotations

import shutil
import subprocess

import pytest
from autopilot.desktop.emitter import Emitter
from autopilot_input_keyboard.keys import KEYS, available, evdev_codes, x11_codes
from autopilot_input_keyboard.reader import open_reader

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
