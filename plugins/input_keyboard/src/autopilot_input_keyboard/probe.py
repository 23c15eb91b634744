"""Says whether the keyboard opens, and through what; the trial presses a key."""

from __future__ import annotations

import os

from autopilot.api import AutopilotError, Probe

from autopilot_input_keyboard.backends import UinputKeys, X11Keys, open_backend


def probe() -> list[Probe]:
    """Open the keyboard that a drive would press; nothing is pressed."""
    try:
        keys = open_backend([])
    except (AutopilotError, ImportError) as e:
        what, _, fix = str(e).partition("; ")
        return [Probe("keyboard", ok=False, detail=what, fix=fix)]
    keys.close()
    how = ", through the kernel's uinput" if isinstance(keys, UinputKeys) else ""
    if isinstance(keys, X11Keys):
        how = ", through XTest" + ("; only X11 windows see it in Wayland" if os.environ.get("WAYLAND_DISPLAY") else "")
    return [Probe("keyboard", ok=True, detail=f"opens{how}")]
