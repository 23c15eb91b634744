"""The tutorial, done: what it begins with, changed as the page says, installed, recorded, trained and raced."""

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
from autopilot_kit.new import write

ROOT = Path(__file__).parents[2]


def bare(code: str) -> str:
    """Return code without its indentation."""
    return "\n".join(line.strip() for line in code.splitlines())


def follow(page: str, folder: Path) -> None:
    """Make the changes that the page asks for, as its reader would."""
    flat = " ".join(page.split())
    changes = re.findall(r"replace `([^`]+)` by `([^`]+)` in `([\w.]+)`", flat)
    assert len(changes) == 2
    for old, new, name in changes:
        file = folder / "src/autopilot_ribbon" / name
        text = file.read_text()
        assert text.count(old) == 1, old
        file.write_text(text.replace(old, new))


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
    return re.sub(
        r"\d+(\.\d+)?|(?<=^bundle )[\w-]+", "N", re.sub(r", \d+ % of the time spent waiting for data", "", line)
    )


@pytest.fixture(scope="module")
def autopilot(tmp_path_factory: pytest.TempPathFactory) -> Shell:
    root = tmp_path_factory.mktemp("tutorial")
    venv = pytest.importorskip("venv", reason="an embedded Python makes no environments")
    venv.create(root / "venv", symlinks=os.name != "nt")
    python = root / "venv" / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    page = (ROOT / "docs/plugins/tutorial.md").read_text(encoding="utf-8")
    folder = root / "autopilot-ribbon"
    write("ribbon", ["game", "model"], folder)
    written = bare("".join(path.read_text() for path in sorted(folder.rglob("*.py"))))
    for block in re.findall(r"```python\n(.*?)```", page, re.S):
        assert bare(block) in written
    follow(page, folder)
    install(root / "autopilot-ribbon", python)
    return Shell(python, root / "home")


def test_plugin_is_listed(autopilot: Shell):
    rows = {row["distribution"]: row for row in autopilot("plugins")}
    ribbon = rows["autopilot-ribbon"]
    assert ribbon["status"] == "ok"
    assert ribbon["provides"] == {"game": ["ribbon"], "label map": ["ribbon"], "model": ["ribbon"]}
    assert rows["autopilot-carracing"]["status"] == "ok"


@pytest.mark.slow
def test_game_and_network_of_the_tutorial_race(autopilot: Shell):
    game = ("--game", "ribbon")
    driver = ("--driver", "demonstrator", "--track", "0-2", "--noise", "0.1")
    recorded = autopilot("record", *game, *driver)
    assert [r["ending"] for r in recorded] == ["finished"] * 3

    trained = autopilot.text("train", "--model", "ribbon", "--epochs", "8", "--batch-size", "32", "--name", "first")
    for page in ("docs/plugins/tutorial.md", "docs/training.md"):
        assert masked((ROOT / page).read_text(encoding="utf-8")) == masked(trained)
    (accuracy,) = re.findall(r"validation accuracy ([\d.]+) %", trained)
    assert float(accuracy) > 80

    film = autopilot.home / "lap.mp4"
    lap = ("--track", "20", "--laps", "1", "--film", str(film))
    drove = autopilot("drive", *game, "--bundle", "first", *lap)
    assert drove["ending"] == "finished"
    assert film.stat().st_size > 10_000

    drivers = ("--drivers", "demonstrator,first,random")
    raced = autopilot("race", *game, *drivers, "--tracks", "20", "--laps", "2", "--name", "first")
    rows = {row["driver"]: row for row in raced["summary"]}
    assert rows["demonstrator"]["finished"] == rows["first"]["finished"] == 1
    assert rows["first"]["lap_ratio"] < 1.5
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
