"""A window that the desktop shares: a real PipeWire, the helper under the system's Python, a stand-in portal."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from autopilot.api import DeviceError, SourceSettings, UserError
from autopilot_screen import portal
from autopilot_screen.portal import open_portal
from support.portal import Portal


@pytest.fixture
def desktop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Portal]:
    """A session bus and PipeWire of their own."""
    desktop = Portal(tmp_path, monkeypatch)
    yield desktop
    desktop.stop()


def test_the_window_is_read_and_the_choice_is_kept(desktop: Portal) -> None:
    desktop.answer("yes")
    settings = SourceSettings(folder=str(desktop.folder / "granted"))
    source = open_portal(settings)
    first = source.read()
    assert first.image.shape == (240, 322, 3)
    assert first.image.flags.c_contiguous
    assert int(first.image.max()) > 200
    seen = set()
    begun = time.monotonic()
    while time.monotonic() - begun < 2:
        seen.add(source.read().image.tobytes())
        time.sleep(0.005)
    assert len(seen) > 5, "the ball flies"
    white = (source.read().image.min(2) > 200).sum(0)
    assert 20 < (white > 0).sum() < 80, "one ball, no row askew"
    source.close()
    source.close()
    token = desktop.folder / "granted" / "portal"
    assert token.read_text() == "again"
    assert token.stat().st_mode & 0o777 == 0o600
    part = open_portal(SourceSettings(region=(2, 40, 100, 50), folder=settings.folder))
    assert part.read().image.shape == (50, 100, 3)
    part.close()
    outside = open_portal(SourceSettings(region=(0, 0, 999, 9)))
    with pytest.raises(UserError, match="the region 0,0,999,9 is not in the picture of the shared window"):
        outside.read()
    outside.close()


def test_a_choice_that_is_worth_nothing_any_more_is_asked_for_anew(desktop: Portal) -> None:
    fake = desktop.answer("stale")
    token = desktop.folder / "granted" / "portal"
    token.parent.mkdir()
    token.write_text("old")
    source = open_portal(SourceSettings(folder=str(token.parent)))
    assert source.read().image.any()
    source.close()
    assert token.read_text() == "again"
    assert fake.stdout is not None
    assert [fake.stdout.readline().split() for _ in range(6)][1::3] == [["SelectSources", "old"], ["SelectSources"]]


def test_what_goes_wrong_is_a_line(desktop: Portal, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(DeviceError, match="no ScreenCast portal answers; install xdg-desktop-portal"):
        open_portal(SourceSettings())
    desktop.answer("no")
    with pytest.raises(DeviceError, match="you did not allow a window to be seen"):
        open_portal(SourceSettings())
    with pytest.raises(UserError, match="leave out --window"):
        open_portal(SourceSettings(window="kart"))
    monkeypatch.setattr(portal, "SYSTEM_PYTHON", sys.executable)  # which has not the system's packages
    with pytest.raises(DeviceError, match="sudo apt-get install python3-gi"):
        open_portal(SourceSettings())
    monkeypatch.setenv("WAYLAND_DISPLAY", "wayland-0")
    if not any(os.access(device, os.R_OK) for device in Path("/dev/input").glob("event*")):
        with pytest.raises(DeviceError, match="usermod -aG input"):
            open_portal(SourceSettings())


def test_a_stream_that_ends_is_told(desktop: Portal) -> None:
    fake = desktop.answer("yes")
    source = open_portal(SourceSettings())
    assert source.read().image.any()
    fake.kill()

    def over() -> bool:
        try:
            source.read()
        except DeviceError as e:
            return "the desktop shares the window no more; start again" in str(e)
        return False

    desktop.until(over)
    source.close()
