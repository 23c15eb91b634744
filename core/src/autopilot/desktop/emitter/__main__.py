"""The process that owns the keys, so that none stays down when the driver dies or hangs.

Started as `python -m autopilot.desktop.emitter WHO BACKEND NAME...` with the names that it may press. It first
releases them all, since a key may outlive the process that pressed it. Lines of its input are JSON:
a list is what to hold from now on, `null` a sign of life, a text the reason to release everything.
A list is answered by `{}`, or by `{"error": text}` before it ends. At the end of input, on SIGTERM,
and after 250 ms without a line it releases what it holds; where a back-end hangs, it just ends.

What is held when *this* process is killed or stopped is released by its guard, a process that only
waits for that; back-ends whose system does so by itself need none.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Collection, Iterator, Sequence
from typing import Any

from autopilot.api import guard as plugins
from autopilot.api.errors import DeviceError
from autopilot.api.interfaces import Backend
from autopilot.api.specs import load
from autopilot.desktop.emitter import NO_CONSOLE, REPLACEMENTS, START_S

GAP_S = 0.25
"""So long without a sign of life from the driver, and everything is released."""

TURN_S, GUARD_S = 0.05, 0.35
"""How often the guard hears from this process, and after how long it counts as stopped."""

PRESS_S, LAST_S, GUARD_LAST_S = 1.0, 0.5, 10.0
"""How long the back-end may take to press or release, and all that is left to do after the end of input."""

NONE: frozenset[str] = frozenset()


class Parent:
    """The process that started this one. Its pipes are for the protocol alone.

    What a back-end reads from standard input is empty, what it prints comes to standard error. So long
    after the end of input (`last_s`) this process ends, whatever it does by then.
    """

    def __init__(self, last_s: float) -> None:
        null = os.open(os.devnull, os.O_RDWR)  # takes the number of a standard error that is closed
        commands, self._answers = os.dup(0), os.dup(1)
        os.dup2(null, 0)
        os.dup2(2, 1)
        sys.stdout = sys.stderr
        self.lines: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        """What it sends, line by line; None ends it."""
        threading.Thread(target=self._feed, args=(commands, last_s), daemon=True).start()

    def _feed(self, commands: int, last_s: float) -> None:
        with contextlib.suppress(OSError, ValueError), open(commands, encoding="utf-8") as pipe:
            for line in pipe:
                self.lines.put(line)
        self.lines.put(None)
        time.sleep(last_s)
        os._exit(1)

    def tell(self, **message: Any) -> None:
        """Tell it something."""
        # Unbuffered, so that nothing is left to fail later; a driver that is gone needs no answer.
        with contextlib.suppress(OSError):
            os.write(self._answers, f"{json.dumps(message)}\n".encode())


@contextlib.contextmanager
def within(seconds: float) -> Iterator[None]:
    """End this process when it takes longer, by the system's alarm, where it has one.

    No thread of ours could: a library may let no other one run.
    """
    alarm = getattr(signal, "setitimer", lambda which, seconds: None)
    alarm(0, seconds)  # of real time
    try:
        yield
    finally:
        alarm(0, 0)


class Guard:
    """The process that releases when this one cannot; one that was ended is replaced, a few times."""

    def __init__(self, backend: str, names: Sequence[str]) -> None:
        python = [sys.executable, "-P", "-m", "autopilot.desktop.emitter"]
        self._command = [*python, "--guard", str(os.getpid()), backend, *names]
        self._left = REPLACEMENTS
        self._start()

    def _start(self) -> None:
        self._process = subprocess.Popen(  # noqa: S603 - ourselves again
            self._command,
            bufsize=0,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,
            creationflags=NO_CONSOLE,
        )
        self.pid = self._process.pid
        assert self._process.stdout is not None
        while self._process.stdout.readline() not in (b"{}\n", b""):
            pass  # printed while Python itself started

    def tell(self, held: bool) -> bool:
        """Say whether there is something to release; also the sign of life. False when the guard is gone."""
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(b"1\n" if held else b"0\n")
        except OSError:  # EPIPE, and EINVAL on Windows
            return False
        return True

    def replace(self) -> None:
        """Start another one; nothing may be down meanwhile. Raises DeviceError after a few."""
        self._process.kill()
        self._process.wait()
        self._left -= 1
        if self._left < 0:
            raise DeviceError(f"the guard of the keys was ended {REPLACEMENTS + 1} times: what ends it?")
        logging.getLogger("autopilot").warning("autopilot: everything released: the guard of the keys was ended")
        self._start()


class Keys:
    """What is down, and the back-end that makes it so."""

    def __init__(self, backend: Backend, guard: Guard | None = None) -> None:
        self._backend, self._guard = backend, guard
        self.down = NONE

    def hold(self, names: frozenset[str]) -> None:
        """Make exactly these down, and tell the guard; only differences are sent, releases first."""
        if not names:
            self.release(self.down)  # before the guard hears that there is nothing to release
        while self._guard is not None and not self._guard.tell(bool(names)):
            self.release(self.down)
            self._guard.replace()
        stale, fresh = self.down - names, names - self.down
        self.down |= names  # before the presses: a signal that ends us may come between them
        self._send(stale, fresh)
        self.down = names

    def release(self, names: Collection[str]) -> None:
        """Release these, whoever pressed them."""
        self._send(names, NONE)
        self.down = self.down.difference(names)

    def close(self) -> None:
        """Release what is down and give the device back."""
        try:
            self.release(self.down)
            if self._guard is not None:
                self._guard.tell(held=False)
        finally:
            with within(PRESS_S):
                self._backend.close()

    def _send(self, stale: Collection[str], fresh: Collection[str]) -> None:
        """Release and press each, also where another one raises."""
        if not stale and not fresh:
            return
        with within(PRESS_S), contextlib.ExitStack() as last_first:
            last_first.callback(self._backend.flush)
            for name in sorted(fresh, reverse=True):
                last_first.callback(self._backend.press, name)
            for name in sorted(stale, reverse=True):
                last_first.callback(self._backend.release, name)


def serve(keys: Keys, parent: Parent) -> None:
    """Hold what each line says, until None comes; release when no line does."""
    heard = time.monotonic()
    while True:
        try:
            line = parent.lines.get(timeout=TURN_S if keys.down else None)
        except queue.Empty:
            if time.monotonic() - heard >= GAP_S:
                keys.hold(NONE)
                parent.tell(released=f"no sign of life from the driver for {GAP_S * 1000:.0f} ms")
            else:
                keys.hold(keys.down)
            continue
        heard = time.monotonic()
        if line is None:
            return
        message = json.loads(line)
        if isinstance(message, list):
            keys.hold(frozenset(message))
            parent.tell()
        else:
            keys.hold(keys.down if message is None else NONE)


def main(who: str, target: str, names: list[str], parent: Parent) -> int:
    """Serve the parent until its input ends; return the exit status."""
    try:
        with within(START_S), plugins.Calling(f"{who}: {target.rpartition(':')[2]}"):
            backend: Backend = plugins.Guard(who).object(load(target)(names), Backend)
            sticky, devices = backend.sticky, list(backend.devices)
        guard = Guard(target, names) if sticky else None
        keys = Keys(backend, guard)
        try:
            keys.release(names)  # a killed process may have left some down
            parent.tell(pids=[os.getpid(), *([guard.pid] if guard else [])], devices=devices)
            serve(keys, parent)
        finally:
            keys.close()
    except Exception as e:  # noqa: BLE001 - whatever happens, the parent reports it in a line
        parent.tell(error=" ".join(str(e).split()) or type(e).__name__)
        return 1
    return 0


def guard(owner: int, target: str, names: list[str], parent: Parent) -> int:
    """Wait for the end of `owner`, the parent, or for its silence; then release, if something is held."""
    backend: Backend | None = None
    with contextlib.suppress(Exception), within(START_S):  # the owner opens the same one and reports what is wrong
        backend = load(target)(names)
    parent.tell()
    held = False
    while True:
        try:
            line = parent.lines.get(timeout=GUARD_S if held else None)
        except queue.Empty:
            if os.getppid() == owner:  # else it is gone, and the number may be another's
                os.kill(owner, signal.SIGKILL if hasattr(signal, "SIGKILL") else signal.SIGTERM)
            break
        if line is None:
            break
        held = line == "1\n"
    if held and backend is not None:
        with contextlib.suppress(Exception):  # a system that is gone keeps no key down
            Keys(backend).release(names)
    return 0


def stop(*_: object) -> None:
    """End in order, on a signal."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    raise KeyboardInterrupt


def run(arguments: list[str]) -> int:
    """Be a guard or the owner of the keys; return the exit status."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the driver gets it too and closes the pipe
    if arguments[0] == "--guard":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)  # it ends with its owner
        return guard(int(arguments[1]), arguments[2], arguments[3:], Parent(GUARD_LAST_S))
    signal.signal(signal.SIGTERM, stop)
    return main(arguments[0], arguments[1], arguments[2:], Parent(LAST_S))


if __name__ == "__main__":
    status = 1
    try:
        status = run(sys.argv[1:])
    finally:
        os._exit(status)  # no thread or handler of a back-end keeps the process
