"""An outside plugin with Enduro and discrete CarRacing: its scripted drivers drive them."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from support.apart import start
from support.plugins import install


@pytest.fixture(scope="module")
def arcade(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("ale_py", reason="missing: ale-py")
    return install("autopilot-arcade", tmp_path_factory.mktemp("arcade") / "site")


@pytest.mark.parametrize(("game", "seconds", "steps", "least"), [("enduro", 20, 300, 10), ("racing", 6, 100, 80)])
def test_the_scripted_drivers_score(
    arcade: Path, tmp_path: Path, game: str, seconds: int, steps: int, least: float
) -> None:
    env = {**os.environ, "AUTOPILOT_HOME": str(tmp_path), "PYTHONPATH": str(arcade)}
    args = f"drive --game {game} --bundle demonstrator --track 1 --seconds {seconds} --json"
    report = json.loads(start(args.split(), env, tmp_path / "io", None).wait().out)
    assert report["timing"]["steps"] == steps
    assert report["reading"]["score"] >= least
