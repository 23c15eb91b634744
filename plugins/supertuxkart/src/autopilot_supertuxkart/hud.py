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
from autopilot.api import Reading
from numpy.typing import NDArray

if TYPE_CHECKING:
    from collections.abc import Mapping

    from autopilot.api import Frame, Image

FAR = 7.5
"""A glyph may differ from its template by this mean grey value (of 255). The likest two, 0 and 8,
differ by 16, so no picture fits both."""
GAP_S = 1.0
"""With the clock gone for longer than this and back near zero, a new race has begun."""
BANNER_S = 5.0
"""This soon after a new lap, an orange banner may be the one that announces it."""
FACE = (slice(22, 64), slice(8, 50))
"""Rows and columns, at 480x270, of the kart's face, which is there but for a rescue."""
FACE_PIXELS = 100
"""It has three times as many pixels that are black; a rescue in the dark goes unseen."""
BLACK = 45
SURE = 0.9
"""This share of a message's pixels must be as learned."""
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
    int16 (glyphs, height, width); `masks[p]` says with 1 which of its pixels count. `wrong_way` is
    where the words WRONG WAY! are, and of their pixels (height, width) 1 for the letters, -1 for
    their outline; the lock-step engine never shows them.
    """

    phases: int
    clock: tuple[int, int]
    laps: tuple[int, int]
    characters: str
    advances: tuple[int, ...]
    cells: tuple[Gray, ...]
    masks: tuple[Gray, ...]
    wrong_way: tuple[tuple[int, int], Gray] | None = None

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
            _message(data["wrong_way"]) if "wrong_way" in data else None,
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

    def says_wrong_way(self, image: Image) -> bool:
        """Whether the words are there, in English."""
        if self.wrong_way is None:
            return False
        (column, row), kind = self.wrong_way
        part = image[row : row + kind.shape[0], column : column + kind.shape[1]]
        if part.shape[:2] != kind.shape:
            return False
        orange, black = orange_and_black(part)
        return bool(orange[kind > 0].mean() > SURE and black[kind < 0].mean() > SURE)


def _message(data: Mapping[str, Any]) -> tuple[tuple[int, int], Gray]:
    rows = [[" #".find(c) if c != "." else -1 for c in row] for row in data["rows"]]
    return tuple(data["at"]), np.array(rows, np.int16)


@cache
def fonts() -> dict[tuple[int, int], tuple[Font, ...]]:
    """Return the fonts of each size (width, height) of picture that can be read."""
    data = json.loads(files(__package__).joinpath("hud_glyphs.json").read_text())
    return {
        tuple(map(int, size.split("x"))): tuple(map(Font.from_json, engines.values()))  # type: ignore[misc]
        for size, engines in data.items()
    }


class HudReader:
    """Follows one race after another by the clock and the lap counter.

    A time is believed when the one before agrees with it: in a race the clock never runs backwards
    and never faster than the frames' own times. `race_time_s` is None when it was not read or not
    believed; `lap` then stays what it was. A race is over when, on its last lap, both vanish and
    the game's orange banner is there. A lap's end lies between two readings, and the middle of
    these is taken: each lap time is off by at most the time between two frames (half of it at each
    end), and the sum of all by half of that. The lap counter appears when the start line is passed.

    An `incident` is a rescue, while the kart's face is gone, or driving the wrong way, which the game
    says a second after it began. Walls are not seen.
    """

    def __init__(self) -> None:
        self._font: Font | None = None
        self.reset()

    def reset(self) -> None:
        """Forget the race: what comes next is another."""
        self._believed: tuple[float, int] | None = None  # clock in seconds, t_ns
        self._doubted: tuple[float, int] | None = None
        self._of = 0
        self._lap = 0
        self._crossed = 0.0
        self._lap_times: tuple[float, ...] = ()
        self._finished = False
        self._rescue, self._rescues = False, 0

    def read(self, frame: Frame) -> Reading:
        """Read one frame; a picture of a size that `sizes` lacks gives confidence 0."""
        time_s, laps, confidence = self._look(frame.image)
        if time_s is not None and not self._believe(time_s, frame.t_ns):
            time_s, confidence = None, 0.0
        if time_s is not None:
            self._count(laps, time_s)
        elif laps is None and self._over(frame):
            assert self._believed is not None
            waited_s = (frame.t_ns - self._believed[1]) / 1e9
            self._end_lap(self._believed[0] + waited_s / 2)
            self._finished = True
        if time_s is not None:
            self._believed = time_s, frame.t_ns
        racing = time_s is not None and not self._finished and self._font is not None
        wrong = racing and self._font.says_wrong_way(frame.image)  # type: ignore[union-attr]  # racing says so
        rescue = racing and bool((frame.image[FACE].max(2) < BLACK).sum() < FACE_PIXELS)
        self._rescues += rescue and not self._rescue
        self._rescue = rescue
        return Reading(
            lap=self._lap,
            lap_times_s=self._lap_times,
            race_time_s=time_s,
            incident=wrong or rescue,
            wrong_way=wrong,
            finished=self._finished,
            counters={"rescues": self._rescues},
            confidence=1.0 if self._finished else confidence,
        )

    def _look(self, image: Image) -> tuple[float | None, tuple[int, int] | None, float]:
        """Return the clock, the counter and a confidence, whichever engine drew them."""
        known = fonts().get((image.shape[1], image.shape[0]), ())
        gray: Gray = image[: image.shape[0] // 5].min(2).astype(np.int16)
        for font in (self._font,) if self._font in known else known:
            assert font is not None
            clock = font.read_clock(gray)
            if clock is not None:
                self._font = font
                return clock[0], font.read_laps(gray), clock[1]
        return None, None, 0.0

    def _believe(self, time_s: float, t_ns: int) -> bool:
        """Whether the clock agrees with the last one believed, or with one that was doubted."""
        if self._believed and _follows(self._believed, time_s, t_ns):
            self._doubted = None
            return True
        began = self._believed is not None and time_s <= (t_ns - self._believed[1]) / 1e9 - GAP_S
        agreed = self._doubted is not None and _follows(self._doubted, time_s, t_ns)
        self._doubted = time_s, t_ns
        if agreed and (self._believed is None or began):
            self.reset()
            return True
        return False

    def _count(self, laps: tuple[int, int] | None, time_s: float) -> None:
        """Take in what the counter shows: the lap being driven and their number."""
        if laps is None or self._finished:
            return
        lap, of = laps
        if self._of == 0:
            self._of, self._lap = of, lap - 1
        elif of == self._of and lap == self._lap + 2:
            assert self._believed is not None
            self._end_lap((self._believed[0] + time_s) / 2)

    def _end_lap(self, crossed_s: float) -> None:
        self._lap += 1
        self._lap_times += (crossed_s - self._crossed,)
        self._crossed = crossed_s

    def _over(self, frame: Frame) -> bool:
        if self._finished or self._believed is None or self._of == 0 or self._lap < self._of - 1:
            return False
        return self._believed[0] > self._crossed + BANNER_S and _banner(frame.image)


def sizes() -> list[tuple[int, int]]:
    """Return the sizes (width, height) of picture that can be read."""
    return list(fonts())


def _follows(before: tuple[float, int], time_s: float, t_ns: int) -> bool:
    """Whether a clock that showed `before` may show `time_s` now: it may stand still (a pause)."""
    return 0 <= time_s - before[0] <= (t_ns - before[1]) / 1e9 * 1.2 + TICK_S


def _banner(image: Image) -> bool:
    """Whether the orange words `You finished the race!` are where the game shows them.

    They are wider than other messages: each third of their place must have some.
    """
    height, width, _ = image.shape
    part = image[height // 4 : height * 33 // 100, width * 36 // 100 : width * 64 // 100]
    thirds = [third.mean() for mask in orange_and_black(part) for third in np.array_split(mask, 3, axis=1)]
    return bool(min(thirds) > 0.05)


def orange_and_black(part: Image) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Return which pixels (H, W) have the colour of the game's messages, and of their outline."""
    red, green, blue = part[..., 0], part[..., 1], part[..., 2]
    return (red > 190) & (green > 80) & (green < 210) & (blue < 90), part.max(2) < BLACK
