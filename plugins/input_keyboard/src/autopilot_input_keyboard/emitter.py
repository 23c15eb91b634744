"""The process that owns the keys, so that none stays down when the driver dies or hangs.

Started as `python -m autopilot_input_keyboard.emitter SECONDS KEY...` with the keys that it may
press; it first releases them all, since on X11 a key outlives the process that pressed it. Each
line of standard input is a JSON list of the keys to hold from now on; each is answered by a line,
`null` or the text of an error. At the end of input, on SIGTERM, and after SECONDS without a line
it releases what it holds.
"""

from __future__ import annotations

import contextlib
import json
import os
import queue
import signal
import sys
import threading
from collections.abc import Iterable

from autopilot.errors import DeviceError

from autopilot_input_keyboard.keys import key_codes, on_x11, pynput_keyboard, x11_numbers


class Keys:
    """Real key presses by pynput: of the keys given, and of no others.

    Raises DeviceError without a display, UserError for a key that the layout lacks.
    """

    def __init__(self, names: Iterable[str]) -> None:
        keyboard = pynput_keyboard()
        self._controller = keyboard.Controller()
        self._codes = key_codes(keyboard, names)
        if on_x11(keyboard):
            from Xlib.display import Display

            display = Display()
            x11_numbers(display, self._codes)
            xtest = display.query_extension("XTEST")
            display.close()
            if xtest is None:
                raise DeviceError("this X server takes no key presses; start it without `-extension XTEST`")
        self.down: frozenset[str] = frozenset()

    def hold(self, names: frozenset[str]) -> None:
        """Make exactly these keys down; only differences are sent."""
        fresh = names - self.down
        for name in self.down - names:
            self._controller.release(self._codes[name])
        self.down |= names  # before the presses: a signal that ends us may come between them
        for name in fresh:
            self._controller.press(self._codes[name])
        self.down = names

    def release_stale(self) -> None:
        """Release every key, whoever pressed it: a killed process may have left some down."""
        for code in self._codes.values():
            self._controller.release(code)


def serve(keys: Keys, timeout_s: float, lines: queue.SimpleQueue[str | None]) -> None:
    """Hold what each line says, until None comes; `keys` are released when no line does."""
    while True:
        try:
            line = lines.get(timeout=timeout_s if keys.down else None)
        except queue.Empty:
            keys.hold(frozenset())
            continue
        if line is None:
            return
        keys.hold(frozenset(json.loads(line)))
        answer(None)


def answer(error: str | None) -> None:
    """Tell the driver that a line is done, or what went wrong."""
    # Unbuffered, so that nothing is left to fail later; a driver that is gone needs no answer.
    with contextlib.suppress(BrokenPipeError):
        os.write(sys.stdout.fileno(), f"{json.dumps(error)}\n".encode())


def main(timeout_s: float, names: list[str]) -> int:
    """Serve standard input until it ends; return the exit status."""

    def stop(*_: object) -> None:
        raise SystemExit(0)

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the driver gets it too and closes the pipe
    signal.signal(signal.SIGTERM, stop)
    lines: queue.SimpleQueue[str | None] = queue.SimpleQueue()

    def feed() -> None:
        for line in sys.stdin:
            lines.put(line)
        lines.put(None)

    threading.Thread(target=feed, daemon=True).start()
    try:
        keys = Keys(names)
        try:
            keys.release_stale()
            answer(None)
            serve(keys, timeout_s, lines)
        finally:
            keys.hold(frozenset())
    except Exception as e:  # noqa: BLE001 - whatever a driver raises, the parent reports in a line
        answer(" ".join(str(e).split()) or type(e).__name__)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(float(sys.argv[1]), sys.argv[2:]))
