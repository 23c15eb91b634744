"""What the human holds on a gamepad, by SDL: any pad that it knows, plugged in at any time."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from typing import Any

from autopilot.api import Bindings, DeviceError, Held

from autopilot_input_gamepad.buttons import check

SDL_BUTTONS = {
    **{name: name.upper() for name in ("a", "b", "x", "y", "start", "back")},
    **{f"dpad_{way}": f"DPAD_{way.upper()}" for way in ("up", "down", "left", "right")},
    **{"lb": "LEFTSHOULDER", "rb": "RIGHTSHOULDER", "ls": "LEFTSTICK", "rs": "RIGHTSTICK"},
}
SDL_AXES = {
    **{"lt": ("TRIGGERLEFT", 1), "rt": ("TRIGGERRIGHT", 1)},
    **{"stick_left": ("LEFTX", -1), "stick_right": ("LEFTX", 1), "stick_up": ("LEFTY", -1), "stick_down": ("LEFTY", 1)},
}
HALF = 16384
"""An axis counts as held beyond half of its way: a worn stick at rest drifts less."""

NO_SDL = "no gamepad can be read: SDL2 is missing; in the checkout, pip install -c constraints.txt pysdl2 pysdl2-dll"


def open_reader(bindings: Bindings, hotkeys: Bindings, ours: Callable[[], frozenset[str]] = frozenset) -> GamepadReader:
    """Read all pads; `hotkeys` are buttons too.

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
        self._axes: Mapping[str, tuple[int, int]] = {
            n: (getattr(self._sdl, f"SDL_CONTROLLER_AXIS_{t}"), sign) for n, (t, sign) in SDL_AXES.items()
        }

    def _down(self) -> frozenset[str]:
        """Return the buttons that are down on any pad but our own."""
        self._plug()
        ours, down = self._ours(), set()
        for pad, path in self._pads.values():
            if path not in ours:
                down |= self._down_on(pad)
        twins = {n.replace("stick_", "dpad_") for n in down} | {n.replace("dpad_", "stick_") for n in down}
        return frozenset(down | twins)

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

    def _down_on(self, pad: Any) -> set[str]:
        sdl = self._sdl
        pushed = {n for n, (axis, sign) in self._axes.items() if sdl.SDL_GameControllerGetAxis(pad, axis) * sign > HALF}
        return pushed | {n for n, button in self._buttons.items() if sdl.SDL_GameControllerGetButton(pad, button)}

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
