"""A PlayStation of one's own, and the mark of what only `make test-psx` runs."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.psx import Console

whole = pytest.mark.skipif(os.environ.get("AUTOPILOT_PSX") != "whole", reason="takes minutes: `make test-psx` runs it")


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
