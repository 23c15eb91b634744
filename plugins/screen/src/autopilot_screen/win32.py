"""The windows of Windows, by its own calls: quick enough to be asked twice for each frame."""

from __future__ import annotations

import ctypes
import time
from collections.abc import Callable
from ctypes import wintypes
from functools import cache
from pathlib import PureWindowsPath
from typing import Any, ClassVar

from autopilot.api import Box, Window

from autopilot_screen.desk import CLICK_S, View, inside, one_line, overlap, within

ADMINISTRATOR = "run as administrator and takes no keys from here; start autopilot as administrator too, or it without"
OWN_DESKTOP = ("Progman", "WorkerW", "Shell_TrayWnd")
"""Classes of the windows that are the desktop itself and its task bar."""


class _Process(ctypes.Structure):  # PROCESSENTRY32W
    _fields_: ClassVar = [
        ("size", wintypes.DWORD),
        ("usage", wintypes.DWORD),
        ("pid", wintypes.DWORD),
        ("heap", ctypes.c_size_t),
        ("module", wintypes.DWORD),
        ("threads", wintypes.DWORD),
        ("parent", wintypes.DWORD),
        ("priority", wintypes.LONG),
        ("flags", wintypes.DWORD),
        ("name", wintypes.WCHAR * 260),
    ]


@cache
def _libraries() -> tuple[Any, Any, Any, Any]:
    """Return user32, kernel32, advapi32 and dwmapi, with the types of what does not fit an int."""
    load: Callable[[str], Any] = ctypes.WinDLL  # type: ignore[attr-defined, unused-ignore]
    user, kernel, security, compositor = map(load, ("user32", "kernel32", "advapi32", "dwmapi"))
    for name in ("GetForegroundWindow", "GetAncestor", "WindowFromPoint"):
        getattr(user, name).restype = wintypes.HWND
    user.WindowFromPoint.argtypes = [wintypes.POINT]
    user.GetAncestor.argtypes = [wintypes.HWND, wintypes.UINT]
    user.GetAsyncKeyState.restype = wintypes.SHORT
    for name in ("IsWindow", "IsIconic", "IsWindowVisible"):
        getattr(user, name).argtypes = [wintypes.HWND]
    for name in ("GetClientRect", "GetWindowRect", "ClientToScreen", "GetWindowThreadProcessId"):
        getattr(user, name).argtypes = [wintypes.HWND, ctypes.c_void_p]
    for name in ("GetWindowTextW", "GetClassNameW"):
        getattr(user, name).argtypes = [wintypes.HWND, wintypes.LPWSTR, ctypes.c_int]
    compositor.DwmGetWindowAttribute.argtypes = [wintypes.HWND, wintypes.DWORD, ctypes.c_void_p, wintypes.DWORD]
    for name in ("CreateToolhelp32Snapshot", "OpenProcess", "GetCurrentProcess"):
        getattr(kernel, name).restype = wintypes.HANDLE
    for name in ("Process32FirstW", "Process32NextW"):
        getattr(kernel, name).argtypes = [wintypes.HANDLE, ctypes.c_void_p]
    kernel.CloseHandle.argtypes = [wintypes.HANDLE]
    security.OpenProcessToken.argtypes = [wintypes.HANDLE, wintypes.DWORD, ctypes.c_void_p]
    token = [wintypes.HANDLE, ctypes.c_int, ctypes.c_void_p, wintypes.DWORD, ctypes.c_void_p]
    security.GetTokenInformation.argtypes = token
    return user, kernel, security, compositor


