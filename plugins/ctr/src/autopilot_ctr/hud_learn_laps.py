"""Learns the lap counter and the small lap times, once the clock can be read."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import product

import numpy as np
from autopilot.api import UserError
from numpy.typing import NDArray

from autopilot_ctr.hud_glyphs import Box, Floats, Glyphs, background
from autopilot_ctr.hud_learn_clock import DIGITS, Clock, Strips, digits_of, largest, locate, r_squared, still
from autopilot_ctr.hud_templates import clock_hundredths

type Row = tuple[Box, ...]

NO_COUNTER = (
    "the clock was read, but nothing at the top right on its line has the shape of a lap counter n/3: look"
    " whether it is in sight (--region), and record anew"
)


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

    Its colours are not the clock's, so it is found by its light and dark. Where it is and what it says for a
    while is what fits best; from there its first digit must count, forwards and backwards. Raises UserError,
    one line, where there is none, where it never changes, or where it counts otherwise.
    """
    shown = clock.shown
    n, total, box, total_box, begin = _counter(laps, np.flatnonzero(shown > 0), clock)
    lap_of = _segments(laps, shown, (box, total_box), (n, total), begin)
    if set(lap_of) <= {0, n}:
        raise UserError(f"the lap counter never changed from {n}/{total}: drive over the line while recording")
    counted, labels = laps[lap_of > 0], lap_of[lap_of > 0]
    behind = background(still(counted))
    fixed = Glyphs.learn(total_box.of(counted), np.full(len(counted), total), DIGITS, total_box.at(behind))
    patches = box.of(counted)
    if total not in labels:  # the last lap's digit is known from the total's
        patches = np.concatenate([patches, total_box.of(counted)])
        labels = np.concatenate([labels, np.full(len(counted), total)])
    glyphs = Glyphs.learn(patches, labels, DIGITS, box.at(behind))
    around = Box(max(0, box.x - 3), max(0, box.y - 3), box.width + 6, box.height + 6)
    for digit in sorted(set(lap_of) - {0, n}):
        segment = np.flatnonzero(lap_of == digit)
        looks = int(clock.glyphs.alike(around.at(still(laps[segment]))).max((1, 2)).argmax())
        if len(segment) >= 30 and looks != digit:
            raise UserError(f"what should be lap {digit}/{total} looks like {looks}: record it anew, on another track")
    return LapCounter(glyphs, fixed, box, total_box, lap_of)


def _counter(laps: Strips, running: NDArray[np.intp], clock: Clock) -> tuple[int, int, Box, Box, int]:
    """Return the lap, their number, the boxes of both, and a frame from which on the lap was shown for a while.

    What is looked for is a pair of digits that stand still for eight seconds on the clock's line, a slash apart.
    """
    seconds, pitch = clock.boxes[2], clock.boxes[2].x - clock.boxes[1].x
    top = max(0, seconds.y - 12)
    gaps = range(round(1.55 * pitch), round(2.1 * pitch) + 1)
    best: dict[tuple[int, int, int], tuple[float, int, int, int]] = {}
    for begin in range(0, max(1, len(running) - 80), 40):
        strips = laps[running[begin : begin + 80], top : seconds.y + seconds.height + 12]
        maps = clock.glyphs.alike(strips.astype(np.float32).mean(0))
        for total, gap in product((3, 5, 7), gaps):
            for n in range(1, total + 1):
                scores = maps[total][:, gap:] + maps[n][:, :-gap]
                y, x = divmod(int(scores.argmax()), scores.shape[1])
                key = begin, n, total
                best[key] = max(best.get(key, (0.0, 0, 0, 0)), (float(scores[y, x]), x, gap, y))
    (begin, n, total), (score, x, gap, y) = max(best.items(), key=lambda item: item[1])
    others = max(found[0] for key, found in best.items() if key[0] == begin and key != (begin, n, total))
    if score < 1.4 or score - others < 0.08:
        raise UserError(NO_COUNTER)
    lap = Box(x, top + y, seconds.width, seconds.height)
    return n, total, lap, lap.moved(gap), int(running[begin])


def _segments(
    laps: Strips, shown: NDArray[np.intp], boxes: tuple[Box, Box], counter: tuple[int, int], begin: int
) -> NDArray[np.intp]:
    """Return the lap that each frame shows (0: unknown), `n` at `begin`; before it, too, the laps are counted.

    The first digit is another one when its own pixels change for good. `boxes` are those of `n` and the total,
    `counter` what they show.
    """
    (box, total_box), (n, total) = boxes, counter
    behind = background(still(laps[shown > 0]))

    def one(at: Box, some: NDArray[np.intp]) -> Glyphs:
        return Glyphs.learn(at.of(laps[some]), np.zeros(len(some), np.intp), "n", at.at(behind))

    lap_of = np.zeros(len(shown), np.intp)
    fixed = one(total_box, np.flatnonzero((shown > 0) & (np.arange(len(shown)) >= begin))[:60])
    there = np.flatnonzero((shown > 0) & (fixed.judge(total_box.of(laps))[1] <= 2 * fixed.fit))
    before, after = there[there < begin], there[there >= begin]
    for frames, step in ((after, 1), (before[::-1], -1)):
        left, lap, some = frames, n, after[:60]
        while 1 <= lap <= total and len(left) >= 5:
            known = one(box, some)
            other = known.judge(box.of(laps[left]))[1] > max(known.fit * 1.5, 3.0)
            gone = np.convolve(other, np.ones(5), "valid") >= 5  # five in a row
            end = int(gone.argmax()) if gone.any() else len(left)
            lap_of[left[:end]] = lap
            left, lap = left[end:], lap + step
            some = left[:20]
    return lap_of


