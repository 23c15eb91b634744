"""The window: real keys on a real X server steer the car, hotkeys arrive, time is real."""

from __future__ import annotations

import ctypes
import shutil
import subprocess
import time
from pathlib import Path

import numpy as np
import pygame
import pytest
from autopilot.api.errors import DeviceError


def xdotool(*arguments: str) -> None:
    if shutil.which("xdotool") is None:
        pytest.skip("missing: xdotool")
    subprocess.run(["xdotool", *arguments], check=True, timeout=10)


@pytest.fixture
def world(open_race, screen):
    """A race in a window that has the focus."""
    world = open_race(7, human=True)
    xdotool("windowfocus", "--sync", window_id())
    return world


def window_id() -> str:
    return str(pygame.display.get_wm_info()["window"])


def comes_true(condition, seconds=3.0) -> bool:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def test_keys_are_held_while_they_are_down(world):
    held = world.reader.held
    xdotool("keydown", "Left", "keydown", "Up")
    assert comes_true(lambda: held() == {"left", "accelerate"}), held()
    xdotool("keyup", "Left", "keydown", "Right")
    assert comes_true(lambda: held() == {"right", "accelerate"}), held()
    xdotool("keyup", "Right", "keyup", "Up", "keydown", "Down")
    assert comes_true(lambda: held() == {"brake"}), held()
    xdotool("keyup", "Down")
    assert comes_true(lambda: held() == frozenset()), held()


def test_a_human_drives_with_the_arrow_keys(world):
    xdotool("keydown", "Up")
    try:
        for _ in range(30):
            world.device.hold(world.reader.held())
            world.clock.tick()
        speed = np.hypot(*world.source.simulator.car.hull.linearVelocity)
        xdotool("keydown", "Left")
        for _ in range(8):
            world.device.hold(world.reader.held())
            world.clock.tick()
    finally:
        xdotool("keyup", "Up", "keyup", "Left")
    assert speed > 20
    assert world.source.simulator.car.wheels[0].joint.angle > 0.05


@pytest.fixture
def sdl():
    """The SDL that pygame has loaded: it can make up a pad, without a kernel's."""
    libraries = {line.split()[-1] for line in Path("/proc/self/maps").read_text().splitlines() if "libSDL2-2" in line}
    (path,) = (path for path in libraries if "pygame" in path)
    sdl = ctypes.CDLL(path)
    sdl.SDL_JoystickOpen.restype = ctypes.c_void_p
    return sdl


def test_a_person_steers_with_a_pads_stick_beside_the_keys(world, sdl):
    index = sdl.SDL_JoystickAttachVirtual(1, 6, 15, 0)  # a game controller with 6 axes and 15 buttons
    assert index >= 0
    pad = ctypes.c_void_p(sdl.SDL_JoystickOpen(index))
    held = world.reader.held
    assert comes_true(lambda: held() == frozenset() and world.reader._pads), "plugged in"
    sdl.SDL_JoystickSetVirtualAxis(pad, 0, -20000)
    sdl.SDL_JoystickSetVirtualAxis(pad, 4, 20000)
    assert comes_true(lambda: held() == {"steer:-0.6", "brake"}), held()
    sdl.SDL_JoystickSetVirtualAxis(pad, 4, -32768)
    xdotool("keydown", "Up")
    try:
        assert comes_true(lambda: held() == {"steer:-0.6", "accelerate"}), held()
        for _ in range(5):
            world.device.hold(held())
            world.clock.tick()
    finally:
        xdotool("keyup", "Up")
    assert world.device.simulator.car.wheels[0].joint.angle == pytest.approx(0.6 * world.device.lock, abs=0.03)
    sdl.SDL_JoystickSetVirtualAxis(pad, 0, 0)
    assert comes_true(lambda: held() == frozenset()), held()
    sdl.SDL_JoystickSetVirtualAxis(pad, 0, 32767)
    assert comes_true(lambda: held() == {"steer:1"}), held()
    sdl.SDL_JoystickDetachVirtual(index)
    assert comes_true(lambda: held() == frozenset()), "unplugged"


def test_hotkeys_arrive_once_and_in_order(world):
    seen = []

    def pressed():
        seen.extend(world.reader.hotkeys())
        return len(seen) >= 3

    xdotool("key", "t", "key", "o", "key", "p")
    assert comes_true(pressed), seen
    assert seen == ["pause", "save", "quit"]
    assert world.reader.hotkeys() == ()


def test_closing_the_window_means_quit(world):
    pygame.event.post(pygame.event.Event(pygame.QUIT))
    world.clock.tick()
    assert world.reader.hotkeys() == ("quit",)


def test_closing_a_window_that_is_only_watched_ends_the_frames(open_race, screen):
    world = open_race(7, window=True)
    assert world.reader is None
    world.source.read()
    pygame.event.post(pygame.event.Event(pygame.QUIT))
    world.clock.tick()
    with pytest.raises(EOFError, match="closed"):
        world.source.read()


def test_with_a_window_the_game_runs_in_real_time_and_does_not_race_after_a_pause(world):
    world.clock.tick()
    time.sleep(0.6)
    start = time.monotonic()
    for _ in range(10):
        world.clock.tick()
    assert time.monotonic() - start >= 0.5, "10 decisions are 0.8 s, 0.25 s of which may be late"


def test_the_window_shows_what_the_frame_shows(world):
    world.device.hold(frozenset({"accelerate"}))
    for _ in range(15):
        world.clock.tick()
    shown = pygame.display.get_surface()
    scaled = pygame.transform.smoothscale(shown, (600, 400))
    image = pygame.surfarray.array3d(scaled).transpose(1, 0, 2).astype(int)
    assert np.abs(image - world.source.read().image).mean() < 2


def test_the_same_race_with_and_without_a_window(world, open_race):
    blind = open_race(7)
    for race in (world, blind):
        race.device.hold(frozenset({"accelerate"}))
        for _ in range(5):
            race.clock.tick()
    assert np.array_equal(world.source.read().image, blind.source.read().image)


@pytest.mark.parametrize("request_", [{"human": True}, {"window": True}])
def test_no_screen_is_one_clear_line(open_race, no_screen, request_):
    with pytest.raises(DeviceError, match="cannot open CarRacing's window") as e:
        open_race(7, **request_)
    assert "\n" not in str(e.value)
    assert not pygame.display.get_init()


def test_a_dummy_video_driver_is_no_screen(open_race, screen, monkeypatch):
    monkeypatch.setenv("SDL_VIDEODRIVER", "dummy")
    with pytest.raises(DeviceError, match="dummy"):
        open_race(7, human=True)
