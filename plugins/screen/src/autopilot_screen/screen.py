"""Frames from a region of the screen, read with mss."""

from __future__ import annotations

import contextlib
import os
import sys
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING

from autopilot.errors import DeviceError
from autopilot.types import Frame, Probe, SourceSettings

if TYPE_CHECKING:
    import mss
    from autopilot.interfaces import FrameSource
    from autopilot.types import Image

WAYLAND = (
    "this is a Wayland session, whose screen no program may read: log in to an X11 (Xorg) session,"
    " or play through OBS's virtual camera and use --source video"
)
NO_DISPLAY = (
    "DISPLAY is not set, so there is no X11 screen to read: run inside a desktop session,"
    " or start one with `Xvfb :99 &` and set DISPLAY=:99"
)


class Screen:
    """A region of the screen, as large as it is there."""

    def __init__(self, grabber: mss.MSS, box: dict[str, int]) -> None:
        self._grabber: mss.MSS | None = grabber
        self._box = box

    def read(self) -> Frame:
        """Return what the region shows now, uint8 RGB (H, W, 3), contiguous.

        Raises DeviceError when the screen is gone or was closed.
        """
        if self._grabber is None:
            raise DeviceError("the screen was closed; open it again")
        import cv2
        import numpy as np
        from mss.exception import ScreenShotError

        t_ns = time.monotonic_ns()
        try:
            shot = np.asarray(self._grabber.grab(self._box))
        except (ScreenShotError, AssertionError) as e:  # mss asserts that the server replies
            raise DeviceError("the screen can no longer be read: is the desktop session (X server) still there?") from e
        image: Image = cv2.cvtColor(shot, cv2.COLOR_BGRA2RGB)
        return Frame(image, t_ns)

    def close(self) -> None:
        """Disconnect from the screen."""
        from mss.exception import ScreenShotError

        # To disconnect from a server that is gone is an error to mss; a second try frees twice.
        grabber, self._grabber = self._grabber, None
        if grabber is not None:
            with contextlib.suppress(ScreenShotError):
                grabber.close()


def open_screen(settings: SourceSettings) -> FrameSource:
    """Open `settings.region` of the screen; without one, the whole primary monitor.

    Raises DeviceError when there is no screen, when it cannot be read (Wayland), or when the
    region is empty or not wholly on the screen.
    """
    import mss
    from mss.exception import ScreenShotError

    if sys.platform.startswith("linux") and not os.environ.get("DISPLAY"):
        raise DeviceError(WAYLAND if _wayland() else NO_DISPLAY)
    try:
        grabber = mss.MSS()
        everything, primary = grabber.monitors[0], grabber.primary_monitor
    except ScreenShotError as e:
        raise DeviceError(
            f"cannot open the screen {os.environ.get('DISPLAY', '')}: check that it exists and that"
            f" this user may use it ({' '.join(str(e).split())})"
        ) from e
    x, y, width, height = settings.region or _extent(primary)
    left, top, wide, high = _extent(everything)
    problem = ""
    if width <= 0 or height <= 0:
        problem = "is empty: give x,y,width,height"
    elif x < left or y < top or x + width > left + wide or y + height > top + high:
        problem = f"is not wholly on the screen {left},{top},{wide},{high} (x,y,width,height)"
    if problem:
        grabber.close()
        raise DeviceError(f"the region {x},{y},{width},{height} {problem}")
    source = Screen(grabber, {"left": x, "top": y, "width": width, "height": height})
    # Under Xwayland the grab succeeds and is black; a server of its own (Xvfb, Xephyr) shows
    # something even inside a Wayland session, so only the picture can tell.
    if _wayland() and not source.read().image.any():
        source.close()
        raise DeviceError(WAYLAND)
    return source


def probe() -> list[Probe]:
    """Try to read the screen: is one there, does a grab work, is it black."""
    try:
        source = open_screen(SourceSettings())
        source.read()  # the first one loads libraries
        frame = source.read()
        took_ms = (time.monotonic_ns() - frame.t_ns) / 1e6
    except DeviceError as e:
        what, _, fix = str(e).partition(": ")
        return [Probe("screen", ok=False, detail=what, fix=fix)]
    source.close()
    height, width, _ = frame.image.shape
    found = Probe("screen", ok=True, detail=f"{width}x{height}, grabbed in {took_ms:.1f} ms")
    if frame.image.any():
        return [found, Probe("screen picture", ok=True, detail="not black")]
    fix = "show a window on it; if one is shown, use an X11 session or --source video"
    return [found, Probe("screen picture", ok=False, detail="the whole screen is black", fix=fix)]


def _extent(monitor: Mapping[str, int]) -> tuple[int, int, int, int]:
    return monitor["left"], monitor["top"], monitor["width"], monitor["height"]


def _wayland() -> bool:
    named = os.environ.get("XDG_SESSION_TYPE", "").lower() == "wayland"
    return named or bool(os.environ.get("WAYLAND_DISPLAY"))
