"""A home with sessions and a trained bundle, recorded and trained once by the real commands."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import filelock
import pytest
from support.apart import Result, Running, start
from support.plugins import BRITTLE, install_ribbon

Start = Callable[..., Running]
Run = Callable[..., Result]


@pytest.fixture(scope="session")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that all workers of this test run share."""
    base = tmp_path_factory.getbasetemp()
    root = base.parent if os.environ.get("PYTEST_XDIST_WORKER") else base
    folder = root / "autopilot-e2e"
    folder.mkdir(exist_ok=True)
    return folder


@pytest.fixture(scope="session")
def site(shared: Path) -> Path:
    """A folder in which the outside plugin is installed, and one made for these tests."""
    with filelock.FileLock(shared / "site.lock"):
        if not (shared / "site").exists():
            made = install_ribbon(shared / "site.part")
            shutil.copytree(Path(__file__).parent / "pitlane", made, dirs_exist_ok=True)
            made.rename(shared / "site")
    return shared / "site"


def environment(home: Path, site: Path, **env: str) -> dict[str, str]:
    keep = {k: v for k, v in os.environ.items() if k not in ("DISPLAY", "WAYLAND_DISPLAY")}
    return {**keep, "AUTOPILOT_HOME": str(home), "PYTHONPATH": str(site), **env}


@pytest.fixture
def begin(shared: Path, site: Path, tmp_path: Path) -> Start:
    """Start a command line in a home of its own."""

    def begin(*args: str, home: Path | None = None, cache: bool = True, **env: str) -> Running:
        full = environment(home or tmp_path / "home", site, **env)
        return start(list(args), full, tmp_path / "io", shared / "jax" if cache else None)

    return begin


@pytest.fixture
def run(begin: Start) -> Run:
    """Run a command line to its end."""

    def run(*args: str, **options: Any) -> Result:
        return begin(*args, **options).wait()

    return run


@pytest.fixture(scope="session")
def recorded(shared: Path, site: Path) -> Path:
    """A home with three ribbon sessions; copy it to change it."""
    return _make(shared, site, "recorded", "record --game ribbon --driver demonstrator --track 0-2")


@pytest.fixture(scope="session")
def trained(shared: Path, site: Path, recorded: Path) -> Path:
    """A home with three sessions and the bundle `tiny`; copy it to change it."""
    args = "train --model tiny --name tiny --epochs 8 --batch-size 64 --set width=8"
    return _make(shared, site, "trained", args, recorded)


@pytest.fixture(scope="session")
def patience() -> list[str]:
    """A training that stops early: its rate is too high and never falls, so the loss goes up and down."""
    return (
        "train --model tiny --name tiny --epochs 40 --batch-size 64 --set width=8 --json --schedule constant "
        "--warmup 3 --learning-rate 0.02 --patience 3 --keep-best 3 --label-shift 100"
    ).split()


@pytest.fixture(scope="session")
def patient(shared: Path, site: Path, recorded: Path, patience: list[str]) -> Path:
    """A home in which `patience` ran without an interruption; copy it to change it."""
    return _make(shared, site, "patient", " ".join(patience), recorded)


def _make(shared: Path, site: Path, name: str, args: str, source: Path | None = None) -> Path:
    home = shared / name
    with filelock.FileLock(shared / f"{name}.lock"):
        if not home.exists():
            part = shared / f"{name}.part"
            if source is not None:
                shutil.copytree(source, part)
            env = environment(part, site)
            done = start(args.split(), env, shared / "io" / name, shared / "jax").wait()
            assert done.code == 0, done.err
            part.rename(home)
    return home


@pytest.fixture
def brittle(site: Path, tmp_path: Path) -> str:
    """A PYTHONPATH on which the networks with faults are installed as well."""
    info = tmp_path / "brittle/autopilot_brittle-2.5.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: autopilot-brittle\nVersion: 2.5\n")
    (info / "entry_points.txt").write_text("[autopilot.plugins]\nbrittle = autopilot_brittle\n")
    (info.parent / "autopilot_brittle.py").write_text(BRITTLE.replace("MODULE", "autopilot_brittle"))
    return f"{site}{os.pathsep}{info.parent}"


@pytest.fixture
def home(recorded: Path, tmp_path: Path) -> Path:
    """A copy of the recorded home."""
    return Path(shutil.copytree(recorded, tmp_path / "home"))
