"""A Wayland desktop without a screen: sway with Xwayland, and a human's keyboard in it."""

from __future__ import annotations

import array
import json
import os
import shutil
import signal
import socket
import struct
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from Xlib import display as display_module
from Xlib.protocol.display import Display
from Xlib.protocol.event import event_class

CONFIG = """
output HEADLESS-1 resolution 1280x960 position 0 0
default_border none
seat * hide_cursor 0
focus_on_window_activation focus
for_window [title=".*"] floating enable
exec sh -c 'xhost +si:localuser:root; echo "$DISPLAY" >display.part; mv display.part display'
"""
"""The first X11 program starts Xwayland; root may use it, as whom tests may run and sway may not."""

NOBODY = 65534

KEYMAP = """xkb_keymap {
 xkb_keycodes { include "evdev+aliases(qwerty)" };
 xkb_types { include "complete" };
 xkb_compat { include "complete" };
 xkb_symbols { include "pc+us+inet(evdev)" };
};"""


def inside_sway() -> bool:
    """Return whether `make test-wayland` asks for the suites of screen and keyboard inside sway."""
    return os.environ.get("AUTOPILOT_DESKTOP") == "sway"


def wait(condition: Callable[[], Any], seconds: float = 30) -> Any:
    """Return what a function returns as soon as that is true."""
    until = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < until, "did not happen in time"
        time.sleep(0.01)
    return found


def forget_extensions() -> None:
    """Let python-xlib learn anew which number means which event: that differs between Xwayland and Xvfb."""
    Display.event_classes = event_class.copy()


class Sway:
    """A headless sway; `name` is its Xwayland's DISPLAY, `env` what its programs find their way by."""

    def __init__(self) -> None:
        for program, package in (("sway", "sway"), ("Xwayland", "xwayland"), ("xhost", "x11-xserver-utils")):
            if shutil.which(program) is None:
                pytest.skip(f"missing: {program} (Debian package {package})")
        forget_extensions()
        self.folder = Path(tempfile.mkdtemp(prefix="autopilot-sway-"))
        (self.folder / "config").write_text(CONFIG)
        user: dict[str, Any] = {}
        if os.getuid() == 0:
            os.chown(self.folder, NOBODY, NOBODY)
            user = {"user": NOBODY, "group": NOBODY, "extra_groups": []}
        here = str(self.folder)
        keep = {k: v for k, v in os.environ.items() if k not in ("DISPLAY", "WAYLAND_DISPLAY", "SWAYSOCK")}
        self.env = {"XDG_RUNTIME_DIR": here, "XDG_SESSION_TYPE": "wayland", "XDG_CURRENT_DESKTOP": "sway"}
        mine = {"HOME": here, "WLR_BACKENDS": "headless", "WLR_LIBINPUT_NO_DEVICES": "1", "WLR_RENDERER": "pixman"}
        with (self.folder / "log").open("w") as log:
            self.process = subprocess.Popen(
                ["sway", "-c", f"{here}/config"],
                **{"env": {**keep, **self.env, **mine}, "cwd": here, "stdout": log, "stderr": log, **user},
            )
        wait(lambda: (self.folder / "display").exists() or self.process.poll() is not None)
        assert self.process.poll() is None, (self.folder / "log").read_text()[-2000:]
        self.name = (self.folder / "display").read_text().strip()
        self._wait_for_its_window_manager()
        (wayland,) = (p.name for p in self.folder.glob("wayland-?") if p.is_socket())
        (swaysock,) = self.folder.glob("sway-ipc.*.sock")
        self.env |= {"DISPLAY": self.name, "WAYLAND_DISPLAY": wayland, "SWAYSOCK": str(swaysock)}

    def _wait_for_its_window_manager(self) -> None:
        """Wait until windows of X11 programs are managed: one that is shown before is nobody's."""
        display = display_module.Display(self.name)
        atom = display.get_atom("_NET_WM_CM_S0")
        wait(lambda: display.get_selection_owner(atom))
        display.close()

    def tell(self, *command: str) -> None:
        """Give sway a command, such as `workspace 2`."""
        subprocess.run(["swaymsg", *command], env={**os.environ, **self.env}, check=True, stdout=subprocess.DEVNULL)

    def windows(self) -> list[dict[str, Any]]:
        """Return sway's windows, of X11 programs and of others."""
        said = subprocess.run(
            ["swaymsg", "-t", "get_tree", "-r"], env={**os.environ, **self.env}, check=True, capture_output=True
        )
        found, rest = [], [json.loads(said.stdout)]
        while rest:
            node = rest.pop()
            rest += node["nodes"] + node["floating_nodes"]
            found += [node] if node.get("pid") else []
        return found

    def stop(self) -> None:
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)
        forget_extensions()


class HumanKeyboard:
    """A keyboard plugged into a compositor of wlroots by virtual-keyboard-v1, with an ordinary US keymap.

    https://wayland.freedesktop.org/docs/html/ch04.html has the wire format; keys are the kernel's numbers.
    """

    def __init__(self, sway: Sway) -> None:
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.connect(str(sway.folder / sway.env["WAYLAND_DISPLAY"]))
        self._send(1, 1, struct.pack("=I", 2))  # wl_display.get_registry
        offered = self._until_done(3)
        for number, interface in enumerate((b"wl_seat", b"zwp_virtual_keyboard_manager_v1"), 4):
            name = len(interface) + 1
            text = interface.ljust((name + 3) // 4 * 4, b"\0")
            self._send(2, 0, struct.pack("=II", offered[interface], name) + text + struct.pack("=II", 1, number))
        self._send(5, 0, struct.pack("=II", 4, 6))  # create_virtual_keyboard
        with tempfile.TemporaryFile() as file:
            file.write(KEYMAP.encode() + b"\0")
            file.flush()
            self._send(6, 0, struct.pack("=II", 1, len(KEYMAP) + 1), file.fileno())
            self._until_done(7)
        self._serial = 7

    def _send(self, target: int, request: int, body: bytes, *fds: int) -> None:
        head = struct.pack("=II", target, (8 + len(body)) << 16 | request)
        ancillary = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))] if fds else []
        self._socket.sendmsg([head + body], ancillary)

    def _until_done(self, callback: int) -> dict[bytes, int]:
        """Wait until the compositor has done all; return what it offers: interface -> name."""
        self._send(1, 0, struct.pack("=I", callback))  # wl_display.sync
        offered: dict[bytes, int] = {}
        while True:
            target, size = struct.unpack("=II", self._receive(8))
            body = self._receive((size >> 16) - 8)
            assert (target, size & 0xFFFF) != (1, 0), f"sway refuses: {body!r}"  # wl_display.error
            if target == callback:
                return offered
            if target == 2:
                name, length = struct.unpack_from("=II", body)
                offered[body[8 : 7 + length]] = name

    def _receive(self, count: int) -> bytes:
        return self._socket.recv(count, socket.MSG_WAITALL)

    def key(self, code: int, down: bool) -> None:
        """Press or release a key by its number in linux/input-event-codes.h."""
        now = int(time.monotonic() * 1000) & 0xFFFFFFFF
        self._send(6, 1, struct.pack("=III", now, code, int(down)))
        self._serial += 1
        self._until_done(self._serial)

    def close(self) -> None:
        self._socket.close()
