"""A PlayStation of a test's own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from support.psx import Console


@pytest.fixture(autouse=True)
def _plain_x11(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("WAYLAND_DISPLAY", "XDG_SESSION_TYPE"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def console(tmp_path: Path) -> Iterator[Console]:
    """The emulator at 640x480 with the game's menu; ended with the test."""
    console = Console(tmp_path)
    yield console
    console.desktop.stop()
