"""Starts the installed SuperTuxKart in a time trial of its own, and ends it."""

from __future__ import annotations

import atexit
import contextlib
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Self

import platformdirs
from autopilot.api import DeviceError, UserError

TITLE = "SuperTuxKart"
START_S = 120.0
"""The first start of all builds a cache of textures, which takes a minute."""
LOADED = b"Overall scene complexity"
"""What the game's log says when the track is loaded; the countdown of five seconds follows."""
PLAIN = (
    *("--disable-dynamic-lights", "--disable-particles", "--disable-hd-textures", "--disable-animated-characters"),
    *("--disable-bloom", "--disable-mlaa", "--shadows=0", "--anisotropic=0", "--unlock-all"),
)
"""The same plain picture that the lock-step engine draws."""


class RealGame:
    """The game in a process group and with settings of its own, with the game's default keys.

    The user's settings, highscores and keys stay untouched: the child has its own home in the
    cache folder of autopilot. The race begins with the game's countdown, as in the lock-step
    engine. The window, titled `title`, is for a screen source to find. On Linux the game also ends
    when the thread that started it ends, be it by SIGKILL.

    `size` is the picture's width and height in pixels, `difficulty` the game's own 0 to 3;
    `extra` are further arguments for it. Raises UserError when the game is not installed and
    DeviceError when there is no display.
    """

    title = TITLE

    def __init__(
        self,
        track: str,
        laps: int,
        size: tuple[int, int] = (480, 270),
        difficulty: int = 1,
        extra: tuple[str, ...] = (),
    ) -> None:
        program = find_game()
        if sys.platform == "linux" and not (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
            raise DeviceError("SuperTuxKart needs a screen and DISPLAY is not set: start it from a desktop or xvfb-run")
        home = Path(platformdirs.user_cache_dir("autopilot")) / "supertuxkart"
        home.mkdir(parents=True, exist_ok=True)
        for keys in home.glob("config/supertuxkart/*/input.xml"):
            keys.unlink()  # the game writes its defaults anew
        folders = {f"XDG_{name.upper()}_HOME": str(home / name) for name in ("config", "cache", "data")}
        if os.name == "nt":
            folders = {"SUPERTUXKART_SAVEDIR": str(home)}
        race = [f"--track={track}", f"--laps={laps}", f"--difficulty={difficulty}", "--mode=1", "--numkarts=1"]
        picture = ["--windowed", f"--screensize={size[0]}x{size[1]}", *PLAIN]
        # Debian's own tools: end with our thread, and write the log line by line.
        wrappers = (("setpriv", "--pdeathsig", "KILL", "--"), ("stdbuf", "-oL"))
        wrapper = [word for words in wrappers if shutil.which(words[0]) for word in words]
        self.log = home / "game.log"
        with self.log.open("wb") as log:
            self._process = subprocess.Popen(  # noqa: S603 - the game's own path, no shell
                [*wrapper, program, "--no-start-screen", *race, *picture, *extra],
                env={**os.environ, **folders, "LANGUAGE": "en"},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        atexit.register(self.close)

    @property
    def running(self) -> bool:
        """Whether the process is there."""
        return self._process.poll() is None

    def check(self) -> None:
        """Raise DeviceError when the game has ended by itself."""
        if not self.running:
            raise DeviceError(f"SuperTuxKart ended early (code {self._process.returncode}): its log is {self.log}")

    def wait_until_racing(self, timeout_s: float = START_S) -> None:
        """Return when the track is loaded and the countdown begins.

        Raises DeviceError when the game ends before that or takes longer than `timeout_s`.
        """
        until = time.monotonic() + timeout_s
        while LOADED not in self.log.read_bytes():
            self.check()
            if time.monotonic() > until:
                self.close()
                raise DeviceError(f"SuperTuxKart showed no race in {timeout_s:g} s: its log is {self.log}")
            time.sleep(0.1)

    def close(self) -> None:
        """End the game, by force if it does not go in three seconds; safe to call twice."""
        atexit.unregister(self.close)
        for force in (False, True):
            self._end(force)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(3)

    def _end(self, force: bool) -> None:
        """Ask the game to go, with what was started with it; Windows can but end it, which has no wrapper there."""
        if sys.platform == "win32":
            self._process.kill()
            return
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL if force else signal.SIGTERM)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def find_game() -> str:
    """Return the path of the game's program.

    Raises UserError when it is not installed.
    """
    program = shutil.which("supertuxkart") or shutil.which("supertuxkart", path="/usr/games")
    if program is None:
        how = "put its folder on PATH" if os.name == "nt" else "sudo apt-get install supertuxkart"
        raise UserError(f"SuperTuxKart is not installed: {how}")
    return program
