"""An output device whose keys or buttons belong to a process of their own, and die with nobody.

The device plugin gives a `Backend` by its import string; `autopilot.desktop.emitter.__main__` runs it.
"""

from __future__ import annotations

import contextlib
import json
import logging
import queue
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from functools import partial

from autopilot.api.errors import DeviceError, UserError
from autopilot.api.interfaces import Backend
from autopilot.api.specs import load
from autopilot.api.types import NOTHING, Bindings, Held

BEAT_S = 0.05
"""Between two signs of life."""

ANSWER_S, START_S = 2.0, 30.0
"""How long an answer, and a start on a busy machine, may take before the process counts as hung."""

RELEASE_S = 1.0
"""How long this process itself may take to release what an emitter left down."""

REPLACEMENTS = 5
"""So many emitters that die, or guards of one, are replaced; then something ends them on purpose."""

NO_CONSOLE = getattr(subprocess, "CREATE_NO_WINDOW", 0)
"""On Windows, closing a console ends all that is attached to it, the driver and those who release its keys."""

_log = logging.getLogger("autopilot")


class Emitter:
    """Holds keys or buttons for the policy; `bindings` maps controls to their names.

    `backend` names a `Backend` that another process loads; errors begin with `who`, its distribution
    and device. That process releases everything when this one ends in any way, hangs, or does not call
    `hold` for `patience_s` seconds; a process that dies is replaced by one that releases before anything else.

    Raises DeviceError for a name that the back-end does not know, and where it cannot be opened.
    """

    def __init__(self, backend: str, bindings: Bindings, patience_s: float = 0.25, who: str = "") -> None:
        self._bindings, self._patience_s = dict(bindings), patience_s
        self._names: frozenset[str] = frozenset()
        self._lock = threading.RLock()
        self.replaced = 0
        """How many times the process that holds the keys hung or was ended."""
        self._failed: str | None = None
        self._closing = threading.Event()
        self._last_hold = time.monotonic()
        self._release_here = partial(_release, backend)
        self._start = partial(_Process, backend, bindings, who or f"device {backend!r}", self._died)
        self._process = self._start()
        threading.Thread(target=self._beat, name="emitter heartbeat", daemon=True).start()

    def ours(self) -> frozenset[str]:
        """Return what a reader must leave out: names held, or about to be held or released, and devices.

        Devices are the paths, or the system's other names, of virtual devices that were plugged in.
        """
        return self._names | self._process.devices

    @property
    def pids(self) -> tuple[int, ...]:
        """The process that owns the keys, and the one that guards it where there is one."""
        return self._process.pids

    def hold(self, controls: Held) -> None:
        """Make exactly the keys of these controls held; idempotent, sends only differences.

        When it returns, the system has taken them. Raises UserError for a control without a
        binding, DeviceError when the device is gone.
        """
        unbound = sorted(controls - self._bindings.keys())
        if unbound:
            bound = ", ".join(self._bindings)
            raise UserError(f"no key or button is bound to {', '.join(unbound)}; bound are: {bound}")
        names = frozenset(self._bindings[control] for control in controls)
        with self._lock:
            if self._closing.is_set():
                raise DeviceError("the output device was closed; open it again")
            # Until the answer, a reader must take both the old and the new ones for ours.
            self._names |= names
            self._last_hold = time.monotonic()
            line = json.dumps(sorted(names))
            while self._failed is None and not self._process.ask(line):
                self._replace()
            if self._failed is not None:
                raise DeviceError(self._failed)
            self._names = names

    def release_all(self) -> None:
        """Let go of everything."""
        self.hold(NOTHING)

    def close(self) -> None:
        """Release everything and end the process that owns the keys. Calling it twice is harmless."""
        with self._lock:
            self._closing.set()
            self._process.end()
            self._names = frozenset()

    def _beat(self) -> None:
        """Show that this process lives; release when the loop does not call `hold` any more."""
        while not self._closing.wait(BEAT_S):
            # Whoever has the lock sends something itself.
            if not self._names or not self._lock.acquire(blocking=False):
                continue
            try:
                silent = time.monotonic() - self._last_hold
                if silent < self._patience_s:
                    self._process.send("null")
                elif self._process.send(json.dumps("the driver does not decide")):
                    _say(f"everything released: no decision for {silent:.2f} s; the next one goes on")
                    self._names = frozenset()
            finally:
                self._lock.release()

    def _died(self, process: _Process) -> None:
        """Replace the process at once, not at the next `hold`: it may have left keys down."""
        with self._lock:
            if process is self._process and not self._closing.is_set():
                self._replace()

    def _replace(self) -> None:
        how = "was ended" if self._process.ended else f"gave no answer for {ANSWER_S:.0f} s"
        self._process.kill()
        if len(self._process.pids) > 1:  # and whom the guard may have died with
            self._release_here(self._names)
        if self._process.error is not None:
            self._failed = self._process.error
            return
        if self.replaced == REPLACEMENTS:
            self._failed = f"the process that holds the keys hung or was ended {REPLACEMENTS + 1} times: what ends it?"
            return
        self.replaced += 1
        try:
            self._process = self._start()
        except DeviceError as e:
            self._failed = f"the process that holds the keys {how} and cannot be replaced: {e}"
            return
        self._names = frozenset()
        _say(f"everything released: the process that holds the keys {how}, a new one took over")