def learn_rows(strips: Strips, clock: Clock, lap_of: NDArray[np.intp]) -> tuple[Glyphs, tuple[Row, ...]] | None:
    """Find the small lap times and learn their digits; None when they cannot be read.

    `strips` holds the frames' parts with the clock. While the first lap is driven, the first of the times
    shows what the clock shows, and the next ones go with it, a lap later.
    """
    first = np.flatnonzero((lap_of == 1) & (clock.shown > 0))
    if len(first) < 150 or 2 not in lap_of:
        return None
    labels = np.array([digits_of(h) for h in clock.shown[first]])
    behind = background(still(strips[first]))
    row = _first_row(strips[first], labels, behind, clock.boxes[2])
    if row is None:
        return None
    rows, seen = [row], [(strips[first], row, labels)]
    glyphs, pitches, begun = _teach(behind, seen), [16, *range(12, 20)], 0  # 8 of the framebuffer's pixels, stretched
    for lap in (2, 3):
        frames = np.flatnonzero((lap_of == lap) & (clock.shown > 0))[:100]
        told = Counter(clock_hundredths(glyphs, row, strip) for strip in strips[frames])
        begun += next((time for time, _ in told.most_common() if time is not None), 0)
        below = [tuple(box.moved(0, pitch) for box in row) for pitch in pitches]
        found = _next_row(strips[frames], clock.shown[frames] - begun, glyphs, below)
        if found is not None:
            seen.append((strips[frames], found[0][:4], found[1]))
            glyphs = _teach(behind, seen)
        elif lap == 2:
            return None
        row = below[0] if found is None else found[0]
        pitches[0] = row[0].y - rows[-1][0].y
        rows.append(row)
    # A row that no lap was seen in was not learned from, and a lap time must fit the clock anyway: let more in.
    return replace(glyphs, fit=3.5 * glyphs.fit), tuple(rows)


def _next_row(
    strips: Strips, since: NDArray[np.intp], glyphs: Glyphs, rows: Sequence[Row]
) -> tuple[Row, NDArray[np.intp]] | None:
    """Return which row shows in these frames what the clock counted `since` the lap began, in hundredths, and its first
    four digits (n, 4); None where none does. What is cut off to hundredths may add up to two."""
    if len(strips) < 20:
        return None
    characters = np.array([int(c) for c in glyphs.characters])
    best: tuple[float, tuple[Row, NDArray[np.intp]] | None] = 0.0, None
    for row in rows:
        judged = [glyphs.judge(box.of(strips)) for box in row[:4]]
        read, _, margins = (np.stack(each, 1) for each in zip(*judged, strict=True))
        for cut in range(3):
            digits = np.array([digits_of(max(0, h))[:4] for h in (since - cut).tolist()])
            right = characters[read] == digits
            if right.mean() > 0.5 and (right * margins).mean() > best[0]:
                best = float((right * margins).mean()), (row, digits)
    return best[1]


def _first_row(strips: Strips, labels: NDArray[np.intp], behind: Floats, seconds: Box) -> Row | None:
    """Return the places of the first small time's five digits below the clock, which `labels` (n, 5) go with."""
    below = seconds.y + seconds.height
    pixels = strips[:, below:].astype(np.float32).mean(3)
    explained = [r_squared(pixels, labels[:, place]) for place in (2, 3, 4)]
    cells = [largest(part > max(0.4, 0.6 * float(part.max())), (3, 5)) for part in explained]
    if None in cells:
        return None
    # The hundredths go with the tenths where ten frames a second meet 25 or 30, so that these two may
    # look like one: only the tenths' left edge and the hundredths' right one are sure.
    (ones_x, _, width, height), (tenths_x, tenths_y, _, _), (last_x, _, last_width, _) = (c for c in cells if c)
    if not (8 <= width <= 32 and 6 <= height <= 24):
        return None
    tenths = Box(tenths_x, below + tenths_y, width, height)
    glyphs = Glyphs.learn(tenths.of(strips), labels[:, 3], DIGITS, tenths.at(behind))
    if len(glyphs.characters) < 10:
        return None
    sample = strips[:: max(1, len(strips) // 40)]
    ones = locate(glyphs, sample, tenths, ones_x - tenths.x, 3)
    hundredths = locate(glyphs, sample, tenths, last_x + last_width - width - tenths.x, 3)
    step = hundredths.x - tenths.x
    minutes = locate(glyphs, sample, ones, -step - (tenths.x - ones.x), 2)
    return minutes, locate(glyphs, sample, ones, -step, 2), ones, tenths, hundredths


def _teach(behind: Floats, seen: Sequence[tuple[Strips, Row, NDArray[np.intp]]]) -> Glyphs:
    """Learn the digits of rows, each its own, for they fall on other pixels and scanlines of the window.

    `seen` has frames, the places of five digits or less, and the digits there, (n, 5) or less.
    """
    patches = np.concatenate([box.of(strips) for strips, row, _ in seen for box in row])
    labels = np.concatenate([10 * number + labels.T.reshape(-1) for number, (_, _, labels) in enumerate(seen)])
    around = np.repeat([np.mean([box.at(behind) for box in row], 0) for _, row, _ in seen], 10, axis=0)
    return Glyphs.learn(patches, labels, DIGITS * len(seen), around)
