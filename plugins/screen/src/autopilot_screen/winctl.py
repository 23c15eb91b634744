"""The windows of macOS, by PyWinCtl. Proven with that library's X11 side only."""

from __future__ import annotations

import time
import zlib
from typing import Any

from autopilot.api import Box, Window

from autopilot_screen.desk import CLICK_S, View, inside, one_line, within


class LibraryDesk:
    """What PyWinCtl knows of windows; each question goes to the system anew."""

    def __init__(self) -> None:
        import mss
        import pywinctl

        with mss.MSS() as grabber:
            whole = grabber.monitors[0]
        self._screen: Box = (whole["left"], whole["top"], whole["width"], whole["height"])
        self._library = pywinctl
        self._found: dict[int, Any] = {}

    def windows(self) -> list[Window]:
        """Return the windows that have a title, in the library's order."""
        return [self._describe(w) for w in self._library.getAllWindows() if w.title]

    def look(self, window: Window, part: Box | None) -> View | None:
        """Say how the window stands; None when it was closed.

        Another window is seen if it covers the middle or a corner of the picture.
        """
        one = self._found.get(window.id)
        if one is None or not one.isAlive:
            return None
        box = _box(one)
        seen = inside(box, part)
        hidden = None
        if one.isMinimized:
            hidden = "minimised"
        elif not one.visible:
            hidden = "hidden"
        elif not within(seen, self._screen):
            hidden = "partly off the screen"
        elif cover := self._cover(window.id, seen):
            hidden = f"covered by {cover}"
        return View(box, hidden, bool(one.isActive))

    def _cover(self, number: int, seen: Box) -> str | None:
        x, y, width, height = seen
        right, bottom = x + width - 1, y + height - 1
        for at in ((x + width // 2, y + height // 2), (x, y), (right, y), (x, bottom), (right, bottom)):
            top = self._library.getTopWindowAt(*at)
            if top is not None and _number(top) != number:
                return repr(top.title) if top.title else "another window"
        return None

    def drawable(self, window: Window) -> None:
        """Return None: the screen is read."""

    def click(self) -> Window | None:
        """Wait until another window than now becomes the active one, as by a click; None if none does."""
        before = self._library.getActiveWindow()
        until = time.monotonic() + CLICK_S
        while time.monotonic() < until:
            now = self._library.getActiveWindow()
            if now is not None and now.title and (before is None or _number(now) != _number(before)):
                return self._describe(now)
            time.sleep(0.1)
        return None

    def scale(self) -> float:
        """Return by how much the first monitor enlarges things."""
        import pymonctl

        scales = [m.scale for m in pymonctl.getAllMonitors() if m.scale]
        return float(scales[0][0]) / 100 if scales else 1.0

    def close(self) -> None:
        """Forget the windows."""
        self._found.clear()

    def _describe(self, one: Any) -> Window:
        number = _number(one)
        self._found[number] = one
        names = one_line(one.title), one_line(one.getAppName())
        return Window(number, *names, one.getPID(), _box(one), minimised=bool(one.isMinimized))


def _number(one: Any) -> int:
    """Return a window's number; macOS knows windows by program and title only."""
    handle = one.getHandle()
    return handle if isinstance(handle, int) else zlib.crc32(repr(handle).encode())


def _box(one: Any) -> Box:
    frame = one.getClientFrame()
    return frame.left, frame.top, frame.right - frame.left, frame.bottom - frame.top
