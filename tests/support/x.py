"""An X server of a test's own."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

import pytest


class XServer:
    """An Xvfb with a screen of `size`; `name` is its DISPLAY."""

    def __init__(self, *options: str, size: str = "320x240") -> None:
        if shutil.which("Xvfb") is None:
            pytest.skip("missing: Xvfb (Debian package xvfb)")
        read_end, write_end = os.pipe()
        # Without -noreset it begins anew when its last client leaves, and whoever comes meanwhile is turned away.
        command = ["Xvfb", *options, "-displayfd", str(write_end), "-screen", "0", f"{size}x24", "-noreset"]
        self.process = subprocess.Popen(command, pass_fds=[write_end], stderr=subprocess.DEVNULL)
        os.close(write_end)
        with os.fdopen(read_end) as pipe:
            number = pipe.readline().strip()
        assert number, "Xvfb does not start"
        self.name = f":{number}"

    def stop(self) -> None:
        """End it."""
        self.process.kill()
        self.process.wait()


@contextmanager
def x_server(size: str) -> Iterator[str]:
    """Give the DISPLAY of an X server that lives as long as the block."""
    server = XServer(size=size)
    try:
        yield server.name
    finally:
        server.stop()
