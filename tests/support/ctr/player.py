"""A scripted human: plays the drawn game in its window by real key presses, by what the window tells of the road."""

from __future__ import annotations

import threading
import time
from subprocess import Popen
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from support.ctr.desktop import Desktop

KEYS = {"left": "Left", "right": "Right", "accelerate": "k", "brake": "j"}
"""DuckStation's, as X names them."""


class Player:
    """Listens to a window of `shown.py --tell`; `laps` are the times that the game gave, in hundredths."""

    def __init__(self, desktop: Desktop, window: Popen[str]) -> None:
        self._desktop, self._window = desktop, window
        self._wish, self._instead, self._playing = frozenset[str](), None, False
        self._held: set[str] = set()
        self._lock = threading.Lock()
        self.laps: list[int] = []
        self._heard = threading.Event()
        self._thread = threading.Thread(target=self._listen, daemon=True)
        self._thread.start()

    def play(self, playing: bool, instead: frozenset[str] | None = None) -> None:
        """Drive along the road, or hold `instead`; or let go of everything."""
        with self._lock:
            self._playing, self._instead = playing, instead
            self._press()

    def wait_until_heard(self) -> None:
        """Tap a key that does nothing until the game says that it came; before its window has the focus, none does."""
        for _ in range(100):
            self.tap("z")
            if self._heard.wait(0.2):
                return
        raise AssertionError("no key comes to the game's window")

    def tap(self, key: str) -> None:
        """Press a key for a moment."""
        for down in (True, False):
            with self._lock:
                self._desktop.key(key, down)
            time.sleep(0.15)

    def to_the_menu(self) -> None:
        """After a finish: past the times and the high scores, so that one more Cross begins a race."""
        self.play(False)
        time.sleep(4.5)
        for _ in range(2):
            self.tap("k")
            time.sleep(1.5)

    def _listen(self) -> None:
        assert self._window.stdout is not None
        for line in self._window.stdout:
            word, *rest = line.split()
            with self._lock:
                if word == "lap":
                    self.laps.append(int(rest[0]))
                elif word == "press":
                    self._heard.set()
                elif word == "wish":
                    self._wish = frozenset(rest)
                    self._press()

    def _press(self) -> None:
        driving = self._wish if self._instead is None else self._instead
        wanted = driving if self._playing else frozenset()
        for control in self._held - wanted:
            self._desktop.key(KEYS[control], down=False)
        for control in wanted - self._held:
            self._desktop.key(KEYS[control], down=True)
        self._held = set(wanted)
