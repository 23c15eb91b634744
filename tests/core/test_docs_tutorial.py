"""The tutorial, done: its files typed from the page, installed, recorded, trained and raced."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]


def type_files(page: str, folder: Path) -> None:
    """Write each code block that follows a path, as a reader of the page would."""
    for path, content in re.findall(r"^`autopilot-ribbon/([^`]+)`[^\n]*:\n\n```\w+\n(.*?)```$", page, re.M | re.S):
        file = folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(content, encoding="utf-8")


def install(folder: Path, python: Path) -> None:
    """Install the folder as `uv pip install` does, but offline and without uv.

    The plugin's own build back-end makes the wheel; to unpack a wheel is to install it.
    """
    subprocess.run(
        [sys.executable, "-c", "from hatchling.build import build_wheel as b; b('dist')"], cwd=folder, check=True
    )
    site = subprocess.check_output([python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"], text=True)
    (wheel,) = (folder / "dist").glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(site.strip())
    # What is installed here is installed there, too; addsitedir, since .pth files do not nest.
    here = sysconfig.get_path("purelib")
    Path(site.strip(), "outer.pth").write_text(f"import site; site.addsitedir({here!r})\n")


class Shell:
    """Runs `autopilot` in the fresh environment."""

    def __init__(self, python: Path, home: Path) -> None:
        self.home = home
        self._python = python

    def __call__(self, *arguments: str) -> Any:
        """Return what the command prints with `--json`."""
        return json.loads(self.text(*arguments, "--json"))

    def text(self, *arguments: str) -> str:
        """Return what the command prints."""
        done = subprocess.run(
            [self._python, "-m", "autopilot", *arguments],
            env={**os.environ, "AUTOPILOT_HOME": str(self.home)},
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout


def masked(printed: str) -> str:
    """Return the line that ends a training, without its numbers and what stands there now and then."""
    line = next(line for line in printed.splitlines() if line.startswith("bundle "))
    return re.sub(r"\d+(\.\d+)?", "N", re.sub(r", \d+ % of the time spent waiting for data", "", line))


@pytest.fixture(scope="module")
def autopilot(tmp_path_factory: pytest.TempPathFactory) -> Shell:
    root = tmp_path_factory.mktemp("tutorial")
    venv = pytest.importorskip("venv", reason="an embedded Python makes no environments")
    venv.create(root / "venv", symlinks=os.name != "nt")
    python = root / "venv" / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    page = (ROOT / "docs/plugins/tutorial.md").read_text(encoding="utf-8")
    type_files(page, root / "autopilot-ribbon")
    install(root / "autopilot-ribbon", python)
    return Shell(python, root / "home")


def test_plugin_is_listed(autopilot: Shell):
    rows = {row["distribution"]: row for row in autopilot("plugins")}
    ribbon = rows["autopilot-ribbon"]
    assert ribbon["status"] == "ok"
    assert ribbon["provides"] == {"game": ["ribbon"], "label map": ["ribbon"], "model": ["tiny"]}
    assert rows["autopilot-carracing"]["status"] == "ok"


@pytest.mark.slow
def test_game_and_network_of_the_tutorial_race(autopilot: Shell):
    game = ("--game", "ribbon")
    driver = ("--driver", "demonstrator", "--track", "0-2", "--noise", "0.1")
    recorded = autopilot("record", *game, *driver)
    assert [r["ending"] for r in recorded] == ["finished"] * 3

    trained = autopilot.text("train", "--model", "tiny", "--epochs", "8", "--batch-size", "32")
    for page in ("docs/plugins/tutorial.md", "docs/training.md"):
        assert masked((ROOT / page).read_text(encoding="utf-8")) == masked(trained)
    (accuracy,) = re.findall(r"validation accuracy ([\d.]+) %", trained)
    assert float(accuracy) > 80

    film = autopilot.home / "lap.mp4"
    lap = ("--track", "20", "--laps", "1", "--film", str(film))
    drove = autopilot("drive", *game, "--bundle", "ribbon-tiny", *lap)
    assert drove["ending"] == "finished"
    assert film.stat().st_size > 10_000

    drivers = ("--drivers", "demonstrator,ribbon-tiny,random")
    raced = autopilot("race", *game, *drivers, "--tracks", "21", "--laps", "2", "--name", "first")
    rows = {row["driver"]: row for row in raced["summary"]}
    assert rows["demonstrator"]["finished"] == rows["ribbon-tiny"]["finished"] == 1
    assert rows["ribbon-tiny"]["lap_ratio"] < 1.5
    assert rows["random"]["finished"] == 0
    assert (autopilot.home / "races/first/race.png").stat().st_size > 5_000


def test_sessions_are_read_by_the_script_in_the_docs(autopilot: Shell):
    page = (ROOT / "docs/sessions-format.md").read_text(encoding="utf-8")
    (script,) = re.findall(r"```python\n(.*?)```", page, re.S)
    driver = ("--driver", "demonstrator", "--track", "7", "--seconds", "2")
    (session,) = autopilot("record", "--game", "ribbon", *driver)
    folder = autopilot.home / "sessions" / session["session"]
    printed = subprocess.check_output([sys.executable, "-c", script, str(folder)], text=True)
    lines = printed.splitlines()
    assert len(lines) == session["frames"] == 20
    assert re.fullmatch(r"0 \['accelerate'(, '\w+')?\] \[\s*\d+\.\s+\d+\.\s+\d+\.\]", lines[0])
