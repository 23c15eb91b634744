"""Finds a game's picture in the window of the program that shows it.

Around the picture there may be a menu bar, a toolbar and a status bar, and inside them black borders:
above and below, at the sides, or all around where only whole multiples of the picture's size are shown.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from autopilot.api import Box, Image
from numpy.typing import NDArray

BLACK = 16
"""A pixel none of whose values (0 to 255) was ever above this is black."""
NEAR = 12
"""Values that differ by less are of one colour."""
BORDER = 0.96
"""This share of a border's row or column has the border's colour; the rest is text that lies over it."""
PLAIN, TEXT = 0.9, 0.3
"""A bar's rows have this share of the window's outermost colour: between the lines of text, and in them."""
EDGE = 0.6
"""Beyond a bar's end the share is below this at once; a road or a sky ends otherwise."""
LEAST_BAR, MOST_BAR = 8, 0.25
"""A bar's rows, and its share of the window's height."""
TEXT_ROWS, LINE = 24, 3
"""So many rows a line of text has at most; and a line of another colour at a bar's end."""
CLOSE = 0.02
"""By so much, as a share, may width over height differ from what it should be."""

type Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Picture:
    """Where the picture is in the window; `doubt` says why that is unsure, or is empty."""

    box: Box
    doubt: str = ""


def find_picture(frames: Sequence[Image], aspects: Sequence[float]) -> Picture:
    """Find the game in some frames of a window, uint8 RGB (H, W, 3), all of one size.

    `aspects` are the widths over heights that the picture may have. Bars are cut off above and below,
    then what is black or of the corners' common colour in every frame. If what is left has none of the
    aspects, it may be dark at one side, and it is guessed that it reaches as far from the middle there as
    on the other side. Several moments help: what is dark in one is not in another.
    """
    height, width = frames[0].shape[:2]
    lit = [frame for frame in frames if frame.max() > BLACK]
    if not lit:
        return Picture((0, 0, width, height), "the window is all black")
    stack = np.stack(lit)
    tops = sorted({_bar(stack), 0}, reverse=True)
    bottoms = sorted({_bar(stack[:, ::-1]), 0}, reverse=True)
    trimmed, grown = [], []
    for top, bottom in itertools.product(tops, bottoms):
        area = stack[:, top : height - bottom]
        found = _trim(area)
        if found is not None:
            trimmed.append(_below(found, top))
            grown.append(_below(_about_the_middle(found, area.shape[2], area.shape[1]), top))
    for boxes, doubt in ((trimmed, ""), (grown, "one side of it is too dark to see where it ends")):
        for box in boxes:
            if _error(box, aspects) <= CLOSE:
                return Picture(box, doubt)
    box = min(trimmed, key=lambda box: _error(box, aspects))
    wanted = " or ".join(f"{a:.2f}" for a in aspects)
    return Picture(box, f"it is {box[2] / box[3]:.2f} times as wide as high, not {wanted}")


def _error(box: Box, aspects: Sequence[float]) -> float:
    return min(abs(math.log(box[2] / box[3] / aspect)) for aspect in aspects)


def _bar(stack: NDArray[np.uint8]) -> int:
    """Return how many of the first rows are a bar, 0 for none."""
    most = int(stack.shape[1] * MOST_BAR)
    colour = np.median(stack[:, 0].reshape(-1, 3), axis=0)
    shares = (np.abs(stack[:, :most].astype(np.int16) - colour).max(3) < NEAR).mean(2)
    share = np.sort(shares, axis=0)[min(1, len(shares) - 1)]  # in all moments but one, which may be half drawn
    rows = 0
    while rows < most and share[rows] >= TEXT:
        plain = np.flatnonzero(share[rows : rows + TEXT_ROWS] >= PLAIN)
        if not len(plain) or (share[rows : rows + plain[0]] < TEXT).any():
            break
        rows += int(plain[0]) + 1
    if not LEAST_BAR <= rows < most - LINE:
        return 0
    for row in range(rows, rows + LINE):
        line = stack[:, row].astype(np.int16)
        if (np.abs(line - np.median(line[0], axis=0)).max(2) < NEAR).mean() < BORDER or line[0].max() <= BLACK:
            rows = row
            break
    return rows if share[rows] < EDGE else 0


def _trim(area: NDArray[np.uint8]) -> Box | None:
    """Return what has not the border's colour, if there is any."""
    border = area.max(axis=(0, 3)) <= BLACK
    corners = area[:, [0, 0, -1, -1], [0, -1, 0, -1]].reshape(-1, 3).astype(np.int16)
    if (corners.max(0) - corners.min(0)).max() < NEAR:
        border |= (np.abs(area.astype(np.int16) - corners[0]).max(3) < NEAR).all(0)
    x, width = _inner(border.mean(0))
    y, height = _inner(border[:, x : x + width].mean(1)) if width else (0, 0)
    if not height:
        return None
    x, width = _inner(border[y : y + height].mean(0))  # clearer without the borders above and below
    return (x, y, width, height) if width else None


def _inner(filled: NDArray[np.float64]) -> tuple[int, int]:
    """Return the first that is not filled, and how many there are from it to the last."""
    inside = np.flatnonzero(filled < BORDER)
    return (int(inside[0]), int(inside[-1] - inside[0]) + 1) if len(inside) else (0, 0)


def _about_the_middle(box: Box, width: int, height: int) -> Box:
    """Return the box with the farther of two opposite borders made as narrow as the nearer."""
    across = min(box[0], width - box[0] - box[2])
    down = min(box[1], height - box[1] - box[3])
    return across, down, width - 2 * across, height - 2 * down


def _below(box: Box, rows: int) -> Box:
    return box[0], box[1] + rows, box[2], box[3]
