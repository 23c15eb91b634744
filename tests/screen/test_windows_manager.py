"""Windows under a real window manager: frames, minimising, focus, workspaces; PyWinCtl's view too."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys

import numpy as np
import pytest
from autopilot.api.errors import Away
from autopilot.api.types import SourceSettings
from autopilot_screen import desk as desk_module
from autopilot_screen import windows
from autopilot_screen.screen import open_screen
from autopilot_screen.winctl import LibraryDesk
from autopilot_screen.x11 import X11Desk
from Xlib import X

pytestmark = pytest.mark.plain_x11  # sway manages windows itself: test_windows_broken.py runs in it
RED = np.array((200, 30, 10), np.uint8)


@pytest.fixture
def app(wide):
    """A program with a window of 200x100 that openbox has put into a frame and given the focus."""
    wide.openbox()
    app = wide.app()
    app.do("w = show('Kart Racer', 100, 60, 200, 100, 0xC81E0A)")
    return app


@pytest.fixture
def source(app, soon):
    soon(lambda: any(w.title == "Kart Racer" for w in X11Desk().windows()))
    source = open_screen(SourceSettings(window="kart"))
    soon(lambda: why(source) is None)
    yield source
    source.close()


def why(source):
    try:
        image = source.read().image
    except Away as e:
        return str(e).removeprefix("the window 'Kart Racer' ")
    assert image.shape == (100, 200, 3)

    assert (image == RED).all(), "the picture is the window's, without title bar and frame"
    return None


def xdotool(*args):
    if shutil.which("xdotool") is None:
        pytest.skip("missing: xdotool (Debian package xdotool)")
    return subprocess.run(["xdotool", *args], check=True, capture_output=True, text=True).stdout.strip()


def number(title="Kart Racer"):
    (found,) = (w for w in X11Desk().windows() if w.title == title)
    return str(found.id)


def test_it_is_minimised_and_comes_back(app, source, soon):
    xdotool("windowminimize", number())
    assert "minimised" in soon(lambda: why(source))
    assert [w.minimised for w in X11Desk().windows() if w.title == "Kart Racer"] == [True]
    xdotool("windowactivate", number())
    soon(lambda: why(source) is None)


def test_it_loses_the_focus_and_gets_it_back(wide, app, source, soon):
    app.do("o = show('Chat', 400, 300, 90, 80, 1)")
    soon(lambda: "Chat" in {w.title for w in X11Desk().windows()})
    xdotool("windowactivate", "--sync", number("Chat"))
    assert "has not the focus" in soon(lambda: why(source))
    active = wide.display.get_atom("_NET_ACTIVE_WINDOW")
    assert wide.display.screen().root.get_full_property(active, X.AnyPropertyType).value[0] == int(number("Chat"))
    xdotool("windowactivate", "--sync", number())
    soon(lambda: why(source) is None)
    app.do("o.destroy()")
    assert why(source) is None


def test_it_is_moved_by_its_frame_covered_and_left_on_another_workspace(app, source, soon):
    def at():
        return source._desk.look(source._window, None).box[:2]

    before = at()
    xdotool("windowmove", number(), "250", "200")
    soon(lambda: at() != before)
    soon(lambda: why(source) is None)
    app.do("o = show('Chat', 240, 190, 300, 250, 1)")
    soon(lambda: why(source))
    xdotool("windowactivate", "--sync", number())
    soon(lambda: why(source) is None)
    xdotool("windowraise", number("Chat"))
    assert "covered by 'Chat'" in soon(lambda: why(source))
    xdotool("windowraise", number())
    soon(lambda: why(source) is None)
    xdotool("set_desktop", "1")
    soon(lambda: why(source))
    xdotool("set_desktop", "0")
    xdotool("windowactivate", "--sync", number())
    soon(lambda: why(source) is None)


def test_it_is_resized_closed_and_opened_again(app, source, soon):
    xdotool("windowsize", number(), "220", "110")
    assert "is 220x110 now" in soon(lambda: why(source))
    xdotool("windowsize", number(), "200", "100")
    soon(lambda: why(source) is None)
    app.do("w.destroy()")
    assert "was closed" in soon(lambda: why(source))
    app.do("w = show('Kart Racer', 150, 90, 200, 100, 0xC81E0A)")
    soon(lambda: why(source) is None)


def test_what_the_code_for_other_systems_says_of_x11(wide, app, soon, monkeypatch):
    """PyWinCtl knows X11 too, if not the exact size of a picture: so our side of it is tried here."""
    for name in [n for n in sys.modules if n.startswith(("pywinctl", "pymonctl", "pywinbox", "ewmhlib"))]:
        monkeypatch.delitem(sys.modules, name)  # it keeps the display that it found first
    own = [f"X{wide.name[1:]}"]
    monkeypatch.setattr(os, "listdir", lambda _: own)  # else it connects to all displays of the machine
    pid = app.process.pid
    app.do(f"w.change_property(d.get_atom('_NET_WM_PID'), Xatom.CARDINAL, 32, [{pid}])")
    soon(lambda: any(w.title == "Kart Racer" for w in X11Desk().windows()))
    desk = LibraryDesk()
    window = windows.choose("kart racer", desk)
    assert (window.pid, window.minimised) == (pid, False)
    assert windows.choose(f"id:{window.id:#x}", desk) == window
    (exact,) = (w for w in X11Desk().windows() if w.title == "Kart Racer")
    assert window.id == exact.id
    assert desk_module.within(window.box, exact.box)
    assert soon(lambda: desk.look(window, None).focused)
    assert desk.look(window, None) == desk_module.View(window.box, None, True)
    app.do("o = show('Chat', 400, 300, 90, 80, 1)")
    app.do(f"o.change_property(d.get_atom('_NET_WM_PID'), Xatom.CARDINAL, 32, [{pid}])")
    soon(lambda: "Chat" in {w.title for w in X11Desk().windows()})
    xdotool("windowactivate", "--sync", number("Chat"))
    assert not desk.look(window, None).focused
    xdotool("windowmove", number("Chat"), str(window.box[0] + 60), str(window.box[1] + 10))
    assert soon(lambda: desk.look(window, None).hidden) == "covered by 'Chat'"
    xdotool("windowminimize", number())
    assert soon(lambda: desk.look(window, None).hidden == "minimised")
    xdotool("windowactivate", "--sync", number())
    soon(lambda: desk.look(window, None).hidden is None)
    xdotool("windowmove", number(), "600", "100")
    assert soon(lambda: desk.look(window, None).hidden) == "partly off the screen"
    app.do("w.destroy()")
    soon(lambda: desk.look(window, None) is None)
    assert desk.scale() == 1
    desk.close()
