"""What a person sees while something runs, on a terminal and in a log."""

from __future__ import annotations

import io

import pytest
from autopilot.cli import ui
from rich.console import Console


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
