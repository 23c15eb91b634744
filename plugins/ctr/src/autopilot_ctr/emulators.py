"""The emulators that people play the game in: how their windows are known, and their default keys.

The keys are the defaults for the arrows (or what stands for them), Cross, Square, Circle, L1 and R1.
Those of ePSXe are not known here: `autopilot setup` asks for them.
"""

from __future__ import annotations

from autopilot.api import Program

_ARROWS = {"left": "left", "right": "right", "up": "up", "down": "down"}
_WASD = {"left": "a", "right": "d", "up": "w", "down": "s"}

KEYBOARD = {
    "duckstation": {**_ARROWS, **{"accelerate": "k", "brake": "j", "item": "l", "slide_left": "q", "slide_right": "e"}},
    "pcsx-redux": {**_ARROWS, **{"accelerate": "x", "brake": "z", "item": "d", "slide_left": "q", "slide_right": "r"}},
    "retroarch": {**_ARROWS, **{"accelerate": "z", "brake": "a", "item": "x", "slide_left": "q", "slide_right": "w"}},
    "pcsxr": {**_ARROWS, **{"accelerate": "z", "brake": "s", "item": "x", "slide_left": "w", "slide_right": "r"}},
    "mednafen": {
        **_WASD,
        **{"accelerate": "kp_2", "brake": "kp_4", "item": "kp_6", "slide_left": "kp_1", "slide_right": "kp_3"},
    },
}
"""Emulator -> control -> key."""

GAMEPAD = {
    "default": {
        **{direction: f"dpad_{direction}" for direction in _ARROWS},
        **{"accelerate": "a", "brake": "x", "item": "b", "slide_left": "lb", "slide_right": "rb"},
    }
}
"""The Xbox button in the place of each PlayStation button."""

PROGRAMS = {
    "duckstation": Program("DuckStation", ("duckstation",)),
    "pcsx-redux": Program("PCSX-Redux", ("pcsx-redux", "pcsxredux")),
    "retroarch": Program(
        "RetroArch",
        ("retroarch",),
        note="letters are hotkeys of its own too (P pauses it): turn its game focus on, by Scroll Lock, while you play",
    ),
    "pcsxr": Program(
        "PCSXR",
        ("pcsxr",),
        hotkeys={"pause": "y", "panic": "f9"},
        note="T and F12 are its own (R2, and a reset), so Y pauses a recording and F9 is the panic key",
    ),
    "epsxe": Program("ePSXe", ("epsxe",)),
    "mednafen": Program(
        "Mednafen",
        ("mednafen",),
        hotkeys={"pause": "y", "panic": "f4"},
        note="T and F12 are its own (a console, and its exit), so Y pauses a recording and F4 is the panic key",
    ),
}
"""The profiles that have a window of their own. DuckStation's title is the game's, so none goes by the title."""

ASPECTS = (4 / 3, 4 / 3 * 240 / 216)
"""The screen's; and without the black lines above and below the 216 that the game draws of 240."""
