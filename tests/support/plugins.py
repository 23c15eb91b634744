"""Outside plugins, as the tests install them."""

from __future__ import annotations

import shutil
import tomllib
from pathlib import Path

THERE = Path(__file__).parents[1] / "third_party"
BRITTLE = (THERE / "brittle.py").read_text()
"""A module with networks that have faults; MODULE in it stands for its own name."""


def install_written(folder: Path, name: str) -> Path:
    """Make what `plugins new` wrote a distribution that is found on the path; return what to put there."""
    info = folder / f"src/autopilot_{name}-0.1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: autopilot-{name}\nVersion: 0.1.0\n")
    (info / "entry_points.txt").write_text(f"[autopilot.plugins]\n{name} = autopilot_{name}.plugin\n")
    return folder / "src"


def install_ribbon(target: Path) -> Path:
    """Install the tutorial's game, as `install` does."""
    return install("autopilot-ribbon", target)


def install(name: str, target: Path) -> Path:
    """Copy a distribution's packages and metadata into `target`, as its pyproject.toml says, and return that."""
    source = THERE / name
    project = tomllib.loads((source / "pyproject.toml").read_text())["project"]
    shutil.copytree(source / "src", target, ignore=shutil.ignore_patterns("__pycache__"), dirs_exist_ok=True)
    info = target / f"{project['name'].replace('-', '_')}-{project['version']}.dist-info"
    info.mkdir()
    metadata = ["Metadata-Version: 2.3", f"Name: {project['name']}"]
    metadata += [f"Version: {project['version']}"]
    metadata += [f"Requires-Dist: {r}" for r in project["dependencies"]]
    (info / "METADATA").write_text("\n".join(metadata) + "\n")
    lines = [
        line
        for group, entries in project["entry-points"].items()
        for line in (f"[{group}]", *(f"{name} = {value}" for name, value in entries.items()))
    ]
    (info / "entry_points.txt").write_text("\n".join(lines) + "\n")
    return target
