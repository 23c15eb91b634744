"""Virtual gamepads: the back-ends that core's emitter process loads, and what `doctor` tries."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from typing import Any

from autopilot.api import DeviceError, Probe

from autopilot_input_gamepad.buttons import check, dualshock_report, xbox_report

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


def plug_in(kind: str) -> Any:
    """Plug in vgamepad's pad of that class.

    Raises DeviceError, with the way to put it right, where that is impossible.
    """
    if sys.platform not in INSTALL:
        raise DeviceError("no gamepad: this system has no virtual pads; use --input keyboard")
    try:
        import vgamepad
    except Exception as e:  # importing it loads a library or driver, which may fail in any way
        reason = " ".join(str(e).split())
        raise DeviceError(f"no gamepad: vgamepad cannot be used ({reason}); {INSTALL[sys.platform]}") from e
    try:
        return getattr(vgamepad, kind)()
    except FileNotFoundError as e:
        raise DeviceError(f"no gamepad: {NO_UINPUT}") from e
    except PermissionError as e:
        raise DeviceError(f"no gamepad: {FORBIDDEN}") from e
    except Exception as e:
        raise DeviceError(f"no gamepad: it cannot be plugged in ({e}); use --input keyboard") from e


class Pad:
    """A pad whose whole state is sent at each flush; it is unplugged when its process ends in any way."""

    sticky = False

    def __init__(self, names: Sequence[str], kind: str, report: Callable[[frozenset[str]], Any]) -> None:
        check(names)
        self._report = report
        self._held: set[str] = set()
        self._pad = plug_in(kind)
        # How SDL names the device: its path on Linux, its slot on Windows.
        slot = f"XInput#{self._pad.get_index()}" if sys.platform == "win32" else self._pad.uinput.devnode
        self.devices: tuple[str, ...] = (slot,)

    def press(self, name: str) -> None:
        """Press a button, or tilt the stick."""
        self._held.add(name)

    def release(self, name: str) -> None:
        """Release it."""
        self._held.discard(name)

    def flush(self) -> None:
        """Send the state."""
        self._pad.update_from_report(self._report(frozenset(self._held)))

    def close(self) -> None:
        """Unplug it."""
        del self._pad


def xbox(names: Sequence[str]) -> Pad:
    """Return an Xbox 360 pad; raises UserError for an unknown button, DeviceError without a pad."""
    return Pad(names, "VX360Gamepad", xbox_report)


def dualshock(names: Sequence[str]) -> Pad:
    """Return a DualShock 4; raises as `xbox` does."""
    return Pad(names, "VDS4Gamepad", dualshock_report)


def probe() -> list[Probe]:
    """Plug a pad in and out again."""
    try:
        plug_in("VX360Gamepad")
    except DeviceError as e:
        what, _, fix = str(e).partition("; ")
        return [Probe("gamepad", ok=False, detail=what, fix=fix)]
    return [Probe("gamepad", ok=True, detail="a virtual Xbox 360 pad can be plugged in")]
