"""Learns the HUD's glyphs from the user's own race: the clock counts, so it labels its own digits.

Nothing of the game is known here but where its HUD stands, about. The pixels that repeat every ten
seconds are the seconds' digit; the digit left of it changes when that one becomes 0; with these ten
glyphs the rest is found and read; and since a clock must run with the frames' own time, what was
learned is checked by what it reads. Whatever is unsure is refused.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np
from autopilot.errors import UserError
from autopilot.types import Frame
from numpy.typing import NDArray

from autopilot_ctr.hud_glyphs import BANNER, CLOCK, LAPS, Box, Floats, Glyphs
from autopilot_ctr.hud_templates import Templates, clock_hundredths, path_of

DIGITS = "0123456789"
WINDOW_S, LEAST_S = 40.0, 32.0
"""So much of a running clock is looked at, at most and at least, to find it."""
MOST_FRAMES = 1200
"""Of more frames than this, every second one is used, and so on: memory."""
STILL = 18.0
"""A background whose grey values stray less than this cannot be told from the digits."""
ALIKE = 0.15
"""Digits that differ by less than this (nats for a pixel) are not told apart for sure."""
BLINK = 128 / 960
"""WRONG WAY is on while bit 7 of the clock, in 1/960 s, is set: seconds."""

NO_CLOCK = (
    "no running race clock was found at the top left: record a race of Crash Team Racing's time trial,"
    " a whole lap at least, with the game's picture filling the window or --region"
)

STANDING = "the picture behind the clock hardly changes: drive a lap, so that the digits stand out from it"

type Seconds = NDArray[np.float64]
type Strips = NDArray[np.uint8]


@dataclass(frozen=True)
class Learned:
    """The templates, and what was found on the way: `read` is the share of the race's frames."""

    templates: Templates
    frames: int
    read: float
    laps: str
    lap_times: bool
    wrong_way: bool


def learn_and_keep(frames: Iterable[Frame], folder: Path, profile: str) -> str:
    """Learn, write the templates for a profile, and say what was learned; raises as `learn` does."""
    learned = learn(frames)
    path = path_of(folder, profile)
    learned.templates.save(path)
    parts = ["the clock", f"laps {learned.laps}"]
    parts += ["lap times"] * learned.lap_times + ["WRONG WAY"] * learned.wrong_way
    missing = ["lap times (taken from the clock instead, to half a frame)"] * (not learned.lap_times)
    missing += ["WRONG WAY (never shown)"] * (not learned.wrong_way)
    said = f"learned {', '.join(parts)} from {learned.frames} frames, {100 * learned.read:.1f} % of the race read"
    return f"{said}; not learned: {', '.join(missing)}; kept in {path}" if missing else f"{said}; kept in {path}"


def learn(frames: Iterable[Frame]) -> Learned:
    """Learn from frames of a race in order, at native resolution and with their own times.

    Ten frames a second are enough: from before the start or later, over the line at least once, and
    with a few seconds of WRONG WAY if that is to be read. Raises UserError, one line, when the frames
    show something else, stand still, or do not agree with each other.
    """
    t_s, clock, laps, banner, size = _collect(frames)
    if len(t_s) < 100 or t_s[-1] - t_s[0] < LEAST_S:
        raise UserError(f"too little to learn from: record {LEAST_S:g} s of driving and more, at 10 frames a second")
    if np.quantile(clock[::4].astype(np.float32).std(0).max(2), 0.75) < 12:
        raise UserError(STANDING)
    seconds = _seconds(t_s, clock)
    glyphs, boxes = _clock(t_s, clock, seconds)
    shown = np.array([-1 if h is None else h for h in (clock_hundredths(glyphs, boxes, strip) for strip in clock)])
    share = _check(t_s, shown)
    lap_glyphs, total, lap_box, total_box, lap_of = _laps(laps, shown, glyphs, boxes)
    rows = _rows(clock, shown, lap_of, boxes)
    band = _banner(t_s, banner, shown)
    small, places = rows or (None, ())
    wrong, place = band or (None, None)
    counter = (lap_glyphs, total, lap_box, total_box)
    templates = Templates(size, glyphs, boxes, *counter, small, places, wrong, place)
    seen = "".join(sorted({str(n) for n in lap_of if n > 0}))
    return Learned(templates, len(t_s), share, seen, rows is not None, band is not None)


