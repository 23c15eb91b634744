"""Pressing keys, on each system: the back-ends that core's emitter process loads."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Sequence
from typing import Any

from autopilot.api import Backend, DeviceError, UserError

from autopilot_input_keyboard.keys import (
    KEYS,
    MAC_CODES,
    check,
    evdev_codes,
    follow_layout,
    open_display,
    pynput_keyboard,
    readable,
    x11_codes,
)

UINPUT = "/dev/uinput"
UINPUT_NAME = "autopilot keyboard"
NO_UINPUT = "the kernel offers no /dev/uinput; load its module: sudo modprobe uinput"
FORBIDDEN = (
    "this user may not write to /dev/uinput; allow it, then log in again:"
    """ echo 'KERNEL=="uinput", GROUP="input", MODE="0660"' |"""
    " sudo tee /etc/udev/rules.d/99-uinput.rules && sudo udevadm control --reload &&"
    " sudo udevadm trigger && sudo usermod -aG input $USER"
)


def open_backend(names: Sequence[str]) -> Backend:
    """Return the keyboard that this system's games see.

    On Linux that is X11's, or the kernel's own (uinput) without a display, and under Wayland if this user may
    press and read it: Xwayland does not tell it from the human's. Raises UserError for an unknown key,
    DeviceError without any keyboard.
    """
    if sys.platform == "win32":
        from autopilot_input_keyboard.winkeys import WindowsKeys

        return WindowsKeys(names)
    if sys.platform == "darwin":
        return PynputKeys(names)
    wayland, x11 = os.environ.get("WAYLAND_DISPLAY"), os.environ.get("DISPLAY")
    if os.access(UINPUT, os.W_OK) and (not x11 or (wayland and readable())):
        return UinputKeys(names)
    return X11Keys(names)


class X11Keys:
    """XTest: to every program like the real keyboard.

    Not pynput's controller: it sends characters as synthetic events, which games ignore.
    """

    sticky = True
    devices: tuple[str, ...] = ()

    def __init__(self, names: Sequence[str]) -> None:
        check(names)
        self._display = open_display()
        self._codes = x11_codes(self._display, names)
        self._numbers = {name: {code} for name, code in self._codes.items()}
        """Each that a name ever had: a key that was pressed before the layout changed is released all the same."""
        self._into: dict[str, Any] = {}
        """The window that had the focus when a key was pressed."""
        if self._display.query_extension("XTEST") is None:
            raise DeviceError("this X server takes no key presses; start it without `-extension XTEST`")

    def press(self, name: str) -> None:
        """Press a key."""
        self._follow()
        self._into[name] = self._focused()
        self._fake(2, self._codes[name])  # KeyPress

    def release(self, name: str) -> None:
        """Release it, and tell the window that it was pressed into, if that has lost the focus meanwhile."""
        self._follow()
        for code in self._numbers[name]:
            self._fake(3, code)  # KeyRelease
        into = self._into.pop(name, None)
        if into is not None and self._focused() != into:
            self._tell(into, self._codes[name])

    def _focused(self) -> Any:
        """Return the window that gets keys now, if any."""
        from Xlib import X
        from Xlib.error import XError

        focus = self._display.get_input_focus().focus
        inside = self._display.screen().root if focus == X.PointerRoot else X.NONE
        with contextlib.suppress(XError):  # of a window that has just gone
            while inside != X.NONE:  # the innermost one under the pointer
                focus, inside = inside, inside.query_pointer().child
        return None if focus in (X.NONE, X.PointerRoot) else focus

    def _tell(self, window: Any, code: int) -> None:
        """Send a window the release of a key, which the server gives to whoever has the focus."""
        from Xlib import X
        from Xlib.error import CatchError
        from Xlib.protocol.event import KeyRelease

        nowhere = dict.fromkeys(("root_x", "root_y", "event_x", "event_y", "state"), 0)
        about = {"root": self._display.screen().root, "window": window, "child": X.NONE, "same_screen": 1}
        event = KeyRelease(time=X.CurrentTime, detail=code, **about, **nowhere)
        window.send_event(event, X.KeyReleaseMask, onerror=CatchError())  # it may be gone

    def _follow(self) -> None:
        for _ in range(self._display.pending_events()):
            follow_layout(self._display, self._codes, self._display.next_event())
            for name, code in self._codes.items():
                self._numbers[name].add(code)

    def _fake(self, event: int, code: int) -> None:
        from Xlib.ext.xtest import fake_input

        fake_input(self._display, event, code)

    def flush(self) -> None:
        """Wait until the server has taken all."""
        self._display.sync()

    def close(self) -> None:
        """Disconnect."""
        self._display.close()


class UinputKeys:
    """A keyboard of the kernel's: seen under X11, Wayland and on the console.

    Keys are places on a US keyboard. The kernel releases them when this process ends.
    """

    sticky = False

    def __init__(self, names: Sequence[str]) -> None:
        from evdev import UInput, UInputError, ecodes

        self._codes, self._type = evdev_codes(names), ecodes.EV_KEY
        try:
            # Every key, not only those bound: a device with few of them is taken for no keyboard.
            self._device: Any = UInput({ecodes.EV_KEY: list(evdev_codes(KEYS).values())}, name=UINPUT_NAME)
        except (UInputError, OSError) as e:
            raise DeviceError(f"no keyboard: {FORBIDDEN if os.path.exists(UINPUT) else NO_UINPUT}") from e  # noqa: PTH110
        self.devices: tuple[str, ...] = (self._device.device.path,) if self._device.device else ()

    def press(self, name: str) -> None:
        """Press a key."""
        self._device.write(self._type, self._codes[name], 1)

    def release(self, name: str) -> None:
        """Release it."""
        self._device.write(self._type, self._codes[name], 0)

    def flush(self) -> None:
        """End the report."""
        self._device.syn()

    def close(self) -> None:
        """Unplug it."""
        self._device.close()


class PynputKeys:
    """What pynput presses: for macOS, which asks for the accessibility permission. Never run."""

    sticky = True
    devices: tuple[str, ...] = ()

    def __init__(self, names: Sequence[str]) -> None:
        check(names)
        keyboard = pynput_keyboard()
        self._controller = keyboard.Controller()
        missing = [n for n in names if n not in MAC_CODES]
        if missing:
            raise UserError(f"Macs' keyboards have no key {missing[0]!r}: bind another one")
        self._codes = {n: keyboard.KeyCode.from_vk(MAC_CODES[n]) for n in names}

    def press(self, name: str) -> None:
        """Press a key."""
        self._controller.press(self._codes[name])

    def release(self, name: str) -> None:
        """Release it."""
        self._controller.release(self._codes[name])

    def flush(self) -> None:
        """Do nothing: pynput has sent it."""

    def close(self) -> None:
        """Do nothing."""
