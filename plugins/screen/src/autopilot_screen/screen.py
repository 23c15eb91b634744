"""Frames from the screen, a monitor, a window or a region of them, read with mss."""

from __future__ import annotations

import contextlib
import os
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from autopilot.api import Away, Box, DeviceError, Frame, SourceSettings, UserError, Window

from autopilot_screen.desk import Desk, Drawable, inside, within
from autopilot_screen.windows import choose, open_desk

if TYPE_CHECKING:
    import mss
    from autopilot.api import FrameSource, Image

WAYLAND = (
    "this is a Wayland session, whose screen no program may read: start the game as an X11 program, with"
    " SDL_VIDEODRIVER=x11 or QT_QPA_PLATFORM=xcb before its command, and name its --window; or take --source portal"
)
NO_DISPLAY = (
    "DISPLAY is not set, so there is no X11 screen to read: run inside a desktop session,"
    " or start one with `Xvfb :99 &` and set DISPLAY=:99"
)


DEPTHS = (24, 32)
"""The bits a pixel of what mss reads, transparency among them."""

SETTLE_S = 0.25
"""After a window is back in view: until then the screen may still show what was there before."""


class Screen:
    """A region of the screen, as large as it is there."""

    def __init__(self, grabber: mss.MSS, box: Box) -> None:
        self._grabber: mss.MSS | None = grabber
        self._box = box

    def read(self) -> Frame:
        """Return what the region shows now, uint8 RGB (H, W, 3), contiguous.

        Raises DeviceError when the screen is gone or was closed.
        """
        t_ns = time.monotonic_ns()
        return Frame(self.grab(self._box), t_ns)

    def grab(self, box: Box) -> Image:
        """Return what a box (x, y, width, height) of the screen shows now; raises as `read` does."""
        if self._grabber is None:
            raise DeviceError("the screen was closed; open it again")
        import cv2
        import numpy as np
        from mss.exception import ScreenShotError

        try:
            shot = np.asarray(self._grabber.grab(dict(zip(("left", "top", "width", "height"), box, strict=True))))
        except (ScreenShotError, AssertionError) as e:  # mss asserts that the server replies
            raise DeviceError("the screen can no longer be read: is the desktop session (X server) still there?") from e
        image: Image = cv2.cvtColor(shot, cv2.COLOR_BGRA2RGB)
        return image

    def aim(self, drawable: Drawable) -> None:
        """Read a window from now on; boxes are then in its own pixels. Raises DeviceError for one of few colours."""
        if drawable.depth not in DEPTHS:
            raise DeviceError(f"the window has {drawable.depth} bits a pixel, and 24 are needed: set it to true colour")
        assert self._grabber is not None
        impl: Any = self._grabber._impl  # of the pinned mss, which has no other way to a window
        if impl.drawable is impl.root:
            self.grab((0, 0, 1, 1))  # on the first one mss finds out whether it may share memory, for good
        impl.drawable, impl.drawable_depth = type(impl.root)(drawable.window), drawable.depth
        impl.drawable_visual_id = type(impl.drawable_visual_id)(drawable.visual)

    def close(self) -> None:
        """Disconnect from the screen."""
        from mss.exception import ScreenShotError

        # To disconnect from a server that is gone is an error to mss; a second try frees twice.
        grabber, self._grabber = self._grabber, None
        if grabber is not None:
            with contextlib.suppress(ScreenShotError):
                grabber.close()


class WindowSource:
    """The picture of one window, or of a part of it, followed wherever it moves.

    A frame is returned only if the window stood in full view, unmoved, before and after it was
    grabbed, so that it never shows another window. `background`: it may be without the focus.
    On X11 the window itself is read: with a compositor it may be covered, and moved.
    """

    def __init__(self, screen: Screen, desk: Desk, window: Window, part: Box | None, background: bool) -> None:
        self._screen, self._desk = screen, desk
        self._window, self._part = window, part
        self._background = background
        self._open = True
        self._back_s = 0.0
        self._aim()

    def read(self) -> Frame:
        """Return what the window shows now, uint8 RGB (H, W, 3), contiguous.

        Raises Away, with the reason, while the window is closed, minimised, resized, covered,
        partly off the screen or without the focus; DeviceError when the screen is gone.
        """
        if not self._open:
            raise DeviceError("the screen was closed; open it again")
        reason = ""
        for _ in range(3):
            box = self._find()
            t_ns = time.monotonic_ns()
            try:
                image = self._screen.grab(box)
            except DeviceError:  # of a window: it is gone, or over an edge, as the next look says
                reason = "cannot be read now; if this lasts, start anew"
                continue
            if self._find() == box:
                return Frame(image, t_ns)
            reason = "is moving"
        self._find()
        raise Away(f"{self._name} {reason}")

    def _aim(self) -> None:
        drawable = self._desk.drawable(self._window)
        self._itself = drawable is not None
        if drawable is not None:
            self._screen.aim(drawable)

    @property
    def _name(self) -> str:
        return f"the window {self._window.title!r}"

    def _find(self) -> Box:
        """Return the box to grab; raises Away while it cannot be seen, and a moment longer."""
        try:
            box = self._seek()
        except Away:
            self._back_s = time.monotonic() + SETTLE_S
            raise
        if time.monotonic() < self._back_s:
            raise Away(f"{self._name} is back; it is given a moment to draw itself")
        return box

    def _seek(self) -> Box:
        view = self._desk.look(self._window, self._part)
        if view is None:
            old = self._window
            again = [w for w in self._desk.windows() if (w.title, w.process) == (old.title, old.process)]
            if len(again) == 1:
                self._window = Window(again[0].id, old.title, old.process, again[0].pid, old.box, old.kind)
                self._aim()
            raise Away(f"{self._name} was closed; open it again, or stop")
        if view.hidden is not None:
            raise Away(f"{self._name} is {view.hidden}")
        if view.box[2:] != self._window.box[2:]:
            now, then = ("{}x{}".format(*box[2:]) for box in (view.box, self._window.box))
            raise Away(f"{self._name} is {now} now, it was {then}; make it as large again, or start anew")
        if not view.focused and not self._background:
            raise Away(f"{self._name} has not the focus; click into it")
        return inside((0, 0, *view.box[2:]) if self._itself else view.box, self._part)

    def close(self) -> None:
        """Disconnect from the screen."""
        if self._open:
            self._open = False
            self._desk.close()
            self._screen.close()


