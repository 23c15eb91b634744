"""Windows' keyboard by its own calls: pressed by scan codes that bear our mark, read as raw input without those.

Raw input comes from the keyboards themselves: it cannot be dropped as a hook can, names keys by place, and hands on
the mark. What other programs inject (AutoHotkey, Steam Input, a remote desktop) bears none, and counts as the human's.
"""

from __future__ import annotations

import contextlib
import ctypes
import logging
import threading
import time
from collections.abc import Callable, Collection, Sequence
from ctypes import wintypes
from functools import cache
from typing import Any, ClassVar

from autopilot.api import DeviceError

from autopilot_input_keyboard.keys import check

MARK = 0xA0701107
"""In the extra information of every press of ours, and of nobody else's."""

OURS, INJECTED = "ours", "injected"

EXTENDED = 0xE000
"""Of the keys that stand twice on a keyboard, the ones that IBM added in 1986 send this before their code."""

_ROWS = {0x02: "1234567890-=", 0x10: "qwertyuiop[]", 0x1E: "asdfghjkl;'`", 0x2B: "\\zxcvbnm,./"}
_NAMED = {"esc": 0x01, "backspace": 0x0E, "tab": 0x0F, "enter": 0x1C, "space": 0x39, "shift": 0x2A, "shift_r": 0x36}
_BESIDE = {"ctrl": 0x1D, "ctrl_r": 0xE01D, "alt": 0x38, "alt_r": 0xE038, "f11": 0x57, "f12": 0x58}
_ISLAND = ("home", "up", "page_up", "", "left", "", "right", "", "end", "down", "page_down", "insert", "delete")
SCAN_CODES = {
    **{name: start + i for start, row in _ROWS.items() for i, name in enumerate(row)},
    **_NAMED,
    **_BESIDE,
    **{name: EXTENDED + 0x47 + i for i, name in enumerate(_ISLAND) if name},
    **{f"f{n + 1}": 0x3B + n for n in range(10)},
    **{f"f{n + 13}": 0x64 + n for n in range(8)},
    **{f"kp_{n}": code for n, code in enumerate((0x52, 0x4F, 0x50, 0x51, 0x4B, 0x4C, 0x4D, 0x47, 0x48, 0x49))},
}
"""Name -> scan code of set 1, the place of the key on every keyboard (Microsoft, "Keyboard Input Overview")."""

STUCK_S, SILENT_S = 0.25, 0.5
"""How long the system may contradict us: that a key is up which we have as down, and the other way round."""

_log = logging.getLogger("autopilot")


class _KeyboardInput(ctypes.Structure):  # KEYBDINPUT
    _fields_: ClassVar = [
        ("vk", wintypes.WORD),
        ("scan", wintypes.WORD),
        ("flags", wintypes.DWORD),
        ("time", wintypes.DWORD),
        ("extra", ctypes.c_size_t),
    ]


class _Input(ctypes.Structure):  # INPUT, whose union is as large as that of a mouse
    _fields_: ClassVar = [("type", wintypes.DWORD), ("key", _KeyboardInput), ("rest", ctypes.c_byte * 8)]


class _RawKey(ctypes.Structure):  # RAWINPUT with its RAWINPUTHEADER and RAWKEYBOARD
    _fields_: ClassVar = [
        ("type", wintypes.DWORD),
        ("size", wintypes.DWORD),
        ("device", wintypes.HANDLE),
        ("parameter", wintypes.WPARAM),
        ("scan", wintypes.USHORT),
        ("flags", wintypes.USHORT),
        ("reserved", wintypes.USHORT),
        ("vk", wintypes.USHORT),
        ("message", wintypes.UINT),
        ("extra", wintypes.ULONG),
        ("rest", ctypes.c_byte * 16),
    ]


class _RawDevice(ctypes.Structure):  # RAWINPUTDEVICE
    _fields_: ClassVar = [
        ("page", wintypes.USHORT),
        ("usage", wintypes.USHORT),
        ("flags", wintypes.DWORD),
        ("window", wintypes.HWND),
    ]


def _user32() -> Any:
    """Return the library, with the types of what does not fit an int."""
    library = ctypes.WinDLL("user32", use_last_error=True)  # type: ignore[attr-defined, unused-ignore]
    library.CreateWindowExW.restype = wintypes.HWND
    library.CreateWindowExW.argtypes = [
        *(wintypes.DWORD, wintypes.LPCWSTR, wintypes.LPCWSTR, wintypes.DWORD, *(ctypes.c_int,) * 4),
        *(wintypes.HWND, wintypes.HMENU, wintypes.HINSTANCE, wintypes.LPVOID),
    ]
    library.DefWindowProcW.restype = wintypes.LPARAM
    library.DefWindowProcW.argtypes = [wintypes.HWND, wintypes.UINT, wintypes.WPARAM, wintypes.LPARAM]
    library.GetRawInputData.argtypes = [wintypes.LPARAM, wintypes.UINT, *(ctypes.c_void_p,) * 2, wintypes.UINT]
    library.GetAsyncKeyState.restype = wintypes.SHORT
    library.PostMessageW.argtypes = [wintypes.HWND, wintypes.UINT, wintypes.WPARAM, wintypes.LPARAM]
    return library


