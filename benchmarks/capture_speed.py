"""How long a frame of a 640x480 game's window takes, on plain X11 (Xvfb) and under Xwayland in sway; prints JSON.

The drawn game plays beside it. Milliseconds of `read()`, conversion to RGB included.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
from autopilot.api import SourceSettings
from autopilot_screen.screen import open_screen
from support.ctr.desktop import Desktop
from support.sway import Sway

TESTS = Path(__file__).parents[1] / "tests"
FRAMES, HZ = 1000, 60
GAME = [sys.executable, "-m", "support.ctr.shown", "--auto", "--fps", "30", "--width", "640", "--height", "480"]


def measure(start: Callable[[], Any]) -> dict[str, float]:
    """Return the figures of one desktop."""
    desktop = start()
    os.environ |= getattr(desktop, "env", {"DISPLAY": desktop.name})
    env = {**os.environ, "SDL_VIDEODRIVER": "x11", "PYTHONPATH": str(TESTS)}
    game = subprocess.Popen(GAME, env=env, stdout=subprocess.PIPE, text=True)
    assert game.stdout is not None
    while game.stdout.readline() != "drawn\n":
        pass
    time.sleep(1)  # until the window stands where it stays
    source = open_screen(SourceSettings(window="crash team", background=True))
    took, seen = [], set()
    try:
        for _ in range(FRAMES):
            begun = time.perf_counter()
            image = source.read().image
            took.append((time.perf_counter() - begun) * 1e3)
            seen.add(hash(image[::16, ::16].tobytes()))
            time.sleep(1 / HZ)
    finally:
        source.close()
        game.kill()
        game.wait()
        desktop.stop()
    p50, p99 = np.percentile(took, [50, 99])
    return {"median_ms": round(p50, 2), "p99_ms": round(p99, 2), "frames": FRAMES, "different": len(seen)}


if __name__ == "__main__":
    print(json.dumps({"x11": measure(Desktop), "xwayland": measure(Sway), "load": os.getloadavg()[0]}, indent=2))
