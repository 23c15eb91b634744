"""Sittings of the coach on the tutorial's game, with its demonstrator as the person and its tiny network."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import autopilot
from autopilot.desktop.desktop import DEFAULTS
from autopilot_coach.sitting import CoachOptions, Sitting

OPTIONS = CoachOptions(
    name="learner",
    game="ribbon",
    model="tiny",
    human="demonstrator",
    tracks=("0", "1", "2"),
    exam=("5000",),
    minutes=1.2,
    first_s=20,
    more_s=1000,
    samples=(2_000, 500, 2_000),
    quick=True,
    lesson_s=5,
)


class Heard:
    """A listener that remembers."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.shown = 0

    def say(self, line: str) -> None:
        self.lines.append(line)

    def show(self, sitting: Sitting, step: object) -> None:
        self.shown += 1


class Held:
    """A sitting that was held, and what was heard of it."""

    def __init__(self, root: Path) -> None:
        self.root, self.heard = root, Heard()
        self.state = self.again().go()

    def again(self, home: Path | None = None, **changes: object) -> Sitting:
        return hold(home or self.root, self.heard, **changes)


def hold(home: Path, heard: Heard, **changes: object) -> Sitting:
    return Sitting(autopilot.open(home), DEFAULTS, replace(OPTIONS, **changes), heard)
