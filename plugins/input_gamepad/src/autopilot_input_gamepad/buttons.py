"""The names of a pad's buttons, and the reports in which vgamepad sends them."""

from __future__ import annotations

import functools
from collections.abc import Iterable
from typing import Any

from autopilot.api import UserError, suggest

XBOX = {
    **{name: f"XUSB_GAMEPAD_{name.upper()}" for name in ("a", "b", "x", "y", "start", "back")},
    **{f"dpad_{way}": f"XUSB_GAMEPAD_DPAD_{way.upper()}" for way in ("up", "down", "left", "right")},
    **{"lb": "XUSB_GAMEPAD_LEFT_SHOULDER", "rb": "XUSB_GAMEPAD_RIGHT_SHOULDER"},
    **{"ls": "XUSB_GAMEPAD_LEFT_THUMB", "rs": "XUSB_GAMEPAD_RIGHT_THUMB"},
}
"""Button -> its name in `vgamepad.XUSB_BUTTON`."""

DUALSHOCK = {
    **{"a": "CROSS", "b": "CIRCLE", "x": "SQUARE", "y": "TRIANGLE", "start": "OPTIONS", "back": "SHARE"},
    **{"lb": "SHOULDER_LEFT", "rb": "SHOULDER_RIGHT", "ls": "THUMB_LEFT", "rs": "THUMB_RIGHT"},
    **{"lt": "TRIGGER_LEFT", "rt": "TRIGGER_RIGHT"},
}
"""Button -> its name in `vgamepad.DS4_BUTTONS`, less `DS4_BUTTON_`: those in the same place."""

TRIGGERS = ("lt", "rt")
STICK = {"stick_left": (-1, 0), "stick_right": (1, 0), "stick_up": (0, 1), "stick_down": (0, -1)}
"""Direction of the left stick, fully tilted -> right and up."""

DPAD = {f"dpad_{name.removeprefix('stick_')}": way for name, way in STICK.items()}
BUTTONS = frozenset({*XBOX, *TRIGGERS, *STICK})


def available() -> list[str]:
    """Return the names of all buttons; the left stick's are read as the d-pad's as well."""
    return sorted(BUTTONS - STICK.keys())


def check(names: Iterable[str]) -> None:
    """Raise UserError, with near matches, for the first name that is no button's."""
    for name in names:
        if name not in BUTTONS:
            raise UserError(f"unknown gamepad button {name!r}: {suggest(name.lower(), sorted(BUTTONS))}")


def _tilt(held: Iterable[str], ways: dict[str, tuple[int, int]]) -> tuple[int, int]:
    """Return right and up, each -1, 0 or 1; opposite directions cancel out."""
    tilts = [ways[name] for name in held if name in ways]
    return sum(x for x, _ in tilts), sum(y for _, y in tilts)


@functools.cache
def _unsigned(name: str, fields: tuple[str, ...]) -> type[Any]:
    """vgamepad declares bytes as signed, and Linux would be sent -1 for 255."""
    from vgamepad import api

    base = getattr(api, name)

    def unsigned(field: str) -> property:
        signed = getattr(base, field)
        return property(lambda state: signed.__get__(state) & 255, signed.__set__)

    return type("Report", (base,), {field: unsigned(field) for field in fields})


def xbox_report(held: frozenset[str]) -> Any:
    """Return the state of an Xbox 360 pad on which these buttons, and no others, are held."""
    from vgamepad import XUSB_BUTTON

    x, y = _tilt(held, STICK)
    return _unsigned("XUSB_REPORT", ("bLeftTrigger", "bRightTrigger"))(
        wButtons=sum(XUSB_BUTTON[XBOX[name]] for name in held & XBOX.keys()),
        bLeftTrigger=255 * ("lt" in held),
        bRightTrigger=255 * ("rt" in held),
        sThumbLX=32767 * x,
        sThumbLY=32767 * y,
    )


def dualshock_report(held: frozenset[str]) -> Any:
    """Return the state of a DualShock 4 on which these buttons, and no others, are held."""
    from vgamepad import DS4_BUTTONS, DS4_DPAD_DIRECTIONS

    x, y = _tilt(held, STICK)
    right, up = _tilt(held, DPAD)
    way = {1: "NORTH", 0: "", -1: "SOUTH"}[up] + {1: "EAST", 0: "", -1: "WEST"}[right]
    fields = ("bThumbLX", "bThumbLY", "bThumbRX", "bThumbRY", "bTriggerL", "bTriggerR")
    return _unsigned("DS4_REPORT", fields)(
        bThumbLX=128 + (127 * x if x > 0 else 128 * x),
        bThumbLY=128 - (128 * y if y > 0 else 127 * y),
        bThumbRX=128,
        bThumbRY=128,
        wButtons=sum(DS4_BUTTONS[f"DS4_BUTTON_{DUALSHOCK[name]}"] for name in held & DUALSHOCK.keys())
        | DS4_DPAD_DIRECTIONS[f"DS4_BUTTON_DPAD_{way or 'NONE'}"],
        bTriggerL=255 * ("lt" in held),
        bTriggerR=255 * ("rt" in held),
    )
