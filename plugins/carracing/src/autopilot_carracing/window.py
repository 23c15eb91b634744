"""The window in which a person watches or plays, and what the keyboard and pads say in it."""

from __future__ import annotations

import os
import sys

import pygame
from autopilot.api import NOTHING, DeviceError, Held, Probe, levels, nearest_level
from gymnasium.envs.box2d.car_racing import WINDOW_H, WINDOW_W
from pygame._sdl2 import controller

from autopilot_carracing.plugin import HOTKEYS, KEYS, STEER

FARTHEST = 32767
"""Where SDL has a stick or trigger at the end of its way. A pedal counts as held from half of it on."""


class Window:
    """A window of 1000x800, and a reader of the keys held in it and of every pad, plugged in at any time.

    A pad's left stick steers, its right trigger is the gas and its left one the brake.

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
        self._pads: dict[int, controller.Controller] = {}
        self.closed = False
        controller.init()

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
            elif event.type == pygame.CONTROLLERDEVICEADDED:
                pad = controller.Controller(event.device_index)
                self._pads[pad.id] = pad
            elif event.type == pygame.CONTROLLERDEVICEREMOVED:
                self._pads.pop(event.instance_id, None)

    def held(self) -> Held:
        """Return the controls whose keys are down in this window, and those of the pads."""
        self._pump()
        down = pygame.key.get_pressed()
        keys = frozenset(control for key, control in self._keys.items() if down[key])
        return keys.union(*map(_held_on, self._pads.values()))

    def hotkeys(self) -> tuple[str, ...]:
        """Return the hotkeys pressed since the last call; closing the window means `quit`."""
        self._pump()
        pressed, self._pressed = tuple(self._pressed), []
        return pressed

    def close(self) -> None:
        """Close the window."""
        controller.quit()
        pygame.display.quit()


def _held_on(pad: controller.Controller) -> Held:
    axes = (pygame.CONTROLLER_AXIS_LEFTX, pygame.CONTROLLER_AXIS_TRIGGERRIGHT, pygame.CONTROLLER_AXIS_TRIGGERLEFT)
    steer, gas, brake = (pad.get_axis(axis) / FARTHEST for axis in axes)
    pedals = frozenset({"accelerate"} if gas > 0.5 else NOTHING) | frozenset({"brake"} if brake > 0.5 else NOTHING)
    return pedals | nearest_level(levels("steer", STEER), steer)


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
        fix = "start this on a desktop; the demonstrator and networks need none"
        return [Probe("carracing window", ok=False, detail=str(e), fix=fix)]
    detail = f"{WINDOW_W}x{WINDOW_H} on a screen of {large[0]}x{large[1]}"
    return [Probe("carracing window", ok=True, detail=detail)]
