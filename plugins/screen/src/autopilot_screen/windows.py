"""Windows: the one that the user means, and frames of it wherever it goes."""

from __future__ import annotations

import difflib
import re
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from autopilot.errors import Away, DeviceError, UserError
from autopilot.specs import load
from autopilot.types import Box, Frame, Window

if TYPE_CHECKING:
    from autopilot_screen.screen import Screen

SETTLE_S = 0.25
"""After a window is back in view: until then the screen may still show what was there before."""

CLICK_S = 60.0
"""How long a click on the window is waited for."""


@dataclass(frozen=True, slots=True)
class View:
    """How a window stands: where its picture is, why it cannot be seen, whether keys go to it."""

    box: Box
    hidden: str | None
    focused: bool


class Desk(Protocol):
    """The windows of one system."""

    def windows(self) -> list[Window]:
        """Return the windows of other programs, the topmost first."""

    def look(self, window: Window, part: Box | None) -> View | None:
        """Say how the window stands, `part` of it being of interest; None when it was closed."""

    def click(self) -> Window | None:
        """Wait for the user to click on a window; None when they cancel or do nothing."""

    def scale(self) -> float:
        """Return by how much the desktop enlarges things."""

    def close(self) -> None:
        """Disconnect."""


def open_desk() -> Desk:
    """Return the windows of this system; raises DeviceError where there are none to be had."""
    system = "x11:X11Desk" if sys.platform.startswith("linux") else "winctl:LibraryDesk"
    desk: Desk = load(f"autopilot_screen.{system}")()
    return desk


def windows(query: str | None = None) -> list[Window]:
    """Return all windows, the topmost first, or the one that a query means; raises as `choose` does."""
    desk = open_desk()
    try:
        return desk.windows() if query is None else [choose(query, desk)]
    finally:
        desk.close()


def choose(query: str, desk: Desk) -> Window:
    """Return the one window that `query` means.

    `click` asks for a click; `id:N` is a number from `autopilot windows`; `process:NAME` (or
    `pid:NUMBER`) a program; `re:PATTERN` a regular expression for the title; anything else, with
    or without `title:`, is part of the title. Case does not matter; a whole title wins.

    Raises UserError, with what there is instead, for none or several.
    """
    if query == "click":
        print("click on the game's window (Escape cancels)", file=sys.stderr, flush=True)
        clicked = desk.click()
        if clicked is None:
            raise UserError("no window was clicked on; try again, or name one: `autopilot windows` lists them")
        return clicked
    kind, colon, wanted = query.partition(":")
    if not colon or kind not in MATCHES:
        kind, wanted = "title", query
    if not wanted:
        raise UserError(f"--window {query!r} names nothing: `autopilot windows` lists what there is")
    windows = desk.windows()
    try:
        found = [w for w in windows if MATCHES[kind](w, wanted)]
    except (ValueError, re.error) as e:
        raise UserError(f"--window {query!r} cannot be understood: {e}") from e
    if kind == "title" and len(found) > 1:
        found = [w for w in found if w.title.casefold() == wanted.casefold()] or found
    if len(found) == 1:
        return found[0]
    if found:
        raise UserError(f"{len(found)} windows match {query!r}: {_some(found)}; take one by its id")
    names = {name.casefold(): w for w in windows for name in (w.process, w.title)}
    near = difflib.get_close_matches(wanted.casefold(), names, n=3, cutoff=0.5)
    if near:
        raise UserError(f"no window matches {query!r}; did you mean {_some([names[n] for n in near])}?")
    raise UserError(f"no window matches {query!r}; there are: {_some(windows) or 'none'}")


def _some(windows: Sequence[Window]) -> str:
    shown = list(dict.fromkeys(map(str, windows)))
    return ", ".join(shown[:5]) + (" and more (see `autopilot windows`)" if len(shown) > 5 else "")


MATCHES: dict[str, Callable[[Window, str], bool]] = {
    "title": lambda w, s: s.casefold() in w.title.casefold(),
    "re": lambda w, s: re.search(s, w.title, re.IGNORECASE) is not None,
    "process": lambda w, s: any(s.casefold() in name.casefold() for name in (w.process, w.kind)),
    "pid": lambda w, s: w.pid == int(s),
    "id": lambda w, s: w.id == int(s, 0),
}


class WindowSource:
    """The picture of one window, or of a part of it, followed wherever it moves.

    A frame is returned only if the window stood in full view, unmoved, before and after it was
    grabbed, so that it never shows another window. `background`: it may be without the focus.
    """

    def __init__(self, screen: Screen, desk: Desk, window: Window, part: Box | None, background: bool) -> None:
        self._screen, self._desk = screen, desk
        self._window, self._part = window, part
        self._background = background
        self._open = True
        self._back_s = 0.0

    def read(self) -> Frame:
        """Return what the window shows now, uint8 RGB (H, W, 3), contiguous.

        Raises Away, with the reason, while the window is closed, minimised, resized, covered,
        partly off the screen or without the focus; DeviceError when the screen is gone.
        """
        if not self._open:
            raise DeviceError("the screen was closed; open it again")
        for _ in range(3):
            box = self._find()
            t_ns = time.monotonic_ns()
            image = self._screen.grab(box)
            if self._find() == box:
                return Frame(image, t_ns)
        raise Away(f"{self._name} is moving")

    @property
    def _name(self) -> str:
        return f"the window {self._window.title!r}"

    def _find(self) -> Box:
        """Return where the picture is; raises Away while it cannot be seen, and a moment longer."""
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
            view = self._desk.look(again[0], self._part) if len(again) == 1 else None
            if view is None:
                raise Away(f"{self._name} was closed; open it again, or stop")
            self._window = Window(again[0].id, old.title, old.process, again[0].pid, old.box, old.kind)
        if view.hidden is not None:
            raise Away(f"{self._name} is {view.hidden}")
        if view.box[2:] != self._window.box[2:]:
            now, then = ("{}x{}".format(*box[2:]) for box in (view.box, self._window.box))
            raise Away(f"{self._name} is {now} now, it was {then}; make it as large again, or start anew")
        if not view.focused and not self._background:
            raise Away(f"{self._name} has not the focus; click into it")
        return inside(view.box, self._part)

    def close(self) -> None:
        """Disconnect from the screen."""
        if self._open:
            self._open = False
            self._desk.close()
            self._screen.close()


def inside(box: Box, part: Box | None) -> Box:
    """Return where a part (x, y, width, height) of a box is, in the coordinates of the box."""
    return box if part is None else (box[0] + part[0], box[1] + part[1], part[2], part[3])


def within(inner: Box, outer: Box) -> bool:
    """Say whether one box lies wholly in the other."""
    return all(outer[i] <= inner[i] and inner[i] + inner[i + 2] <= outer[i] + outer[i + 2] for i in (0, 1))


def overlap(a: Box, b: Box) -> bool:
    """Say whether two boxes have a pixel in common."""
    return all(a[i] < b[i] + b[i + 2] and b[i] < a[i] + a[i + 2] for i in (0, 1))
