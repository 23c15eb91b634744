"""What `doctor` asks of the screen besides a picture: which display, which monitors, which windows."""

from __future__ import annotations

import os
import sys

from autopilot.api import AutopilotError, Probe

from autopilot_screen.screen import WAYLAND, monitors, wayland
from autopilot_screen.windows import open_desk


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
        fix = "" if found else WAYLAND.partition(": ")[2]
    return [Probe("display", ok=True, detail=detail), Probe("windows", ok=True, detail=seen, fix=fix)]