def _collect(frames: Iterable[Frame]) -> tuple[Seconds, Strips, Strips, Strips, tuple[int, int]]:
    """Keep only the parts that matter; raises UserError when the picture changes its size."""
    times: list[int] = []
    strips: tuple[list[Strips], ...] = ([], [], [])
    size: tuple[int, int] | None = None
    step = 1
    for number, frame in enumerate(frames):
        height, width = frame.image.shape[:2]
        if size not in (None, (width, height)):
            raise UserError(f"the picture changed from {size[0]}x{size[1]} to {width}x{height}: record it anew")
        size = width, height
        if min(width / 512, height / 216) < 0.9:
            raise UserError(f"a picture of {width}x{height} is too small to read: make the window 512x216 or larger")
        if number % step:
            continue
        times.append(frame.t_ns)
        for kept, region in zip(strips, (CLOCK, LAPS, BANNER), strict=True):
            kept.append(region.cut(frame.image))
        if len(times) >= MOST_FRAMES:
            step *= 2
            del times[1::2]
            for kept in strips:
                del kept[1::2]
    if size is None:
        raise UserError("there are no frames to learn from")
    t_s = (np.array(times) - times[0]) / 1e9
    clock, laps, banner = (np.stack(kept) for kept in strips)
    return t_s, clock, laps, banner, size


# --- the clock


@dataclass(frozen=True)
class _Seconds:
    """Where the seconds' digit is and when it changes: `digit(t) = floor(rate * t - phase) + const`."""

    box: Box
    rate: float
    phase: float
    rows: NDArray[np.intp]

    def ticks(self, t_s: Seconds) -> Seconds:
        return np.asarray(self.rate * t_s - self.phase, np.float64)


def _seconds(t_s: Seconds, clock: Strips) -> _Seconds:
    """Find what repeats every ten seconds."""
    small = np.stack([cv2.cvtColor(cv2.resize(s, None, fx=0.5, fy=0.5), cv2.COLOR_RGB2GRAY) for s in clock])
    small = small[:, :60].astype(np.float32)
    shape = small.shape[1:]
    best: tuple[float, NDArray[np.intp], float, int] | None = None
    for begin in np.arange(0, max(1.0, t_s[-1] - LEAST_S), WINDOW_S / 2):
        rows = np.flatnonzero((t_s >= begin) & (t_s < begin + WINDOW_S))
        if len(rows) < 80 or t_s[rows[-1]] - t_s[rows[0]] < LEAST_S - 2:
            continue
        pixels = small[rows].reshape(len(rows), -1)
        for phase in np.arange(0, 1, 0.125):
            explained = _explained(pixels, np.floor(t_s[rows] - phase).astype(int) % 10)
            found = cv2.boxFilter(np.maximum(explained - 0.4, 0).reshape(shape), -1, (14, 14))
            place = int(found.argmax())
            if best is None or found.flat[place] > best[0]:
                best = float(found.flat[place]), rows, float(phase), place
    if best is None or best[0] < 0.08:
        raise UserError(NO_CLOCK)
    _, rows, phase, place = best
    y, x = divmod(place, shape[1])
    part = small[rows][:, max(0, y - 10) : y + 10, max(0, x - 10) : x + 10].reshape(len(rows), -1)

    def score(rate: float, phase: float) -> float:
        return float(_explained(part, np.floor(rate * t_s[rows] - phase).astype(int) % 10).clip(0.3).sum())

    tried = [(1 + r / 400, phase + p / 40 + t_s[rows].mean() * r / 400) for r in range(-4, 5) for p in range(-8, 9)]
    rate, phase = max(tried, key=lambda a: score(*a))
    return _Seconds(_extent(t_s, clock, rows, 2 * x, 2 * y, rate, phase), rate, phase, rows)


def _extent(t_s: Seconds, clock: Strips, rows: NDArray[np.intp], x: int, y: int, rate: float, phase: float) -> Box:
    """Return the box around the pixels near (x, y) that repeat every ten seconds."""
    ticks = rate * t_s[rows] - phase
    rows, ticks = rows[_settled(ticks)], ticks[_settled(ticks)]
    left, top = max(0, x - 30), max(0, y - 30)
    near = clock[rows][:, top : y + 30, left : x + 30].astype(np.float32).mean(3)
    explained = _explained(near.reshape(len(rows), -1), np.floor(ticks).astype(int) % 10).reshape(near.shape[1:])
    mask = cv2.morphologyEx((explained > 0.55).astype(np.uint8), cv2.MORPH_CLOSE, np.ones((5, 5), np.uint8))
    count, _, stats, _ = cv2.connectedComponentsWithStats(mask)
    if count < 2:
        raise UserError(NO_CLOCK)
    name = 1 + int(stats[1:, cv2.CC_STAT_AREA].argmax())
    bx, by, width, height, _ = (int(v) for v in stats[name])
    if not (14 <= width <= 42 and 18 <= height <= 42):
        raise UserError(NO_CLOCK)
    return Box(left + bx - 1, top + by - 1, width + 2, height + 2)