class RawInput:
    """Tells of every key that goes up or down, from a thread with a window that nobody sees.

    Windows gives raw input to one window of a process, so that there is one of these: `raw_input`. Raises
    DeviceError where it gives none.
    """

    def __init__(self) -> None:
        self._user = _user32()
        self.listeners: list[Callable[[int, bool, str | None], None]] = []
        """Called with the scan code, whether it went down, and OURS, INJECTED by somebody, or None for a keyboard's."""
        self._window, self._error = 0, ""
        ready = threading.Event()
        threading.Thread(target=self._run, args=(ready,), name="raw keyboard", daemon=True).start()
        if not ready.wait(10) or self._error:
            raise DeviceError(f"no keyboard: Windows gives no raw input ({self._error or 'no answer'}); log in anew")

    def register(self) -> bool:
        """Ask Windows for raw input; a library in this process may have asked for it in our place."""
        keyboards = _RawDevice(1, 6, 0x100, self._window)  # RIDEV_INPUTSINK: also without the focus
        return bool(self._user.RegisterRawInputDevices(ctypes.byref(keyboards), 1, ctypes.sizeof(keyboards)))

    def _run(self, ready: threading.Event) -> None:
        message_only = wintypes.HWND(-3)
        nothing: tuple[Any, ...] = (None, 0, 0, 0, 0, 0, message_only, None, None, None)
        self._window = self._user.CreateWindowExW(0, "STATIC", *nothing) or 0
        if not self._window or not self.register():
            self._error = str(ctypes.FormatError(ctypes.get_last_error()))  # type: ignore[attr-defined, unused-ignore]
        ready.set()
        message = wintypes.MSG()
        while not self._error and self._user.GetMessageW(ctypes.byref(message), None, 0, 0) > 0:
            if message.message == 0xFF:  # WM_INPUT
                self._take(message.lParam)
            self._user.DefWindowProcW(message.hWnd, message.message, message.wParam, message.lParam)

    def _take(self, handle: int) -> None:
        raw, size = _RawKey(), wintypes.UINT(ctypes.sizeof(_RawKey))
        read = self._user.GetRawInputData(handle, 0x10000003, ctypes.byref(raw), ctypes.byref(size), 24)  # RID_INPUT
        if read > 0 and raw.type == 1:  # RIM_TYPEKEYBOARD
            code = raw.scan | (EXTENDED if raw.flags & 2 else 0)
            if not raw.scan:  # injected by what it means, not by its place
                code = self._user.MapVirtualKeyW(raw.vk, 4)  # MAPVK_VK_TO_VSC_EX
            ours = OURS if raw.extra == MARK else None if raw.device else INJECTED
            for listener in list(self.listeners):
                listener(code, not raw.flags & 1, ours)


@cache
def raw_input() -> RawInput:
    """Return this process's; raises as that does."""
    return RawInput()


class HumanKeys:
    """Which keys others than we hold down. Raises as `raw_input` does.

    `mine` returns the codes of the keys that we hold: of them injected presses are ours also where a filter between us
    has taken the mark away. Without it, our own presses count too. `changed` is called with the scan code of each key
    that goes up or down, in another thread.
    """

    def __init__(
        self, mine: Callable[[], Collection[int]] | None, changed: Callable[[int, bool], None] | None = None
    ) -> None:
        self._mine, self._changed = mine, changed
        self._lock = threading.Lock()
        self._down: set[int] = set()
        self._tapped: set[int] = set()
        self._raw = raw_input()
        self._raw.listeners.append(self._take)

    def down(self) -> set[int]:
        """Return the scan codes of the keys that are down, those of `EXTENDED` keys with that."""
        with self._lock:
            return set(self._down)

    def tapped(self) -> set[int]:
        """Return the keys that went down since the last call, up again by now or not."""
        with self._lock:
            tapped, self._tapped = self._tapped, set()
            return tapped

    def set(self, code: int, down: bool) -> None:
        """Note that a key went up or down."""
        with self._lock:
            if down and code not in self._down:  # else it repeats itself
                self._tapped.add(code)
            (self._down.add if down else self._down.discard)(code)

    def ask_again(self) -> None:
        """Ask Windows anew for what it should have told."""
        self._raw.register()

    def close(self) -> None:
        """Listen no more."""
        with contextlib.suppress(ValueError):
            self._raw.listeners.remove(self._take)

    def _take(self, code: int, down: bool, ours: str | None) -> None:
        if self._mine is not None and (ours == OURS or (ours == INJECTED and code in self._mine())):
            return
        self.set(code, down)
        if self._changed is not None:
            self._changed(code, down)


