"""Templates learned once from a drawn race, a desktop of one's own, a terminal."""

from __future__ import annotations

import math
import os
import pty
import select
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import filelock
import pytest
from autopilot_ctr.hud_learn import learn
from autopilot_ctr.hud_templates import Templates
from support.ctr.desktop import Desktop, wait
from support.ctr.drawn import ODD, ODD_LOOK, Race, play


@pytest.fixture(scope="session")
def templates(tmp_path_factory: pytest.TempPathFactory) -> Templates:
    """What is learned of that screen in 48 s: two laps, and the wrong way for four seconds."""
    base = tmp_path_factory.getbasetemp()
    path: Path = (base.parent if os.environ.get("PYTEST_XDIST_WORKER") else base) / "ctr-hud.npz"
    with filelock.FileLock(path.with_suffix(".lock")):
        if not path.exists():
            race = Race(3, 300.0, 30, ODD_LOOK)
            learned = learn(f for f, _ in play(race, ODD, 48.0, 1, wrong=((24.0, 4.0),)))
            assert (learned.laps, learned.lap_times, learned.wrong_way) == ("123", True, True)
            assert learned.read > 0.98
            learned.templates.save(path)
    return Templates.load(path)


@pytest.fixture
def desktop(monkeypatch: pytest.MonkeyPatch) -> Iterator[Desktop]:
    """A desktop of 1280x960 that DISPLAY names."""
    for name in ("WAYLAND_DISPLAY", "XDG_SESSION_TYPE"):
        monkeypatch.delenv(name, raising=False)
    desktop = Desktop()
    monkeypatch.setenv("DISPLAY", desktop.name)
    yield desktop
    desktop.stop()


class Terminal:
    """A command in a terminal of its own."""

    def __init__(self, *args: str) -> None:
        self.fd, theirs = pty.openpty()
        line = ["setsid", "--ctty", sys.executable, "-m", "autopilot", *args]
        environment = {**os.environ, "COLUMNS": "200"}
        self.process = subprocess.Popen(line, stdin=theirs, stdout=theirs, stderr=theirs, env=environment)
        os.close(theirs)
        self.seen = ""
        self.rest = ""
        self.interrupted = math.inf

    def expect(self, text: str, seconds: float = 120) -> None:
        """Wait until a text appears, after what was expected before."""
        until = time.monotonic() + seconds
        while text not in self.rest:
            assert time.monotonic() < until, f"{text!r} does not come after: {self.rest[-1500:]}"
            assert self._read(), f"ended without {text!r}: {self.seen[-1500:]}"
        self.rest = self.rest.partition(text)[2]

    def _read(self) -> bool:
        if not select.select([self.fd], [], [], 0.2)[0]:
            return True
        try:
            more = os.read(self.fd, 65536).decode(errors="replace")
        except OSError:  # Linux: the other end is closed
            return False
        self.seen += more
        self.rest += more
        return bool(more)

    def answer(self, question: str, line: str) -> None:
        """Wait for a question and type the answer."""
        self.expect(question)
        os.write(self.fd, line.encode() + b"\n")

    def interrupt(self) -> None:
        """Press Ctrl-C; `end` presses it again while nothing happens, for Python may miss one just before it reads."""
        os.write(self.fd, b"\x03")
        self.interrupted = time.monotonic()

    def end(self) -> int:
        """Wait for the end; return the exit code."""
        while self._read():
            if time.monotonic() - self.interrupted > 10:
                self.interrupt()
        os.close(self.fd)
        return self.process.wait()


@pytest.fixture
def terminal() -> type[Terminal]:
    """Runs `autopilot ARGS…` in a terminal."""
    return Terminal


@pytest.fixture
def soon() -> Callable[[Callable[[], Any]], Any]:
    """Returns what a function returns as soon as that is true."""
    return wait
