"""The window in which a person watches or plays, and what the keyboard says in it."""

from __future__ import annotations

import os
import sys

import pygame
from autopilot.api import DeviceError, Held, Probe
from gymnasium.envs.box2d.car_racing import WINDOW_H, WINDOW_W

from autopilot_carracing.plugin import HOTKEYS, KEYS


class Window:
    """A window of 1000x800, and a reader of the keys held in it.

    Raises DeviceError when there is no screen to open it on.
    """

    def __init__(self, title: str) -> None:
        try:
            _connect()
            self._screen = pygame.display.set_mode((WINDOW_W, WINDOW_H))
        except pygame.error as e:
            pygame.display.quit()
            raise DeviceError(
                f"cannot open CarRacing's window ({e}): start this on a desktop, "
                "or let the demonstrator or a network drive without one"
            ) from e
        pygame.display.set_caption(title)
        self._keys = {pygame.key.key_code(key): control for control, key in KEYS.items()}
        self._hotkeys = {pygame.key.key_code(key): name for name, key in HOTKEYS.items()}
        self._pressed: list[str] = []
        self.closed = False

    def show(self, picture: pygame.Surface) -> None:
        """Show a picture of 1000x800 and take in what happened to the window and the keys."""
        self._screen.blit(picture, (0, 0))
        pygame.display.flip()
        self._pump()

    def _pump(self) -> None:
        for event in pygame.event.get():
            if event.type == pygame.QUIT:
                self.closed = True
                self._pressed.append("quit")
            elif event.type == pygame.KEYDOWN and event.key in self._hotkeys:
                self._pressed.append(self._hotkeys[event.key])

    def held(self) -> Held:
        """Return the controls whose keys are down in this window."""
        self._pump()
        down = pygame.key.get_pressed()
        return frozenset(control for key, control in self._keys.items() if down[key])

    def hotkeys(self) -> tuple[str, ...]:
        """Return the hotkeys pressed since the last call; closing the window means `quit`."""
        self._pump()
        pressed, self._pressed = tuple(self._pressed), []
        return pressed

    def close(self) -> None:
        """Close the window."""
        pygame.display.quit()


def _connect() -> None:
    # Asked first: SDL, when it looks for Wayland in vain, prints a line of its own.
    if sys.platform == "linux" and not {"DISPLAY", "WAYLAND_DISPLAY"} & os.environ.keys():
        raise pygame.error("DISPLAY is not set")
    pygame.display.init()
    if pygame.display.get_driver() in ("dummy", "offscreen"):
        raise pygame.error(f"the video driver is {pygame.display.get_driver()}")


def probe() -> list[Probe]:
    """Connect to where the window would be shown; none is, so that nothing flashes up."""
    try:
        _connect()
        large = pygame.display.get_desktop_sizes()[0]
        pygame.display.quit()
    except pygame.error as e:
        fix = "start this on a desktop; the demonstrator and networks need none"
        return [Probe("carracing window", ok=False, detail=str(e), fix=fix)]
    detail = f"{WINDOW_W}x{WINDOW_H} on a screen of {large[0]}x{large[1]}"
    return [Probe("carracing window", ok=True, detail=detail)]
