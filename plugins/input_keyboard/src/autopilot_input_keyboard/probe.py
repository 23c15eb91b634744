"""Tries the keyboard: can it be opened, and does a pressed key arrive?"""

from __future__ import annotations

import os

from autopilot.errors import AutopilotError
from autopilot.types import Probe

from autopilot_input_keyboard.device import KeyboardEmitter
from autopilot_input_keyboard.keys import on_x11, pynput_keyboard
from autopilot_input_keyboard.reader import x11_state

KEY = "shift_r"
"""Pressed alone for a moment it does nothing, and every layout has it; many lack F13 and up."""


def probe() -> list[Probe]:
    """Press and release the right shift key, and read it back where the system allows."""
    try:
        keyboard = pynput_keyboard()
        emitter = KeyboardEmitter({"test": KEY})
    except AutopilotError as e:
        what, _, fix = str(e).partition("; ")
        return [Probe("keyboard", ok=False, detail=what, fix=fix)]
    try:
        if not on_x11(keyboard):
            return [Probe("keyboard", ok=True, detail="opens; whether keys arrive was not tried")]
        down, disconnect = x11_state(keyboard, [KEY])
        emitter.hold(frozenset({"test"}))
        arrived = KEY in down()
        emitter.release_all()
        left = KEY not in down()
        disconnect()
    except AutopilotError as e:
        return [Probe("keyboard", ok=False, detail=str(e), fix="start the desktop session again")]
    finally:
        emitter.close()
    if arrived and left:
        wayland = bool(os.environ.get("WAYLAND_DISPLAY"))
        note = "; in this Wayland session only X11 windows see it" if wayland else ""
        return [Probe("keyboard", ok=True, detail=f"a pressed key arrives (XTest){note}")]
    fix = "close the program that holds the keyboard (a screen lock, a menu) and try again"
    return [Probe("keyboard", ok=False, detail="a pressed key does not arrive", fix=fix)]
