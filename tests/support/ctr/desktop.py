"""A real X server, the game's window on it, a human's keys."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from support.x import XServer

TESTS = Path(__file__).parents[2]


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
        from Xlib.display import Display

        server = XServer(*([] if number is None else [f":{number}"]), size=size)
        self.process, self.name = server.process, server.name
        self.display = Display(self.name)
        self.started: list[subprocess.Popen[str]] = []

    def start(self, command: list[str], **env: str) -> subprocess.Popen[str]:
        """Start a program that is ended with the desktop."""
        env = {**os.environ, "DISPLAY": self.name, "PYGAME_HIDE_SUPPORT_PROMPT": "1", **env}
        one = subprocess.Popen(command, env=env, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        self.started.append(one)
        return one

    def play(self, *options: str) -> subprocess.Popen[str]:
        """Start the drawn game."""
        return self.start([sys.executable, "-m", "support.ctr.shown", *options], PYTHONPATH=str(TESTS))

    def show(self, *options: str) -> subprocess.Popen[str]:
        """Start it driving itself, and wait until it can be seen."""
        one = self.play("--auto", "--fps", "5", *options)
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
