"""A real X server for the keyboard tests, and a human at its keyboard."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from support.sway import HumanKeyboard, Sway, inside_sway
from support.x import XServer
from Xlib import XK, X
from Xlib.display import Display
from Xlib.ext import xinput, xtest
from Xlib.protocol import rq

NAMES = {code: name.removeprefix("XK_") for name, code in vars(XK).items() if name[:3] == "XK_"}


class FakeDeviceKey(rq.Request):
    """XTestFakeDeviceKeyEvent of the protocol, which python-xlib lacks."""

    _request = rq.Struct(
        *(rq.Card8("opcode"), rq.Opcode(2), rq.RequestLength(), rq.Card8("kind"), rq.Card8("detail")),
        *(rq.Pad(29), rq.Card8("device")),
    )


class Desktop:
    """An Xvfb of its own, or inside sway an Xwayland; `name` is its DISPLAY."""

    def __init__(self, *options: str) -> None:
        self.sway = Sway() if inside_sway() else None
        if self.sway is not None:
            self.process, self.env, self.name = self.sway.process, self.sway.env, self.sway.name
            self._human = HumanKeyboard(self.sway)
            self.focused = Window(self.name)  # without a window of X11's in focus Xwayland hears no key
        else:
            server = XServer(*options)
            self.process, self.name, self.env = server.process, server.name, {"DISPLAY": server.name}
        self.display = Display(self.name)

    def code(self, key: str) -> int:
        return self.display.keysym_to_keycode(XK.string_to_keysym(key))

    def down(self) -> set[str]:
        """What is down, as X names it, whoever pressed it."""
        bits = self.display.query_keymap()
        return {
            NAMES[self.display.keycode_to_keysym(code, 0)] for code in range(8, 256) if bits[code // 8] >> code % 8 & 1
        }

    def press(self, key: str) -> None:
        xtest.fake_input(self.display, X.KeyPress, self.code(key))
        self.display.sync()

    def release(self, key: str) -> None:
        xtest.fake_input(self.display, X.KeyRelease, self.code(key))
        self.display.sync()

    def touch(self, key: str, down: bool) -> None:
        """Press or release a key of Xvfb's own keyboard, to programs a real one, and not of XTest's."""
        if self.sway is not None:
            self._human.key(self.code(key) - 8, down)
            return
        extension = self.display.query_extension(xinput.extname)
        boards = self.display.xinput_query_device(xinput.AllDevices).devices
        (board,) = (b.deviceid for b in boards if b.name == "Xvfb keyboard")
        FakeDeviceKey(
            display=self.display.display,
            opcode=self.display.display.get_extension_major(xtest.extname),
            kind=extension.first_event + (1 if down else 2),
            detail=self.code(key),
            device=board,
        )
        self.display.sync()

    def tap(self, key: str) -> None:
        self.press(key)
        self.release(key)

    def stop(self) -> None:
        if self.sway is not None:
            self.sway.stop()
        else:
            self.process.kill()
            self.process.wait()


class Window:
    """A window with the focus, that remembers every key event."""

    def __init__(self, name: str) -> None:
        self.display = Display(name)
        self.window = self.display.screen().root.create_window(
            *(0, 0, 100, 100, 0, X.CopyFromParent),
            background_pixel=0xC81E0A,  # what draws nothing Wayland does not show
            event_mask=X.KeyPressMask | X.KeyReleaseMask | X.ExposureMask,
        )
        self.window.map()
        while self.display.next_event().type != X.Expose:
            pass
        if not inside_sway():  # which gives it the focus itself, if later
            self.window.set_input_focus(X.RevertToParent, X.CurrentTime)
        until = time.monotonic() + 10
        while getattr(self.display.get_input_focus().focus, "id", 0) != self.window.id:
            assert time.monotonic() < until, "the window does not get the focus"
        # Auto-repeat would add presses that nobody made.
        self.display.change_keyboard_control(auto_repeat_mode=X.AutoRepeatModeOff)
        self.display.sync()

    def events(self) -> list[tuple[str, str, bool]]:
        """What came since the last call: press or release, the key, whether it is synthetic."""
        self.display.sync()
        found = []
        while self.display.pending_events():
            event: Any = self.display.next_event()
            if event.type in (X.KeyPress, X.KeyRelease):
                kind = "press" if event.type == X.KeyPress else "release"
                name = NAMES[self.display.keycode_to_keysym(event.detail, 0)]
                found.append((kind, name, bool(event.send_event)))
        return found

    def close(self) -> None:
        self.display.change_keyboard_control(auto_repeat_mode=X.AutoRepeatModeOn)
        self.display.close()


@pytest.fixture(scope="session")
def server() -> Iterator[Desktop]:
    desktop = Desktop()
    yield desktop
    desktop.stop()


@pytest.fixture
def desktop(server: Desktop, monkeypatch: pytest.MonkeyPatch) -> Iterator[Desktop]:
    """The X server that DISPLAY names; a test must leave all keys up."""
    for name, value in server.env.items():
        monkeypatch.setenv(name, value)
    yield server
    left = server.down()
    for code in range(8, 256):
        xtest.fake_input(server.display, X.KeyRelease, code)
    server.display.sync()
    assert left == set(), "keys left down"


@pytest.fixture
def own_desktop(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Desktop]]:
    """Starts X servers that the test may kill."""
    servers: list[Desktop] = []

    def start(*options: str) -> Desktop:
        servers.append(Desktop(*options))
        for name, value in servers[-1].env.items():
            monkeypatch.setenv(name, value)
        return servers[-1]

    yield start
    for one in servers:
        one.stop()


@pytest.fixture
def window(desktop: Desktop) -> Iterator[Window]:
    window = Window(desktop.name)
    yield window
    window.close()


@pytest.fixture
def wait_until() -> Callable[[Callable[[], bool], float], float]:
    """Returns after how many seconds something came true; fails when it does not."""

    def wait(condition: Callable[[], bool], seconds: float) -> float:
        start = time.monotonic()
        while not condition():
            assert time.monotonic() - start < seconds, "did not happen in time"
            time.sleep(0.005)
        return time.monotonic() - start

    return wait
