"""What `doctor` asks of the screen besides a picture: which display, which monitors, which windows."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

from autopilot.api import AutopilotError, Probe, Window

from autopilot_screen.screen import WAYLAND, monitors, wayland
from autopilot_screen.windows import open_desk


def _administrators(windows: Sequence[Window]) -> list[Probe]:
    """Name the windows that Windows keeps our keys from."""
    names: list[str] = []
    if sys.platform == "win32":
        from autopilot_screen.win32 import out_of_reach

        names += [repr(w.title) for w in windows if w.pid is not None and out_of_reach(w.pid)]
    if not names:
        return []
    fix = "if one of them is the game, start autopilot as administrator too, or the game without"
    return [Probe("administrator", ok=True, detail=f"takes no keys from here: {', '.join(names)}", fix=fix)]


def probe() -> list[Probe]:
    """Find out whether the screen may be read, and list its monitors and windows."""
    kind = f"X11 {os.environ.get('DISPLAY', '')}" if sys.platform.startswith("linux") else sys.platform
    try:
        screens = monitors()
        desk = open_desk()
        try:
            found, scale = desk.windows(), desk.scale()
        finally:
            desk.close()
    except AutopilotError as e:
        what, _, fix = str(e).partition(": ")
        return [Probe("display", ok=False, detail=what, fix=fix)]
    boxes = ", ".join("{2}x{3} at {0},{1}".format(*m.box) for m in screens)
    detail = f"{kind}, {len(screens)} monitor{'s' * (len(screens) != 1)}: {boxes}; scale {scale:g}"
    fix = "" if found else "start the game before recording"
    seen = f"{len(found)} with a title; `autopilot windows` lists them" if found else "none is open"
    if wayland():
        detail += "; a Wayland session: of X11 programs the windows can be seen, the screen cannot"
        fix = "for a game that is not listed, --source portal" if found else WAYLAND.partition(": ")[2]
    return [
        Probe("display", ok=True, detail=detail),
        Probe("windows", ok=True, detail=seen, fix=fix),
        *_administrators(found),
    ]
