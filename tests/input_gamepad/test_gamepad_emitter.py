"""The virtual gamepad: vgamepad's own pad and report, with or without a kernel that takes them."""

from __future__ import annotations

import builtins
import subprocess
import sys
from pathlib import Path

import pytest
from autopilot.errors import DeviceError, UserError
from autopilot_input_gamepad import device
from autopilot_input_gamepad.buttons import BUTTONS, report
from autopilot_input_gamepad.device import GamepadEmitter, probe

BINDINGS = {"go": "a", "left": "dpad_left", "up": "dpad_up", "drift": "rt", "steer": "stick_left"}


class Kernel:
    """Stands where /dev/uinput would be; remembers what changed, as the kernel passes it on."""

    def __init__(self):
        self.state = {}
        self.reports = []

    def send_events(self, events):
        changed = {
            event.code.name: event.value
            for event in events
            if not event.matches("EV_SYN") and self.state.get(event.code.name, 0) != event.value
        }
        self.state.update(changed)
        self.reports.append(changed)


@pytest.fixture
def kernel(monkeypatch):
    """vgamepad's own Linux pad, with its libevdev device, whose events end in `Kernel`."""
    if not sys.platform.startswith("linux"):
        pytest.skip("missing: Linux, whose pad is made of libevdev events")
    from vgamepad.lin.virtual_gamepad import VGamepad

    kernel = Kernel()
    monkeypatch.setattr(VGamepad, "_create_gamepad_uinput_device", lambda pad: kernel)
    return kernel


def test_buttons_reach_the_kernel_as_those_of_an_xbox_pad(kernel):
    emitter = GamepadEmitter(BINDINGS)
    kernel.reports.clear()
    emitter.hold(frozenset({"go", "left"}))
    emitter.hold(frozenset({"go", "up", "drift", "steer"}))
    emitter.release_all()
    assert kernel.reports == [
        {"BTN_SOUTH": 1, "ABS_HAT0X": -1},
        {"ABS_HAT0X": 0, "ABS_HAT0Y": -1, "ABS_RZ": 255, "ABS_X": -32767},
        {"BTN_SOUTH": 0, "ABS_HAT0Y": 0, "ABS_RZ": 0, "ABS_X": 0},
    ]


def test_holding_the_same_again_sends_nothing(kernel):
    emitter = GamepadEmitter(BINDINGS)
    kernel.reports.clear()
    for _ in range(3):
        emitter.hold(frozenset({"go"}))
    assert kernel.reports == [{"BTN_SOUTH": 1}]


def test_close_releases_and_may_be_called_twice(kernel):
    emitter = GamepadEmitter(BINDINGS)
    emitter.hold(frozenset({"go", "drift"}))
    emitter.close()
    emitter.close()
    assert (kernel.state["BTN_SOUTH"], kernel.state["ABS_RZ"]) == (0, 0)
    with pytest.raises(DeviceError, match="was closed"):
        emitter.hold(frozenset())


def test_every_button_moves_something_of_its_own(kernel):
    emitter = GamepadEmitter({name: name for name in BUTTONS})
    seen = set()
    for name in sorted(BUTTONS):
        emitter.release_all()
        kernel.reports.clear()
        emitter.hold(frozenset({name}))
        (change,) = kernel.reports
        assert len(change) == 1, name
        seen |= set(change.items())
    assert len(seen) == len(BUTTONS)


def test_the_report_is_vgamepads_own():
    from vgamepad import XUSB_BUTTON
    from vgamepad.api import XUSB_REPORT

    state = report({"a", "lb", "dpad_up", "lt", "stick_up", "stick_right"})
    assert isinstance(state, XUSB_REPORT)
    assert state.wButtons == (
        XUSB_BUTTON.XUSB_GAMEPAD_A | XUSB_BUTTON.XUSB_GAMEPAD_LEFT_SHOULDER | XUSB_BUTTON.XUSB_GAMEPAD_DPAD_UP
    )
    assert (state.bLeftTrigger, state.bRightTrigger) == (255, 0)
    assert (state.sThumbLX, state.sThumbLY) == (32767, 32767)
    # Little-endian: buttons, two triggers, four axes; what a Windows driver is handed.
    assert bytes(state) == bytes.fromhex("0111 ff00 ff7f ff7f 0000 0000")


def test_opposite_directions_of_the_stick_cancel_out():
    state = report({"stick_left", "stick_right", "stick_down"})
    assert (state.sThumbLX, state.sThumbLY) == (0, -32767)


def test_probe_of_this_machine_works_or_says_what_to_do():
    (found,) = probe()
    assert found.ok or found.fix
    if not Path("/dev/uinput").exists():
        assert found.detail == "no gamepad: the kernel offers no /dev/uinput"
        assert found.fix == "load its module: sudo modprobe uinput"


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (FileNotFoundError(2, "No such file"), r"no /dev/uinput; .*sudo modprobe uinput"),
        (PermissionError(13, "Permission denied"), r"not write to /dev/uinput; .*udev.*usermod"),
        (OSError(5, "Input/output error"), r"cannot be plugged in .*; use --input keyboard"),
    ],
)
def test_one_line_says_why_there_is_no_pad_and_what_to_do(monkeypatch, error, message):
    real = builtins.open

    def refuse(path, *args, **kwargs):
        if path == "/dev/uinput":
            raise error
        return real(path, *args, **kwargs)

    monkeypatch.setattr(builtins, "open", refuse)
    with pytest.raises(DeviceError, match=message) as caught:
        GamepadEmitter(BINDINGS)
    assert "\n" not in str(caught.value)


def test_a_library_that_cannot_be_loaded_is_reported_in_one_line():
    code = (
        "import sys; sys.modules['libevdev'] = None\n"
        "from autopilot_input_gamepad.device import GamepadEmitter as G\n"
        "G({'go': 'a'})"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    last = run.stderr.strip().splitlines()[-1]
    assert last.startswith("autopilot.errors.DeviceError: no gamepad: vgamepad cannot be used")
    assert last.endswith(device.INSTALL["linux"])


def test_a_system_without_virtual_pads_is_told_what_to_use(monkeypatch):
    monkeypatch.setattr(sys, "platform", "darwin")
    with pytest.raises(DeviceError, match="use --input keyboard"):
        GamepadEmitter(BINDINGS)


@pytest.mark.parametrize(
    ("button", "message"), [("dpad_lft", "did you mean dpad_left"), ("Q", "there are: a, b, back")]
)
def test_an_unknown_button_is_named(button, message):
    with pytest.raises(UserError, match=message):
        GamepadEmitter({"go": button})


def test_a_control_without_a_button_is_named(kernel):
    with pytest.raises(UserError, match="no button is bound to jump; bound are: go, left"):
        GamepadEmitter(BINDINGS).hold(frozenset({"jump"}))
