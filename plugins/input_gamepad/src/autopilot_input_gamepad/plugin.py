"""What this plugin provides: a virtual gamepad."""

from __future__ import annotations

from autopilot.hookspecs import API_VERSION, hookimpl
from autopilot.specs import DeviceSpec

AUTOPILOT_API = API_VERSION


@hookimpl
def autopilot_devices() -> list[DeviceSpec]:
    """An Xbox 360 pad."""
    return [
        DeviceSpec(
            "gamepad",
            "virtual Xbox 360 gamepad (vgamepad)",
            emitter="autopilot_input_gamepad.device:GamepadEmitter",
            probe="autopilot_input_gamepad.device:probe",
        )
    ]
