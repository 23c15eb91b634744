"""The names of a pad's buttons, and what they are in vgamepad's report."""

from __future__ import annotations

import difflib
import functools
from collections.abc import Iterable
from typing import TYPE_CHECKING

from autopilot.errors import UserError

if TYPE_CHECKING:
    from vgamepad.api import XUSB_REPORT

DIGITAL = {
    **{name: f"XUSB_GAMEPAD_{name.upper()}" for name in ("a", "b", "x", "y", "start", "back")},
    **{f"dpad_{way}": f"XUSB_GAMEPAD_DPAD_{way.upper()}" for way in ("up", "down", "left", "right")},
    **{"lb": "XUSB_GAMEPAD_LEFT_SHOULDER", "rb": "XUSB_GAMEPAD_RIGHT_SHOULDER"},
    **{"ls": "XUSB_GAMEPAD_LEFT_THUMB", "rs": "XUSB_GAMEPAD_RIGHT_THUMB"},
}
"""Button -> its name in `vgamepad.XUSB_BUTTON`."""

TRIGGERS = {"lt": "bLeftTrigger", "rt": "bRightTrigger"}
"""Trigger -> its field of the report."""

STICK = {
    "stick_left": ("sThumbLX", -32767),
    "stick_right": ("sThumbLX", 32767),
    "stick_up": ("sThumbLY", 32767),
    "stick_down": ("sThumbLY", -32767),
}
"""Direction of the left stick -> its field of the report and the value at full tilt."""

BUTTONS = frozenset({*DIGITAL, *TRIGGERS, *STICK})


def check(names: Iterable[str]) -> None:
    """Raise UserError, with near matches, for the first name that is no button's."""
    for name in names:
        if name not in BUTTONS:
            near = difflib.get_close_matches(name.lower(), sorted(BUTTONS), n=3, cutoff=0.5)
            hint = f"did you mean {' or '.join(near)}?" if near else f"there are: {', '.join(sorted(BUTTONS))}"
            raise UserError(f"unknown gamepad button {name!r}: {hint}")


@functools.cache
def _report_type() -> type[XUSB_REPORT]:
    from vgamepad.api import XUSB_REPORT

    def unsigned(name: str) -> property:
        field = getattr(XUSB_REPORT, name)
        return property(lambda state: field.__get__(state) & 255, field.__set__)

    class Report(XUSB_REPORT):  # type: ignore[misc]  # the library has no types
        """vgamepad declares the triggers as signed bytes, and Linux would be sent -1 for 255."""

        bLeftTrigger = unsigned("bLeftTrigger")
        bRightTrigger = unsigned("bRightTrigger")

    return Report


def report(held: Iterable[str]) -> XUSB_REPORT:
    """Return the state of a pad on which these buttons, and no others, are held.

    Opposite directions of the stick cancel out.
    """
    from vgamepad import XUSB_BUTTON

    held = frozenset(held)
    tilt = dict.fromkeys(("sThumbLX", "sThumbLY"), 0)
    for name in held & STICK.keys():
        field, value = STICK[name]
        tilt[field] += value
    return _report_type()(
        wButtons=sum(XUSB_BUTTON[DIGITAL[name]] for name in held & DIGITAL.keys()),
        **{field: 255 for name, field in TRIGGERS.items() if name in held},
        **tilt,
    )
