"""Learns the lap counter and the small lap times, once the clock can be read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np
from autopilot.errors import UserError
from numpy.typing import NDArray

from autopilot_ctr.hud_glyphs import CLOCK, LAPS, Box, Floats, Glyphs
from autopilot_ctr.hud_learn_clock import DIGITS, Clock, Strips, digits_of, largest, locate, r_squared
from autopilot_ctr.hud_templates import clock_hundredths


@dataclass(frozen=True)
class LapCounter:
    """What was learned: `laps` reads `n` of `n/3` at `lap`, `of` the last digit at `total`.

    `lap_of` is the lap that each frame shows, 0 where it is not known.
    """

    laps: Glyphs
    of: Glyphs
    lap: Box
    total: Box
    lap_of: NDArray[np.intp]


def learn_counter(laps: Strips, clock: Clock) -> LapCounter:
    """Find `n/3` at the top right of the frames and learn its digits; `laps` is uint8 (n, H, W, 3).

    Its colours are not the clock's, so it is found by shape: steady where a glyph is. Where it is and
    what it says for a while is what fits best; from there its first digit must count, forwards and backwards. Raises
    UserError, one line, where there is none, where it never changes, or where it counts otherwise.
    """
    shapes, shown = np.exp(-clock.glyphs.sigma.max(-1) / 20), clock.shown
    n, total, box, total_box, begin = _counter(laps, np.flatnonzero(shown > 0), shapes, clock.boxes)
    lap_of = _segments(laps, shown, box, total_box, n, total, begin)
    if set(lap_of) <= {0, n}:
        raise UserError(f"the lap counter never changed from {n}/{total}: drive over the line while recording")
    counted = laps[lap_of > 0]
    fixed = Glyphs.learn(total_box.of(counted), np.full(len(counted), total), DIGITS)
    patches, labels = box.of(counted), lap_of[lap_of > 0]
    if total not in labels:  # the last lap's digit is known from the total's
        patches = np.concatenate([patches, total_box.of(counted)])
        labels = np.concatenate([labels, np.full(len(counted), total)])
    glyphs = Glyphs.learn(patches, labels, DIGITS)
    for digit in sorted(set(lap_of) - {0, n}):
        segment = np.flatnonzero(lap_of == digit)
        steady = np.exp(-laps[segment].astype(np.float32).std(0).max(2) / 20)
        part = steady[box.y : box.y + box.height, int(box.x) : int(box.x) + box.width]
        likeness = [float(cv2.matchTemplate(part, shape, cv2.TM_CCOEFF_NORMED)[0, 0]) for shape in shapes]
        if len(segment) >= 30 and int(np.argmax(likeness)) != digit:
            raise UserError(f"what should be lap {digit}/{total} looks like {np.argmax(likeness)}: record it anew")
    return LapCounter(glyphs, fixed, box, total_box, lap_of)


def _counter(
    laps: Strips, running: NDArray[np.intp], shapes: Floats, boxes: Sequence[Box]
) -> tuple[int, int, Box, Box, int]:
    """Return the lap, their number, the boxes of both, and a frame from which on the lap was shown for a while.

    What is looked for is a pair of digits that stand still for eight seconds, at about the right places.
    """
    pitch = (boxes[4].x - boxes[1].x) / 62
    # The total's cell begins at x = 467 as the seconds' does at 65.
    x0 = round(boxes[2].x + CLOCK.x * 2 + 402 * pitch - LAPS.x * 2)
    top = max(0, boxes[2].y - 12)
    best: list[tuple[float, int, int, int, int, int, int]] = []
    for begin in range(0, max(1, len(running) - 80), 40):
        strips = laps[running[begin : begin + 80], top : boxes[2].y + boxes[2].height + 12]
        inside = np.exp(-strips.astype(np.float32).std(0).max(2) / 20)
        maps = [cv2.matchTemplate(inside, shape, cv2.TM_CCOEFF_NORMED) for shape in shapes]
        for x in range(max(36, x0 - 8), min(maps[0].shape[1], x0 + 9)):
            for gap in range(round(27 * pitch), min(x, round(35 * pitch)) + 1):
                for total in (3, 5, 7):
                    for n in range(1, total + 1):
                        scores = maps[total][:, x] + maps[n][:, x - gap]
                        y = int(scores.argmax())
                        best.append((float(scores[y]), n, total, x, gap, y, begin))
    score, n, total, x, gap, y, begin = max(best, default=(0.0, 0, 0, 0, 0, 0, 0))
    others = max((b[0] for b in best if b[6] == begin and b[1:3] != (n, total)), default=0.0)
    if score < 1.2 or score - others < 0.06:
        raise UserError("the clock was read, but no lap counter n/3 at the top right: is the picture cut off?")
    width, height = boxes[2].width, boxes[2].height
    return n, total, Box(x - gap, top + y, width, height), Box(x, top + y, width, height), int(running[begin])


def _segments(
    laps: Strips, shown: NDArray[np.intp], box: Box, total_box: Box, n: int, total: int, begin: int
) -> NDArray[np.intp]:
    """Return the lap that each frame shows (0: unknown), `n` at `begin`; before it, too, the laps are counted.

    The first digit is another one when its own pixels change for good.
    """
    lap_of = np.zeros(len(shown), np.intp)
    steady = np.flatnonzero((shown > 0) & (np.arange(len(shown)) >= begin))[:60]
    fixed = Glyphs.learn(total_box.of(laps[steady]), np.zeros(len(steady), np.intp), "T")
    there = np.flatnonzero((shown > 0) & (fixed.judge(total_box.of(laps))[1] <= 2 * fixed.fit))
    before, after = there[there < begin], there[there >= begin]
    for frames, step in ((after, 1), (before[::-1], -1)):
        left, lap, some = frames, n, after[:60]
        while 1 <= lap <= total and len(left) >= 5:
            known = Glyphs.learn(box.of(laps[some]), np.zeros(len(some), np.intp), "n")
            other = known.judge(box.of(laps[left]))[1] > max(known.fit * 2, 3.0)
            gone = np.convolve(other, np.ones(5), "valid") >= 5  # five in a row
            end = int(gone.argmax()) if gone.any() else len(left)
            lap_of[left[:end]] = lap
            left, lap = left[end:], lap + step
            some = left[:20]
    return lap_of


def learn_rows(
    strips: Strips, clock: Clock, lap_of: NDArray[np.intp]
) -> tuple[Glyphs, tuple[tuple[Box, ...], ...]] | None:
    """Find the small lap times and learn their digits; None when they cannot be read.

    `strips` holds the frames' parts with the clock. While the first lap is driven, the first of the times
    shows what the clock shows.
    """
    shown, seconds = clock.shown, clock.boxes[2]
    first = np.flatnonzero((lap_of == 1) & (shown > 0))
    later = np.flatnonzero((lap_of == 2) & (shown > 0))[:100]
    if len(first) < 150 or len(later) == 0:
        return None
    labels = np.array([digits_of(h) for h in shown[first]])
    below = seconds.y + seconds.height
    pixels = strips[first][:, below:].astype(np.float32).mean(3)
    cells = []
    for place in (2, 3, 4):
        cell = largest(r_squared(pixels, labels[:, place]) > 0.4, (3, 5))
        if cell is None:
            return None
        cells.append(cell)
    # The hundredths go with the tenths where ten frames a second meet 25 or 30, so that these two may
    # look like one: only the tenths' left edge and the hundredths' right one are sure.
    ones_x, _, width, height = cells[0]
    last = cells[2][0] + cells[2][2] - width
    if not (8 <= width <= 32 and 6 <= height <= 24):
        return None
    box = Box(cells[1][0], below + cells[1][1], width, height)
    glyphs = Glyphs.learn(box.of(strips[first]), labels[:, 3], DIGITS)
    if len(glyphs.characters) < 10:
        return None
    sample = strips[first[:: max(1, len(first) // 40)]]
    ones = locate(glyphs, sample, box, ones_x - box.x, 3)
    hundredths = locate(glyphs, sample, box, last - box.x, 3)
    step = hundredths.x - box.x
    tens = locate(glyphs, sample, ones, -step, 2)
    minutes = locate(glyphs, sample, ones, -step - (box.x - ones.x), 2)
    row = (minutes, tens, ones, box, hundredths)
    patches = np.concatenate([b.of(strips[first]) for b in row])
    glyphs = Glyphs.learn(patches, labels.T.reshape(-1), DIGITS)
    # Rows are 8 of the framebuffer's pixels apart. The second one must go with the clock, a lap later.
    over = shown[later[0]]
    lenient = replace(glyphs, fit=max(8.0, glyphs.fit * 2.5), margin=glyphs.margin / 4)
    best: tuple[int, int, list[tuple[int, int]]] = (0, 0, [])
    for pitch in range(13, 20):
        second = [b.moved(0, pitch) for b in row]
        read = [(int(n), clock_hundredths(lenient, second, strips[n])) for n in later]
        good = [(n, h) for n, h in read if h is not None and abs(h - (shown[n] - over)) < 30]
        best = max(best, (len(good), pitch, good))
    _, pitch, good = best
    if len(good) < 0.7 * len(later):
        return None
    lines = np.array([n for n, _ in good])
    more = np.array([digits_of(h) for _, h in good])
    patches = np.concatenate([*(b.of(strips[first]) for b in row), *(b.moved(0, pitch).of(strips[lines]) for b in row)])
    glyphs = Glyphs.learn(patches, np.concatenate([labels.T.reshape(-1), more.T.reshape(-1)]), DIGITS)
    # The third row was not learned from, and a lap time must fit the clock anyway: let more in.
    rows = tuple(tuple(b.moved(0, n * pitch) for b in row) for n in range(3))
    return replace(glyphs, fit=3.5 * glyphs.fit), rows
