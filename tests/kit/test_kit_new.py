"""`autopilot plugins new`: what it writes is short, idiomatic and works; what it refuses."""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
from pathlib import Path

import click
import pytest
from autopilot.cli import cli
from autopilot_kit.new import PARTS, write
from click.testing import CliRunner, Result


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def new(*arguments: str) -> Result:
    return CliRunner().invoke(cli, ["plugins", "new", *arguments], standalone_mode=False)


def code_lines(path: Path) -> int:
    """How many lines are neither empty nor an import or a docstring."""
    text = path.read_text()
    others = [node for node in ast.parse(text).body if isinstance(node, ast.Import | ast.ImportFrom)]
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) and ast.get_docstring(node) is not None:
            others.append(node.body[0])
    return len([line for line in text.splitlines() if line.strip()]) - sum(n.end_lineno - n.lineno + 1 for n in others)


@pytest.mark.parametrize("part", PARTS)
def test_each_part_alone_is_a_distribution_that_lint_passes(part: str, here: Path) -> None:
    assert new("my-ribbon", f"--{part}").exception is None
    folder = here / "autopilot-my-ribbon"
    modules = {path.name for path in folder.glob("src/autopilot_my_ribbon/*.py")}
    assert modules == {"__init__.py", "plugin.py", f"{part}.py"}
    for check in (["check", "--select", "E,F,W,I,B,UP,SIM,RUF,ANN"], ["format", "--check"]):
        done = subprocess.run(
            [Path(sys.executable).with_name("ruff"), *check, "--no-cache", folder], capture_output=True, text=True
        )
        assert done.returncode == 0, done.stdout
    assert "$" not in "".join(path.read_text() for path in folder.rglob("*") if path.is_file())


def test_what_is_written_is_typed(here: Path) -> None:
    """All but the network: reading Flax takes mypy long."""
    write("all", PARTS.keys() - {"model"}, here / "all")
    mypy = [sys.executable, "-m", "mypy", "--strict", "--ignore-missing-imports", "src"]
    done = subprocess.run(mypy, cwd=here / "all", capture_output=True, text=True, env={**os.environ, "MYPYPATH": "src"})
    assert done.returncode == 0, done.stdout


def test_the_parts_are_short(here: Path) -> None:
    write("it", PARTS, here / "it")
    lines = {part: code_lines(here / f"it/src/autopilot_it/{part}.py") for part in PARTS}
    assert lines["game"] <= 50
    assert lines["model"] <= 20
    assert lines["device"] <= 30


@pytest.mark.parametrize("name", ["Ribbon", "rib_bon", "../ribbon", "2ribbon", "ribbon-", "class", "rib--bon", ""])
def test_a_bad_name_is_refused(name: str, here: Path) -> None:
    error = new(name, "--game").exception
    assert str(error).startswith(f"{name!r} cannot name a package: take small letters")
    assert list(here.iterdir()) == []


def test_an_existing_folder_an_installed_name_and_no_part_are_refused(here: Path) -> None:
    (here / "autopilot-ribbon").mkdir()
    assert (
        str(new("ribbon", "--game").exception) == "autopilot-ribbon is there already: remove it, or take another name"
    )
    assert list((here / "autopilot-ribbon").iterdir()) == []
    assert str(new("autopilot-kit", "--game").exception).startswith("autopilot-kit is installed: take another name")
    error = new("other").exception
    assert isinstance(error, click.UsageError)
    assert error.message.startswith("say what it shall provide: one or more of --game, ")


def test_programs_read_what_was_written(here: Path) -> None:
    written = json.loads(new("ribbon", "--model", "--json").stdout)
    assert written["folder"] == "autopilot-ribbon"
    assert all((here / "autopilot-ribbon" / path).is_file() for path in written["files"])
    assert "src/autopilot_ribbon/model.py" in written["files"]
