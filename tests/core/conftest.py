"""Little distributions, written where the tests want them, and the real command line."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from itertools import count
from pathlib import Path

import pytest
from support.plugins import install_ribbon
from support.small_disk import SmallDisk

Write = Callable[..., str]


@pytest.fixture(scope="session")
def ribbon(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which the outside plugin is installed; put it on the path to use it."""
    return install_ribbon(tmp_path_factory.mktemp("ribbon") / "site")


_numbers = count(1)


@pytest.fixture
def write_plugin(tmp_path: Path) -> Write:
    """Write a distribution with one module and one entry point; return the module's name."""

    def write(
        dist: str,
        source: str,
        *,
        name: str = "it",
        target: str | None = None,
        folder: Path | None = None,
        modules: Mapping[str, str] = {},
    ) -> str:
        folder = folder or tmp_path / "site"
        module = f"plug_{next(_numbers)}_{dist.replace('-', '_')}"
        info = folder / f"{dist.replace('-', '_')}-2.5.dist-info"
        info.mkdir(parents=True)
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {dist}\nVersion: 2.5\n")
        (info / "entry_points.txt").write_text(f"[autopilot.plugins]\n{name} = {target or module}\n")
        (folder / f"{module}.py").write_text(source.replace("MODULE", module))
        for other, text in modules.items():
            (folder / f"{other}.py").write_text(text)
        return module

    return write


@pytest.fixture
def autopilot(tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run the command line in a process of its own."""

    def run(
        *args: str, path: Path | None = None, cwd: Path | None = None, **env: str
    ) -> subprocess.CompletedProcess[str]:
        full = {**os.environ, "AUTOPILOT_HOME": str(tmp_path / "home"), **env}
        if path is not None:
            full["PYTHONPATH"] = str(path)
        return subprocess.run(
            [sys.executable, "-m", "autopilot", *args], capture_output=True, text=True, env=full, cwd=cwd, timeout=240
        )

    return run


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[SmallDisk]:
    (tmp_path / "disk").mkdir()
    disk = SmallDisk(tmp_path / "disk")
    yield disk
    disk.close()
