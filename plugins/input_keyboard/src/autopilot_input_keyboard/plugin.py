"""What this plugin provides: the keyboard, to press keys with and to read."""

from __future__ import annotations

from autopilot.api import API_VERSION, DeviceSpec, hookimpl

AUTOPILOT_API = API_VERSION


@hookimpl
def autopilot_devices() -> list[DeviceSpec]:
    """The keyboard."""
    return [
        DeviceSpec(
            "keyboard",
            "virtual keyboard, and what the human holds on the real one",
            backend="autopilot_input_keyboard.backends:open_backend",
            reader="autopilot_input_keyboard.reader:open_reader",
            names="autopilot_input_keyboard.keys:available",
            probe="autopilot_input_keyboard.probe:probe",
            trial="autopilot_input_keyboard.trial:trial",
        ),
        DeviceSpec(
            "keyboard-uinput",
            "the keyboard through Linux's uinput and evdev: also for Wayland",
            backend="autopilot_input_keyboard.backends:UinputKeys",
            reader="autopilot_input_keyboard.reader:open_evdev_reader",
            names="autopilot_input_keyboard.keys:available",
            bindings="keyboard",
        ),
    ]
