"""The virtual gamepad: opened, held, and tried by `doctor`."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from autopilot.errors import DeviceError, UserError
from autopilot.types import NOTHING, Bindings, Held, Probe

from autopilot_input_gamepad.buttons import check, report

if TYPE_CHECKING:
    from vgamepad import VX360Gamepad

INSTALL = {
    "linux": "install libevdev: sudo apt install libevdev2",
    "win32": "install the ViGEmBus driver from github.com/nefarius/ViGEmBus/releases",
}
NO_UINPUT = "the kernel offers no /dev/uinput; load its module: sudo modprobe uinput"
FORBIDDEN = (
    "this user may not write to /dev/uinput; allow it, then log in again:"
    """ echo 'KERNEL=="uinput", GROUP="input", MODE="0660"' |"""
    " sudo tee /etc/udev/rules.d/99-uinput.rules && sudo udevadm control --reload &&"
    " sudo udevadm trigger && sudo usermod -aG input $USER"
)


def open_pad() -> VX360Gamepad:
    """Plug in a virtual Xbox 360 pad.

    Raises DeviceError, with the way to put it right, where that is impossible.
    """
    if sys.platform not in INSTALL:
        raise DeviceError("no gamepad: this system has no virtual pads; use --input keyboard")
    try:
        from vgamepad import VX360Gamepad
    except Exception as e:  # importing it loads a library or driver, which may fail in any way
        reason = " ".join(str(e).split())
        raise DeviceError(f"no gamepad: vgamepad cannot be used ({reason}); {INSTALL[sys.platform]}") from e
    try:
        return VX360Gamepad()
    except FileNotFoundError as e:
        raise DeviceError(f"no gamepad: {NO_UINPUT}") from e
    except PermissionError as e:
        raise DeviceError(f"no gamepad: {FORBIDDEN}") from e
    except Exception as e:
        raise DeviceError(f"no gamepad: it cannot be plugged in ({e}); use --input keyboard") from e


class GamepadEmitter:
    """Holds pad buttons for the policy; `bindings` maps controls to button names.

    The pad is unplugged, and everything on it released, when this process ends in any way.

    Raises UserError for an unknown button, DeviceError when there is no virtual pad to be had.
    """

    def __init__(self, bindings: Bindings) -> None:
        check(bindings.values())
        self._bindings = dict(bindings)
        self._held: frozenset[str] = frozenset()
        self._pad: VX360Gamepad | None = open_pad()

    def hold(self, controls: Held) -> None:
        """Make exactly the buttons of these controls held; idempotent, sends only differences.

        Raises UserError for a control without a binding, DeviceError once it is closed.
        """
        unbound = sorted(controls - self._bindings.keys())
        if unbound:
            bound = ", ".join(self._bindings)
            raise UserError(f"no button is bound to {', '.join(unbound)}; bound are: {bound}")
        if self._pad is None:
            raise DeviceError("the gamepad was closed; open it again")
        held = frozenset(self._bindings[control] for control in controls)
        if held != self._held:
            self._pad.update_from_report(report(held))
            self._held = held

    def release_all(self) -> None:
        """Let go of every button."""
        self.hold(NOTHING)

    def close(self) -> None:
        """Release every button and unplug the pad."""
        if self._pad is not None:
            self.release_all()
            self._pad = None


def probe() -> list[Probe]:
    """Plug a pad in and out again."""
    try:
        open_pad()
    except DeviceError as e:
        what, _, fix = str(e).partition("; ")
        return [Probe("gamepad", ok=False, detail=what, fix=fix)]
    return [Probe("gamepad", ok=True, detail="a virtual Xbox 360 pad can be plugged in")]