class WindowsDesk:
    """Windows' windows; each question goes to the system anew."""

    def __init__(self) -> None:
        import mss

        # mss makes Windows count in pixels of the screen, whatever the scale.
        with mss.MSS() as grabber:
            whole = grabber.monitors[0]
        self._screen: Box = (whole["left"], whole["top"], whole["width"], whole["height"])
        self._user, _, _, self._compositor = _libraries()
        self._out_of_reach: dict[int, bool] = {}

    def windows(self) -> list[Window]:
        """Return the windows that have a title, the topmost first; not those of the terminal that this runs in."""
        known = processes()
        above, pid = set(), ctypes.windll.kernel32.GetCurrentProcessId()  # type: ignore[attr-defined, unused-ignore]
        while pid in known and pid not in above:
            above.add(pid)
            pid = known[pid][1]
        found = (self._describe(number, known) for number in self._shown())
        return [w for w in found if w.title and w.pid not in above and w.kind not in OWN_DESKTOP]

    def look(self, window: Window, part: Box | None) -> View | None:
        """Say how the window stands; None when it was closed. One in front of the picture covers it."""
        user, number = self._user, window.id
        if not user.IsWindow(number) or self._pid(number) != window.pid:
            return None
        box = self._box(number)
        seen = inside(box, part)
        hidden = None
        if user.IsIconic(number):
            hidden = "minimised"
        elif not user.IsWindowVisible(number) or self._cloaked(number):
            hidden = "hidden"
        elif self._out_of_reach.setdefault(window.pid, out_of_reach(window.pid)):
            hidden = ADMINISTRATOR
        elif not within(seen, self._screen):
            hidden = "partly off the screen"
        elif cover := self._cover(number, seen):
            hidden = f"covered by {cover}"
        return View(box, hidden, user.GetForegroundWindow() == number)

    def drawable(self, window: Window) -> None:
        """Return None: the screen is read."""

    def click(self) -> Window | None:
        """Wait for a click on a window, or until another one comes to the front; None for Escape, or if none does."""
        user, before, at = self._user, self._user.GetForegroundWindow(), wintypes.POINT()
        until = time.monotonic() + CLICK_S
        while time.monotonic() < until and not user.GetAsyncKeyState(0x1B) & 0x8000:  # VK_ESCAPE
            number = user.GetForegroundWindow()
            if user.GetAsyncKeyState(1) & 0x8000 and user.GetCursorPos(ctypes.byref(at)):  # VK_LBUTTON
                number = user.GetAncestor(user.WindowFromPoint(at), 2)  # GA_ROOT
            elif number == before:
                number = None
            for window in self.windows() if number else ():
                if window.id == number:
                    return window
            time.sleep(0.02)
        return None

    def scale(self) -> float:
        """Return by how much the desktop enlarges things."""
        return float(self._user.GetDpiForSystem()) / 96

    def close(self) -> None:
        """Do nothing."""

    def _shown(self) -> list[int]:
        """Return the numbers of the visible windows, the topmost first."""
        numbers: list[int] = []

        def take(number: int, _: int) -> bool:
            numbers.append(number)
            return True

        kind = ctypes.WINFUNCTYPE(wintypes.BOOL, wintypes.HWND, wintypes.LPARAM)  # type: ignore[attr-defined, unused-ignore]
        self._user.EnumWindows(kind(take), 0)
        return [n for n in numbers if self._user.IsWindowVisible(n) and not self._cloaked(n)]

    def _cover(self, number: int, seen: Box) -> str | None:
        """Return the name of a window in front of what is seen, unless clicks and looks go through it."""
        for other in self._shown():
            if other == number:
                return None
            box = self._box(other, frame=True)
            if self._user.IsIconic(other) or not overlap(box, seen):
                continue
            left, top = max(box[0], seen[0]), max(box[1], seen[1])
            right, bottom = (min(box[i] + box[i + 2], seen[i] + seen[i + 2]) for i in (0, 1))
            middle = wintypes.POINT((left + right) // 2, (top + bottom) // 2)
            if self._user.GetAncestor(self._user.WindowFromPoint(middle), 2) == other:
                return repr(self._text("GetWindowTextW", other) or "another window")
        return None

    def _describe(self, number: int, known: dict[int, tuple[str, int]]) -> Window:
        pid = self._pid(number)
        name = known.get(pid, ("", 0))[0]
        title, kind = self._text("GetWindowTextW", number), self._text("GetClassNameW", number)
        minimised = bool(self._user.IsIconic(number))
        return Window(number, title, one_line(name), pid, self._box(number), kind, minimised=minimised)

    def _text(self, call: str, number: int) -> str:
        text = ctypes.create_unicode_buffer(512)
        getattr(self._user, call)(number, text, len(text))
        return one_line(text.value)

    def _pid(self, number: int) -> int:
        pid = wintypes.DWORD()
        self._user.GetWindowThreadProcessId(number, ctypes.byref(pid))
        return pid.value

    def _cloaked(self, number: int) -> bool:
        """Say whether a window is kept from view: on another desktop, or an app that sleeps."""
        how = wintypes.DWORD()
        self._compositor.DwmGetWindowAttribute(number, 14, ctypes.byref(how), 4)  # DWMWA_CLOAKED
        return bool(how.value)

    def _box(self, number: int, frame: bool = False) -> Box:
        rectangle, corner = wintypes.RECT(), wintypes.POINT()
        if frame:
            self._user.GetWindowRect(number, ctypes.byref(rectangle))
            corner = wintypes.POINT(rectangle.left, rectangle.top)
        else:
            self._user.GetClientRect(number, ctypes.byref(rectangle))
            self._user.ClientToScreen(number, ctypes.byref(corner))
        return corner.x, corner.y, rectangle.right - rectangle.left, rectangle.bottom - rectangle.top


def processes() -> dict[int, tuple[str, int]]:
    """Return the name of each process without its ending, and which one started it."""
    _, kernel, _, _ = _libraries()
    snapshot, one = kernel.CreateToolhelp32Snapshot(2, 0), _Process()  # TH32CS_SNAPPROCESS
    one.size = ctypes.sizeof(one)
    found = {}
    more = kernel.Process32FirstW(snapshot, ctypes.byref(one))
    while more:
        found[one.pid] = (PureWindowsPath(one.name).stem, one.parent)
        more = kernel.Process32NextW(snapshot, ctypes.byref(one))
    kernel.CloseHandle(snapshot)
    return found


def out_of_reach(pid: int) -> bool:
    """Say whether a process runs as administrator and this one does not: then no keys pass between them."""
    _, kernel, _, _ = _libraries()
    if _elevated(kernel.GetCurrentProcess()) is not False:
        return False
    process = kernel.OpenProcess(0x1000, False, pid)  # PROCESS_QUERY_LIMITED_INFORMATION
    elevated = _elevated(process) if process else None
    kernel.CloseHandle(process)
    return elevated is not False


def _elevated(process: int) -> bool | None:
    """Return whether a process has an administrator's rights; None where it is not ours to know."""
    _, kernel, security, _ = _libraries()
    token, answer, size = wintypes.HANDLE(), wintypes.DWORD(), wintypes.DWORD()
    if not security.OpenProcessToken(process, 8, ctypes.byref(token)):  # TOKEN_QUERY
        return None
    told = security.GetTokenInformation(token, 20, ctypes.byref(answer), 4, ctypes.byref(size))  # TokenElevation
    kernel.CloseHandle(token)
    return bool(answer.value) if told else None
