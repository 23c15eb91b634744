"""A real X server for the screen tests, with windows of other processes and a window manager."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from support.sway import Sway, inside_sway
from support.x import XServer
from Xlib import X
from Xlib.display import Display
from Xlib.ext import xtest

RED, TEAL = (200, 30, 10), (5, 120, 240)

APP = """
import sys, time
from Xlib import X, Xatom
from Xlib.display import Display
from Xlib.protocol.event import ClientMessage
managed = sys.argv[1:] == ["managed"]
d = Display()
root = d.screen().root

def show(title, x, y, width, height, colour, kind="kart", **options):
    w = root.create_window(x, y, width, height, 0, X.CopyFromParent, background_pixel=colour, **options)
    w.set_wm_name(title)
    w.set_wm_class(kind, kind.title())
    w.set_wm_normal_hints(flags=1, x=x, y=y)
    if managed:  # a dialogue keeps its size, also when it is shown again
        kind = d.get_atom('_NET_WM_WINDOW_TYPE')
        w.change_property(kind, Xatom.ATOM, 32, [d.get_atom('_NET_WM_WINDOW_TYPE_DIALOG')])
    w.map()
    if managed:
        shown(w)
    return w

def shown(w):
    until = time.monotonic() + 20
    while w.get_attributes().map_state != X.IsViewable and time.monotonic() < until:
        time.sleep(0.005)

def focus(w):
    if managed:
        shown(w)
        message = ClientMessage(window=w, client_type=d.get_atom('_NET_ACTIVE_WINDOW'), data=(32, [2, 0, 0, 0, 0]))
        root.send_event(message, X.SubstructureRedirectMask | X.SubstructureNotifyMask)
    else:
        w.set_input_focus(X.RevertToParent, X.CurrentTime)

for line in sys.stdin:
    exec(line)
    d.sync()
    print(flush=True)
"""


"""Inside sway a window is shown, and gets the focus, when the window manager does it, and where that likes."""


def pixel(rgb: tuple[int, int, int]) -> int:
    return rgb[0] << 16 | rgb[1] << 8 | rgb[2]


class App:
    """A program with windows: another process, told what to do line by line."""

    def __init__(self, display: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", APP, *(["managed"] if inside_sway() else [])],
            env={**os.environ, "DISPLAY": display},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def do(self, line: str) -> None:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()
        assert self.process.stdout.readline() == "\n", "the program with the windows died"

    def stop(self) -> None:
        self.process.kill()
        self.process.communicate()


class Desktop:
    """An Xvfb, or inside sway its Xwayland; `show` makes a red window with a teal half at (40, 30), 80x60."""

    def __init__(self, *options: str, size: str = "320x240") -> None:
        self.others: list[Any] = []
        self.env: dict[str, str] = {}
        if inside_sway():
            sway = Sway()
            self.process, self.env, self.name = sway.process, sway.env, sway.name
            self.others.append(sway)
        else:
            server = XServer(*options, size=size)
            self.process, self.name, self.env = server.process, server.name, {"DISPLAY": server.name}
        self.display = Display(self.name)

    def show(self) -> Any:
        root = self.display.screen().root
        window = root.create_window(*(40, 30, 80, 60, 0, X.CopyFromParent), background_pixel=pixel(RED))
        window.create_window(*(40, 0, 40, 60, 0, X.CopyFromParent), background_pixel=pixel(TEAL)).map()
        window.map()
        self.display.sync()
        return window

    def app(self) -> App:
        self.others.append(App(self.name))
        return self.others[-1]

    def openbox(self) -> None:
        """Start a window manager and wait until it manages."""
        if shutil.which("openbox") is None:
            pytest.skip("missing: openbox (Debian package openbox)")
        process = subprocess.Popen(
            ["openbox", "--sm-disable"], env={**os.environ, "DISPLAY": self.name}, stderr=subprocess.DEVNULL
        )
        self.others.append(process)
        # It says that it is there before it listens, and what asks to be shown in between may be lost.
        probe = self.display.screen().root.create_window(0, 0, 9, 9, 0, X.CopyFromParent)
        state, until = self.display.get_atom("WM_STATE"), time.monotonic() + 20
        while probe.get_full_property(state, X.AnyPropertyType) is None:
            assert time.monotonic() < until, "openbox does not start"
            probe.map()
            self.display.sync()
            time.sleep(0.01)
        probe.destroy()
        self.display.sync()

    def fake(self, kind: int, detail: int = 0, **at: int) -> None:
        """Let a human press, release or move something."""
        xtest.fake_input(self.display, kind, detail, **at)
        self.display.sync()

    def stop(self) -> None:
        for other in self.others:
            other.stop() if isinstance(other, App | Sway) else (other.kill(), other.wait())
        self.process.kill()
        self.process.wait()


@pytest.fixture
def start(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Desktop]]:
    """Starts X servers with the options of a test; DISPLAY names the last one."""
    started: list[Desktop] = []
    for name in ("WAYLAND_DISPLAY", "XDG_SESSION_TYPE"):
        monkeypatch.delenv(name, raising=False)

    def start(*options: str, **size: str) -> Desktop:
        started.append(Desktop(*options, **size))
        for name, value in started[-1].env.items():
            monkeypatch.setenv(name, value)
        return started[-1]

    yield start
    for one in started:
        one.stop()


@pytest.fixture
def desktop(start: Callable[..., Desktop]) -> Desktop:
    return start()


@pytest.fixture
def wide(start: Callable[..., Desktop]) -> Desktop:
    """A desktop with some room for windows."""
    return start(size="640x480")


@pytest.fixture
def soon() -> Callable[..., Any]:
    """Returns what a function returns as soon as that is true."""

    def wait(condition: Callable[[], Any], seconds: float = 10) -> Any:
        until = time.monotonic() + seconds
        while not (found := condition()):
            assert time.monotonic() < until, "did not happen in time"
            time.sleep(0.005)
        return found

    return wait
