"""Reading a real X screen: colours, regions, and one clear line when it cannot be read."""

from __future__ import annotations

import shutil
import subprocess
import time

import numpy as np
import pytest
from autopilot.api.errors import Away, DeviceError, UserError
from autopilot.api.types import SourceSettings
from autopilot_screen.probe import probe
from autopilot_screen.screen import monitors, open_screen

RED, TEAL = (200, 30, 10), (5, 120, 240)


@pytest.mark.plain_x11  # Xwayland's screen is black
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


@pytest.mark.plain_x11  # Xwayland's screen is black
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


@pytest.mark.plain_x11  # Xwayland's screen is black
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


@pytest.mark.plain_x11  # Xwayland's screen is black
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


@pytest.mark.plain_x11  # Xwayland's screen is black
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
    with pytest.raises(DeviceError, match=r"Wayland.*X11.*--window"):
        open_screen(SourceSettings())


@pytest.mark.plain_x11  # Xwayland's screen is black
def test_wayland_is_refused_where_the_picture_is_black_and_only_there(desktop, monkeypatch):
    monkeypatch.setenv("WAYLAND_DISPLAY", "wayland-0")
    with pytest.raises(DeviceError, match="Wayland"):
        open_screen(SourceSettings())
    desktop.show()
    source = open_screen(SourceSettings())
    assert source.read().image.any()
    source.close()


@pytest.mark.plain_x11  # Xwayland's screen is black
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


@pytest.mark.plain_x11  # says what Wayland changes by itself
def test_probe_names_the_display_its_monitors_and_whether_there_are_windows(desktop, monkeypatch):
    display, windows = probe()
    assert display.ok
    assert display.detail == f"X11 {desktop.name}, 1 monitor: 320x240 at 0,0; scale 1"
    assert (windows.detail, windows.fix) == ("none is open", "start the game before recording")
    desktop.app().do("show('Kart Racer', 40, 30, 200, 100, 0)")
    assert probe()[1].detail.startswith("1 with a title")
    monkeypatch.setenv("XDG_SESSION_TYPE", "wayland")
    display, windows = probe()
    assert "the screen cannot" in display.detail
    assert windows.fix == "for a game that is not listed, --source portal"


@pytest.mark.plain_x11  # Xwayland's monitors are the compositor's
def test_several_monitors(start):
    desktop = start(size="640x240")
    if shutil.which("xrandr") is None:
        pytest.skip("missing: xrandr (Debian package x11-xserver-utils)")
    for place in ("LEFT 320/80x240/60+0+0 screen", "RIGHT 320/80x200/50+320+40 none"):
        subprocess.run(["xrandr", "-d", desktop.name, "--setmonitor", *place.split()], check=True)
    desktop.app().do("show('here', 330, 60, 50, 40, 0xC81E0A)")
    assert [m.box for m in monitors()] == [(0, 0, 320, 240), (320, 40, 320, 200)]
    image = open_screen(SourceSettings(monitor=2)).read().image
    assert image.shape == (200, 320, 3)
    np.testing.assert_array_equal(image[20:60, 10:60], np.full((40, 50, 3), RED, np.uint8))
    assert not image[:, 60:].any()
    part = open_screen(SourceSettings(monitor=2, region=(10, 20, 50, 40))).read().image
    np.testing.assert_array_equal(part, image[20:60, 10:60])
    with pytest.raises(DeviceError, match=r"region 300,0,30,10 is not wholly on monitor 2, which is 0,0,320,200"):
        open_screen(SourceSettings(monitor=2, region=(300, 0, 30, 10)))
    with pytest.raises(UserError, match="there is no monitor 3: they are numbered 1 to 2"):
        open_screen(SourceSettings(monitor=3))


@pytest.mark.plain_x11  # Xwayland's monitors are the compositor's
def test_the_second_x_screen_of_a_server(start, monkeypatch):
    desktop = start("-screen", "1", "200x150x24")
    monkeypatch.setenv("DISPLAY", f"{desktop.name}.1")
    desktop.name += ".1"
    app = desktop.app()
    app.do("w = show('Kart Racer', 30, 60, 50, 40, 0xC81E0A); focus(w)")
    assert [m.box for m in monitors()] == [(0, 0, 200, 150)]
    source = open_screen(SourceSettings(window="kart"))
    np.testing.assert_array_equal(source.read().image, np.full((40, 50, 3), RED, np.uint8))
    app.do("w.configure(x=160)")
    with pytest.raises(Away, match="partly off the screen"):
        source.read()
    source.close()
