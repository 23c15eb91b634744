"""The names of keys: which there are, and what pynput calls them."""

from __future__ import annotations

import difflib
import string
from collections.abc import Iterable
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any

from autopilot.errors import DeviceError, UserError

if TYPE_CHECKING:
    from Xlib.display import Display

NAMED = (
    *("up", "down", "left", "right", "space", "enter", "tab", "backspace", "esc"),
    *("shift", "shift_r", "ctrl", "ctrl_r", "alt", "alt_r"),
    *("insert", "delete", "home", "end", "page_up", "page_down"),
    *(f"f{n}" for n in range(1, 21)),
)
"""Keys with a name; they are attributes of `pynput.keyboard.Key`."""

CHARACTERS = tuple(string.ascii_lowercase + string.digits + "`-=[]\\;',./")
"""Keys named by the character that they type without shift."""

KEYS = frozenset(NAMED + CHARACTERS)


def check(names: Iterable[str]) -> None:
    """Raise UserError, with near matches, for the first name that is no key's."""
    for name in names:
        if name not in KEYS:
            near = difflib.get_close_matches(name.lower(), sorted(KEYS), n=3, cutoff=0.5)
            hint = (
                f"did you mean {' or '.join(near)}?"
                if near
                else f"keys are single characters such as x, and {', '.join(NAMED)}"
            )
            raise UserError(f"unknown key {name!r}: {hint}")


def pynput_keyboard() -> ModuleType:
    """Import `pynput.keyboard`.

    Raises DeviceError when there is no display or no keyboard that pynput can use.
    """
    try:
        return import_module("pynput.keyboard")
    except ImportError as e:
        reason = str(e).splitlines()[0].removeprefix("this platform is not supported: ")
        raise DeviceError(f"no keyboard: {reason}; run inside a desktop session with DISPLAY set") from e


def on_x11(keyboard: ModuleType) -> bool:
    """Say whether pynput talks to an X server."""
    return bool(keyboard.KeyCode.__module__.endswith("_xorg"))


def key_codes(keyboard: ModuleType, names: Iterable[str]) -> dict[str, Any]:
    """Return pynput's `KeyCode` of each name.

    Raises UserError for an unknown name and for one that this system's keyboards do not have.
    """
    names = tuple(names)
    check(names)
    codes = {}
    for name in names:
        if name in CHARACTERS:
            # On X11 pynput sends characters as synthetic events, which games ignore; a keysym
            # (ASCII is its own) goes through XTest and looks like the real key.
            x11 = on_x11(keyboard)
            make = keyboard.KeyCode
            codes[name] = make.from_vk(ord(name)) if x11 else make.from_char(name)
        elif name in keyboard.Key.__members__:
            codes[name] = keyboard.Key[name].value
        else:
            raise UserError(f"this system's keyboards have no key {name!r}: bind another one")
    return codes


def x11_numbers(display: Display, codes: dict[str, Any]) -> dict[str, int]:
    """Return the number by which the X server knows each key.

    Raises UserError for a key that the keyboard layout does not have.
    """
    numbers = {name: display.keysym_to_keycode(code.vk) for name, code in codes.items()}
    for name, number in numbers.items():
        if not number:
            raise UserError(f"this keyboard layout has no key {name!r}: bind another one")
    return numbers
