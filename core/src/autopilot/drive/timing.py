"""Honest timing of the loop: every stage of every step, achieved against wanted rate."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


class Timing:
    """Stage times in nanoseconds. `hz` is the rate that the bundle or the user wants."""

    def __init__(self, hz: float, lockstep: bool) -> None:
        self.hz, self.lockstep = hz, lockstep
        self.stages: dict[str, list[int]] = {}
        self._started = self._step_started = time.monotonic_ns()
        self._steps: list[int] = []
        self._paused_ns = 0
        self._stopped: int | None = None

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

    def start(self) -> None:
        """Mark where the run begins, what came before forgotten."""
        self._started = self._step_started = time.monotonic_ns()

    def begin_step(self) -> None:
        """Mark where a step begins."""
        self._step_started = time.monotonic_ns()

    def end_work(self) -> None:
        """Mark where the step's work ends and waiting for the next one begins."""
        self._steps.append(time.monotonic_ns() - self._step_started)

    def stop(self) -> None:
        """Mark where the run ends."""
        self._stopped = time.monotonic_ns()

    @property
    def achieved_hz(self) -> float:
        """Steps a second so far, pauses left out."""
        return len(self._steps) / self._elapsed()

    def _elapsed(self) -> float:
        return max(((self._stopped or time.monotonic_ns()) - self._started - self._paused_ns) / 1e9, 1e-9)

    def report(self, replaced: int = 0) -> dict[str, Any]:
        """Return rates in Hz, overruns (steps whose work took longer than a period), stages in ms.

        With a wall clock `on_time` is the share of decisions taken within their period. `replaced` is how often the
        process that presses was. `warnings` says in lines for a person what makes the run a poor one.
        """
        elapsed = self._elapsed()
        overruns = sum(ns > 1e9 / self.hz for ns in self._steps)
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
            "stages_ms": {name: _percentiles_ms(ns) for name, ns in self.stages.items()},
            "device_replaced": replaced,
            "warnings": [*self._too_slow(achieved, elapsed), *_unsteady(replaced)],
        }

    def _too_slow(self, achieved: float, elapsed: float) -> Iterator[str]:
        if not self.lockstep and achieved < self.hz / 2 and elapsed * self.hz >= 2:
            stage = max(self.stages, key=lambda name: sum(self.stages[name]), default="no stage")
            yield (
                f"the loop ran at {achieved:.1f} of {self.hz:g} Hz, less than half of what was wanted;"
                f" most of its time went into {stage}"
            )


def _percentiles_ms(ns: list[int]) -> dict[str, float]:
    import numpy as np

    return {f"p{share}": round(float(np.percentile(ns, share)) / 1e6, 3) for share in (50, 99)}


def _unsteady(replaced: int) -> Iterator[str]:
    if replaced:
        times = "once" if replaced == 1 else f"{replaced} times"
        yield f"the device hung or its process was ended, and it was replaced {times}; nothing was held meanwhile"
