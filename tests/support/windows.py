"""Windows programs under Wine, and a human at their keyboard."""

from __future__ import annotations

import contextlib
import json
import subprocess
import threading
import time
from collections.abc import Callable
from typing import Any, ClassVar

from support.wine import PYTHON, ROOT

LAMPS = ("left", "right", "up", "down", *"xzqwertykj")
"""The keys that tests/windows/game.py knows, in the order of its lamps from the left."""

LAMP = 24
"""The side of a lamp in pixels."""


class Program:
    """A Windows Python that runs; `lines` is what it has printed, `messages` what of that are JSON objects."""

    def __init__(self, environment: dict[str, str], *args: str, **variables: str) -> None:
        # Wine cannot do with /dev/null or a file as standard input or output; pipes are fine.
        self.process = subprocess.Popen(
            ["wine", PYTHON / "python.exe", *args],
            env=environment | variables,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
        )
        self.lines: list[str] = []
        self.messages: list[dict[str, Any]] = []
        self._listener = threading.Thread(target=self._listen, daemon=True)
        self._listener.start()

    def _listen(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.lines.append(line.rstrip())
            if line.startswith("{"):
                with contextlib.suppress(ValueError):  # the beginning of something longer
                    self.messages.append(json.loads(line))

    def wait(self, seconds: float = 180) -> int:
        """Return its exit status, when all that it printed was read."""
        status = self.process.wait(seconds)
        self._listener.join(5)
        return status

    def until(self, condition: Callable[[], Any], seconds: float = 120) -> Any:
        """Wait until something comes true, and return it; AssertionError with its output when it does not."""
        deadline = time.monotonic() + seconds
        while not (found := condition()):
            assert time.monotonic() < deadline, "not in time:\n" + "\n".join(self.lines[-30:])
            assert self.process.poll() is None or condition(), "it ended:\n" + "\n".join(self.lines[-30:])
            time.sleep(0.01)
        return found

    def says(self, words: str, seconds: float = 120) -> None:
        """Wait until a line has these words."""
        self.until(lambda: any(words in line for line in list(self.lines)), seconds)


class Agent(Program):
    """A Windows Python that does what it is told, since to start one takes seconds."""

    def __init__(self, environment: dict[str, str], **variables: str) -> None:
        super().__init__(environment, str(ROOT / "tests/windows/agent.py"), **variables)
        self._asked = 0
        self.do("")

    def begin(self, code: str) -> None:
        """Let it run some code, in which `result` is what comes back."""
        assert self.process.stdin is not None
        self._asked += 1
        self.process.stdin.write(json.dumps([self._asked, code]) + "\n")
        self.process.stdin.flush()

    def answer(self, seconds: float = 120) -> Any:
        """Return the result of what was begun last; RuntimeError for what that raised."""
        number = self._asked
        (message,) = self.until(lambda: [m for m in self.messages[-20:] if m.get("answer") == number], seconds)
        if "error" in message:
            raise RuntimeError(message["error"])
        return message["result"]

    def do(self, code: str, seconds: float = 120) -> Any:
        """Run some code and return its `result`."""
        self.begin(code)
        return self.answer(seconds)


class Human:
    """Somebody at the keyboard of the X server: to Windows programs, its keyboard."""

    KEYS: ClassVar = {"left": "Left", "right": "Right", "up": "Up", "down": "Down"}

    def __init__(self, name: str) -> None:
        from Xlib.display import Display

        self.display = Display(name)
        self.held: set[str] = set()

    def touch(self, key: str, down: bool) -> None:
        """Press or release a key."""
        from Xlib import XK, X
        from Xlib.ext import xtest

        code = self.display.keysym_to_keycode(XK.string_to_keysym(self.KEYS.get(key, key)))
        xtest.fake_input(self.display, X.KeyPress if down else X.KeyRelease, code)
        self.display.sync()
        (self.held.add if down else self.held.discard)(key)

    def tap(self, key: str, seconds: float = 0.1) -> None:
        """Hold a key for a moment."""
        self.touch(key, True)
        time.sleep(seconds)
        self.touch(key, False)

    def let_go(self) -> None:
        """Let go of everything."""
        for key in list(self.held):
            self.touch(key, False)

    def close(self) -> None:
        """Let go, and leave."""
        self.let_go()
        self.display.close()


class Game(Program):
    """The game of tests/windows/game.py, with the focus."""

    def __init__(self, environment: dict[str, str], title: str = "Windows Racing") -> None:
        super().__init__(environment, str(ROOT / "tests/windows/game.py"), title, SDL_AUDIODRIVER="dummy")
        self.until(lambda: self.messages)

    @property
    def down(self) -> set[str]:
        """The keys that are down for it."""
        return self.down_at(float("inf"))

    def down_at(self, t: float) -> set[str]:
        """The keys that were down for it at a time, in seconds of the wall clock."""
        down: set[str] = set()
        for event in self.messages[1:]:
            if event["t"] <= t:
                (down.add if event["down"] else down.discard)(event["key"])
        return down

    def forget(self) -> None:
        """Forget what came, when all keys are up."""
        del self.messages[1:]
