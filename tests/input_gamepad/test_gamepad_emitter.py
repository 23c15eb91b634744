"""The virtual gamepad: vgamepad's own pad and report, with or without a kernel that takes them."""

from __future__ import annotations

import builtins
import subprocess
import sys
from pathlib import Path

import pytest
from autopilot.api.errors import DeviceError, UserError
from autopilot.desktop.emitter import Emitter
from autopilot_input_gamepad import backends
from autopilot_input_gamepad.backends import dualshock, probe, xbox
from autopilot_input_gamepad.buttons import BUTTONS, xbox_report

NAMES = sorted(BUTTONS)


class Kernel:
    """Stands where /dev/uinput would be; remembers what changed, as the kernel passes it on."""

    devnode = "/dev/input/event7"

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
    monkeypatch.setattr(VGamepad, "_create_uinput_device", lambda pad, device=None, uinput_fd=None: Kernel())
    return kernel


def hold(pad, *names):
    """Hold exactly these, as the emitter process does."""
    for name in sorted(pad._held - set(names)):
        pad.release(name)
    for name in names:
        pad.press(name)
    pad.flush()


def test_buttons_reach_the_kernel_as_those_of_an_xbox_pad(kernel):
    pad = xbox(NAMES)
    assert pad.devices == ("/dev/input/event7",)
    kernel.reports.clear()
    hold(pad, "a", "dpad_left")
    hold(pad, "a", "dpad_up", "rt", "stick_left")
    hold(pad)
    assert kernel.reports == [
        {"BTN_SOUTH": 1, "ABS_HAT0X": -1},
        {"ABS_HAT0X": 0, "ABS_HAT0Y": -1, "ABS_RZ": 255, "ABS_X": -32767},
        {"BTN_SOUTH": 0, "ABS_HAT0Y": 0, "ABS_RZ": 0, "ABS_X": 0},
    ]


def test_buttons_reach_the_kernel_as_those_of_a_dualshock(kernel):
    pad = dualshock(NAMES)
    hold(pad)
    kernel.reports.clear()
    hold(pad, "a", "dpad_left", "dpad_up")
    hold(pad, "x", "rt", "stick_left", "stick_up")
    hold(pad, "stick_right", "stick_down")
    hold(pad)
    assert kernel.reports == [
        {"BTN_SOUTH": 1, "ABS_HAT0X": -1, "ABS_HAT0Y": -1},
        {
            **{"BTN_SOUTH": 0, "BTN_WEST": 1, "BTN_TR2": 1},
            **{"ABS_X": 0, "ABS_Y": 0, "ABS_RZ": 255, "ABS_HAT0X": 0, "ABS_HAT0Y": 0},
        },
        {"BTN_WEST": 0, "BTN_TR2": 0, "ABS_X": 255, "ABS_Y": 255, "ABS_RZ": 0},
        {"ABS_X": 128, "ABS_Y": 128},
    ]


LEVELS = ["left_x:-0.6", "left_x:1", "left_y:0.5", "right_x:-1", "right_y:-0.5", "rt:0.4"]


def test_levels_reach_the_kernel_and_go_back_to_rest(kernel):
    pad = xbox(LEVELS)
    hold(pad)
    kernel.reports.clear()
    hold(pad, "left_x:-0.6", "rt:0.4")
    hold(pad, "left_x:1", "rt:0.4", "left_y:0.5")
    hold(pad, "right_x:-1", "right_y:-0.5")
    hold(pad)
    assert kernel.reports == [
        {"ABS_X": -19660, "ABS_RZ": 102},
        {"ABS_X": 32767, "ABS_Y": -16385},  # vgamepad turns y round by its complement: rest is -1
        {"ABS_X": 0, "ABS_Y": -1, "ABS_RZ": 0, "ABS_RX": -32767, "ABS_RY": 16383},
        {"ABS_RX": 0, "ABS_RY": -1},
    ], "in one report each: no stick passes its rest on the way"


def test_levels_of_a_dualshock(kernel):
    pad = dualshock(LEVELS)
    hold(pad)
    kernel.reports.clear()
    hold(pad, "left_x:-0.6", "left_y:0.5", "right_y:-0.5", "rt:0.4")
    hold(pad)
    assert kernel.reports == [
        {"ABS_X": 51, "ABS_Y": 64, "ABS_RY": 192, "ABS_RZ": 102},
        {"ABS_X": 128, "ABS_Y": 128, "ABS_RY": 128, "ABS_RZ": 0},
    ]


@pytest.mark.parametrize("make", [xbox, dualshock])
def test_every_button_moves_something_of_its_own(kernel, make):
    pad = make(NAMES)
    seen = set()
    for name in NAMES:
        hold(pad)
        kernel.reports.clear()
        hold(pad, name)
        (change,) = kernel.reports
        # A DualShock's triggers are a button and an axis at once.
        assert len(change) == 1 + (make is dualshock and name in ("lt", "rt")), name
        seen |= set(change.items())
    assert len(seen) == len(BUTTONS) + 2 * (make is dualshock)


def test_the_report_is_vgamepads_own():
    from vgamepad import XUSB_BUTTON
    from vgamepad.api import XUSB_REPORT

    state = xbox_report(frozenset({"a", "lb", "dpad_up", "lt", "stick_up", "stick_right"}))
    assert isinstance(state, XUSB_REPORT)
    assert state.wButtons == (
        XUSB_BUTTON.XUSB_GAMEPAD_A | XUSB_BUTTON.XUSB_GAMEPAD_LEFT_SHOULDER | XUSB_BUTTON.XUSB_GAMEPAD_DPAD_UP
    )
    assert (state.bLeftTrigger, state.bRightTrigger) == (255, 0)
    assert (state.sThumbLX, state.sThumbLY) == (32767, 32767)
    # Little-endian: buttons, two triggers, four axes; what a Windows driver is handed.
    assert bytes(state) == bytes.fromhex("0111 ff00 ff7f ff7f 0000 0000")


def test_opposite_directions_of_the_stick_cancel_out():
    state = xbox_report(frozenset({"stick_left", "stick_right", "stick_down"}))
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
        xbox(NAMES)
    assert "\n" not in str(caught.value)


def test_a_library_that_cannot_be_loaded_is_reported_in_one_line():
    code = "import sys; sys.modules['libevdev'] = None\nfrom autopilot_input_gamepad.backends import xbox\nxbox(['a'])"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    last = run.stderr.strip().splitlines()[-1]
    assert last.startswith("autopilot.api.errors.DeviceError: no gamepad: vgamepad cannot be used")
    assert last.endswith(backends.INSTALL["linux"])


def test_a_system_without_virtual_pads_is_told_what_to_use(monkeypatch):
    monkeypatch.setattr(sys, "platform", "darwin")
    with pytest.raises(DeviceError, match="use --input keyboard"):
        xbox(NAMES)


@pytest.mark.parametrize(
    ("button", "message"), [("dpad_lft", "did you mean dpad_left"), ("Q", "there are: a, b, back")]
)
def test_an_unknown_button_is_named(button, message):
    with pytest.raises(UserError, match=message):
        xbox([button])


@pytest.mark.skipif(Path("/dev/uinput").exists(), reason="this kernel has pads")
def test_the_emitter_says_in_one_line_why_there_is_no_pad():
    with pytest.raises(DeviceError, match="no gamepad: the kernel offers no /dev/uinput; load its module") as caught:
        Emitter("autopilot_input_gamepad.backends:xbox", {"go": "a"})
    assert "\n" not in str(caught.value)
