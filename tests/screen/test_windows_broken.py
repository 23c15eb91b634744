"""Many tries at getting a black or a foreign picture into a session, by what can happen to windows.

The window shows its own colours alone, the others' are blue or black. It begins black, is covered, moved,
minimised, resized, closed and opened again, left on another workspace, and the screen is locked.
"""

from __future__ import annotations

import os
import random
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from autopilot.sessions.store import SessionStore
from support.sway import inside_sway

TRIES = int(os.environ.get("AUTOPILOT_TRIES") or (50 if inside_sway() else 20))
"""Fewer in `make test`, which has much else to do."""
SHOW = "w = show('Kart', 60, 40, 200, 100, {}); focus(w)"
COLOURS = [0xC81E0A, 0xC85A14, 0xC8961E]
"""Red, and some green."""

TRICKS: dict[str, tuple[str, str]] = {
    "covered": ("o = show('Chat', 60, 40, 200, 100, 0xFF)", "o.destroy()"),
    "covered by a menu": ("o = show('', 60, 40, 90, 90, 0xFF, override_redirect=True)", "o.destroy()"),
    "moved": ("w.configure(x=300, y=200)", "w.configure(x=60, y=40)"),
    "moved over the edge": ("w.configure(x=-90, y=40)", "w.configure(x=60, y=40)"),
    "minimised": ("w.unmap()", "w.map(); focus(w)"),
    "minimised for a moment": ("w.unmap(); w.map(); focus(w)", ""),
    "resized": ("w.configure(width=260, height=160)", "w.configure(width=200, height=100)"),
    "resized for a moment": ("w.configure(width=90); d.sync(); w.configure(width=200)", ""),
    "closed": ("w.destroy()", SHOW.format(0)),
    "closed for a moment": ("w.destroy(); " + SHOW.format(0), ""),
    "its number taken": ("w.destroy(); w = show('Bank', 60, 40, 200, 100, 0xFF)", "w.destroy(); " + SHOW.format(0)),
    "without the focus": ("o = show('Chat', 300, 300, 90, 90, 0xFF); focus(o)", "o.destroy(); focus(w)"),
    "locked": (
        "o = show('', 0, 0, 640, 480, 1, override_redirect=True);"
        " o.grab_keyboard(False, X.GrabModeAsync, X.GrabModeAsync, X.CurrentTime); focus(o)",
        "o.destroy(); focus(w)",
    ),
    "another workspace": ("workspace 2", "workspace 1"),
}


def test_nothing_black_or_foreign_is_recorded(wide: Any, soon: Callable[..., Any], tmp_path: Path) -> None:
    if not inside_sway():
        wide.openbox()
    app = wide.app()
    app.do(SHOW.format(0))
    env = {**os.environ, "AUTOPILOT_HOME": str(tmp_path)}
    program = [sys.executable, "-m", "autopilot", "record", "--game", "ctr", "--track", "coco", "--window", "kart"]
    rng = random.Random(1)
    with (tmp_path / "said").open("w+") as said:
        recorder = subprocess.Popen(program, stdout=said, stderr=said, env=env)
        soon(lambda: "the picture is black" in (tmp_path / "said").read_text(), 60)
        paint(app, rng)
        tricks = [name for name in TRICKS for _ in range(TRIES)][:: len(TRICKS)]
        rng.shuffle(tricks)
        for name in tricks:
            there, back = TRICKS[name]
            act(wide, app, there)
            time.sleep(
                rng.random() * 0.3
            )  # not to wait for anything: so that it happens at any moment of the recorder's
            if back:
                act(wide, app, back)
            time.sleep(rng.random() * 0.1)
            paint(app, rng)
            time.sleep(0.4)
            assert recorder.poll() is None, f"{name}: {(tmp_path / 'said').read_text()}"
        recorder.terminate()
        recorder.wait(30)
    (session,) = SessionStore(tmp_path / "sessions").all()[0]
    pictures = [row.frame.image for row in session.rows()]
    own = np.array([[c >> 16, c >> 8 & 255, c & 255] for c in COLOURS], np.uint8)
    assert [n for n, image in enumerate(pictures) if not any((image == colour).all() for colour in own)] == []
    assert len(pictures) > TRIES, "it was seen in between"


def act(desktop: Any, app: Any, what: str) -> None:
    """Do something to the windows; `workspace N` is the desktop's affair."""
    if not what.startswith("workspace"):
        app.do(what)
    elif inside_sway():
        desktop.others[0].tell(what)
    elif shutil.which("xdotool"):
        subprocess.run(["xdotool", "set_desktop", str(int(what[-1]) - 1)], check=True)
    else:
        pytest.skip("missing: xdotool (Debian package xdotool)")


def paint(app: Any, rng: random.Random) -> None:
    """Let the game draw its next picture."""
    app.do(f"w.change_attributes(background_pixel={rng.choice(COLOURS)}); w.clear_area(); focus(w)")
