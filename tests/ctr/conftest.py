"""Templates learned once from a drawn race; a real X server, the game's window on it, a human's keys, a terminal."""

from __future__ import annotations

import math
import os
import pty
import select
import shutil
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
from drawn import ODD, ODD_LOOK, Race, play

HERE = Path(__file__).parent
SCREEN, LOOK = ODD, ODD_LOOK


@pytest.fixture(scope="session")
def templates(tmp_path_factory: pytest.TempPathFactory) -> Templates:
    """What is learned of that screen in 48 s: two laps, and the wrong way for four seconds."""
    base = tmp_path_factory.getbasetemp()
    path: Path = (base.parent if os.environ.get("PYTEST_XDIST_WORKER") else base) / "ctr-hud.npz"
    with filelock.FileLock(path.with_suffix(".lock")):
        if not path.exists():
            race = Race(3, 300.0, 30, LOOK)
            learned = learn(f for f, _ in play(race, SCREEN, 48.0, 1, wrong=((24.0, 4.0),)))
            assert (learned.laps, learned.lap_times, learned.wrong_way) == ("123", True, True)
            assert learned.read > 0.98
            learned.templates.save(path)
    return Templates.load(path)


def wait(condition: Callable[[], Any], seconds: float = 60) -> Any:
    """Return what a function returns as soon as that is true."""
    until = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < until, "did not happen in time"
        time.sleep(0.01)
    return found


class Desktop:
    """An Xvfb; `show` starts the drawn game in a window."""

    def __init__(self, size: str = "1280x960", number: int | None = None) -> None:
        if shutil.which("Xvfb") is None:
            pytest.skip("missing: Xvfb (Debian package xvfb)")
        from Xlib.display import Display

        read_end, write_end = os.pipe()
        server = ["Xvfb", *([] if number is None else [f":{number}"]), "-displayfd", str(write_end)]
        server += ["-screen", "0", f"{size}x24", "-noreset"]
        self.process = subprocess.Popen(server, pass_fds=[write_end], stderr=subprocess.DEVNULL)
        os.close(write_end)
        with os.fdopen(read_end) as pipe:
            self.name = f":{pipe.readline().strip()}"
        self.display = Display(self.name)
        self.started: list[subprocess.Popen[str]] = []

    def start(self, command: list[str], **env: str) -> subprocess.Popen[str]:
        """Start a program that is ended with the desktop."""
        env = {**os.environ, "DISPLAY": self.name, "PYGAME_HIDE_SUPPORT_PROMPT": "1", **env}
        one = subprocess.Popen(command, env=env, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        self.started.append(one)
        return one

    def show(self, *options: str) -> subprocess.Popen[str]:
        """Start the drawn game, and wait until it can be seen."""
        one = self.start([sys.executable, str(HERE / "shown.py"), "--auto", "--fps", "5", *options])
        assert one.stdout is not None
        assert one.stdout.readline() == "drawn\n"
        return one

    def key(self, name: str, down: bool) -> None:
        """Press or release a key as a human does."""
        from Xlib import XK, X
        from Xlib.ext import xtest

        code = self.display.keysym_to_keycode(XK.string_to_keysym(name))
        xtest.fake_input(self.display, X.KeyPress if down else X.KeyRelease, code)
        self.display.sync()

    def tap(self, *names: str) -> None:
        """Press keys together, for a moment."""
        for down in (True, False):
            for name in names:
                self.key(name, down)
            time.sleep(0.08)

    def point(self, x: int, y: int) -> None:
        """Move the mouse: without a window manager, keys go to the window under it."""
        from Xlib import X
        from Xlib.ext import xtest

        xtest.fake_input(self.display, X.MotionNotify, x=x, y=y)
        self.display.sync()

    def stop(self) -> None:
        for one in self.started:
            one.kill()
            one.wait()
        self.process.kill()
        self.process.wait()


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
