"""The process that owns the keys, so that none stays down when the driver dies or hangs.

Started as `python -m autopilot.emitter BACKEND NAME...` with the names that it may press. It first
releases them all, since a key may outlive the process that pressed it. Lines of its input are JSON:
a list is what to hold from now on, `null` a sign of life, a text the reason to release everything.
A list is answered by `{}`, or by `{"error": text}` before it ends. At the end of input, on SIGTERM,
and after 250 ms without a line it releases what it holds.

What is held when *this* process is killed or stopped is released by its guard, a process that only
waits for that; back-ends whose system does so by itself need none.
"""

from __future__ import annotations

import contextlib
import json
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from typing import Any

from autopilot.interfaces import Backend
from autopilot.specs import load

GAP_S = 0.25
"""So long without a sign of life from the driver, and everything is released."""

TURN_S, GUARD_S = 0.05, 0.35
"""How often the guard hears from this process, and after how long it counts as stopped."""

NONE: frozenset[str] = frozenset()
Lines = queue.SimpleQueue[str | None]


class Guard:
    """The process that releases when this one cannot; one that was ended is replaced, a few times."""

    def __init__(self, backend: str, names: Sequence[str]) -> None:
        self._command = [sys.executable, "-P", "-m", "autopilot.emitter", "--guard", str(os.getpid()), backend, *names]
        self._left = 5
        self._start()

    def _start(self) -> None:
        self._process = subprocess.Popen(  # noqa: S603 - ourselves again
            self._command, bufsize=0, stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True
        )
        self.pid = self._process.pid
        assert self._process.stdout is not None
        self._process.stdout.readline()

    def tell(self, held: bool) -> None:
        """Say whether there is something to release; also the sign of life."""
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(b"1\n" if held else b"0\n")
        except BrokenPipeError:
            self._process.wait()
            if self._left:
                self._left -= 1
                self._start()
                self.tell(held)


class Keys:
    """What is down, and the back-end that makes it so."""

    def __init__(self, backend: Backend, names: Sequence[str], guard: Guard | None) -> None:
        self._backend, self._names, self._guard = backend, names, guard
        self.down = NONE

    def hold(self, names: frozenset[str]) -> None:
        """Make exactly these down; only differences are sent."""
        if names == self.down:
            return
        fresh, stale = names - self.down, self.down - names
        self.down |= names  # before the presses: a signal that ends us may come between them
        self.beat()
        for name in sorted(stale):
            self._backend.release(name)
        for name in sorted(fresh):
            self._backend.press(name)
        self._backend.flush()
        self.down = names
        self.beat()

    def release_stale(self) -> None:
        """Release every name, whoever pressed it: a killed process may have left some down."""
        for name in self._names:
            self._backend.release(name)
        self._backend.flush()

    def beat(self) -> None:
        """Let the guard know that this process lives, and whether something is down."""
        if self._guard is not None:
            self._guard.tell(bool(self.down))


def serve(keys: Keys, lines: Lines) -> None:
    """Hold what each line says, until None comes; release when no line does."""
    heard = time.monotonic()
    while True:
        try:
            line = lines.get(timeout=TURN_S if keys.down else None)
        except queue.Empty:
            if time.monotonic() - heard >= GAP_S:
                keys.hold(NONE)
                tell(released=f"no sign of life from the driver for {GAP_S * 1000:.0f} ms")
            else:
                keys.beat()
            continue
        heard = time.monotonic()
        if line is None:
            return
        message = json.loads(line)
        if isinstance(message, list):
            keys.hold(frozenset(message))
            tell()
        elif message is None:
            keys.beat()
        else:
            keys.hold(NONE)


def tell(**message: Any) -> None:
    """Tell the driver something."""
    # Unbuffered, so that nothing is left to fail later; a driver that is gone needs no answer.
    with contextlib.suppress(BrokenPipeError):
        os.write(sys.stdout.fileno(), f"{json.dumps(message)}\n".encode())


def read_lines() -> Lines:
    """Return a queue of the lines of standard input; None ends them."""
    lines: Lines = queue.SimpleQueue()

    def feed() -> None:
        for line in sys.stdin:
            lines.put(line)
        lines.put(None)

    threading.Thread(target=feed, daemon=True).start()
    return lines


def main(target: str, names: list[str]) -> int:
    """Serve standard input until it ends; return the exit status."""
    lines = read_lines()
    try:
        backend: Backend = load(target)(names)
        guard = Guard(target, names) if backend.sticky else None
        keys = Keys(backend, names, guard)
        try:
            keys.release_stale()
            tell(pids=[os.getpid(), *([guard.pid] if guard else [])], devices=list(backend.devices))
            serve(keys, lines)
        finally:
            keys.hold(NONE)
            backend.close()
    except Exception as e:  # noqa: BLE001 - whatever a driver raises, the parent reports in a line
        tell(error=" ".join(str(e).split()) or type(e).__name__)
        return 1
    return 0


def guard(owner: int, target: str, names: list[str]) -> int:
    """Wait for the end of `owner` or for its silence; then release, if something is held."""
    lines = read_lines()
    backend: Backend | None = None
    with contextlib.suppress(Exception):  # the owner opens the same back-end and reports what is wrong
        backend = load(target)(names)
    tell()
    held = False
    while True:
        try:
            line = lines.get(timeout=GUARD_S if held else None)
        except queue.Empty:
            os.kill(owner, signal.SIGKILL if hasattr(signal, "SIGKILL") else signal.SIGTERM)
            break
        if line is None:
            break
        held = line == "1\n"
    if held and backend is not None:
        with contextlib.suppress(Exception):  # a system that is gone keeps no key down
            Keys(backend, names, None).release_stale()
    return 0


def stop(*_: object) -> None:
    """End in order, on a signal."""
    raise SystemExit(0)


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the driver gets it too and closes the pipe
    if sys.argv[1] == "--guard":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)  # it ends with its owner
        sys.exit(guard(int(sys.argv[2]), sys.argv[3], sys.argv[4:]))
    signal.signal(signal.SIGTERM, stop)
    sys.exit(main(sys.argv[1], sys.argv[2:]))
