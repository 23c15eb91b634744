"""Tries the keyboard: can it be opened, and does a pressed key arrive?"""

from __future__ import annotations

import os
import sys

from autopilot.errors import AutopilotError
from autopilot.types import Probe

from autopilot_input_keyboard.backends import X11Keys, open_backend
from autopilot_input_keyboard.reader import x11_state

KEY = "shift_r"
"""Pressed alone for a moment it does nothing, and every layout has it; many lack F13 and up."""


def probe() -> list[Probe]:
    """Press and release the right shift key, and read it back where the system allows."""
    try:
        keys = open_backend([KEY])
    except (AutopilotError, ImportError) as e:
        what, _, fix = str(e).partition("; ")
        return [Probe("keyboard", ok=False, detail=what, fix=fix)]
    if not isinstance(keys, X11Keys):
        keys.close()
        how = "through the kernel's uinput; " if sys.platform.startswith("linux") else ""
        return [Probe("keyboard", ok=True, detail=f"opens; {how}whether keys arrive was not tried")]
    try:
        down, disconnect = x11_state([KEY])
        keys.press(KEY)
        keys.flush()
        arrived = KEY in down()
        keys.release(KEY)
        keys.flush()
        left = KEY not in down()
        disconnect()
    except AutopilotError as e:
        return [Probe("keyboard", ok=False, detail=str(e), fix="start the desktop session again")]
    finally:
        keys.close()
    if arrived and left:
        wayland = bool(os.environ.get("WAYLAND_DISPLAY"))
        note = "; in this Wayland session only X11 windows see it" if wayland else ""
        return [Probe("keyboard", ok=True, detail=f"a pressed key arrives (XTest){note}")]
    fix = "close the program that holds the keyboard (a screen lock, a menu) and try again"
    return [Probe("keyboard", ok=False, detail="a pressed key does not arrive", fix=fix)]
