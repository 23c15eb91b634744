"""What the human holds on the keyboard, without what our own emitter holds."""

from __future__ import annotations

import contextlib
import threading
from collections import deque
from collections.abc import Callable, Iterable
from types import ModuleType

from autopilot.errors import DeviceError
from autopilot.types import Bindings, Held

from autopilot_input_keyboard.device import our_keys
from autopilot_input_keyboard.keys import check, key_codes, on_x11, pynput_keyboard, x11_numbers

POLL_S = 0.01
"""Between two polls; a tap lasts 30 ms and more, so that no press of a hotkey is missed."""


class KeyboardReader:
    """Turns the keys that are down, polled in a thread, into controls and hotkeys.

    `down()` returns the names of the keys that are down now, whoever pressed them.
    """

    def __init__(
        self, bindings: Bindings, hotkeys: Bindings, down: Callable[[], frozenset[str]], disconnect: Callable[[], None]
    ) -> None:
        self._bindings, self._hotkeys = dict(bindings), dict(hotkeys)
        self._down, self._disconnect = down, disconnect
        self._human = self._poll()
        self._pressed: deque[str] = deque()
        self._error: Exception | None = None
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="keyboard reader", daemon=True)
        self._thread.start()

    def _poll(self) -> frozenset[str]:
        # What became ours or ceased to be while the server answered is ours as well.
        ours = our_keys()
        down = self._down()
        return down - ours - our_keys()

    def _watch(self) -> None:
        while not self._closing.wait(POLL_S):
            try:
                now = self._poll()
            except Exception as e:  # noqa: BLE001 - kept, and raised where somebody can see it
                self._error = e
                return
            fresh = now - self._human
            self._pressed.extend(name for name, key in self._hotkeys.items() if key in fresh)
            self._human = now

    def held(self) -> Held:
        """Return the controls whose keys the human holds (not older than 10 ms).

        Raises DeviceError when the keyboard is gone.
        """
        if self._error is not None:
            raise DeviceError(
                "the keyboard can no longer be read: is the desktop session still there?"
            ) from self._error
        human = self._human
        return frozenset(control for control, key in self._bindings.items() if key in human)

    def hotkeys(self) -> tuple[str, ...]:
        """Return the hotkeys pressed since the last call, each once per press."""
        return tuple(self._pressed.popleft() for _ in range(len(self._pressed)))

    def close(self) -> None:
        """Stop the thread and disconnect."""
        if not self._closing.is_set():
            self._closing.set()
            self._thread.join()
            self._disconnect()


def open_reader(bindings: Bindings, hotkeys: Bindings) -> KeyboardReader:
    """Read the keyboard: on X11 its state, elsewhere pynput's events.

    A key that the human and our emitter hold at once counts as ours.

    Raises UserError for an unknown key, DeviceError when there is no keyboard to be had.
    """
    keyboard = pynput_keyboard()
    names = {*bindings.values(), *hotkeys.values()}
    check(names)
    connect = x11_state if on_x11(keyboard) else listener_state
    return KeyboardReader(bindings, hotkeys, *connect(keyboard, names))


State = tuple[Callable[[], frozenset[str]], Callable[[], None]]
"""A function that returns the keys that are down, and one that disconnects."""


def x11_state(keyboard: ModuleType, names: Iterable[str]) -> State:
    """Ask the X server which keys are down: no event can be lost, repeated or late."""
    from Xlib.display import Display
    from Xlib.error import ConnectionClosedError, DisplayError

    try:
        display = Display()
    except DisplayError as e:
        raise DeviceError(f"no keyboard: {e}; check DISPLAY") from e
    numbers = x11_numbers(display, key_codes(keyboard, names))

    def down() -> frozenset[str]:
        bits = display.query_keymap()
        return frozenset(n for n, code in numbers.items() if bits[code // 8] >> code % 8 & 1)

    def disconnect() -> None:
        with contextlib.suppress(ConnectionClosedError):  # by a server that is gone
            display.close()

    return down, disconnect


def listener_state(keyboard: ModuleType, names: Iterable[str]) -> State:
    """Follow press and release events; injected ones are left out where the system marks them."""
    wanted = frozenset(names)
    held: dict[object, str] = {}

    def press(key: object, injected: bool) -> None:
        name = getattr(key, "name", None) or str(getattr(key, "char", None)).lower()
        if name in wanted and not injected:
            held[_identity(key)] = name

    def release(key: object, injected: bool) -> None:
        held.pop(_identity(key), None)

    listener = keyboard.Listener(on_press=press, on_release=release)
    listener.start()
    listener.wait()
    return lambda: frozenset(held.values()), listener.stop


def _identity(key: object) -> object:
    """A key's character may change between press and release (shift), its number does not."""
    return getattr(key, "vk", None) or key
