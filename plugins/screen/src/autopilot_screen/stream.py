"""Frames that come through the network, the newest one at each time."""

from __future__ import annotations

import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING

from autopilot.api import Away, Box, DeviceError, Frame

from autopilot_screen.picture import decoded, rgb

if TYPE_CHECKING:
    import av
    from av.container import InputContainer

SILENT_S = 1.0
"""Without a new picture for so long, the game counts as away."""


class Stream:
    """The newest picture of a stream, which this closes: a thread takes them in, so that none waits in a queue.

    `region` (x, y, width, height) is cut out of each. Raises DeviceError when none comes within `patience_s`.
    """

    def __init__(self, container: InputContainer, name: str, region: Box | None, patience_s: float) -> None:
        self._name, self._region = name, region
        self._newest: tuple[int, av.VideoFrame] | None = None
        self._news = threading.Condition()
        self._closed = self._over = False
        self._thread = threading.Thread(target=self._receive, args=(container,), name="stream", daemon=True)
        self._thread.start()
        with self._news:
            self._news.wait_for(lambda: self._newest or self._over, patience_s)
        if self._newest is None:
            self.close()
            raise DeviceError(f"no picture can be read from {name}: what is sent there?")

    def _receive(self, container: InputContainer) -> None:
        with container, suppress(DeviceError):  # which `read` raises
            for frame in decoded(container, self._name):
                self._tell(frame)
                if self._closed:
                    return
        self._tell(None)

    def _tell(self, frame: av.VideoFrame | None) -> None:
        with self._news:
            self._over = frame is None
            self._newest = self._newest if frame is None else (time.monotonic_ns(), frame)
            self._news.notify()

    def read(self) -> Frame:
        """Return the newest picture, uint8 RGB (H, W, 3), contiguous, and when it came.

        Raises Away while none comes, DeviceError once the stream is over, and UserError when the region
        does not lie in the picture.
        """
        assert self._newest is not None
        t_ns, frame = self._newest
        if self._over:
            raise DeviceError(f"{self._name} gives no more pictures: is its sender still running?")
        if time.monotonic_ns() - t_ns > SILENT_S * 1e9:
            raise Away(f"no picture comes from {self._name}: is its sender still running?")
        return Frame(rgb(frame, self._region, self._name), t_ns)

    def close(self) -> None:
        """Stop listening; the connection ends with the next picture, or when none comes."""
        self._closed = True
