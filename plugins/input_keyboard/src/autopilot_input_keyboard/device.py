"""The virtual keyboard as the driver sees it: a pipe to the process that owns the keys."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import weakref

from autopilot.errors import DeviceError, UserError
from autopilot.types import NOTHING, Bindings, Held

from autopilot_input_keyboard import emitter
from autopilot_input_keyboard.keys import check

_open: weakref.WeakSet[KeyboardEmitter] = weakref.WeakSet()
_lock = threading.Lock()


def our_keys() -> frozenset[str]:
    """Return the keys that emitters of this process hold, or are about to hold or release."""
    with _lock:
        return frozenset().union(*(emitter.keys for emitter in _open))


class KeyboardEmitter:
    """Holds keys for the policy; `bindings` maps controls to key names.

    Each `hold` is also the sign of life: after `timeout_s` without one the keys are released,
    and the next one presses them again.

    Raises UserError for an unknown key, DeviceError when there is no keyboard to be had.
    """

    def __init__(self, bindings: Bindings, timeout_s: float = 1.0) -> None:
        check(bindings.values())
        self._bindings = dict(bindings)
        self._timeout_s = timeout_s
        self.keys: frozenset[str] = frozenset()
        self._process = self._start()
        with _lock:
            _open.add(self)

    def _start(self) -> subprocess.Popen[str]:
        keys = sorted(set(self._bindings.values()))
        process = subprocess.Popen(  # noqa: S603 - our own module and checked key names
            # -P: no module of the current folder can take the place of one of ours.
            [sys.executable, "-P", "-m", emitter.__name__, str(self._timeout_s), *keys],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            # It outlives what ends a whole terminal or process group, and then lets go.
            start_new_session=True,
        )
        try:
            _await(process)
        except (DeviceError, BrokenPipeError) as e:
            _end(process)
            raise DeviceError(str(e) or "the process that holds the keys does not start") from e
        return process

    def hold(self, controls: Held) -> None:
        """Make exactly the keys of these controls held; idempotent, sends only differences.

        Raises UserError for a control without a binding, DeviceError when the keyboard is gone.
        """
        unbound = sorted(controls - self._bindings.keys())
        if unbound:
            bound = ", ".join(self._bindings)
            raise UserError(f"no key is bound to {', '.join(unbound)}; bound are: {bound}")
        keys = frozenset(self._bindings[control] for control in controls)
        # Until the answer, a reader must take both the old and the new ones for ours.
        self.keys |= keys
        try:
            _send(self._process, json.dumps(sorted(keys)) + "\n")
            _await(self._process)
        except BrokenPipeError as e:
            # It was killed with keys down; a new one releases them before anything else.
            _end(self._process)
            self._process, self.keys = self._start(), frozenset()
            raise DeviceError(
                "the process that holds the keys was ended from outside; all keys are released, start again"
            ) from e
        self.keys = keys

    def release_all(self) -> None:
        """Let go of every key."""
        self.hold(NOTHING)

    def close(self) -> None:
        """Release every key and end the process that owns them."""
        _end(self._process)
        with _lock:
            _open.discard(self)


def _send(process: subprocess.Popen[str], line: str) -> None:
    if process.stdin is None or process.stdin.closed:
        raise DeviceError("the keyboard was closed; open it again")
    process.stdin.write(line)
    process.stdin.flush()


def _await(process: subprocess.Popen[str]) -> None:
    """Wait until the last line is done; DeviceError with its error, BrokenPipeError at the end."""
    line = process.stdout.readline() if process.stdout else ""
    if not line:
        raise BrokenPipeError
    error = json.loads(line)
    if error is not None:
        raise DeviceError(error)


def _end(process: subprocess.Popen[str]) -> None:
    try:
        process.communicate(timeout=5)  # closes its input, which is its order to release all
    except (subprocess.TimeoutExpired, OSError, ValueError):
        process.kill()
        process.wait()
