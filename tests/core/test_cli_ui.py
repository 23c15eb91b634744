"""What a person sees while something runs, on a terminal and in a log."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from pathlib import Path

import click
import pytest
from autopilot.cli import cli
from autopilot.commands import ui
from click.testing import CliRunner
from rich.console import Console
from support.sessions import record


@pytest.mark.parametrize(
    ("terminal", "shown", "hidden"), [(True, "[left x]", ""), (False, "WAITING for [it]", "[left x]")]
)
def test_a_terminal_shows_every_status_and_a_log_what_is_news(
    monkeypatch: pytest.MonkeyPatch, terminal: bool, shown: str, hidden: str
) -> None:
    stream = io.StringIO()
    monkeypatch.setattr(ui, "err", Console(file=stream, force_terminal=terminal, width=80))
    with ui.status() as line:
        line("WAITING for [it]", news=True)
        line("driving  [left x]")
    assert shown in stream.getvalue()
    assert not hidden or hidden not in stream.getvalue()


@pytest.mark.parametrize(
    "env",
    [
        {"PYTHONIOENCODING": "latin-1"},
        {"PYTHONIOENCODING": "cp1252"},
        {"PYTHONIOENCODING": "ascii"},
        {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"},
    ],
)
def test_no_output_dies_of_an_encoding(tmp_path: Path, env: dict[str, str]) -> None:
    driver = "Аня\U0001f3ce é"
    record(tmp_path / "sessions", 2, driver=driver)
    name = "\u0410\u043d\u044f" if os.name == "nt" else os.fsdecode(b"\xe9\xf0\x9f\x8f\x8e")  # which is no UTF-8
    broken = tmp_path / "sessions" / name
    broken.mkdir()

    def run(*args: str) -> str:
        command = [sys.executable, "-m", "autopilot", *args]
        done = subprocess.run(command, capture_output=True, env={**os.environ, "AUTOPILOT_HOME": str(tmp_path), **env})
        assert done.returncode == 0, done.stderr
        assert b"Error" not in done.stderr
        return (done.stdout + done.stderr).decode(env.get("PYTHONIOENCODING", "latin-1"), "replace")

    table = run("sessions")
    assert "\\u0410\\u043d\\u044f\\U0001f3ce" in table
    assert ("cannot be used" if os.name == "nt" else "\\udce9") in table
    assert "broken" in run("sessions", "--json")
    context = click.Context(cli)
    helps = {name: CliRunner().invoke(cli, [name, "--help"]).output for name in cli.list_commands(context)}
    beyond = [name for name, text in helps.items() if not text.isascii()]
    assert beyond, "some help has a character that is not ASCII"
    for name in beyond:
        assert "Examples" in run(name, "--help")