class _Process:
    """One emitter process and the thread that listens to it."""

    def __init__(self, backend: str, bindings: Bindings, who: str, died: Callable[[_Process], None]) -> None:
        names = sorted(set(bindings.values()))
        try:
            self._popen = subprocess.Popen(  # noqa: S603 - our own module; names are arguments, no shell
                # -P: no module of the current folder can take the place of one of ours.
                [sys.executable, "-P", "-m", "autopilot.desktop.emitter", who, backend, *names],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                encoding="utf-8",
                errors="replace",
                # It outlives what ends a whole terminal or process group, and then lets go.
                start_new_session=True,
                creationflags=NO_CONSOLE,
            )
        except OSError as e:
            raise DeviceError(f"{who} cannot be opened: no process can be started for it ({e})") from e
        self.pids: tuple[int, ...] = (self._popen.pid,)
        self.devices: frozenset[str] = frozenset()
        self.error: str | None = None
        self.ended = False
        self._ready = False
        self._answers: queue.SimpleQueue[bool] = queue.SimpleQueue()
        self._died = died
        threading.Thread(target=self._listen, name="emitter", daemon=True).start()
        if not self._answered(START_S):
            how = f"gives no answer for {START_S:.0f} s while it is opened; try again"
            with contextlib.suppress(subprocess.TimeoutExpired):
                how = f"cannot be opened: its process ended with status {self._popen.wait(0.5)}"
            self.kill()
            raise DeviceError(self.error or f"{who} {how}, or choose another with --input")
        self._ready = True

    def ask(self, line: str) -> bool:
        """Send a line and wait until it is done; False when the process is gone or hangs."""
        return self.send(line) and self._answered(ANSWER_S)

    def send(self, line: str) -> bool:
        """Send a line; False when the process is gone."""
        assert self._popen.stdin is not None
        try:
            self._popen.stdin.write(line + "\n")
            self._popen.stdin.flush()
        except (OSError, ValueError):  # EPIPE, and EINVAL on Windows; ValueError: closed
            self.ended = True
            return False
        return True

    def end(self) -> None:
        """Let it release and end; kill it if it does not."""
        self._close()  # which is its order to release all
        try:
            self._popen.wait(5)
        except subprocess.TimeoutExpired:
            self.kill()

    def kill(self) -> None:
        """End a process that hangs; its guard, where there is one, releases."""
        self._popen.kill()
        with contextlib.suppress(subprocess.TimeoutExpired):  # it may hang in the system itself
            self._popen.wait(5)
        self._close()

    def _close(self) -> None:
        assert self._popen.stdin is not None
        with contextlib.suppress(OSError):  # of what was not sent yet
            self._popen.stdin.close()

    def _answered(self, seconds: float) -> bool:
        try:
            return self._answers.get(timeout=seconds)
        except queue.Empty:
            return False

    def _listen(self) -> None:
        assert self._popen.stdout is not None
        for line in self._popen.stdout:
            try:
                message = dict(json.loads(line))
            except (TypeError, ValueError):
                continue  # printed while Python itself started, when its output was not ours alone yet
            if "released" in message:
                _say(f"everything released: {message['released']}")
                continue
            self.error = message.get("error")
            if "pids" in message:
                self.pids, self.devices = tuple(message["pids"]), frozenset(message["devices"])
            self._answers.put(self.error is None)
        self.ended = True
        self._answers.put(False)
        if self._ready:
            self._died(self)


def _release(backend: str, names: frozenset[str]) -> None:
    """Release keys from this process: to start another takes longer. Where the system hangs, it is left alone."""

    def release() -> None:
        with contextlib.suppress(Exception):  # the new process reports what is wrong
            keys: Backend = load(backend)(sorted(names))
            with contextlib.ExitStack() as each:
                each.callback(keys.close)
                each.callback(keys.flush)
                for name in names:
                    each.callback(keys.release, name)

    thread = threading.Thread(target=release, name="emitter release", daemon=True)
    thread.start()
    thread.join(RELEASE_S)


def _say(text: str) -> None:
    _log.warning("autopilot: %s", text)
