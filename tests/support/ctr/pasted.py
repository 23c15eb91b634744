"""Frames of the real game, cut to pieces and put together to a race: for measuring on frames that a user has.

The pictures lie in a folder of the user's and are called by what they show, `0-21-28_1-3.png`: clock and lap.
None are part of the project.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import cv2
import numpy as np
from autopilot.api.types import Frame
from autopilot_ctr.hud_glyphs import background

from support.ctr.drawn import Race, View, clock_text

SCALE, TOP = 2, 112
"""Pixels for each of the framebuffer's 512x216, of which so many lines are used."""
LARGE, SMALL = (17, 11, 16, 17), (13, 7, 32, 8)
"""How wide a digit and a colon are, where the first line begins and how high it is: NTSC."""
SHAPE = (216 * SCALE, 512 * SCALE)


@dataclass(frozen=True)
class Real:
    """One frame: uint8 RGB (432, 1024, 3), and what it shows."""

    image: np.ndarray
    clock: str
    lap: str
    size: tuple[int, int]

    @property
    def hundredths(self) -> int:
        """The clock's time."""
        minutes, seconds, rest = self.clock.split(":")
        return (int(minutes) * 60 + int(seconds)) * 100 + int(rest)

    @cached_property
    def pieces(self) -> dict[tuple[str, int], tuple[np.ndarray, np.ndarray]]:
        """Its letters by (letter, height): colours, and which pixels are theirs."""
        behind = background(self.image[: TOP * SCALE])
        theirs = np.abs(self.image[: TOP * SCALE] - behind).max(2) > 40
        theirs = cv2.morphologyEx(theirs.astype(np.uint8), cv2.MORPH_OPEN, np.ones((2, 2), np.uint8)) > 0
        return {key: (self.image[part], theirs[part]) for key, part in places(self.clock, self.lap)}


def places(clock: str, lap: str, row: int = 0) -> Iterator[tuple[tuple[str, int], tuple[slice, slice]]]:
    """Yield each letter of the HUD with its place; the small time in its `row`."""
    lines = [(clock, 20, LARGE), (f"{lap}/3", 484 - 51, (17, 17, 16, 17)), (clock, 59, SMALL)]
    for text, begin, (wide, colon, y, height) in lines:
        top, x = (y + row * height if height == 8 else y), begin
        for letter in text:
            width = wide if letter.isdigit() else colon
            where = slice(top * SCALE, (top + height) * SCALE), slice(x * SCALE, (x + width) * SCALE)
            yield (("l" if x >= 433 else "") + letter, height), where
            x += width


def load(folder: Path) -> list[Real]:
    """Return a folder's frames in the order of their clocks."""
    found = []
    for path in sorted(folder.glob("*_?-3.png")):
        picture = cv2.cvtColor(cv2.imread(str(path)), cv2.COLOR_BGR2RGB)
        bright = picture.max(2) > 16
        ys, xs = np.flatnonzero(bright.mean(1) > 0.05), np.flatnonzero(bright.mean(0) > 0.05)
        picture = picture[ys[0] : ys[-1] + 1, xs[0] : xs[-1] + 1]
        clock, lap = path.stem.split("_")
        size = picture.shape[:2]
        picture = cv2.resize(picture, SHAPE[::-1], interpolation=cv2.INTER_LINEAR)
        found.append(Real(picture, clock.replace("-", ":"), lap[0], size))
    return found


class Pasted:
    """A race whose letters and whose pictures behind them are those of real frames, of the most frequent size."""

    def __init__(self, frames: list[Real]) -> None:
        (size, _), *_ = Counter(real.size for real in frames).most_common(1)
        frames = [real for real in frames if real.size == size]
        pieces = defaultdict(list)
        for real in frames:
            for key, piece in real.pieces.items():
                if piece[1].any():
                    pieces[key].append(piece)
        self._letters = {}
        for key, some in pieces.items():
            faces, masks = (np.stack(part) for part in zip(*some, strict=True))
            steady = faces.std(0).max(2) < (30 if len(some) > 4 else 99)
            self._letters[key] = faces, (masks.mean(0) > 0.5) & steady
        # No frame shows another lap: the clock's 2 has the lap's shape.
        faces, mask = self._letters["2", 17]
        self._letters["l2", 17] = np.repeat(faces.max(-1, keepdims=True), 3, -1), mask
        self._behind = [real.image for real in frames]

    def frame(self, view: View, number: int) -> np.ndarray:
        """Return a frame: uint8 RGB (432, 1024, 3), black below the HUD."""
        out = np.zeros((*SHAPE, 3), np.uint8)
        real = self._behind[(number // 7) % len(self._behind)][: TOP * SCALE]
        # What is right of the clock's place and left of the counter's shows no letter.
        drift = round(20 * np.sin(view.at / 30))
        out[: TOP * SCALE, : 216 * SCALE] = real[:, (180 + drift) * SCALE : (396 + drift) * SCALE]
        out[: TOP * SCALE, 344 * SCALE :] = real[:, (220 + drift) * SCALE : (388 + drift) * SCALE]
        times = [*view.lap_times, view.clock - sum(view.lap_times)][: view.laps]
        for row, units in enumerate(times):
            self._write(out, clock_text(units), view, row, (8,))
        self._write(out, clock_text(view.clock), view, 0, (17,))
        return out

    def _write(self, out: np.ndarray, clock: str, view: View, row: int, heights: tuple[int, ...]) -> None:
        for key, part in places(clock, str(view.lap), row):
            shown = view.since_finish is None or not key[0].startswith("l")
            if key[1] in heights and key in self._letters and shown:
                faces, mask = self._letters[key]
                out[part][mask] = faces[view.clock // 96 % len(faces)][mask]

    def play(self, race: Race, seconds: float) -> Iterator[tuple[Frame, View]]:
        """Drive and give ten frames a second, with the truth."""
        for n in range(round(seconds * race.fps)):
            race.step(race.drive())
            if n % (race.fps // 10) == 0:
                yield Frame(self.frame(race.view, n // 3), round((n + 1) / race.fps * 1e9)), race.view
