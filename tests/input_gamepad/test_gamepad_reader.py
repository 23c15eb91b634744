"""What a person holds on a pad: SDL itself, with a virtual pad of its own that needs no kernel."""

from __future__ import annotations

import pytest
from autopilot_input_gamepad.reader import open_reader

LEVELS = {f"steer:{level:g}": f"left_x:{level:g}" for level in (-1, -0.6, -0.3, 0.3, 0.6, 1)}
BINDINGS = {**LEVELS, "gas:0.5": "rt:0.5", "gas:1": "rt:1", "go": "a", "left": "stick_left", "fire": "rt"}
AXES = {"left_x": 0, "rt": 5}


@pytest.fixture
def reader():
    reader = open_reader(BINDINGS, {"pause": "start"})
    yield reader
    reader.close()


@pytest.fixture
def pad(reader):
    """A pad that SDL makes up: 6 axes, 15 buttons, laid out as those of an Xbox pad."""
    import sdl2

    class Pad:
        def __init__(self):
            self.index = sdl2.SDL_JoystickAttachVirtual(sdl2.SDL_JOYSTICK_TYPE_GAMECONTROLLER, 6, 15, 0)
            assert self.index >= 0, sdl2.SDL_GetError()
            self.pad = sdl2.SDL_JoystickOpen(self.index)
            assert reader.held() == set()  # plugged in, at rest

        def move(self, axis, to):
            sdl2.SDL_JoystickSetVirtualAxis(self.pad, AXES[axis], max(-32768, round(32768 * to) - (to > 0)))

        def press(self, button, down=1):
            sdl2.SDL_JoystickSetVirtualButton(self.pad, button, down)

        def unplug(self):
            sdl2.SDL_JoystickClose(self.pad)
            sdl2.SDL_JoystickDetachVirtual(self.index)

    one = Pad()
    yield one
    one.unplug()


@pytest.mark.parametrize(
    ("way", "controls"),
    [
        *[(-1, {"steer:-1", "left"}), (-0.7, {"steer:-0.6", "left"}), (-0.4, {"steer:-0.3"}), (-0.1, set())],
        *[(0.1, set()), (0.2, {"steer:0.3"}), (0.79, {"steer:0.6"}), (0.81, {"steer:1"}), (1, {"steer:1"})],
    ],
)
def test_a_stick_is_read_as_the_nearest_of_its_levels(reader, pad, way, controls):
    pad.move("left_x", way)
    assert reader.held() == controls


def test_a_trigger_has_levels_and_is_a_button_too(reader, pad):
    pad.move("rt", -0.4)  # of its way from -1 to 1, by SDL
    assert reader.held() == {"gas:0.5"}
    pad.move("rt", 0.8)
    assert reader.held() == {"gas:1", "fire"}


def test_the_d_pad_is_the_stick_at_its_end(reader, pad):
    pad.press(13)  # to the left
    assert reader.held() == {"steer:-1", "left"}
    pad.press(13, 0)
    assert reader.held() == set()


def test_what_is_unplugged_is_at_rest(reader, pad):
    pad.move("left_x", 1)
    pad.press(0)
    assert reader.held() == {"steer:1", "go"}
    pad.unplug()
    assert reader.held() == set()
