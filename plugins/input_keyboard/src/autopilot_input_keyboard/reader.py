"""What the human holds on the keyboard, without what our own emitter holds."""

from __future__ import annotations

import contextlib
import os
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Collection
from typing import Any

from autopilot.api import Bindings, DeviceError, Held

from autopilot_input_keyboard.keys import (
    MAC_CODES,
    check,
    evdev_codes,
    follow_layout,
    open_display,
    pynput_keyboard,
    readable,
    x11_codes,
)
from autopilot_input_keyboard.winkeys import windows_state
from autopilot_input_keyboard.xinput import RealKeys

POLL_S = 0.01
"""Between two polls; a tap lasts 30 ms and more, so that no press of a hotkey is missed."""

FAST_S = 0.003
"""A state younger than this need not be asked for again."""

Names = frozenset[str]
Ours = Callable[[], Names]
State = tuple[Callable[[], tuple[Names, Names]], Callable[[], None]]
"""A function that returns the keys that the human holds, and those that went down since it was last asked, as far as
it is told of more than states; and one that disconnects."""


class KeyboardReader:
    """Turns the keys that are down, as `state` tells, into controls and hotkeys."""

    def __init__(self, bindings: Bindings, hotkeys: Bindings, state: State) -> None:
        self._bindings, self._hotkeys = dict(bindings), dict(hotkeys)
        self._ask, self._disconnect = state
        self._lock = threading.Lock()
        self._polled = 0.0
        self._human: Names = frozenset()
        self._pressed_since: Names = frozenset()
        self._pressed: deque[str] = deque()
        self._error: Exception | None = None
        self._poll()
        self._pressed.clear()
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="keyboard reader", daemon=True)
        self._thread.start()

    def _poll(self) -> None:
        with self._lock:
            if time.monotonic() - self._polled < FAST_S:
                return
            now, pressed = self._ask()
            pressed |= now - self._human
            self._pressed.extend(n for n, key in self._hotkeys.items() if key in pressed)
            self._human, self._polled = now, time.monotonic()
            self._pressed_since |= pressed

    def _watch(self) -> None:
        while not self._closing.wait(POLL_S):
            try:
                self._poll()
            except Exception as e:  # noqa: BLE001 - kept, and raised where somebody can see it
                self._error = e
                return

    def held(self) -> Held:
        """Return the controls whose keys the human holds now, or tapped since the last call.

        Raises DeviceError when the keyboard is gone.
        """
        try:
            if self._error is not None:
                raise self._error
            self._poll()
        except Exception as e:
            raise DeviceError("the keyboard can no longer be read: is the desktop session still there?") from e
        with self._lock:
            human = self._human | self._pressed_since
            self._pressed_since = frozenset()
        return frozenset(control for control, key in self._bindings.items() if key in human)

    def hotkeys(self) -> tuple[str, ...]:
        """Return the hotkeys pressed since the last call, each once per press."""
        return tuple(self._pressed.popleft() for _ in range(len(self._pressed)))

    def close(self) -> None:
        """Stop the thread and disconnect."""
        if not self._closing.is_set():
            self._closing.set()
            self._thread.join()
            self._disconnect()


def open_reader(bindings: Bindings, hotkeys: Bindings, ours: Ours = frozenset) -> KeyboardReader:
    """Read the keyboard: X11's state; the kernel's under Wayland or without a display; else events.

    Raises UserError for an unknown key, DeviceError when there is no keyboard to be had.
    """
    names = {*bindings.values(), *hotkeys.values()}
    check(names)
    connect = windows_state if sys.platform == "win32" else listener_state
    if sys.platform.startswith("linux"):
        only_kernel = os.environ.get("WAYLAND_DISPLAY") or not os.environ.get("DISPLAY")
        connect = evdev_state if only_kernel and readable() else x11_state
    return KeyboardReader(bindings, hotkeys, connect(names, ours))


def open_evdev_reader(bindings: Bindings, hotkeys: Bindings, ours: Ours = frozenset) -> KeyboardReader:
    """Read the kernel's keyboards whatever the desktop says; raises as `open_reader` does."""
    return KeyboardReader(bindings, hotkeys, evdev_state({*bindings.values(), *hotkeys.values()}, ours))


def x11_state(names: Collection[str], ours: Ours = frozenset) -> State:
    """Ask the X server which keys are down: no event can be lost, repeated or late.

    Of a key that is `ours` only the real keyboards' events say whether the human holds it too.
    """
    from Xlib.error import ConnectionClosedError

    display = open_display()
    codes = x11_codes(display, names)
    real = RealKeys(display, lambda event: follow_layout(display, codes, event))

    def human() -> tuple[Names, Names]:
        # What became ours or ceased to be while the server answered is ours as well.
        before = ours()
        bits = display.query_keymap()
        down = frozenset(n for n, code in codes.items() if bits[code // 8] >> code % 8 & 1)
        touched, tapped = real.down()
        held = (down - before - ours()).union(n for n, code in codes.items() if code in touched)
        return held, frozenset(n for n, code in codes.items() if code in tapped)

    def disconnect() -> None:
        with contextlib.suppress(ConnectionClosedError):  # by a server that is gone
            display.close()

    return human, disconnect


def evdev_state(names: Collection[str], ours: Ours = frozenset) -> State:
    """Ask the kernel which keys are down, on every keyboard but our own; new ones are found each second."""
    from evdev import InputDevice, ecodes

    codes = {code: name for name, code in evdev_codes(names).items()}
    boards: dict[str, Any] = {}
    looked = [-1.0]

    def look() -> None:
        looked[0] = time.monotonic()
        for path in set(readable()) - boards.keys():
            with contextlib.suppress(OSError):  # unplugged meanwhile
                device = InputDevice(path)
                if ecodes.KEY_SPACE in device.capabilities().get(ecodes.EV_KEY, ()):
                    boards[path] = device
                else:
                    device.close()

    def down() -> tuple[Names, Names]:
        if time.monotonic() - looked[0] > 1:
            look()
        held: set[int] = set()
        for path in boards.keys() - ours():
            try:
                held.update(boards[path].active_keys())
            except (OSError, SystemError):  # unplugged; evdev's ioctl fails without saying why
                boards.pop(path).close()
        return frozenset(codes[code] for code in held & codes.keys()), frozenset()

    def disconnect() -> None:
        for device in boards.values():
            device.close()

    look()
    if not boards:
        raise DeviceError("no keyboard can be read: allow it with `sudo usermod -aG input $USER`, then log in again")
    return down, disconnect


def listener_state(names: Collection[str], ours: Ours = frozenset) -> State:
    """Follow press and release events; injected ones are left out where the system marks them."""
    keyboard = pynput_keyboard()
    held: dict[object, str] = {}
    places: dict[object, str] = {code: name for name, code in MAC_CODES.items()}

    def press(key: object, injected: bool) -> None:
        name = getattr(key, "name", None) or str(getattr(key, "char", None)).lower()
        if sys.platform == "darwin":  # by place, as everywhere
            name = places.get(getattr(getattr(key, "value", key), "vk", None), "")
        if name in names and not injected:
            held[_identity(key)] = name

    def release(key: object, injected: bool) -> None:
        held.pop(_identity(key), None)

    listener = keyboard.Listener(on_press=press, on_release=release)
    listener.start()
    listener.wait()
    return lambda: (frozenset(held.values()) - ours(), frozenset()), listener.stop


def _identity(key: object) -> object:
    """A key's character may change between press and release (shift), its number does not."""
    return getattr(key, "vk", None) or key
