"""Reads Crash Team Racing's HUD: race clock, lap, lap times, WRONG WAY, countdown and finish.

What the glyphs look like was learned from the user's own screen (`autopilot_ctr.hud_learn`). A number
is believed only when it goes with the ones before: the clock runs with the frames' own time and never
backwards, the lap counts up by one. The game takes the lap counter away when the race is over, while
the clock stands for two seconds more: that is how a finish differs from a pause.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from autopilot.api import Frame, Image, Reading

from autopilot_ctr.hud_glyphs import BANNER, CLOCK, LAPS
from autopilot_ctr.hud_templates import Templates, clock_hundredths, path_of, read_clock

_log = logging.getLogger("autopilot")

TICK = 20
"""The clock and the frames' own times may disagree by this many hundredths of a second."""
LEAP = 80
"""So many hundredths may pass at once when the picture comes late."""
GAP = 100
"""With the clock gone for longer than this and back near zero, a new race has begun: hundredths."""
ESTIMATE = 30
"""A lap time on the screen is that lap's when it is as near to what the clock may have said: hundredths."""
AGREE = 3
"""So many frames must say the same of a lap, a lap time, the end of the race."""
PATIENCE = 9
"""So many frames may pass until a lap time is read; then it is taken from the clock."""
SURE = 17
"""A lap time that only the clock says is told where less than this lies between the two frames before and after
each line, in hundredths: at ten frames a second no frame there was left unread."""
NEAR = 3
"""What is cut off to hundredths adds up to less than this in a sum of laps: hundredths."""
LOOSE_FIT, LOOSE_MARGIN = 12.0, 0.1
"""A lap time beside the clock's own difference may fit as badly, and win by this share of the margin: on
another row the same digit falls on other pixels of the window, and between other scanlines."""
LATCH_NS = 400_000_000
"""WRONG WAY blinks, 133 ms on and 133 ms off; it counts for so long after it was seen."""


def make(folder: Path, profile: str) -> HudReader | None:
    """Return the reader for a profile's templates, or None when none were learned.

    Raises UserError when the file is damaged.
    """
    path = path_of(folder, profile)
    return HudReader(Templates.load(path)) if path.exists() else None


