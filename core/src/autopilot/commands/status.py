"""Observers for a person at a terminal: the countdown, and a live line that says how a run goes."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Protocol

from autopilot.api.types import Step
from autopilot.commands import ui
from autopilot.drive.recorder import SessionRecorder
from autopilot.drive.run import Observer, Run


class Line(Protocol):
    """Shows a live line; with `news` a log must have it too."""

    def __call__(self, text: str, news: bool = False) -> None:
        """Show the text in place of the last one."""


class Countdown(Observer):
    """Counts 3-2-1 before a run by the wall clock, and keeps the game's window alive meanwhile."""

    def prepare(self, run: Run) -> None:
        """Count."""
        for n in (3, 2, 1):
            ui.err.print(f"{n}…", style="bold yellow")
            until = time.monotonic() + 1
            while time.monotonic() < until:
                if run.world.reader is not None:
                    run.world.reader.hotkeys()
                time.sleep(0.02)
        ui.err.print("go", style="bold green")


class Status(Observer):
    """Says of each step what `describe` makes of it, and tells of a pause and of a game that is away."""

    def __init__(self, line: Line, describe: Callable[[Step], str]) -> None:
        self._line, self._describe = line, describe

    def step(self, step: Step) -> None:
        """Describe it."""
        self._line(self._describe(step))

    def pause(self, paused: bool) -> None:
        """Tell of it."""
        self._line("PAUSED, nothing is held" if paused else "driving", news=True)

    def away(self, reason: str | None) -> None:
        """Tell of it."""
        self._line(f"WAITING, nothing is held: {reason}" if reason else "driving", news=True)


class RecordingStatus(Observer):
    """Says how a recording goes: frames, rate, the commonest labels, what was discarded."""

    def __init__(self, line: Line, track: str, recorder: SessionRecorder) -> None:
        self._line, self._track, self._recorder = line, track, recorder
        self._run: Run | None = None
        self._state = "recording"

    def begin(self, run: Run) -> None:
        """Note the run, whose rate is shown."""
        self._run = run

    def step(self, step: Step) -> None:
        """Show the line."""
        self._show(self._state)

    def pause(self, paused: bool) -> None:
        """Tell of it."""
        self._show("PAUSED" if paused else "recording")

    def away(self, reason: str | None) -> None:
        """Tell of it."""
        self._show(f"WAITING ({reason})" if reason else "recording")

    def discard(self) -> None:
        """Show how much was."""
        self._show(self._state)

    def _show(self, state: str) -> None:
        counts = self._recorder.counts
        total = max(sum(counts.values()), 1)
        labels = "  ".join(f"{label} {100 * n // total}%" for label, n in counts.most_common(5))
        labels += f"  {self._recorder.discarded} discarded" if self._recorder.discarded else ""
        rate = self._run.timing.achieved_hz if self._run else 0.0
        frames = self._recorder.frames
        self._line(f"{state} {self._track}: {frames} frames  {rate:.1f}/s  {labels}", news=state != self._state)
        self._state = state


def describe_drive(step: Step, scored: bool = False) -> str:
    """Return who drives, how far, and what is held, in a line; a `scored` game has no laps."""
    r, held = step.reading, " ".join(sorted(step.decision.sent))
    score = "" if r is None or r.score is None else f"  score {r.score:.0f}"
    lap = "" if r is None or scored else f"  lap {r.lap + 1}"
    who = "YOU DRIVE" if step.decision.by_human else "driving"
    return f"{who}: {step.index} decisions{lap}{score}  [{held}]"
