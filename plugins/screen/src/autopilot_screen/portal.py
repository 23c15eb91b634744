"""Frames of a window that the desktop shares through its ScreenCast portal: of Wayland's own windows, too."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import IO, TYPE_CHECKING

from autopilot.api import Away, Box, DeviceError, Frame, SourceSettings, UserError

from autopilot_screen import portal_helper
from autopilot_screen.picture import cut
from autopilot_screen.screen import wayland

if TYPE_CHECKING:
    from autopilot.api import Image

SYSTEM_PYTHON = "/usr/bin/python3"
"""The one that finds the system's packages."""

SILENT_S = 2.0
"""Without a picture for so long the game is away: the helper repeats one twice a second."""

NO_KEYS = (
    "keys in a window of Wayland's own are read through the kernel, and this user may not read it:"
    " allow it with `sudo usermod -aG input $USER`, then log in again"
)


class PortalSource:
    """The newest picture that the helper wrote; a thread takes them in, so that none waits in the pipe.

    `region` (x, y, width, height) is cut out of each. Raises DeviceError with the helper's reason when none comes.
    """

    def __init__(self, command: list[str], region: Box | None) -> None:
        self._region = region
        self._news = threading.Condition()
        self._newest: tuple[int, Image] | None = None
        self._over: str | None = None
        self._process = subprocess.Popen(  # noqa: S603 - our own helper
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        )
        assert self._process.stdout is not None
        threading.Thread(target=self._receive, args=(self._process.stdout,), name="portal", daemon=True).start()
        try:
            with self._news:
                self._news.wait_for(lambda: self._newest or self._over)
            if self._newest is None:
                raise DeviceError(f"the desktop shares no window: {self._over}")
        except BaseException:
            self.close()
            raise

    def _receive(self, pipe: IO[bytes]) -> None:
        import numpy as np

        over = portal_helper.ENDED
        while (line := pipe.readline()).startswith(b"frame "):
            width, height = map(int, line.split()[1:])
            data = pipe.read(width * height * 3)
            if len(data) < width * height * 3:
                break
            image = np.frombuffer(data, np.uint8).reshape(height, width, 3)
            with self._news:
                self._newest = (time.monotonic_ns(), image)
                self._news.notify()
        if line.startswith(b"error "):
            over = line.decode(errors="replace")[6:].strip()
        with self._news:
            self._over = over
            self._news.notify()

    def read(self) -> Frame:
        """Return the newest picture, uint8 RGB (H, W, 3), contiguous, and when it came.

        Raises Away while none comes, DeviceError once the desktop shares no more, UserError for a region outside.
        """
        with self._news:
            newest, over = self._newest, self._over
        if over is not None:
            raise DeviceError(f"the picture is gone: {over}")
        assert newest is not None
        t_ns, image = newest
        if time.monotonic_ns() - t_ns > SILENT_S * 1e9:
            raise Away("no picture comes from the desktop: is the window minimised?")
        return Frame(cut(image, self._region, "the shared window"), t_ns)

    def close(self) -> None:
        """End the helper, and with it the sharing."""
        self._process.kill()
        self._process.wait()


def open_portal(settings: SourceSettings) -> PortalSource:
    """Let the user choose a window in the desktop's own dialog, or restore their last choice.

    Raises UserError for a named window or monitor, DeviceError where the desktop, its packages, or the user say no.
    """
    if settings.window is not None or settings.monitor is not None or settings.video is not None:
        raise UserError("the desktop asks which window to share: leave out --window, --monitor and --video")
    if not sys.platform.startswith("linux"):
        raise DeviceError("there is no ScreenCast portal on this system: leave out --source portal")
    if wayland() and not settings.background and not _keys_can_be_read():
        raise DeviceError(NO_KEYS)
    if not os.access(SYSTEM_PYTHON, os.X_OK):
        raise DeviceError(f"the desktop shares no window: {portal_helper.MISSING}")
    print("the desktop may ask which window to share: choose the game's", file=sys.stderr, flush=True)
    token = str(Path(settings.folder) / "portal") if settings.folder else os.devnull
    return PortalSource([SYSTEM_PYTHON, "-I", portal_helper.__file__, token], settings.region)


def _keys_can_be_read() -> bool:
    with contextlib.suppress(OSError):
        return any(os.access(device, os.R_OK) for device in Path("/dev/input").glob("event*"))
    return False
