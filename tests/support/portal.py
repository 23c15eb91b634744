"""A session bus and PipeWire of their own, and a stand-in for a desktop's ScreenCast portal."""

from __future__ import annotations

import shutil
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from autopilot_screen import portal, portal_helper

PICTURE = "videotestsrc is-live=true pattern=ball ! video/x-raw,width=322,height=240,framerate=30/1"
"""A white ball on black that flies about; rows of 966 bytes, so that they are padded."""
CHECK = "import gi; gi.require_version('GstApp', '1.0')"


class Portal:
    """D-Bus, PipeWire and the stand-in; `env` is what programs find them by."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        for program, package in (("dbus-daemon", "dbus"), ("pipewire", "pipewire"), ("wireplumber", "wireplumber")):
            if shutil.which(program) is None:
                pytest.skip(f"missing: {program} (Debian package {package})")
        if subprocess.run([portal.SYSTEM_PYTHON, "-c", CHECK], stderr=subprocess.DEVNULL).returncode:
            pytest.skip(f"missing: gi of the system's Python (Debian packages {portal_helper.PACKAGES})")
        self.folder = folder
        self.processes: list[subprocess.Popen[str]] = []
        self.stand_in: subprocess.Popen[str] | None = None
        address = f"unix:path={folder}/bus"
        self.env = {"XDG_RUNTIME_DIR": str(folder), "DBUS_SESSION_BUS_ADDRESS": address, "HOME": str(folder)}
        for name, value in self.env.items():
            monkeypatch.setenv(name, value)
        for name in ("WAYLAND_DISPLAY", "XDG_SESSION_TYPE", "DISPLAY"):
            monkeypatch.delenv(name, raising=False)
        self.start("dbus-daemon", "--session", f"--address={address}", "--nofork", "--nopidfile")
        self.until((folder / "bus").exists)
        self.start("pipewire")
        self.until((folder / "pipewire-0").exists)
        self.start("wireplumber")

    def start(self, *command: str) -> subprocess.Popen[str]:
        one = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        self.processes.append(one)
        return one

    def answer(self, answer: str) -> subprocess.Popen[str]:
        """Start the stand-in, which says yes, no, or no to what was allowed before (stale)."""
        if self.stand_in is not None:  # which shares its stream once, as a desktop gives each session its own
            self.stand_in.kill()
            self.stand_in.wait()
        fake = str(Path(__file__).with_name("fakeportal.py"))
        one = self.stand_in = self.start(portal.SYSTEM_PYTHON, fake, PICTURE, answer)
        assert one.stdout is not None
        assert one.stdout.readline() == "ready\n"
        return one

    def until(self, condition: Callable[[], Any], seconds: float = 20) -> None:
        limit = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < limit, "did not happen in time"
            time.sleep(0.02)

    def stop(self) -> None:
        for one in reversed(self.processes):
            one.kill()
            one.wait()
