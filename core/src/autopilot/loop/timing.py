"""Honest timing of the loop: every stage of every step, achieved against wanted rate."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


class Timing:
    """Stage times in nanoseconds. `hz` is the rate that the bundle or the user wants."""

    def __init__(self, hz: float, lockstep: bool) -> None:
        self.hz = hz
        self.lockstep = lockstep
        self.stages: dict[str, list[int]] = {}
        self._started = time.monotonic_ns()
        self._step_started = self._started
        self._steps: list[int] = []
        self._paused_ns = 0

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Time one stage of the current step."""
        begun = time.monotonic_ns()
        yield
        self.stages.setdefault(name, []).append(time.monotonic_ns() - begun)

    @contextmanager
    def pause(self) -> Iterator[None]:
        """Leave out the time of a pause."""
        begun = time.monotonic_ns()
        yield
        self._paused_ns += time.monotonic_ns() - begun

    def begin_step(self) -> None:
        """Mark where a step begins."""
        self._step_started = time.monotonic_ns()

    def end_work(self) -> None:
        """Mark where the step's work ends and waiting for the next one begins."""
        self._steps.append(time.monotonic_ns() - self._step_started)

    @property
    def achieved_hz(self) -> float:
        """Steps a second so far, pauses left out."""
        return len(self._steps) / self._elapsed()

    def _elapsed(self) -> float:
        return max((time.monotonic_ns() - self._started - self._paused_ns) / 1e9, 1e-9)

    def report(self) -> dict[str, Any]:
        """Return rates in Hz, overruns (steps whose work took longer than a period), stages in ms.

        With a wall clock `on_time` is the share of decisions taken within their period.
        """
        import numpy as np

        elapsed = self._elapsed()
        work = np.asarray(self._steps or [0]) / 1e6
        overruns = int((work > 1000.0 / self.hz).sum())
        achieved = len(self._steps) / elapsed
        return {
            "steps": len(self._steps),
            "seconds": round(elapsed, 3),
            "wanted_hz": self.hz,
            "achieved_hz": round(achieved, 2),
            "clock": "lock-step" if self.lockstep else "wall",
            "times_real_time": round(achieved / self.hz, 2),
            "overruns": overruns,
            "on_time": round(1 - overruns / max(len(self._steps), 1), 4),
            "stages_ms": {
                name: {
                    "p50": round(float(np.percentile(ns, 50)) / 1e6, 3),
                    "p99": round(float(np.percentile(ns, 99)) / 1e6, 3),
                }
                for name, ns in self.stages.items()
            },
        }
