"""Frames from a video file, by its own times."""

from __future__ import annotations

import time
from collections.abc import Iterator
from fractions import Fraction
from itertools import chain, pairwise
from typing import TYPE_CHECKING, NamedTuple

from autopilot.api import Box, DeviceError, Frame, UserError

from autopilot_screen.picture import decoded, rgb

if TYPE_CHECKING:
    import av
    from av.container import InputContainer

EARLY_NS = 1_000_000
"""A picture may be given so much before its time: some formats round times to milliseconds."""

SKIPPED_NS = 3_000_000_000
"""A film that is not read for longer waits, as in a pause; and decoding that is too slow skips no more than this."""


class Shown(NamedTuple):
    """A picture, from when and until when it is shown, in nanoseconds since the first one."""

    begin_ns: int
    end_ns: int
    frame: av.VideoFrame


class Film:
    """The pictures of a file, which this closes; `region` (x, y, width, height) is cut out of each.

    It plays in real time from the first `read` on or, once there was a `skip`, by these alone.
    Raises UserError when no picture can be read.
    """

    def __init__(self, container: InputContainer, name: str, region: Box | None) -> None:
        self._container, self._name, self._region = container, name, region
        self._pictures = _timed(container, name)
        first = next(self._pictures, None)
        if first is None:
            raise UserError(f"{name} holds no picture that can be read: is it whole? else convert it to H.264 in .mp4")
        self._now = first
        self._at_ns, self._given_ns = 0, -1
        self._asked_ns: int | None = None
        self._by_hand = self._closed = False

    def read(self) -> Frame:
        """Return the picture that is due, uint8 RGB (H, W, 3), contiguous; `t_ns` is its presentation time.

        One that is shown for longer is given again, with the time that it is then. Raises EOFError at the
        end of the file, DeviceError when it was closed or cannot be read on, UserError for a region outside.
        """
        if self._closed:  # to PyAV, reading on is a crash
            raise DeviceError(f"{self._name} was closed; open it again")
        asked_ns = time.monotonic_ns()
        if not self._by_hand and self._asked_ns is not None:
            self._at_ns += min(asked_ns - self._asked_ns, SKIPPED_NS)
        self._asked_ns = asked_ns
        while self._now.end_ns <= self._at_ns + EARLY_NS:
            later = next(self._pictures, None)
            if later is None:
                raise EOFError(self._name)
            self._now = later
        new = self._now.begin_ns > self._given_ns
        self._given_ns = self._now.begin_ns if new else max(self._at_ns, self._given_ns)
        return Frame(rgb(self._now.frame, self._region, self._name), self._given_ns)

    def skip(self, seconds: float) -> None:
        """Let so much of the film's own time pass; from now on none passes by itself."""
        self._by_hand = True
        self._at_ns += round(seconds * 1e9)

    def close(self) -> None:
        """Close the file."""
        self._closed = True
        self._container.close()


def _timed(container: InputContainer, name: str) -> Iterator[Shown]:
    """Yield the pictures with their times: the file's own or, where it has none or they run back, by its rate."""
    usual = next((1 / video.guessed_rate for video in container.streams.video if video.guessed_rate), Fraction(1, 25))
    at = Fraction(0)
    for frame, after in pairwise(chain(decoded(container, name), [None])):
        assert frame is not None
        end = at + (_lasts(frame, after) or usual)
        yield Shown(round(at * 10**9), round(end * 10**9), frame)
        at = end


def _lasts(frame: av.VideoFrame, after: av.VideoFrame | None) -> Fraction:
    """Return for how many seconds a picture is shown; 0 where the file does not say."""
    ticks = 0
    if after is not None and after.pts is not None and frame.pts is not None:
        ticks = after.pts - frame.pts
    return (ticks if ticks > 0 else frame.duration or 0) * (frame.time_base or Fraction(0))
