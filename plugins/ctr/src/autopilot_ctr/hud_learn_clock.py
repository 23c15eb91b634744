"""Learns the race clock's digits: it counts, so it labels them itself, and running evenly checks them.

The pixels that repeat every ten seconds are the seconds' digit; the digit left of it changes when that
one becomes 0; with these ten glyphs the other places are found, and all are learned again from all of them.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import product

import cv2
import numpy as np
from autopilot.api import UserError
from numpy.typing import NDArray

from autopilot_ctr.hud_glyphs import APART, Box, Floats, Glyphs, background
from autopilot_ctr.hud_templates import clock_hundredths

DIGITS = "0123456789"
WINDOW_S, LEAST_S = 40.0, 32.0
"""So much of a running clock is looked at, at most and at least, to find it."""
RATES = (1.0, 0.98, 0.96, 0.94)
"""How fast the clock may run: an emulator on a busy machine gives 57 pictures instead of 60."""
STILL = 18.0
"""A background whose grey values stray less than this cannot be told from the digits."""
ALIKE = 0.15
"""Digits that differ by less than this (nats for a pixel) are not told apart for sure."""

NO_CLOCK = (
    "no running race clock was found at the top left: try a whole lap of Crash Team Racing's time trial,"
    " with the game's picture filling the window or --region"
)

STANDING = (
    "the picture behind the clock hardly changes and is not plain: drive a lap, so that the digits stand out from it"
)
NOTHING = (
    "the picture at the top left hardly changes: drive a lap, with the game's picture filling the window or --region"
)

type Seconds = NDArray[np.float64]
type Strips = NDArray[np.uint8]


@dataclass(frozen=True)
class Clock:
    """What was learned: the digits, the places of the five, and what each frame shows.

    `shown` is in hundredths, -1 where it was not read; `share` is how much of the race was read.
    """

    glyphs: Glyphs
    boxes: tuple[Box, ...]
    shown: NDArray[np.intp]
    share: float


def learn_clock(t_s: Seconds, strips: Strips) -> Clock:
    """Learn the clock from frames' times and their parts that hold it, uint8 (n, H, W, 3).

    Raises UserError, one line, where there is none, where it does not run with the frames' time, or where
    what is behind it stands still.
    """
    most, nearly_all = np.quantile(strips[::4].astype(np.float32).std(0).max(2), (0.75, 0.98))
    if nearly_all < 12:
        raise UserError(NOTHING)
    if most < 12:
        picture = still(strips)
        if (np.abs(picture - background(picture)).max(2) < APART).mean() < 0.7:
            raise UserError(STANDING)
    return _clock(t_s, strips, *_seconds(t_s, strips))


def still(strips: Strips) -> Floats:
    """Return what most frames (n, H, W, 3) show: the median of some of them, float32."""
    return np.asarray(np.median(strips[:: max(1, len(strips) // 40)], 0), np.float32)


def _seconds(t_s: Seconds, clock: Strips) -> tuple[Box, NDArray[np.intp], NDArray[np.intp]]:
    """Find what repeats every ten seconds: the seconds' digit.

    Return its place, frames in which it is not about to change, and how many seconds each of them counts
    from some begin on.
    """
    small = np.stack([cv2.cvtColor(cv2.resize(s[:120], None, fx=0.5, fy=0.5), cv2.COLOR_RGB2GRAY) for s in clock])
    best: tuple[float, NDArray[np.intp], float, float, int] | None = None
    for begin in np.arange(0, max(1.0, t_s[-1] - LEAST_S), WINDOW_S / 2):
        rows = np.flatnonzero((t_s >= begin) & (t_s < begin + WINDOW_S))
        if len(rows) < 80 or t_s[rows[-1]] - t_s[rows[0]] < LEAST_S - 2:
            continue
        for rate, phase in product(RATES, np.arange(0, 1, 0.125)):
            explained = r_squared(small[rows], np.floor(rate * t_s[rows] - phase).astype(int) % 10)
            density = cv2.boxFilter(np.maximum(explained - 0.4, 0), -1, (14, 14))
            place = int(density.argmax())
            if best is None or density.flat[place] > best[0]:
                best = float(density.flat[place]), rows, rate, float(phase), place
    if best is None or best[0] < 0.08:
        raise UserError(NO_CLOCK)
    _, rows, about, phase, place = best
    y, x = divmod(place, small.shape[2])
    part = small[rows][:, max(0, y - 10) : y + 10, max(0, x - 10) : x + 10]

    def score(rate: float, phase: float) -> float:
        return float(r_squared(part, np.floor(rate * t_s[rows] - phase).astype(int) % 10).clip(0.3).sum())

    tried = [(about + r / 400, phase + p / 40 + t_s[rows].mean() * r / 400) for r in range(-4, 5) for p in range(-8, 9)]
    rate, phase = max(tried, key=lambda a: score(*a))
    ticks = rate * t_s[rows] - phase
    settled = np.abs(ticks % 1 - 0.5) < 0.4
    rows, counted = rows[settled], np.floor(ticks[settled]).astype(np.intp)
    return _extent(clock[rows], counted % 10, 2 * x, 2 * y), rows, counted


def _extent(clock: Strips, digits: NDArray[np.intp], x: int, y: int) -> Box:
    """Return the box around the pixels near (x, y) that go with the digits."""
    left, top = max(0, x - 30), max(0, y - 30)
    near = clock[:, top : y + 30, left : x + 30].astype(np.float32).mean(3)
    box = largest(r_squared(near, digits) > 0.55, (5, 5))
    if box is None or not (14 <= box[2] <= 42 and 18 <= box[3] <= 42):
        raise UserError(NO_CLOCK)
    bx, by, width, height = box
    return Box(left + bx - 1, top + by - 1, width + 2, height + 2)


def largest(mask: NDArray[np.bool_], close: tuple[int, int]) -> tuple[int, int, int, int] | None:
    """Return x, y, width and height of the largest patch of a mask (H, W), gaps up to `close` (h, w) closed."""
    closed = cv2.morphologyEx(mask.astype(np.uint8), cv2.MORPH_CLOSE, np.ones(close, np.uint8))
    patches = cv2.connectedComponentsWithStats(closed)[2][1:].tolist()
    x, y, width, height, area = max(patches, key=lambda patch: patch[cv2.CC_STAT_AREA], default=(0, 0, 0, 0, 0))
    return (x, y, width, height) if area else None


def r_squared(pictures: NDArray[np.uint8] | Floats, groups: NDArray[np.intp]) -> Floats:
    """Return how much of each pixel's variance the groups explain: R squared, (H, W).

    `pictures` are grey, (frames, H, W). Some noise is granted, so that what never changes gives 0.
    """
    pixels = pictures.reshape(len(pictures), -1).astype(np.float32)
    member = (groups[None] == np.unique(groups)[:, None]).astype(np.float32)
    centred = pixels - pixels.mean(0)
    between = (np.square(member @ centred) / member.sum(1, keepdims=True)).sum(0)
    total = np.square(centred).sum(0) + len(pixels) * 16.0
    return np.asarray(between / total, np.float32).reshape(pictures.shape[1:])


def _clock(t_s: Seconds, clock: Strips, box: Box, rows: NDArray[np.intp], count: NDArray[np.intp]) -> Clock:
    """Learn the digits at the seconds' place, find the other places by them, learn from all."""
    behind = background(still(clock))
    glyphs = Glyphs.learn(box.of(clock[rows]), (count - _zero(clock[rows], box, count)) % 10, DIGITS, box.at(behind))
    if glyphs.characters != DIGITS:
        raise UserError(NO_CLOCK)
    sample = clock[rows[:: max(1, len(rows) // 40)]]
    boxes = _places(glyphs, sample, box)
    # Now from all frames that can be read, so that many backgrounds are seen. What was learned at one place
    # is not as exact at the others, so more is let in at first. Only digits that time has checked teach:
    # minutes hardly change and hundredths go too fast, so those two are read with what the others taught.
    glyphs = replace(glyphs, fit=max(6.0, glyphs.fit * 2.5), margin=glyphs.margin / 4)
    for _ in range(2):
        known, labels = _agreeing(t_s, [clock_hundredths(glyphs, boxes, strip) for strip in clock])
        if len(known) < 0.5 * len(rows):
            raise UserError(NO_CLOCK)
        patches = np.concatenate([b.of(clock[known]) for b in boxes[1:4]])
        around = np.mean([b.at(behind) for b in boxes[1:4]], 0)
        glyphs = Glyphs.learn(patches, labels[:, 1:4].T.reshape(-1), DIGITS, around)
        if glyphs.characters != DIGITS:
            raise UserError(NO_CLOCK)
        minutes, hundredths = (locate(glyphs, sample, b, 0, 2) for b in (boxes[0], boxes[4]))
        boxes = minutes, *boxes[1:4], hundredths
    if glyphs.margin < ALIKE:
        raise UserError("the digits of the clock look too much alike: make the game's window larger, or less blurred")
    if np.quantile(glyphs.sigma.max(-1).reshape(10, -1), 0.75, axis=1).max() < STILL:
        raise UserError(STANDING)
    shown = np.array([-1 if h is None else h for h in (clock_hundredths(glyphs, boxes, strip) for strip in clock)])
    return Clock(glyphs, boxes, shown, _check(t_s, shown))


def _zero(clock: Strips, box: Box, count: NDArray[np.intp]) -> int:
    """Return which of the counted seconds, modulo 10, shows a 0: what is left of it changes then."""
    tens = clock[:, box.y : box.y + box.height, max(0, int(box.x) - 38) : int(box.x) - 4].astype(np.float32).mean(3)
    if tens.size == 0:
        raise UserError(NO_CLOCK)
    split = np.stack([r_squared(tens, (count - zero) // 10) for zero in range(10)])
    changing = split.max(0) > 0.5
    return int(split[:, changing].mean(1).argmax()) if changing.any() else 0


def _places(glyphs: Glyphs, sample: Strips, seconds: Box) -> tuple[Box, ...]:
    """Return the five digits' places; how wide letters and colons are is searched: it is not the same everywhere."""
    tens = locate(glyphs, sample, seconds, -31, 7)
    pitch = seconds.x - tens.x
    tenths = locate(glyphs, sample, seconds, 1.6 * pitch, 8)
    last = pitch + tenths.x - seconds.x
    minutes, hundredths = (locate(glyphs, sample, seconds, dx, 4) for dx in (-last, last))
    return minutes, tens, seconds, tenths, hundredths


def _agreeing(t_s: Seconds, shown: list[int | None]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Return the frames whose clock agrees with the one read before, and their digits (frames, 5)."""
    known = [n for n, h in enumerate(shown) if h is not None]
    values = np.array([shown[n] for n in known], float)
    good = np.abs(np.diff(values) / 100 - np.diff(t_s[known])) < 0.1
    kept = [(n, int(v)) for n, v, ok in zip(known[1:], values[1:], good, strict=True) if ok]
    return np.array([n for n, _ in kept], np.intp), np.array([digits_of(v) for _, v in kept], np.intp)


def digits_of(hundredths: int) -> tuple[int, int, int, int, int]:
    """Return the five digits of the clock."""
    minutes, rest = divmod(hundredths, 6000)
    return minutes, rest // 1000, rest // 100 % 10, rest // 10 % 10, rest % 10


def locate(glyphs: Glyphs, strips: Strips, box: Box, dx: float, reach: int) -> Box:
    """Return the place near `box` moved by `dx` where the glyphs are likeliest."""

    def likely(at: Box) -> float:
        patches = at.of(strips)
        if patches.shape[1:3] != (box.height, box.width):
            return -np.inf
        _, fits, margins = glyphs.judge(patches)
        return float(np.median(margins)) / (0.2 + float(np.median(fits)))

    near = max([box.moved(round(dx) + x, y) for x in range(-reach, reach + 1) for y in (-1, 0, 1)], key=likely)
    finer: Box = max([near.moved(x / 4) for x in range(-3, 4)], key=likely)
    return finer


def _check(t_s: Seconds, shown: NDArray[np.intp]) -> float:
    """Return the share of frames read while the clock ran; raises UserError unless it ran as a clock does."""
    known = np.flatnonzero(shown >= 0)
    if len(known) < 100:
        raise UserError(NO_CLOCK)
    steps, passed = np.diff(shown[known]) / 100, np.diff(t_s[known])
    stood, anew = steps == 0, (shown[known[1:]] < 300) & (steps < 0)  # the countdown, a pause; a new race
    even, ran = np.abs(steps - passed) < 0.12, np.abs(steps - passed) < 0.8  # a picture may come late
    if (stood | anew | ran & (steps > 0)).mean() < 0.995 or (even | stood | anew).mean() < 0.8:
        raise UserError(
            "what looks like the race clock does not run evenly, with the frames' own time in"
            f" {100 * even.mean():.0f} % of them only: try again on another track, and with the emulator at 100 % speed"
        )
    run = max(np.split(known, np.flatnonzero(~ran) + 1), key=len)
    lasted = float(t_s[run[-1]] - t_s[run[0]])
    if lasted < LEAST_S - 4:
        raise UserError(
            f"the race clock was read for {lasted:.0f} s in one piece, {LEAST_S - 4:g} s are needed:"
            " try a minute's drive without a pause, or another track"
        )
    return float(len(run) / (run[-1] - run[0] + 1))
