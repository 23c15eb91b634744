"""Reading a real X screen: colours, regions, and one clear line when it cannot be read."""

from __future__ import annotations

import os
import shutil
import subprocess
import time

import numpy as np
import pytest
from autopilot.errors import DeviceError
from autopilot.types import SourceSettings
from autopilot_screen.screen import open_screen, probe
from Xlib import X
from Xlib.display import Display

RED, TEAL = (200, 30, 10), (5, 120, 240)


class Desktop:
    """An Xvfb of 320x240 that shows a red window with a teal half at (40, 30), 80x60."""

    def __init__(self):
        if shutil.which("Xvfb") is None:
            pytest.skip("missing: Xvfb (Debian package xvfb)")
        read_end, write_end = os.pipe()
        self.process = subprocess.Popen(
            ["Xvfb", "-displayfd", str(write_end), "-screen", "0", "320x240x24", "-noreset"],
            pass_fds=[write_end],
            stderr=subprocess.DEVNULL,
        )
        os.close(write_end)
        with os.fdopen(read_end) as pipe:
            self.name = f":{pipe.readline().strip()}"
        self.display = Display(self.name)

    def show(self):
        root = self.display.screen().root
        window = root.create_window(*(40, 30, 80, 60, 0, X.CopyFromParent), background_pixel=_pixel(RED))
        window.create_window(*(40, 0, 40, 60, 0, X.CopyFromParent), background_pixel=_pixel(TEAL)).map()
        window.map()
        self.display.sync()
        return window

    def stop(self):
        self.process.kill()
        self.process.wait()


def _pixel(rgb):
    return rgb[0] << 16 | rgb[1] << 8 | rgb[2]


@pytest.fixture
def desktop(monkeypatch):
    desktop = Desktop()
    monkeypatch.setenv("DISPLAY", desktop.name)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    monkeypatch.delenv("XDG_SESSION_TYPE", raising=False)
    yield desktop
    desktop.stop()


def test_the_whole_monitor_in_rgb(desktop):
    desktop.show()
    source = open_screen(SourceSettings())
    before = time.monotonic_ns()
    frame = source.read()
    after = time.monotonic_ns()
    source.close()
    expected = np.zeros((240, 320, 3), np.uint8)
    expected[30:90, 40:80] = RED
    expected[30:90, 80:120] = TEAL
    np.testing.assert_array_equal(frame.image, expected)
    assert frame.image.dtype == np.uint8
    assert frame.image.flags.c_contiguous
    assert before <= frame.t_ns <= after


def test_a_region_is_x_y_width_height(desktop):
    desktop.show()
    source = open_screen(SourceSettings(region=(70, 80, 20, 15)))
    image = source.read().image
    source.close()
    assert image.shape == (15, 20, 3)
    expected = np.zeros((15, 20, 3), np.uint8)
    expected[:10, :10] = RED
    expected[:10, 10:] = TEAL
    np.testing.assert_array_equal(image, expected)


def test_every_read_is_a_new_picture(desktop):
    source = open_screen(SourceSettings(region=(40, 30, 10, 10)))
    first = source.read()
    window = desktop.show()
    second = source.read()
    window.unmap()
    desktop.display.sync()
    third = source.read()
    source.close()
    assert [int(f.image.max()) for f in (first, second, third)] == [0, 200, 0]
    assert first.t_ns < second.t_ns < third.t_ns


@pytest.mark.parametrize(
    ("region", "message"),
    [
        ((0, 0, 0, 10), "is empty"),
        ((0, 0, 10, -1), "is empty"),
        ((300, 0, 21, 10), "not wholly on the screen 0,0,320,240"),
        ((0, 231, 10, 10), "not wholly on the screen"),
        ((-1, 0, 10, 10), "not wholly on the screen"),
    ],
)
def test_a_bad_region_is_named(desktop, region, message):
    with pytest.raises(DeviceError, match=message) as caught:
        open_screen(SourceSettings(region=region))
    assert ",".join(map(str, region)) in str(caught.value)


def test_the_region_may_touch_every_edge(desktop):
    source = open_screen(SourceSettings(region=(0, 0, 320, 240)))
    assert source.read().image.shape == (240, 320, 3)
    source.close()


def test_without_a_display_one_line_says_so(monkeypatch):
    for name in ("DISPLAY", "WAYLAND_DISPLAY", "XDG_SESSION_TYPE"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(DeviceError, match="DISPLAY is not set") as caught:
        open_screen(SourceSettings())
    assert "\n" not in str(caught.value)
    (found,) = probe()
    assert not found.ok
    assert "Xvfb" in found.fix


def test_a_display_that_does_not_exist_is_named(monkeypatch):
    monkeypatch.setenv("DISPLAY", ":9753")
    with pytest.raises(DeviceError, match="cannot open the screen :9753") as caught:
        open_screen(SourceSettings())
    assert "\n" not in str(caught.value)


def test_wayland_without_x11_says_what_works_instead(monkeypatch):
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.setenv("XDG_SESSION_TYPE", "wayland")
    with pytest.raises(DeviceError, match=r"Wayland.*X11.*OBS.*--source video"):
        open_screen(SourceSettings())


def test_wayland_is_refused_where_the_picture_is_black_and_only_there(desktop, monkeypatch):
    monkeypatch.setenv("WAYLAND_DISPLAY", "wayland-0")
    with pytest.raises(DeviceError, match="Wayland"):
        open_screen(SourceSettings())
    desktop.show()
    source = open_screen(SourceSettings())
    assert source.read().image.any()
    source.close()


def test_a_screen_that_is_gone_or_closed_is_reported(desktop):
    source = open_screen(SourceSettings())
    source.read()
    desktop.stop()
    for _ in range(2):
        with pytest.raises(DeviceError, match="can no longer be read"):
            source.read()
    source.close()
    source.close()
    with pytest.raises(DeviceError, match="was closed"):
        source.read()


def test_probe_tells_a_black_screen_from_a_picture(desktop):
    grab, picture = probe()
    assert grab.ok
    assert "320x240" in grab.detail
    assert not picture.ok
    assert picture.fix
    desktop.show()
    assert [found.ok for found in probe()] == [True, True]