def _settled(ticks: Seconds) -> NDArray[np.bool_]:
    """Say which frames are not near a change of the seconds."""
    return np.abs(ticks % 1 - 0.5) < 0.4


def _explained(pixels: Floats, groups: NDArray[np.intp]) -> Floats:
    """Return how much of each pixel's variance the groups explain: R squared, (pixels,).

    `pixels` is float32 (frames, pixels). Some noise is granted, so that what never changes gives 0.
    """
    names = np.unique(groups)
    member = (groups[None] == names[:, None]).astype(np.float32)
    counts = member.sum(1)
    centred = pixels - pixels.mean(0)
    between = (np.square(member @ centred) / counts[:, None]).sum(0)
    total = np.square(centred).sum(0) + len(pixels) * 16.0
    return np.asarray(between / total, np.float32)


def _clock(t_s: Seconds, clock: Strips, seconds: _Seconds) -> tuple[Glyphs, tuple[Box, ...]]:
    """Learn the digits at the seconds' place, find the other places by them, learn from all."""
    ticks = seconds.ticks(t_s)[seconds.rows]
    settled = _settled(ticks)
    rows = seconds.rows[settled]
    box, count = seconds.box, np.floor(ticks[settled]).astype(np.intp)
    tens = box.moved(-34).of(clock[rows]).astype(np.float32).mean(3).reshape(len(rows), -1)
    if tens.size == 0:
        raise UserError(NO_CLOCK)
    split = np.stack([_explained(tens, (count - zero) // 10) for zero in range(10)])
    zero = int(split[:, split.max(0) > 0.5].mean(1).argmax()) if (split.max(0) > 0.5).any() else 0
    glyphs = Glyphs.learn(box.of(clock[rows]), (count - zero) % 10, DIGITS)
    if glyphs.characters != DIGITS:
        raise UserError(NO_CLOCK)
    sample = clock[rows[:: max(1, len(rows) // 40)]]
    tens_box = _locate(glyphs, sample, box, -34, 4)
    pitch = (box.x - tens_box.x) / 17
    boxes = (
        _locate(glyphs, sample, box, -45 * pitch, 4),
        tens_box,
        box,
        _locate(glyphs, sample, box, 28 * pitch, 4),
        _locate(glyphs, sample, box, 45 * pitch, 4),
    )
    # Now from all frames that can be read, so that many backgrounds are seen. What was learned at one place
    # is not as exact at the others, so more is let in at first. Only digits that time has checked teach:
    # minutes hardly change and hundredths go too fast, so those two are read with what the others taught.
    glyphs = replace(glyphs, fit=max(6.0, glyphs.fit * 2.5), margin=glyphs.margin / 4)
    for _ in range(2):
        known, labels = _agreeing(t_s, [clock_hundredths(glyphs, boxes, strip) for strip in clock])
        if len(known) < 0.5 * len(rows):
            raise UserError(NO_CLOCK)
        patches = np.concatenate([b.of(clock[known]) for b in boxes[1:4]])
        glyphs = Glyphs.learn(patches, labels[:, 1:4].T.reshape(-1), DIGITS)
        if glyphs.characters != DIGITS:
            raise UserError(NO_CLOCK)
        minutes, hundredths = (_locate(glyphs, sample, b, 0, 2) for b in (boxes[0], boxes[4]))
        boxes = minutes, *boxes[1:4], hundredths
    if glyphs.margin < ALIKE:
        raise UserError("the digits of the clock look too much alike: make the game's window larger, or less blurred")
    if np.quantile(glyphs.sigma.max(-1).reshape(10, -1), 0.75, axis=1).max() < STILL:
        raise UserError(STANDING)
    return glyphs, boxes


def _agreeing(t_s: Seconds, shown: list[int | None]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Return the frames whose clock agrees with the one read before, and their digits (frames, 5)."""
    known = [n for n, h in enumerate(shown) if h is not None]
    values = np.array([shown[n] for n in known], float)
    good = np.abs(np.diff(values) / 100 - np.diff(t_s[known])) < 0.1
    kept = [(n, int(v)) for n, v, ok in zip(known[1:], values[1:], good, strict=True) if ok]
    return np.array([n for n, _ in kept], np.intp), np.array([_split(v) for _, v in kept], np.intp)


def _split(hundredths: int) -> tuple[int, int, int, int, int]:
    """Return the five digits of the clock."""
    minutes, rest = divmod(hundredths, 6000)
    return minutes, rest // 1000, rest // 100 % 10, rest // 10 % 10, rest % 10


def _locate(glyphs: Glyphs, strips: Strips, box: Box, dx: float, reach: int) -> Box:
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
        raise UserError("what looks like the race clock does not run evenly: is the emulator at 100 % speed?")
    run = max(np.split(known, np.flatnonzero(~ran) + 1), key=len)
    if t_s[run[-1]] - t_s[run[0]] < LEAST_S - 4:
        raise UserError("the race clock was read for too short a time: drive for a minute without pausing")
    return float(len(run) / (run[-1] - run[0] + 1))


# --- the lap counter


def _laps(
    laps: Strips, shown: NDArray[np.intp], clock: Glyphs, boxes: Sequence[Box]
) -> tuple[Glyphs, Glyphs, Box, Box, NDArray[np.intp]]:
    """Find `n/3` at the top right and learn its digits; also return which lap each frame shows (0: none).

    Its colours are not the clock's, so it is found by shape: steady where a glyph is. Where it is and
    what it says for a while is what fits best; from there its first digit must count, forwards and backwards.
    """
    shapes = np.exp(-clock.sigma.max(-1) / 20)
    running = np.flatnonzero(shown > 0)
    n, total, box, total_box, begin = _counter(laps, running, shapes, boxes)
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
    return glyphs, fixed, box, total_box, lap_of


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
    for left, step in ((after, 1), (before[::-1], -1)):
        lap, some = n, after[:60]
        while 1 <= lap <= total and len(left) >= 5:
            known = Glyphs.learn(box.of(laps[some]), np.zeros(len(some), np.intp), "n")
            other = known.judge(box.of(laps[left]))[1] > max(known.fit * 2, 3.0)
            gone = np.convolve(other, np.ones(5), "valid") >= 5  # five in a row
            end = int(gone.argmax()) if gone.any() else len(left)
            lap_of[left[:end]] = lap
            left, lap = left[end:], lap + step
            some = left[:20]
    return lap_of


# --- the lap times below the clock


def _rows(
    clock: Strips, shown: NDArray[np.intp], lap_of: NDArray[np.intp], boxes: Sequence[Box]
) -> tuple[Glyphs, tuple[tuple[Box, ...], ...]] | None:
    """Find the small lap times and learn their digits; None when they cannot be read.

    While the first lap is driven, the first of them shows what the clock shows.
    """
    first = np.flatnonzero((lap_of == 1) & (shown > 0))
    if len(first) < 150:
        return None
    labels = np.array([_split(h) for h in shown[first]])
    below = boxes[2].y + boxes[2].height
    pixels = clock[first][:, below:].astype(np.float32).mean(3)
    cells = []
    for place in (2, 3, 4):
        explained = _explained(pixels.reshape(len(first), -1), labels[:, place]).reshape(pixels.shape[1:])
        mask = cv2.morphologyEx((explained > 0.4).astype(np.uint8), cv2.MORPH_CLOSE, np.ones((3, 5), np.uint8))
        _, _, stats, _ = cv2.connectedComponentsWithStats(mask)
        if len(stats) < 2:
            return None
        cells.append(stats[1 + int(stats[1:, cv2.CC_STAT_AREA].argmax())])
    # The hundredths go with the tenths where ten frames a second meet 25 or 30, so that these two may
    # look like one: only the tenths' left edge and the hundredths' right one are sure.
    width, height = int(cells[0][cv2.CC_STAT_WIDTH]), int(cells[0][cv2.CC_STAT_HEIGHT])
    last = int(cells[2][cv2.CC_STAT_LEFT] + cells[2][cv2.CC_STAT_WIDTH]) - width
    if not (8 <= width <= 32 and 6 <= height <= 24):
        return None
    box = Box(int(cells[1][0]), below + int(cells[1][1]), width, height)
    glyphs = Glyphs.learn(box.of(clock[first]), labels[:, 3], DIGITS)
    if len(glyphs.characters) < 10:
        return None
    sample = clock[first[:: max(1, len(first) // 40)]]
    ones = _locate(glyphs, sample, box, int(cells[0][0]) - box.x, 3)
    hundredths = _locate(glyphs, sample, box, last - box.x, 3)
    step = hundredths.x - box.x
    tens = _locate(glyphs, sample, ones, -step, 2)
    minutes = _locate(glyphs, sample, ones, -step - (box.x - ones.x), 2)
    row = (minutes, tens, ones, box, hundredths)
    patches = np.concatenate([b.of(clock[first]) for b in row])
    glyphs = Glyphs.learn(patches, labels.T.reshape(-1), DIGITS)
    # Rows are 8 of the framebuffer's pixels apart. The second one must go with the clock, a lap later.
    later = np.flatnonzero((lap_of == 2) & (shown > 0))[:100]
    over = shown[np.flatnonzero(lap_of == 2)[0]]
    lenient = replace(glyphs, fit=max(8.0, glyphs.fit * 2.5), margin=glyphs.margin / 4)
    best: tuple[int, int, list[tuple[int, int]]] = (0, 0, [])
    for pitch in range(13, 20):
        second = [b.moved(0, pitch) for b in row]
        read = [(int(n), clock_hundredths(lenient, second, clock[n])) for n in later]
        good = [(n, h) for n, h in read if h is not None and abs(h - (shown[n] - over)) < 30]
        best = max(best, (len(good), pitch, good))
    _, pitch, good = best
    if len(good) < 0.7 * len(later):
        return None
    lines = np.array([n for n, _ in good])
    more = np.array([_split(h) for _, h in good])
    patches = np.concatenate([*(b.of(clock[first]) for b in row), *(b.moved(0, pitch).of(clock[lines]) for b in row)])
    glyphs = Glyphs.learn(patches, np.concatenate([labels.T.reshape(-1), more.T.reshape(-1)]), DIGITS)
    # The third row was not learned from, and a lap time must fit the clock anyway: let more in.
    rows = tuple(tuple(b.moved(0, n * pitch) for b in row) for n in range(3))
    return replace(glyphs, fit=3.5 * glyphs.fit), rows


# --- WRONG WAY


def _banner(t_s: Seconds, banner: Strips, shown: NDArray[np.intp]) -> tuple[Glyphs, Box] | None:
    """Find words that blink in time with the clock in the middle; None when there were none."""
    on, off = _phases(shown)
    best: tuple[int, NDArray[np.bool_], NDArray[np.intp]] | None = None
    for begin in np.arange(0, t_s[-1], 0.6):
        window = (t_s >= begin) & (t_s < begin + 2.4)
        lit, dark = np.flatnonzero(window & on), np.flatnonzero(window & off)
        if min(len(lit), len(dark)) < 5:
            continue
        shows = banner[lit].astype(np.float32)
        mean = shows.mean(0)
        steady = shows.std(0).max(2) < 25
        differs = (np.abs(banner[dark] - mean).max(3) > 40).mean(0) > 0.7
        words = cv2.morphologyEx((steady & differs).astype(np.uint8), cv2.MORPH_OPEN, np.ones((2, 1), np.uint8)) > 0
        if best is None or words.sum() > best[0]:
            best = int(words.sum()), words, lit
    if best is None or best[0] < 200:
        return None
    _, words, lit = best
    ys, xs = np.nonzero(words)
    left, right = (int(v) for v in np.quantile(xs, (0.01, 0.99)))
    top, bottom = (int(v) for v in np.quantile(ys, (0.01, 0.99)))
    centred = abs((left + right) / 2 - BANNER.width / 2) < 48
    if not (centred and right - left > 60 and bottom - top < 30):
        return None
    box = Box(left, top, right - left + 1, bottom - top + 1)
    found = Glyphs.learn(box.of(banner[lit]), np.zeros(len(lit), np.intp), "W")
    _, fits, _ = found.judge(box.of(banner))
    again = np.flatnonzero(fits <= found.fit * 1.5)
    if len(again) < 6 or (off[again]).mean() > 0.05:
        return None
    return Glyphs.learn(box.of(banner[again]), np.zeros(len(again), np.intp), "W"), box


def _phases(shown: NDArray[np.intp]) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Return in which frames WRONG WAY would be on, and in which it would be off, for sure."""
    part = (shown / 100 / BLINK) % 2
    slack = 0.01 / BLINK  # the clock cuts off less than a hundredth
    return (shown >= 0) & (part >= 1) & (part < 2 - slack), (shown >= 0) & (part < 1 - slack)
