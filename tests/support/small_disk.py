"""A disk that fills up."""

from __future__ import annotations

import subprocess
from contextlib import suppress
from pathlib import Path

import pytest


class SmallDisk:
    """A file system of 52 MB where we may mount one, else a limit on the size of files.

    Both fail in the midst of a write; errno says "no space left" for one, "too big" for the other.
    """

    def __init__(self, folder: Path) -> None:
        self.path = folder
        self._resource = resource = pytest.importorskip("resource", reason="Windows has no file system in memory")
        mount = ["mount", "-t", "tmpfs", "-o", "size=52m", "none", str(folder)]
        self.mounted = subprocess.run(mount, capture_output=True).returncode == 0
        self.limit = resource.getrlimit(resource.RLIMIT_FSIZE)

    def fill(self) -> None:
        if self.mounted:
            (self.path / "ballast").write_bytes(bytes(45_000_000))
        else:
            self._resource.setrlimit(self._resource.RLIMIT_FSIZE, (5_000_000, self.limit[1]))

    def choke(self) -> None:
        """Leave no room at all; only where it is mounted."""
        with (self.path / "ballast").open("ab", buffering=0) as file, suppress(OSError):
            while True:
                file.write(bytes(1 << 16))

    def free(self) -> None:
        (self.path / "ballast").unlink(missing_ok=True)
        self._resource.setrlimit(self._resource.RLIMIT_FSIZE, self.limit)

    def close(self) -> None:
        self.free()
        if self.mounted:
            subprocess.run(["umount", "--lazy", str(self.path)], check=True)
