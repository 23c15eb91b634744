"""Installs the outside plugin into a folder for the tests, as its own pyproject.toml says."""

from __future__ import annotations

import shutil
import tomllib
from pathlib import Path

SOURCE = Path(__file__).parent / "autopilot-ribbon"


def install(target: Path) -> Path:
    """Copy package and metadata into `target`, as a wheel's installer would, and return it."""
    project = tomllib.loads((SOURCE / "pyproject.toml").read_text())["project"]
    shutil.copytree(SOURCE / "src", target, ignore=shutil.ignore_patterns("__pycache__"))
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
