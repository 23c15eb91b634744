"""Says whether the keyboard opens, and through what; the trial presses a key."""

from __future__ import annotations

import os

from autopilot.api import AutopilotError, Probe

from autopilot_input_keyboard.backends import UinputKeys, X11Keys, open_backend

ASKERS = {"GNOME": "GNOME", "COSMIC": "COSMIC", "KDE": "KDE Plasma"}
"""What $XDG_CURRENT_DESKTOP says -> Wayland desktops that are reported to ask before XTest presses anything."""


def probe() -> list[Probe]:
    """Open the keyboard that a drive would press; nothing is pressed."""
    try:
        keys = open_backend([])
    except (AutopilotError, ImportError) as e:
        what, _, fix = str(e).partition("; ")
        return [Probe("keyboard", ok=False, detail=what, fix=fix)]
    keys.close()
    if isinstance(keys, UinputKeys):
        return [Probe("keyboard", ok=True, detail="opens, through the kernel's uinput, which every window sees")]
    if not isinstance(keys, X11Keys):
        return [Probe("keyboard", ok=True, detail="opens")]
    if not os.environ.get("WAYLAND_DISPLAY"):
        return [Probe("keyboard", ok=True, detail="opens, through XTest")]
    desktops = os.environ.get("XDG_CURRENT_DESKTOP", "").split(":")
    asker = next((name for part, name in ASKERS.items() if part in desktops), None)
    fix = (
        f"{asker} may ask whether autopilot may press keys: allow it; or, if this user may write /dev/uinput and is in"
        " the group input, they go through the kernel, and nobody is asked"
    )
    detail = "opens, through XTest; only X11 windows see it in Wayland"
    return [Probe("keyboard", ok=True, detail=detail, fix=fix if asker else "")]
