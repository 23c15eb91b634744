"""Memory that a step freed stays with the process, for the next one."""

from __future__ import annotations

import ctypes
import platform

MALLOPT = {
    -8: 1,  # M_ARENA_MAX: one heap, since only that one grows beyond 64 MiB in one piece
    -4: 0,  # M_MMAP_MAX: nothing outside of it
    -1: 2**31 - 1,  # M_TRIM_THRESHOLD: nothing of it is given back
    -2: 1 << 26,  # M_TOP_PAD: it grows by so much at once
}
"""Parameters of glibc's mallopt(3), by their numbers in malloc.h."""


def keep_freed() -> None:
    """Let glibc keep what is freed; elsewhere do nothing.

    A training step's buffers are new in each step: fresh from the system, each 4 KiB of them would
    cost a page fault. Threads that allocated before this call keep heaps of their own, so it is
    best made before JAX is imported.
    """
    if platform.libc_ver()[0] == "glibc":
        mallopt = ctypes.CDLL(None).mallopt
        for parameter, value in MALLOPT.items():
            mallopt(parameter, value)