class WindowsKeys:
    """Scan codes through SendInput: what games see, DirectInput's too.

    Windows keeps one state for all keyboards. So that a key is down as long as anybody holds it, one that the human
    holds is not released, and one that we hold is pressed again when the human lets go of it.
    """

    sticky = True
    devices: tuple[str, ...] = ()

    def __init__(self, names: Sequence[str]) -> None:
        check(names)
        self._user = _user32()
        self._lock = threading.RLock()
        self._ours: set[int] = set()
        self._human = HumanKeys(lambda: self._ours, self._touched)

    def press(self, name: str) -> None:
        """Press a key; raises DeviceError where Windows refuses it."""
        with self._lock:
            self._ours.add(SCAN_CODES[name])
            self._send(SCAN_CODES[name], True)

    def release(self, name: str) -> None:
        """Release it, unless the human holds it."""
        code = SCAN_CODES[name]
        with self._lock:
            self._ours.discard(code)
            if code not in self._human.down():
                self._send(code, False)

    def flush(self) -> None:
        """Do nothing: SendInput has sent it."""

    def close(self) -> None:
        """Stop following the human's keys."""
        self._human.close()

    def _touched(self, code: int, down: bool) -> None:
        with self._lock:
            if not down and code in self._ours:
                self._send(code, True)

    def _send(self, code: int, down: bool) -> None:
        flags = 8 | (1 if code & EXTENDED else 0) | (0 if down else 2)  # KEYEVENTF_SCANCODE, _EXTENDEDKEY, _KEYUP
        event = _Input(1, _KeyboardInput(0, code & 0xFF, flags, 0, MARK))
        if not self._user.SendInput(1, ctypes.byref(event), ctypes.sizeof(event)):
            raise DeviceError(
                "Windows takes no keys now: unlock the screen, or close what asks for administrator rights"
            )


class WindowsState:
    """What the human holds, compared with what Windows says of each key's state.

    By default nobody's keys are left out, else all that bear our mark: `ours` says besides which of them may be down
    now. A lost release is noticed after `STUCK_S`; where no events come any more, that is said after `SILENT_S`, they
    are asked for anew, and Windows' state is taken instead.
    """

    def __init__(self, names: Collection[str], ours: Callable[[], frozenset[str]]) -> None:
        check(names)
        self._ours, self._user = ours, _user32()
        mine = None if ours is frozenset else lambda: {SCAN_CODES[name] for name in ours() if name in SCAN_CODES}
        self.human = HumanKeys(mine)
        # MAPVK_VSC_TO_VK_EX. What the keys of the keypad are to the system, NumLock decides.
        virtual = {n: 0 if n[:3] == "kp_" else self._user.MapVirtualKeyW(SCAN_CODES[n], 3) for n in names}
        self._keys = {n: (SCAN_CODES[n], vk) for n, vk in virtual.items()}
        self._since: dict[str, float] = {}
        self._touched: set[str] = set()
        held = ours()
        for name, (code, vk) in self._keys.items():
            if name not in held and self._is_down(vk):
                self.human.set(code, True)
        self.human.tapped()

    def __call__(self) -> tuple[frozenset[str], frozenset[str]]:
        """Return the keys that the human holds, and those that went down since the last call."""
        down, mine = self.human.down(), self._ours()
        for name, (code, vk) in self._keys.items():
            if name in mine:
                self._touched.add(name)  # from now on the system's state is ours as well
            elif code not in down:
                self._touched.discard(name)
            if vk and name not in self._touched:
                self._compare(name, code in down)
        down, tapped = self.human.down(), self.human.tapped()
        held, pressed = ({n for n, (code, _) in self._keys.items() if code in codes} for codes in (down, tapped))
        return frozenset(held), frozenset(pressed)

    def _is_down(self, vk: int) -> bool:
        return bool(vk and self._user.GetAsyncKeyState(vk) & 0x8000)

    def _compare(self, name: str, has: bool) -> None:
        """Believe Windows' state of a key where it contradicts ours for long."""
        code, vk = self._keys[name]
        now = time.monotonic()
        if has == self._is_down(vk):
            self._since.pop(name, None)
        elif now - self._since.setdefault(name, now) > (STUCK_S if has else SILENT_S):
            del self._since[name]
            self.human.set(code, not has)
            if not has:
                self.human.ask_again()
                _log.warning("autopilot: keys came no more from Windows (%s was missed); asked for them anew", name)


def windows_state(
    names: Collection[str], ours: Callable[[], frozenset[str]] = frozenset
) -> tuple[WindowsState, Callable[[], None]]:
    """Return a function that returns the keys that the human holds and has pressed, and one that disconnects."""
    state = WindowsState(names, ours)
    return state, state.human.close
