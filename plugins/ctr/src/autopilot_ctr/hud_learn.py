"""Learns the HUD's glyphs from the user's own race: the clock counts, so it labels its own digits.

Nothing of the game is known here but where its HUD stands, about. The clock is learned first, and with
its ten glyphs the rest is found; and since a clock must run with the frames' own time, what was learned
is checked by what it reads. Whatever is unsure is refused.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from autopilot.api import Frame, UserError
from numpy.typing import NDArray

from autopilot_ctr.hud_glyphs import BANNER, CLOCK, LAPS, Box, Floats, Glyphs
from autopilot_ctr.hud_learn_clock import LEAST_S, Seconds, Strips, learn_clock
from autopilot_ctr.hud_learn_laps import learn_counter, learn_rows
from autopilot_ctr.hud_templates import Templates, path_of

MOST_FRAMES = 1200
"""Of more frames than this, every second one is used, and so on: memory."""
BLINK = 128 / 960
"""WRONG WAY is on while bit 7 of the clock, in 1/960 s, is set: seconds."""


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
    instead = "taken from the clock instead, to half a frame" if "1" in learned.laps else "begin in the first lap"
    missing = [f"lap times ({instead})"] * (not learned.lap_times)
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
    known = learn_clock(t_s, clock)
    counter = learn_counter(laps, known)
    rows = learn_rows(clock, known, counter.lap_of)
    band = _banner(t_s, banner, known.shown)
    small, places = rows or (None, ())
    wrong, place = band or (None, None)
    about = (counter.laps, counter.of, counter.lap, counter.total)
    templates = Templates(size, known.glyphs, known.boxes, *about, small, places, wrong, place)
    seen = "".join(sorted({str(n) for n in counter.lap_of if n > 0}))
    return Learned(templates, len(t_s), known.share, seen, rows is not None, band is not None)


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
    clock, laps, banner = (np.stack(kept) for kept in strips)
    return (np.array(times) - times[0]) / 1e9, clock, laps, banner, size


def _banner(t_s: Seconds, banner: Strips, shown: NDArray[np.intp]) -> tuple[Glyphs, Box] | None:
    """Find words that blink in time with the clock in the middle; None when there were none."""
    on, off = _phases(shown)
    best: tuple[int, NDArray[np.bool_], NDArray[np.intp], Floats] | None = None
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
            best = int(words.sum()), words, lit, np.median(banner[dark], 0).astype(np.float32)
    if best is None or best[0] < 200:
        return None
    _, words, lit, _ = best
    ys, xs = np.nonzero(words)
    left, right = (int(v) for v in np.quantile(xs, (0.01, 0.99)))
    top, bottom = (int(v) for v in np.quantile(ys, (0.01, 0.99)))
    if abs((left + right) / 2 - BANNER.width / 2) >= 48 or right - left <= 60 or bottom - top >= 30:
        return None
    box = Box(left, top, right - left + 1, bottom - top + 1)
    behind = box.at(best[3])
    glyphs = Glyphs.learn(box.of(banner[lit]), np.zeros(len(lit), np.intp), "W", behind)
    again = np.flatnonzero(glyphs.judge(box.of(banner))[1] <= glyphs.fit * 1.5)
    if len(again) < 6 or (off[again]).mean() > 0.05:
        return None
    return Glyphs.learn(box.of(banner[again]), np.zeros(len(again), np.intp), "W", behind), box


def _phases(shown: NDArray[np.intp]) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Return in which frames WRONG WAY would be on, and in which it would be off, for sure."""
    part = (shown / 100 / BLINK) % 2
    slack = 0.01 / BLINK  # the clock cuts off less than a hundredth
    return (shown >= 0) & (part >= 1) & (part < 2 - slack), (shown >= 0) & (part < 1 - slack)
