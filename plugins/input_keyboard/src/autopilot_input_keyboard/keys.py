"""The names of keys: which there are, and what each system calls them.

A name is a place on the keyboard, called by what a US keyboard has there, whatever layout is in use and whatever
is printed on the key: games and emulators know keys by place too, and a layout or Shift changes no binding.
"""

from __future__ import annotations

import os
import string
import sys
from collections.abc import Iterable, Mapping
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any

from autopilot.api import DeviceError, UserError, split_level, suggest

if TYPE_CHECKING:
    from Xlib.display import Display

_NAMED = {
    **{name: (name.capitalize(), name.upper()) for name in ("up", "down", "left", "right", "tab", "insert", "delete")},
    **{name: (name.capitalize(), name.upper()) for name in ("home", "end")},
    **{f"f{n}": (f"F{n}", f"F{n}") for n in range(1, 21)},
    **{f"kp_{n}": (f"KP_{n}", f"KP{n}") for n in range(10)},
    "space": ("space", "SPACE"),
    "enter": ("Return", "ENTER"),
    "backspace": ("BackSpace", "BACKSPACE"),
    "esc": ("Escape", "ESC"),
    "page_up": ("Prior", "PAGEUP"),
    "page_down": ("Next", "PAGEDOWN"),
    **{name: (f"{name.capitalize()}_L", f"LEFT{name.upper()}") for name in ("shift", "ctrl", "alt")},
    **{f"{name}_r": (f"{name.capitalize()}_R", f"RIGHT{name.upper()}") for name in ("shift", "ctrl", "alt")},
}
_PUNCTUATION = {
    "`": ("grave", "GRAVE"),
    "-": ("minus", "MINUS"),
    "=": ("equal", "EQUAL"),
    "[": ("bracketleft", "LEFTBRACE"),
    "]": ("bracketright", "RIGHTBRACE"),
    "\\": ("backslash", "BACKSLASH"),
    ";": ("semicolon", "SEMICOLON"),
    "'": ("apostrophe", "APOSTROPHE"),
    ",": ("comma", "COMMA"),
    ".": ("period", "DOT"),
    "/": ("slash", "SLASH"),
}

KEYS: Mapping[str, tuple[str, str]] = {
    **_NAMED,
    **_PUNCTUATION,
    **{c: (c, c.upper()) for c in string.ascii_lowercase + string.digits},
}
"""Name -> what X calls its keysym on a US keyboard, and the Linux kernel its key (less `KEY_`)."""

MAC_CODES: Mapping[str, int] = {
    **{name: code for code, name in enumerate("asdfhgzxcv?bqweryt123465=97-80]ou[ip?lj'k;\\,/nm.") if name != "?"},
    **{"enter": 36, "tab": 48, "space": 49, "`": 50, "backspace": 51, "esc": 53, "shift": 56, "shift_r": 60},
    **{"alt": 58, "alt_r": 61, "ctrl": 59, "ctrl_r": 62, "left": 123, "right": 124, "down": 125, "up": 126},
    **{"home": 115, "page_up": 116, "delete": 117, "end": 119, "page_down": 121},
    **{f"f{n + 1}": code for n, code in enumerate((122, 120, 99, 118, 96, 97, 98, 100, 101, 109, 103, 111))},
    **{f"kp_{n}": code for n, code in enumerate((82, 83, 84, 85, 86, 87, 88, 89, 91, 92))},
}
"""Name -> macOS' number of the key in that place (kVK_* of HIToolbox' Events.h)."""

X11_OFFSET = 8
"""What X servers add to the kernel's numbers of keys (xkeyboard-config's keycodes `evdev`)."""


def check(names: Iterable[str]) -> None:
    """Raise UserError, with near matches, for the first name that is no key's."""
    for name in names:
        key, level = split_level(name)
        if level is not None:
            hint = f"bind it to single levels (steer:-1={key}), or play and drive with a pad (--input gamepad)"
            raise UserError(f"the key {key!r} has no levels, which an analogue control wants: {hint}")
        if name not in KEYS:
            hint = suggest(name.lower(), sorted(KEYS), f"keys are single characters such as x, and {', '.join(_NAMED)}")
            raise UserError(f"unknown key {name!r}: {hint}")


def open_display() -> Display:
    """Connect to the X server; raises DeviceError when there is none."""
    from Xlib.display import Display
    from Xlib.error import DisplayError

    try:
        return Display()
    except (DisplayError, OSError) as e:
        raise DeviceError(f"no keyboard: {e}; run inside a desktop session with DISPLAY set") from e


def available() -> list[str]:
    """Return the names of all keys, less those that an X11 keyboard has not.

    Raises DeviceError as `open_display` does.
    """
    if not sys.platform.startswith("linux") or not os.environ.get("DISPLAY"):
        return list(KEYS)
    display = open_display()
    try:
        return [name for name in KEYS if _x11_code(display, name)]
    finally:
        display.close()


def x11_codes(display: Display, names: Iterable[str]) -> dict[str, int]:
    """Return the number by which the X server knows each key.

    Raises UserError for an unknown key, and for one that the keyboard does not have.
    """
    names = tuple(names)
    check(names)
    codes = {name: _x11_code(display, name) for name in names}
    for name, code in codes.items():
        if not code:
            raise UserError(f"this keyboard has no key {name!r}: bind another one")
    return codes


def follow_layout(display: Display, codes: dict[str, int], event: Any) -> None:
    """Bring `codes` up to date where an event says that the layout changed; a key that is no more keeps its number.

    Servers that number keys by place keep all numbers; others give a name's symbol to another key.
    """
    from Xlib import X

    if event.type == X.MappingNotify:
        display.refresh_keyboard_mapping(event)
        codes.update({name: code for name in codes if (code := _x11_code(display, name))})


def _x11_code(display: Display, name: str) -> int:
    """Return the server's number of the key, 0 for none: by place where it numbers keys as the kernel does.

    Servers that do not (XQuartz, some for remote desktops) are asked which key types the character.
    """
    from Xlib import XK

    def by_symbol(symbol: str) -> int:
        return int(display.keysym_to_keycode(XK.string_to_keysym(symbol)))

    code = evdev_codes([name])[name] + X11_OFFSET
    if by_symbol("Up") == evdev_codes(["up"])["up"] + X11_OFFSET:
        return code if display.display.info.min_keycode <= code <= display.display.info.max_keycode else 0
    return by_symbol(KEYS[name][0].replace("Ctrl_", "Control_"))


def evdev_codes(names: Iterable[str]) -> dict[str, int]:
    """Return the kernel's number of each key: its place on a US keyboard, whatever is printed on it.

    Raises UserError for an unknown key.
    """
    from evdev import ecodes

    names = tuple(names)
    check(names)
    return {name: ecodes.ecodes[f"KEY_{KEYS[name][1]}"] for name in names}


def readable() -> list[str]:
    """Return the paths of the kernel's devices that this user may read."""
    from evdev import list_devices

    found: list[str] = list_devices()
    return found


def pynput_keyboard() -> ModuleType:
    """Import `pynput.keyboard`; raises DeviceError where it cannot be used."""
    try:
        return import_module("pynput.keyboard")
    except ImportError as e:
        reason = str(e).splitlines()[0].removeprefix("this platform is not supported: ")
        raise DeviceError(f"no keyboard: {reason}; run inside a desktop session") from e
