"""The window in which a person watches or plays, and what the keyboard says in it."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable

import pygame
from autopilot.api import Bindings, DeviceError, Held, Image, Probe, UserError, suggest

SIZE = (640, 480)
"""The window's before it knows the picture's; pictures are enlarged by whole numbers to about as much."""


class Window:
    """A window and a reader of the keys held in it: `bindings` and `hotkeys` map controls and hotkeys to keys.

    Raises UserError for an unknown key, DeviceError when there is no screen to open it on.
    """

    def __init__(self, bindings: Bindings, hotkeys: Bindings) -> None:
        try:
            _connect()
            self._keys = [(control, _code(key)) for control, key in bindings.items()]
            self._hotkeys = {_code(key): name for name, key in hotkeys.items()}
            self._screen = pygame.display.set_mode(SIZE)
        except pygame.error as e:
            pygame.display.quit()
            raise DeviceError(
                f"cannot open a window ({e}): start this on a desktop, or let a network or a demonstrator drive"
            ) from e
        except UserError:
            pygame.display.quit()
            raise
        pygame.display.set_caption("autopilot")
        self._pressed: list[str] = []

    def show(self, image: Image) -> None:
        """Show a picture, uint8 RGB (H, W, 3), and take in what happened to the window and the keys."""
        height, width = image.shape[:2]
        scale = max(1, round(min(SIZE[0] / width, SIZE[1] / height)))
        if self._screen.get_size() != (width * scale, height * scale):
            self._screen = pygame.display.set_mode((width * scale, height * scale))
        picture = pygame.image.frombuffer(image.tobytes(), (width, height), "RGB")
        self._screen.blit(pygame.transform.scale(picture, self._screen.get_size()), (0, 0))
        pygame.display.flip()
        self._pump()

    def _pump(self) -> None:
        for event in pygame.event.get():
            if event.type == pygame.QUIT:
                self._pressed.append("quit")
            elif event.type == pygame.KEYDOWN and event.key in self._hotkeys:
                self._pressed.append(self._hotkeys[event.key])

    def held(self) -> Held:
        """Return the controls whose keys are down in this window."""
        self._pump()
        down = pygame.key.get_pressed()
        return frozenset(control for control, key in self._keys if down[key])

    def hotkeys(self) -> tuple[str, ...]:
        """Return the hotkeys pressed since the last call; closing the window means `quit`."""
        self._pump()
        pressed, self._pressed = tuple(self._pressed), []
        return pressed

    def close(self) -> None:
        """Close the window."""
        pygame.display.quit()


def open_window(bindings: Bindings, hotkeys: Bindings, ours: Callable[[], frozenset[str]]) -> Window:
    """Open the window; raises as `Window` does. Nothing of ours is pressed in it."""
    return Window(bindings, hotkeys)


def key_names() -> list[str]:
    """Return the names of all keys."""
    before = pygame.display.get_init()
    pygame.display.init()  # names are SDL's, which has none before
    codes = [code for name, code in vars(pygame).items() if name.startswith("K_")]
    names = {pygame.key.name(code, use_compat=False).lower() for code in codes}
    if not before:
        pygame.display.quit()
    return sorted(names - {""})


def _code(key: str) -> int:
    try:
        return int(pygame.key.key_code(key))
    except ValueError as e:
        raise UserError(f"the window knows no key {key!r}; {suggest(key, key_names())}") from e


UNSEEN = ("dummy", "offscreen")
"""SDL's drivers that show nothing."""


def _connect() -> None:
    # Asked first: SDL, when it looks for Wayland in vain, prints a line of its own.
    if sys.platform == "linux" and not {"DISPLAY", "WAYLAND_DISPLAY"} & os.environ.keys():
        raise pygame.error("DISPLAY is not set")
    if pygame.display.get_init() and pygame.display.get_driver() in UNSEEN:  # of what drew before there was a screen
        pygame.display.quit()
    pygame.display.init()
    if pygame.display.get_driver() in UNSEEN:
        raise pygame.error(f"the video driver is {pygame.display.get_driver()}")


def probe() -> list[Probe]:
    """Connect to where the window would be shown; none is, so that nothing flashes up."""
    try:
        _connect()
        large = pygame.display.get_desktop_sizes()[0]
        pygame.display.quit()
    except pygame.error as e:
        fix = "start this on a desktop; demonstrators and networks need none"
        return [Probe("window", ok=False, detail=str(e), fix=fix)]
    return [Probe("window", ok=True, detail=f"on a screen of {large[0]}x{large[1]}")]