def open_screen(settings: SourceSettings) -> FrameSource:
    """Open a window, a monitor or, without either, the primary monitor; of it `settings.region`.

    A region alone is one of the whole screen. Raises UserError when the window or monitor is not
    there, DeviceError when there is no screen, when it cannot be read (Wayland), or when the
    region is empty or not wholly on what it is a part of.
    """
    grabber = open_grabber()
    try:
        source = _open(grabber, settings)
    except BaseException:
        grabber.close()
        raise
    # Xwayland's screen is black, its windows are not; a server of its own (Xvfb, Xephyr) shows
    # something even inside a Wayland session, so only the picture can tell.
    if wayland() and isinstance(source, Screen) and not source.read().image.any():
        source.close()
        raise DeviceError(WAYLAND)
    return source


def open_grabber() -> mss.MSS:
    """Connect to the screen; raises DeviceError when there is none."""
    import mss
    from mss.exception import ScreenShotError

    if sys.platform.startswith("linux") and not os.environ.get("DISPLAY"):
        raise DeviceError(WAYLAND if wayland() else NO_DISPLAY)
    try:
        grabber = mss.MSS()
        if grabber.monitors:
            return grabber
    except ScreenShotError as e:
        raise DeviceError(
            f"cannot open the screen {os.environ.get('DISPLAY', '')}: check that it exists and that"
            f" this user may use it ({' '.join(str(e).split())})"
        ) from e
    raise DeviceError("the screen has no monitor: connect one")


def _open(grabber: mss.MSS, settings: SourceSettings) -> FrameSource:
    region = settings.region
    if settings.window is not None:
        desk = open_desk()
        try:
            window = choose(settings.window, desk)
            if settings.size not in (None, window.box[2:]):
                raise DeviceError(_another_size(window.title, window.box[2:], settings.size))
            if region is not None:
                _check(region, (0, 0, *window.box[2:]), f"in the window {window.title!r}, which is")
        except BaseException:
            desk.close()
            raise
        return WindowSource(Screen(grabber, window.box), desk, window, region, settings.background)
    boxes = [_extent(m) for m in grabber.monitors]
    if settings.monitor is None:
        box = region or _extent(grabber.primary_monitor)
        _check(box, boxes[0], "on the screen")
    elif 0 < settings.monitor < len(boxes):
        monitor = boxes[settings.monitor]
        box = inside(monitor, region)
        _check(region or box, (0, 0, *monitor[2:]) if region else box, f"on monitor {settings.monitor}, which is")
    else:
        raise UserError(
            f"there is no monitor {settings.monitor}: they are numbered 1 to {len(boxes) - 1}; see `autopilot windows`"
        )
    return Screen(grabber, box)


def _another_size(title: str, now: tuple[int, ...], then: tuple[int, ...]) -> str:
    sizes = ["{}x{}".format(*size) for size in (now, then)]
    return f"the window {title!r} is {sizes[0]}, and was {sizes[1]} when its picture was set up: make it as large\
 again, or run `autopilot setup` again"


def _check(region: Box, whole: Box, where: str) -> None:
    problem = ""
    if min(region[2:]) <= 0:
        problem = "is empty: give x,y,width,height"
    elif not within(region, whole):
        problem = f"is not wholly {where} {','.join(map(str, whole))} (x,y,width,height)"
    if problem:
        raise DeviceError(f"the region {','.join(map(str, region))} {problem}")


@dataclass(frozen=True, slots=True)
class Monitor:
    """A monitor; `number` counts from 1."""

    number: int
    name: str
    box: Box
    primary: bool


def monitors() -> list[Monitor]:
    """Return the monitors; raises DeviceError when there is no screen."""
    grabber = open_grabber()
    first = grabber.primary_monitor
    found = [
        Monitor(number, str(m.get("name") or ""), _extent(m), m == first)
        for number, m in enumerate(grabber.monitors)
        if number
    ]
    grabber.close()
    return found


def _extent(monitor: Mapping[str, int]) -> Box:
    return monitor["left"], monitor["top"], monitor["width"], monitor["height"]


def wayland() -> bool:
    """Say whether this is a Wayland session."""
    named = os.environ.get("XDG_SESSION_TYPE", "").lower() == "wayland"
    return named or bool(os.environ.get("WAYLAND_DISPLAY"))
