"""What this plugin provides: virtual gamepads, and a reader of real ones."""

from __future__ import annotations

from autopilot.api import API_VERSION, DeviceSpec, hookimpl

AUTOPILOT_API = API_VERSION


@hookimpl
def autopilot_devices() -> list[DeviceSpec]:
    """An Xbox 360 pad, which most games know, and a DualShock 4."""
    return [
        DeviceSpec(
            "gamepad",
            "virtual Xbox 360 gamepad (vgamepad), and what the human holds on a real pad (SDL)",
            backend="autopilot_input_gamepad.backends:xbox",
            reader="autopilot_input_gamepad.reader:open_reader",
            names="autopilot_input_gamepad.buttons:available",
            probe="autopilot_input_gamepad.backends:probe",
            trial="autopilot_input_gamepad.trial:trial",
        ),
        DeviceSpec(
            "dualshock4",
            "virtual DualShock 4 gamepad (vgamepad)",
            backend="autopilot_input_gamepad.backends:dualshock",
            bindings="gamepad",
        ),
    ]
