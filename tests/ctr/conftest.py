"""Templates learned once from a drawn race, for all workers of a test run."""

from __future__ import annotations

import os
from pathlib import Path

import filelock
import pytest
from autopilot_ctr.hud_learn import learn
from autopilot_ctr.hud_templates import Templates
from drawn import Look, Race, Screen, play

SCREEN = Screen((880, 400), (1.03, 0.95), (0.01, 0.02), blur=0.6, lines=0.3, noise=8)
"""An odd scale, overscan, soft, with scanlines and noise."""
LOOK = Look("serif", "map", track=5, slash=11)


@pytest.fixture(scope="session")
def templates(tmp_path_factory: pytest.TempPathFactory) -> Templates:
    """What is learned of that screen in 48 s: two laps, and the wrong way for four seconds."""
    base = tmp_path_factory.getbasetemp()
    path: Path = (base.parent if os.environ.get("PYTEST_XDIST_WORKER") else base) / "ctr-hud.npz"
    with filelock.FileLock(path.with_suffix(".lock")):
        if not path.exists():
            race = Race(3, 300.0, 30, LOOK)
            learned = learn(f for f, _ in play(race, SCREEN, 48.0, 1, wrong=((24.0, 4.0),)))
            assert (learned.laps, learned.lap_times, learned.wrong_way) == ("123", True, True)
            assert learned.read > 0.98
            learned.templates.save(path)
    return Templates.load(path)