class HudReader:
    """Follows one race after another.

    `race_time_s` is None where the clock was not read for sure, and 0 during the countdown. `lap`
    counts completed laps. A lap time is the one that the game shows below the clock, where that can be
    read, else the difference of the clock around the lines, off by at most half the time between two
    frames at each, or none where these were not near enough (`SURE`). It is told once that is decided, up
    to `PATIENCE` frames after the line, and stays. `lap_times_s` begins with the first lap and ends before
    one whose time is not known, so that it may be shorter than `lap`. `incident` is WRONG WAY.
    """

    def __init__(self, templates: Templates) -> None:
        self._templates = templates
        small = templates.small
        self._loose = small and replace(small, fit=LOOSE_FIT, margin=LOOSE_MARGIN * small.margin)
        self._wrong_ns: int | None = None
        self._warned = False
        self.reset()

    def reset(self) -> None:
        """Forget the race: what comes next is another."""
        self._believed: tuple[int, int] | None = None  # the clock in hundredths, t_ns
        self._doubted: tuple[int, int] | None = None
        self._ahead = 0.0  # the most that the clock was ahead of the frames' times, in hundredths
        self._lap, self._of = 0, 0
        self._proposed: tuple[tuple[int, int], int] | None = None  # a counter, how often it was seen
        self._passed = self._gap = 0  # the clock at the line, should the proposed counter be true; its leap there
        self._before: int | None = None  # the clock in the frame before
        self._on_lap: int | None = None  # the clock in the last frame that showed the lap being driven
        self._crossed: int | None = None  # the clock when this lap began, about
        self._leap = 0  # the clock's leap there; 0 where that was read
        self._times: list[int | None] = []
        self._near: list[int] = []  # how far off each lap's time may be, in hundredths; 0 where it was read
        self._votes: dict[int, Counter[int]] = {}
        self._looked: Counter[int] = Counter()  # how often each lap's row was looked at
        self._gone = 0
        self._finished = False

    def read(self, frame: Frame) -> Reading:
        """Read one frame of the whole picture; one of another shape than was learned gives confidence 0."""
        time, confidence = self._clock(frame)
        laps = LAPS.cut(frame.image) if time is not None else None
        if time is not None and laps is not None and not self._finished:
            counter, gone = self._counter(laps)
            self._count(counter, gone, time, frame.image)
        if self._wrong(frame.image):
            self._wrong_ns = frame.t_ns
        wrong = self._wrong_ns is not None and 0 <= frame.t_ns - self._wrong_ns <= LATCH_NS and not self._finished
        return Reading(
            lap=self._lap,
            lap_times_s=tuple(self._told()),
            race_time_s=None if time is None else time / 100,
            incident=wrong,
            wrong_way=wrong,
            finished=self._finished,
            confidence=confidence,
        )

    def _clock(self, frame: Frame) -> tuple[int | None, float]:
        """Return the clock in hundredths and a confidence; None when it is unsure or not believed."""
        height, width = frame.image.shape[:2]
        if (width, height) != self._templates.size and not self._warned:
            then = "{}x{}".format(*self._templates.size)
            _log.warning("autopilot: the HUD was learned at %s, now it is %dx%d: learn it anew", then, width, height)
            self._warned = True
        if abs(width / height * self._templates.size[1] / self._templates.size[0] - 1) > 0.02:
            return None, 0.0
        clock = read_clock(self._templates.clock, self._templates.boxes, CLOCK.cut(frame.image))
        if clock is None or not self._believe(clock[0], frame.t_ns):
            return None, 0.0
        return clock

    def _believe(self, time: int, t_ns: int) -> bool:
        """Whether the clock agrees with the last one believed, or with one that was doubted."""
        # A picture that came late is made up for by a leap, to no more than the clock was ahead before.
        leap = self._believed is not None and time - t_ns / 1e7 <= self._ahead + TICK
        if self._believed and _follows(self._believed, time, t_ns, LEAP if leap else TICK):
            self._believed, self._doubted = (time, t_ns), None
            self._ahead = max(self._ahead, time - t_ns / 1e7)
            return True
        began = self._believed is not None and time <= (t_ns - self._believed[1]) / 1e7 - GAP
        agreed = self._doubted is not None and _follows(self._doubted, time, t_ns, TICK)
        self._doubted = time, t_ns
        if agreed and (self._believed is None or began):
            self.reset()
            self._believed, self._ahead = (time, t_ns), time - t_ns / 1e7
            return True
        return False

    def _counter(self, strip: Image) -> tuple[tuple[int, int] | None, bool]:
        """Return the lap being driven and their number, if sure; and whether nothing like them is there."""
        known = self._templates
        patch = known.total.of(strip)[None]
        lap, of = known.laps.read(known.lap.of(strip)[None]), known.of.read(patch)
        if lap is not None and of is not None and "1" <= lap[0] <= of[0]:
            return (int(lap[0]), int(of[0])), False
        _, fits, _ = known.of.judge(patch)
        return None, lap is None and bool(fits[0] > 2 * known.of.fit)

    def _count(self, counter: tuple[int, int] | None, gone: bool, time: int, image: Image) -> None:
        """Take in a frame whose clock was believed."""
        if counter is not None:
            self._stays()
            if self._of == 0 or (counter[1] == self._of and counter[0] in (self._lap + 1, self._lap + 2)):
                self._confirm(counter, time)
            if counter == (self._lap + 1, self._of):
                self._on_lap = time
        elif gone and self._of > 0 and self._lap == self._of - 1 and self._before is not None:
            if time == self._before:
                self._gone += 1
            else:
                self._stays()
        self._before = time
        for n, estimate in enumerate(self._times):
            self._vote(n, image, estimate, self._near[n])
        if self._gone:
            self._over(time, image)

    def _stays(self) -> None:
        """Take back that the race seemed to be over."""
        if self._gone:
            self._gone = 0
            self._votes.pop(self._lap, None)
            self._looked.pop(self._lap, None)

    def _over(self, time: int, image: Image) -> None:
        """Take in a frame in which the race seems to be over: the clock stands at what it was at the line."""
        n, near = self._lap, NEAR + self._leap
        estimate = None if self._crossed is None else time - self._crossed
        self._vote(n, image, estimate, near)
        shown = self._agreed(n, estimate, near)
        if self._gone >= (2 * AGREE if shown is None else AGREE):
            self._times.append(estimate if shown is None else shown)
            self._near.append(near if shown is None else 0)
            self._looked[n] = PATIENCE
            self._lap, self._finished = n + 1, True

    def _confirm(self, counter: tuple[int, int], time: int) -> None:
        """Believe a counter that several frames show; its lap began before the first of them."""
        if self._proposed is None or self._proposed[0] != counter:
            same = self._of and counter[0] == self._lap + 1
            self._proposed = None if same else (counter, 0)
            before = time if self._on_lap is None else self._on_lap
            self._passed, self._gap = (before + time) // 2, time - before
        if self._proposed is None:
            return
        self._proposed = counter, self._proposed[1] + 1
        if self._proposed[1] < AGREE:
            return
        self._proposed = None
        if self._of == 0:
            self._of, self._lap = counter[1], counter[0] - 1
            self._times, self._near = [None] * self._lap, [0] * self._lap
            self._crossed = 0 if self._lap == 0 else None
        else:
            self._times.append(None if self._crossed is None else self._passed - self._crossed)
            self._near.append(NEAR + max(self._leap, self._gap))
            self._lap, self._crossed, self._leap = self._lap + 1, self._passed, self._gap

    def _vote(self, n: int, image: Image, estimate: int | None, near: int) -> None:
        """Read the time of lap `n` (from 0) below the clock, until several frames say the same.

        `estimate` is what the clock said, off by at most `near` hundredths.
        """
        if self._decided(n):
            return
        self._looked[n] += 1
        row, strip = self._templates.rows[n], CLOCK.cut(image)
        read = clock_hundredths(self._templates.small, row, strip) if self._templates.small else None
        if read is None and self._loose is not None and estimate is not None:
            loose = clock_hundredths(self._loose, row, strip)
            read = loose if loose is not None and abs(loose - estimate) <= near else None
        self._votes.setdefault(n, Counter()).update([] if read is None else [read])
        shown = self._agreed(n, estimate, near)
        if shown is not None and n < len(self._times):
            self._times[n], self._near[n] = shown, 0
            known = [lap for lap, off in zip(self._times, self._near, strict=True) if lap is not None and off == 0]
            if len(known) == self._lap:
                self._crossed, self._leap = sum(known), 0

    def _agreed(self, n: int, estimate: int | None = None, near: int = 0) -> int | None:
        """Return what several frames showed of lap `n`, unless the clock said otherwise."""
        for shown, votes in self._votes.get(n, Counter()).most_common(1):
            if votes >= AGREE and (estimate is None or abs(shown - estimate) <= ESTIMATE + near):
                return shown
        return None

    def _decided(self, n: int) -> bool:
        """Whether the time of lap `n` stays as it is."""
        return n >= len(self._templates.rows) or self._looked[n] >= PATIENCE or self._agreed(n) is not None

    def _told(self) -> Iterator[float]:
        """Yield the lap times in seconds, up to the first that is not decided or not sure."""
        for n, time in enumerate(self._times):
            if time is None or not self._decided(n) or self._near[n] > NEAR + SURE:
                return
            yield time / 100

    def _wrong(self, image: Image) -> bool:
        """Whether WRONG WAY is on the screen now."""
        if self._templates.wrong is None or self._templates.banner is None:
            return False
        patch = self._templates.banner.of(BANNER.cut(image))
        return patch.size > 0 and self._templates.wrong.read(patch[None]) is not None


def _follows(before: tuple[int, int], time: int, t_ns: int, slack: int) -> bool:
    """Whether a clock that showed `before` may show `time` now: it may stand still (a pause)."""
    return 0 <= time - before[0] <= (t_ns - before[1]) / 1e7 * 1.2 + slack
