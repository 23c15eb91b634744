"""What this plugin provides: the device `window`."""

from __future__ import annotations

from autopilot.api import API_VERSION, DeviceSpec, hookimpl

AUTOPILOT_API = API_VERSION


@hookimpl
def autopilot_devices() -> list[DeviceSpec]:
    """The window."""
    return [
        DeviceSpec(
            "window",
            "a window that shows a simulator, and the keys held in it",
            reader="autopilot_input_window.window:open_window",
            names="autopilot_input_window.window:key_names",
            probe="autopilot_input_window.window:probe",
        )
    ]
