"""A site with an outsider's environments, and commands that run there in a home of their own."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from support.apart import Result, start
from support.plugins import install_ribbon

HERE = Path(__file__).parent
Run = Callable[..., Result]


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tutorial's plugin, for its network, and the package `roadside`."""
    folder = install_ribbon(tmp_path_factory.mktemp("gymnasium") / "site")
    shutil.copytree(HERE / "roadside", folder, dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__"))
    info = folder / "roadside-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: roadside\nVersion: 1.0\nRequires-Dist: gymnasium>=1\n")
    (info / "top_level.txt").write_text("roadside\nroadside_plugin\n")
    (info / "entry_points.txt").write_text("[autopilot.plugins]\nroadside = roadside_plugin\n")
    return folder


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "home"


@pytest.fixture
def run(site: Path, home: Path, tmp_path: Path) -> Run:
    """Run a command line to its end."""
    keep = {k: v for k, v in os.environ.items() if k not in ("DISPLAY", "WAYLAND_DISPLAY")}

    def run(args: str, **env: str) -> Result:
        full = {**keep, "AUTOPILOT_HOME": str(home), "PYTHONPATH": str(site), **env}
        return start(args.split(), full, tmp_path / "io", None).wait()

    return run
