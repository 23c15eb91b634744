"""The window: it shows a simulator's frames, and real keys on a real X server drive it, record it and end it."""

from __future__ import annotations

import shutil
import subprocess
import time
from collections.abc import Callable, Iterator

import numpy as np
import pygame
import pytest
from autopilot.api import DeviceError, UserError
from autopilot_input_window.window import key_names, open_window, probe
from support.x import x_server

KEYS, HOTKEYS = {"left": "left", "gas": "space"}, {"quit": "p", "pause": "t"}


@pytest.fixture(scope="module")
def xvfb() -> Iterator[str]:
    with x_server("800x600") as name:
        yield name


@pytest.fixture
def screen(xvfb: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """The screen that DISPLAY names."""
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    monkeypatch.delenv("SDL_VIDEODRIVER", raising=False)
    monkeypatch.setenv("DISPLAY", xvfb)
    return xvfb


def xdotool(*arguments: str) -> str:
    if shutil.which("xdotool") is None:
        pytest.skip("missing: xdotool")
    done = subprocess.run(["xdotool", *arguments], capture_output=True, text=True, timeout=10)
    return done.stdout


def comes_true(condition: Callable[[], object], seconds: float = 20.0) -> bool:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


@pytest.fixture
def window(screen):
    """A window that has the focus."""
    window = open_window(KEYS, HOTKEYS, frozenset)
    xdotool("windowfocus", "--sync", str(pygame.display.get_wm_info()["window"]))
    yield window
    window.close()
    window.close()


def test_keys_are_held_while_they_are_down_and_hotkeys_arrive_once(window):
    xdotool("keydown", "Left", "keydown", "space")
    assert comes_true(lambda: window.held() == {"left", "gas"}), window.held()
    xdotool("keyup", "Left", "keyup", "space", "key", "t", "key", "p")
    assert comes_true(lambda: window.held() == frozenset())
    seen = []
    assert comes_true(lambda: seen.extend(window.hotkeys()) or len(seen) == 2), seen
    assert seen == ["pause", "quit"]
    pygame.event.post(pygame.event.Event(pygame.QUIT))
    assert window.hotkeys() == ("quit",), "the window was closed"


def test_a_small_picture_is_enlarged_by_whole_numbers_as_it_is(window):
    image = np.random.default_rng(1).integers(0, 256, (21, 16, 3), np.uint8)
    window.show(image)
    shown = pygame.surfarray.array3d(pygame.display.get_surface()).transpose(1, 0, 2)
    assert shown.shape == (21 * 23, 16 * 23, 3)
    assert np.array_equal(shown[::23, ::23], image)


def test_a_screen_is_found_by_a_process_that_had_none(screen, monkeypatch):
    monkeypatch.setenv("SDL_VIDEODRIVER", "offscreen")
    pygame.display.init()
    monkeypatch.delenv("SDL_VIDEODRIVER")
    assert [p.ok for p in probe()] == [True]


def test_an_unknown_key_and_a_missing_screen_are_one_line(screen, monkeypatch):
    with pytest.raises(UserError, match="the window knows no key 'spcae'; did you mean space"):
        open_window({"gas": "spcae"}, {}, frozenset)
    assert {"left", "space", "a", "f1"} <= set(key_names())
    assert [p.ok for p in probe()] == [True]
    monkeypatch.setenv("SDL_VIDEODRIVER", "dummy")
    with pytest.raises(DeviceError, match=r"cannot open a window .*dummy"):
        open_window(KEYS, {}, frozenset)
    monkeypatch.delenv("DISPLAY")
    assert "DISPLAY is not set" in probe()[0].detail
    assert not pygame.display.get_init()
