"""Checks of a frame source: a second of its frames, their clock and memory, and how it closes."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from itertools import pairwise

import numpy as np
from autopilot.api import AutopilotError, Frame, FrameSource, FrameSourceSpec, PluginError, UserError

from autopilot_kit.games import CLOSE_S, running
from autopilot_kit.subject import Missing, Subject, soon

WATCH_S, FRAMES, EVERY_S = 1.0, 40, 0.02
"""How long it is watched, how many of its frames at most, and how long between two of them."""


@dataclass
class Watched:
    """What was seen."""

    frames: list[Frame] = field(default_factory=list)
    copies: list[np.ndarray] = field(default_factory=list)
    passed_s: list[float] = field(default_factory=list)
    error: Exception | None = None
    closing: Exception | None = None
    after: str = ""
    left: list[str] = field(default_factory=list)


class SourceChecks(Subject):
    """A frame source, where the options' settings say."""

    checks = ("runs", "frames", "clock", "closes", "leaves_nothing", "prints_nothing")
    spec: FrameSourceSpec

    @cached_property
    def watched(self) -> Watched:
        """What a second of it shows."""
        seen, before = Watched(), running()
        try:
            source: FrameSource = self.load(self.spec.open, FrameSource)(self.options.settings)
        except PluginError as e:
            seen.error = e
            return seen
        except UserError as e:
            raise Missing(f"not here: {e}") from e
        begun = time.monotonic()
        try:
            while len(seen.frames) < FRAMES and time.monotonic() - begun < WATCH_S:
                seen.frames.append(source.read())
                seen.copies.append(seen.frames[-1].image.copy())
                seen.passed_s.append(time.monotonic() - begun)
                time.sleep(EVERY_S)
        except EOFError:
            pass
        except Exception as e:  # noqa: BLE001 - foreign code; told by the check `runs`
            seen.error = e
        for _ in range(2):
            try:
                source.close()
            except Exception as e:  # noqa: BLE001 - foreign code; told by the check `closes`
                seen.closing = seen.closing or e
        seen.after = _read_after(source)
        soon(lambda: not running() - before, CLOSE_S)
        seen.left = sorted(running() - before)
        return seen

    def _seen(self) -> Watched:
        if not self.watched.frames:
            raise Missing("not tried: there was no frame")
        return self.watched

    def runs(self) -> Iterator[str]:
        """It opens and gives frames of one shape, without waiting for more than one."""
        if self.watched.error is not None:
            yield self.told(self.watched.error)
        elif not self.watched.frames:
            yield "there is no frame before the EOFError; raise that when there will be no more, not before"
        waits = [b - a for a, b in pairwise(self.watched.passed_s)]
        if waits and sorted(waits)[len(waits) // 2] > 0.5:
            yield f"read() takes {sorted(waits)[len(waits) // 2]:.2f} s; return the newest frame there is"

    def frames(self) -> Iterator[str]:
        """They are nobody else's memory."""
        seen = self._seen()
        if any(not np.array_equal(f.image, copy) for f, copy in zip(seen.frames, seen.copies, strict=True)):
            yield "a later read() changes the picture of an earlier one; return a copy: image.copy()"

    def clock(self) -> Iterator[str]:
        """Their times grow as time does."""
        seen = self._seen()
        times = [frame.t_ns / 1e9 for frame in seen.frames]
        if any(b < a for a, b in pairwise(times)):
            yield "t_ns goes backwards; take time.monotonic_ns() when the picture is taken"
            return
        real, told = seen.passed_s[-1] - seen.passed_s[0], times[-1] - times[0]
        if real > WATCH_S / 2 and abs(told - real) > 0.25 * real + 0.2:  # this machine may be busy
            yield f"t_ns moves on by {told:.2f} s in {real:.2f} s; count nanoseconds, by time.monotonic_ns()"

    def closes(self) -> Iterator[str]:
        """Closing is quiet, twice as well; reading afterwards is told in a line."""
        error = self.watched.closing
        if error is not None:
            yield f"{error if isinstance(error, AutopilotError) else self.told(error)}; let close() do no harm twice"
        if self.watched.after:
            yield f"read() after close(): {self.watched.after}; raise a DeviceError"

    def leaves_nothing(self) -> Iterator[str]:
        """No thread or process goes on after it was closed."""
        for what in self.watched.left:
            yield f"{what} goes on {CLOSE_S:.0f} s after close(); end it there, and wait for it"


def _read_after(source: FrameSource) -> str:
    """Return what is wrong with reading a source that was closed, in words."""
    try:
        source.read()
    except PluginError as e:
        return str(e.__cause__ or e)[:80]
    except (AutopilotError, EOFError):
        return ""
    return "gives a frame"
