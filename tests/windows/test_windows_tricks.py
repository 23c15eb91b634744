"""Many tries at getting a black or a foreign picture into a session on Windows, as test_windows_broken.py on X11.

The game's picture but for its band of lamps is one colour, green 90 and blue 60; all else here is black or blue.
"""

from __future__ import annotations

import os
import random
import time

import pytest
from autopilot.sessions.session import Session
from support import wine
from support.windows import LAMP, LAMPS, Agent, Human, Program

TRIES = int(os.environ.get("AUTOPILOT_TRIES") or 14)
WIDTH = len(LAMPS) * LAMP

DESK = """
import ctypes, time
from ctypes import wintypes
user = ctypes.WinDLL("user32")
for call in (user.FindWindowW, user.CreateWindowExW): call.restype = wintypes.HWND
user.CreateWindowExW.argtypes = [wintypes.DWORD, *(wintypes.LPCWSTR,) * 2, wintypes.DWORD, *(ctypes.c_int,) * 4,
    *(wintypes.HWND, wintypes.HMENU, wintypes.HINSTANCE, wintypes.LPVOID)]
user.SetWindowPos.argtypes = [wintypes.HWND, wintypes.HWND, *(ctypes.c_int,) * 4, wintypes.UINT]
user.ShowWindow.argtypes = [wintypes.HWND, ctypes.c_int]
user.SetForegroundWindow.argtypes = user.DestroyWindow.argtypes = [wintypes.HWND]
user.GetWindowRect.argtypes = [wintypes.HWND, ctypes.c_void_p]
game = user.FindWindowW(None, "Windows Racing")
at = wintypes.RECT()
user.GetWindowRect(game, ctypes.byref(at))
left, top, width, height = at.left, at.top, at.right - at.left, at.bottom - at.top
def place(x=left, y=top, w=width, h=height): user.SetWindowPos(game, None, x, y, w, h, 0x14)
def front(): user.SetForegroundWindow(game)
def pump():
    message, until = wintypes.MSG(), time.monotonic() + 0.05
    while time.monotonic() < until:
        while user.PeekMessageW(ctypes.byref(message), None, 0, 0, 1): user.DispatchMessageW(ctypes.byref(message))
        time.sleep(0.005)
def chat(x=left, y=top, w=width, h=height, topmost=8):
    # A control that is black, without a frame, in front of all.
    made = user.CreateWindowExW(topmost, "STATIC", "Chat", 0x90000004, x, y, w, h, None, None, None, None)
    pump()
    return made
def gone(window): user.DestroyWindow(window); pump()
"""
TRICKS = {
    "covered": ("o = chat()", "gone(o); front()"),
    "a corner covered": ("o = chat(left + width - 60, top + height - 60, 90, 90)", "gone(o); front()"),
    "covered for a moment": ("o = chat(); gone(o); front()", ""),
    "moved": ("place(x=300, y=200)", "place(); front()"),
    "moved over the edge": ("place(x=-90)", "place(); front()"),
    "minimised": ("user.ShowWindow(game, 6)", "user.ShowWindow(game, 9); place(); front()"),
    "minimised for a moment": ("user.ShowWindow(game, 6); user.ShowWindow(game, 9); place(); front()", ""),
    "hidden": ("user.ShowWindow(game, 0)", "user.ShowWindow(game, 5); place(); front()"),
    "resized": ("place(w=width + 60, h=height + 40)", "place(); front()"),
    "resized for a moment": ("place(w=width - 90); place(); front()", ""),
    "without the focus": ("o = chat(700, 500, 90, 90); user.SetForegroundWindow(o)", "gone(o); front()"),
}


@pytest.mark.slow
def test_nothing_black_or_foreign_is_recorded(environment, game, tmp_path):
    desk, rng = Agent(environment), random.Random(1)
    desk.do(DESK)
    options = "--game ctr --track coco --driver anna --mode N --profile duckstation --hz 30"
    home = wine.windows_path(tmp_path)
    recorder = Program(
        environment, *f"-m autopilot record {options} --home {home}".split(), "--window", "Windows Racing"
    )
    recorder.until(lambda: list(tmp_path.glob("sessions/*/seg-*")), 300)
    tricks = [name for name in TRICKS for _ in range(TRIES)][:: len(TRICKS)]
    rng.shuffle(tricks)
    for name in tricks:
        there, back = TRICKS[name]
        desk.do(there)
        time.sleep(rng.random() * 0.3)  # not to wait for anything: so that it happens at any moment of the recorder's
        desk.do(back)
        time.sleep(0.6 + rng.random() * 0.1)
        assert recorder.process.poll() is None, (name, recorder.lines)
    time.sleep(2)
    human = Human(environment["DISPLAY"])
    human.tap("o", 0.3)
    assert recorder.wait(120) == 0, recorder.lines
    human.close()
    (path,) = tmp_path.glob("sessions/*")
    wrong = []
    rows = list(Session.open(path).rows())
    for number, row in enumerate(rows):
        below = row.frame.image[2 * LAMP * row.frame.image.shape[1] // WIDTH + 2 :]
        if abs(below[..., 1:].astype(int) - (90, 60)).max() > 2:
            wrong.append(number)
    assert wrong == []
    assert len(rows) > 5 * TRIES, "it was seen in between"
