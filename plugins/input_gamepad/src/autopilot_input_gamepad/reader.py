"""What the human holds on a gamepad, by SDL: any pad that it knows, plugged in at any time."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from typing import Any

from autopilot.api import Bindings, DeviceError, Held, level_of, nearest_level, split_level

from autopilot_input_gamepad.buttons import DPAD, FULL, check

SDL_BUTTONS = {
    **{name: name.upper() for name in ("a", "b", "x", "y", "start", "back")},
    **{f"dpad_{way}": f"DPAD_{way.upper()}" for way in ("up", "down", "left", "right")},
    **{"lb": "LEFTSHOULDER", "rb": "RIGHTSHOULDER", "ls": "LEFTSTICK", "rs": "RIGHTSTICK"},
}
SDL_AXES = {
    **{"left_x": ("LEFTX", 1), "left_y": ("LEFTY", -1), "right_x": ("RIGHTX", 1), "right_y": ("RIGHTY", -1)},
    **{"lt": ("TRIGGERLEFT", 1), "rt": ("TRIGGERRIGHT", 1)},
}
"""Axis -> SDL's name of it, and the sign that makes up positive, which SDL has downwards."""
FARTHEST = 32767
HALF = 0.5
"""As a button, an axis counts as held beyond half of its way: a worn stick at rest drifts less."""

NO_SDL = "no gamepad can be read: SDL2 is missing; in the checkout, pip install -c constraints.txt pysdl2 pysdl2-dll"


def open_reader(bindings: Bindings, hotkeys: Bindings, ours: Callable[[], frozenset[str]] = frozenset) -> GamepadReader:
    """Read all pads; `hotkeys` are buttons too. Of a stick or trigger, the nearest of its bound levels is held.

    Raises UserError for an unknown button, DeviceError without SDL.
    """
    check([*bindings.values(), *hotkeys.values()])
    return GamepadReader(bindings, hotkeys, ours)


class GamepadReader:
    """Asks every pad but our own when it is asked itself; use it in one thread.

    The d-pad and the left stick count as each other, as in most games.
    """

    def __init__(self, bindings: Bindings, hotkeys: Bindings, ours: Callable[[], frozenset[str]]) -> None:
        self._bindings, self._hotkeys, self._ours = dict(bindings), dict(hotkeys), ours
        self._pads: dict[int, tuple[Any, str]] = {}
        self._before: frozenset[str] = frozenset()
        self._sdl = _load_sdl()
        self._buttons = {n: getattr(self._sdl, f"SDL_CONTROLLER_BUTTON_{t}") for n, t in SDL_BUTTONS.items()}
        self._axes = {n: (getattr(self._sdl, f"SDL_CONTROLLER_AXIS_{t}"), sign) for n, (t, sign) in SDL_AXES.items()}
        self._levels = {axis: [k for k in bindings.values() if split_level(k)[0] == axis] for axis in SDL_AXES}

    def _down(self) -> frozenset[str]:
        """Return the buttons that are down on any pad but our own, and the levels that its axes are nearest to."""
        self._plug()
        ours, sdl = self._ours(), self._sdl
        pads = [pad for pad, path in self._pads.values() if path not in ours]
        down = {n for n, b in self._buttons.items() if any(sdl.SDL_GameControllerGetButton(pad, b) for pad in pads)}
        pressed = frozenset(DPAD[n] for n in down & DPAD.keys())
        tilts = {
            n: max(level_of(pressed, n), *(self._tilt(pad, *axis) for pad in pads), 0.0, key=abs)
            for n, axis in self._axes.items()
        }
        full = {f"{n}:{math.copysign(1, tilt):g}" for n, tilt in tilts.items() if abs(tilt) > HALF}
        down |= {n for n, level in (*FULL.items(), *DPAD.items()) if level in full}
        return frozenset(down).union(*(nearest_level(self._levels[n], tilt) for n, tilt in tilts.items()))

    def _tilt(self, pad: Any, axis: int, sign: int) -> float:
        moved: int = self._sdl.SDL_GameControllerGetAxis(pad, axis)
        return max(-1.0, sign * moved / FARTHEST)

    def _plug(self) -> None:
        """Take notice of pads that were plugged in or out."""
        sdl = self._sdl
        sdl.SDL_GameControllerUpdate()
        for index in range(sdl.SDL_NumJoysticks()):
            number = sdl.SDL_JoystickGetDeviceInstanceID(index)
            if number not in self._pads and sdl.SDL_IsGameController(index):
                pad = sdl.SDL_GameControllerOpen(index)
                path = sdl.SDL_GameControllerPath(pad) if pad else None
                self._pads[number] = (pad, (path or b"").decode())
        for number, (pad, _) in list(self._pads.items()):
            if not pad or not sdl.SDL_GameControllerGetAttached(pad):
                if pad:
                    sdl.SDL_GameControllerClose(pad)
                del self._pads[number]

    def held(self) -> Held:
        """Return the controls whose buttons the human holds now."""
        down = self._down()
        return frozenset(control for control, button in self._bindings.items() if button in down)

    def hotkeys(self) -> tuple[str, ...]:
        """Return the hotkeys whose buttons went down since the last call."""
        if not self._hotkeys:
            return ()
        down = self._down()
        fresh, self._before = down - self._before, down
        return tuple(name for name, button in self._hotkeys.items() if button in fresh)

    def close(self) -> None:
        """Close every pad, and SDL. Calling it twice is harmless."""
        if self._sdl is None:
            return
        for pad, _ in self._pads.values():
            if pad:
                self._sdl.SDL_GameControllerClose(pad)
        self._pads.clear()
        self._sdl.SDL_QuitSubSystem(self._sdl.SDL_INIT_GAMECONTROLLER)
        self._sdl = None


def _load_sdl() -> Any:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # it says where it found the library
            import sdl2
    except Exception as e:  # it looks for a library when it is imported, which may fail in any way
        raise DeviceError(NO_SDL) from e
    # The game has the focus, not us; and Ctrl-C is Python's.
    sdl2.SDL_SetHint(b"SDL_JOYSTICK_ALLOW_BACKGROUND_EVENTS", b"1")
    sdl2.SDL_SetHint(b"SDL_NO_SIGNAL_HANDLERS", b"1")
    if sdl2.SDL_InitSubSystem(sdl2.SDL_INIT_GAMECONTROLLER) != 0:
        raise DeviceError(f"no gamepad can be read: {sdl2.SDL_GetError().decode()}; play with the keyboard")
    return sdl2
