"""The names of a pad's buttons, sticks and triggers, and the reports in which vgamepad sends them."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Mapping
from typing import Any

from autopilot.api import UserError, level_of, split_level, suggest

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
AXES = ("left_x", "left_y", "right_x", "right_y", *TRIGGERS)
"""What has levels: sticks, right and up positive, and triggers, from 0. `left_x:-0.6` is a level of one."""

STICK = {"stick_left": "left_x:-1", "stick_right": "left_x:1", "stick_up": "left_y:1", "stick_down": "left_y:-1"}
"""Direction of the left stick, fully tilted -> the level that it is."""

DPAD = {f"dpad_{name.removeprefix('stick_')}": level for name, level in STICK.items()}
FULL = {**STICK, **{name: f"{name}:1" for name in TRIGGERS}}
BUTTONS = frozenset({*XBOX, *FULL})


def available() -> list[str]:
    """Return the names of all buttons; the left stick's are read as the d-pad's as well."""
    return sorted(BUTTONS - STICK.keys())


def check(names: Iterable[str]) -> None:
    """Raise UserError, with near matches, for the first name that is no button's and no level of an axis."""
    for name in names:
        axis, level = split_level(name)
        if level is not None and axis not in AXES:
            raise UserError(f"{axis!r} has no levels, and {name!r} is bound; {', '.join(AXES)} have")
        if level is not None and not -1 + (axis in TRIGGERS) <= level <= 1:
            raise UserError(f"{name!r} is bound, but a stick goes from -1 to 1 and a trigger from 0 to 1")
        if level is None and name in AXES and name not in TRIGGERS:
            raise UserError(f"{name!r} is a stick, for an analogue control: for a button, say how far, {name}:1")
        if level is None and name not in BUTTONS:
            raise UserError(f"unknown gamepad button {name!r}: {suggest(name.lower(), sorted({*BUTTONS, *AXES}))}")


def _tilts(held: Iterable[str], ways: Mapping[str, str]) -> dict[str, float]:
    """Return how far each axis is from rest, -1 to 1; opposite ways cancel out."""
    every = frozenset(ways.get(name, name) for name in held)
    return {axis: level_of(every, axis) for axis in AXES}


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
    """Return the state of an Xbox 360 pad on which these buttons and levels, and no others, are held."""
    from vgamepad import XUSB_BUTTON

    tilt = _tilts(held, FULL)
    return _unsigned("XUSB_REPORT", ("bLeftTrigger", "bRightTrigger"))(
        wButtons=sum(XUSB_BUTTON[XBOX[name]] for name in held & XBOX.keys()),
        bLeftTrigger=round(255 * tilt["lt"]),
        bRightTrigger=round(255 * tilt["rt"]),
        sThumbLX=round(32767 * tilt["left_x"]),
        sThumbLY=round(32767 * tilt["left_y"]),
        sThumbRX=round(32767 * tilt["right_x"]),
        sThumbRY=round(32767 * tilt["right_y"]),
    )


def dualshock_report(held: frozenset[str]) -> Any:
    """Return the state of a DualShock 4 on which these buttons and levels, and no others, are held."""
    from vgamepad import DS4_BUTTONS, DS4_DPAD_DIRECTIONS

    tilt, pad = _tilts(held, FULL), _tilts(held & DPAD.keys(), DPAD)
    way = {1: "NORTH", 0: "", -1: "SOUTH"}[int(pad["left_y"])] + {1: "EAST", 0: "", -1: "WEST"}[int(pad["left_x"])]
    fields = ("bThumbLX", "bThumbLY", "bThumbRX", "bThumbRY", "bTriggerL", "bTriggerR")
    return _unsigned("DS4_REPORT", fields)(
        bThumbLX=_byte(tilt["left_x"]),
        bThumbLY=_byte(-tilt["left_y"]),
        bThumbRX=_byte(tilt["right_x"]),
        bThumbRY=_byte(-tilt["right_y"]),
        wButtons=sum(DS4_BUTTONS[f"DS4_BUTTON_{DUALSHOCK[name]}"] for name in held & DUALSHOCK.keys())
        | DS4_DPAD_DIRECTIONS[f"DS4_BUTTON_DPAD_{way or 'NONE'}"],
        bTriggerL=round(255 * tilt["lt"]),
        bTriggerR=round(255 * tilt["rt"]),
    )


def _byte(tilt: float) -> int:
    """Return how a DualShock says where a stick is: 0 to 255, at rest 128."""
    return 128 + round(127 * tilt if tilt > 0 else 128 * tilt)
