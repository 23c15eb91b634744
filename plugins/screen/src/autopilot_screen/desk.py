"""What the desktops of all systems say of windows, and where boxes lie."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Protocol

from autopilot.api import Box, Window

CLICK_S = 60.0
"""How long a click on the window is waited for."""


@dataclass(frozen=True, slots=True)
class View:
    """How a window stands: where its picture is, why it cannot be seen, whether keys go to it."""

    box: Box
    hidden: str | None
    focused: bool


@dataclass(frozen=True, slots=True)
class Drawable:
    """What X11 draws a window into, to be read in place of the screen."""

    window: int
    depth: int
    visual: int


class Desk(Protocol):
    """The windows of one system."""

    def windows(self) -> list[Window]:
        """Return the windows of other programs, the topmost first."""

    def look(self, window: Window, part: Box | None) -> View | None:
        """Say how the window stands, `part` of it being of interest; None when it was closed."""

    def drawable(self, window: Window) -> Drawable | None:
        """Return what a window is read from; None where that is the screen."""

    def click(self) -> Window | None:
        """Wait for the user to click on a window; None when they cancel or do nothing."""

    def scale(self) -> float:
        """Return by how much the desktop enlarges things."""

    def close(self) -> None:
        """Disconnect."""


def one_line(text: str) -> str:
    """Return what a program calls itself or its window, as it can be listed: without breaks and control characters."""
    return re.sub(r"[\s\x00-\x1f\x7f-\x9f\ud800-\udfff]+", " ", text).strip()


def inside(box: Box, part: Box | None) -> Box:
    """Return where a part (x, y, width, height) of a box is, in the coordinates of the box."""
    return box if part is None else (box[0] + part[0], box[1] + part[1], part[2], part[3])


def within(inner: Box, outer: Box) -> bool:
    """Say whether one box lies wholly in the other."""
    return all(outer[i] <= inner[i] and inner[i] + inner[i + 2] <= outer[i] + outer[i + 2] for i in (0, 1))


def overlap(a: Box, b: Box) -> bool:
    """Say whether two boxes have a pixel in common."""
    return all(a[i] < b[i] + b[i + 2] and b[i] < a[i] + a[i + 2] for i in (0, 1))
