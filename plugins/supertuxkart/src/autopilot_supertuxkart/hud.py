"""Reads SuperTuxKart's race clock and lap counter from pixels; knows nothing of the game but these.

The game draws both with one outlined font, always on the same rows, so a glyph is the same pixels
whatever is behind it. `hud_glyphs.json` holds those pixels for each size of picture and engine;
`scripts/learn_supertuxkart_hud.py` writes it.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from autopilot.types import Reading

if TYPE_CHECKING:
    from collections.abc import Mapping

    from autopilot.types import Frame, Image

FAR = 7.5
"""A glyph may differ from its template by this mean grey value (of 255). The likest two, 0 and 8,
differ by 16, so no picture fits both."""
GAP_S = 1.0
"""With the clock gone for longer than this and back near zero, a new race has begun."""
TICK_S = 0.2
"""The clock and the frames' own times may disagree by this much."""

CLOCK = re.compile(r"(\d\d):(\d\d)\.(\d\d\d)")
LAPS = re.compile(r"(\d{1,2})/(\d{1,2})")

type Gray = NDArray[np.int16]


@dataclass(frozen=True)
class Font:
    """The glyphs of one engine at one size of picture.

    Positions are (column, row) of the first glyph's cell; advances count `phases`-ths of a pixel.
    `cells[p]` has one template per character that begins p/`phases` px right of a pixel's edge:
    int16 (glyphs, height, width); `masks[p]` says with 1 which of its pixels count.
    """

    phases: int
    clock: tuple[int, int]
    laps: tuple[int, int]
    characters: str
    advances: tuple[int, ...]
    cells: tuple[Gray, ...]
    masks: tuple[Gray, ...]

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Font:
        """Make the font that `scripts/learn_supertuxkart_hud.py` wrote; `..` is a pixel to ignore."""
        characters = "".join(data["advances"])
        cells, masks = [], []
        for phase in range(data["phases"]):
            rows = [[re.findall("..", line) for line in data["glyphs"][c][phase]] for c in characters]
            width = max(len(glyph[0]) for glyph in rows)
            shape = (len(rows), len(rows[0]), width)
            cell, mask = np.zeros(shape, np.int16), np.zeros(shape, np.int16)
            for at, value in np.ndenumerate(np.array([[r + [".."] * (width - len(r)) for r in g] for g in rows])):
                if value != "..":
                    cell[at], mask[at] = int(value, 16), 1
            cells.append(cell)
            masks.append(mask)
        return cls(
            data["phases"],
            tuple(data["clock"]),
            tuple(data["laps"]),
            characters,
            tuple(data["advances"].values()),
            tuple(cells),
            tuple(masks),
        )

    def distances(self, gray: Gray, at: int, row: int) -> NDArray[np.float64]:
        """Return each glyph's mean grey difference at `at` (phases of a pixel) and `row`: (glyphs,)."""
        column, phase = divmod(at, self.phases)
        cells, masks = self.cells[phase], self.masks[phase]
        part = gray[row : row + cells.shape[1], column : column + cells.shape[2]]
        if part.shape != cells.shape[1:]:
            return np.full(len(cells), np.inf)
        count = masks.sum((1, 2))
        total: NDArray[np.float64] = (np.abs(part - cells) * masks).sum((1, 2)) / np.maximum(1, count)
        return np.where(count > 0, total, np.inf)

    def text(self, gray: Gray, at: int, row: int, length: int) -> tuple[str, float]:
        """Read up to `length` glyphs that begin at `at`; return them and the worst one's difference."""
        out, worst = "", 0.0
        while len(out) < length:
            distances = self.distances(gray, at, row)
            best = int(distances.argmin())
            if distances[best] > FAR:
                break
            worst = max(worst, float(distances[best]))
            out += self.characters[best]
            at += self.advances[best]
        return out, worst

    def read_clock(self, gray: Gray) -> tuple[float, float] | None:
        """Return the race time in seconds and a confidence, or None."""
        column, row = self.clock
        text, worst = self.text(gray, column * self.phases, row, len("00:00.000"))
        match = CLOCK.fullmatch(text)
        if match is None or int(match[2]) > 59:
            return None
        return int(match[1]) * 60 + int(match[2]) + int(match[3]) / 1000, 1 - worst / FAR / 2

    def read_laps(self, gray: Gray) -> tuple[int, int] | None:
        """Return the lap being driven and how many there are, or None.

        The counter is flush with the flag on its right, so its beginning is looked for.
        """
        column, row = self.laps
        for at in range(column * self.phases, gray.shape[1] * self.phases):
            if self.distances(gray, at, row)[:10].min() > FAR:
                continue
            match = LAPS.fullmatch(self.text(gray, at, row, 5)[0])
            if match and 1 <= int(match[1]) <= int(match[2]):
                return int(match[1]), int(match[2])
        return None


@cache
def fonts() -> dict[tuple[int, int], tuple[Font, ...]]:
    """Return the fonts of each size (width, height) of picture that can be read."""
    data = json.loads(files(__package__).joinpath("hud_glyphs.json").read_text())
    return {
        tuple(map(int, size.split("x"))): tuple(map(Font.from_json, engines.values()))  # type: ignore[misc]
        for size, engines in data.items()
    }
