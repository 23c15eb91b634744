"""One window of another program, followed: what is read, and when nothing may be."""

from __future__ import annotations

import time
from functools import partial

import numpy as np
import pytest
from autopilot.api.errors import Away, DeviceError
from autopilot.api.types import SourceSettings
from autopilot_screen.screen import open_screen
from support.sway import inside_sway
from Xlib import X

RED = np.array((200, 30, 10), np.uint8)
placed = partial(pytest.param, marks=pytest.mark.plain_x11)
"""Where a window stands, what lies over it, a focus of X11's own: a Wayland desktop decides, or makes nothing of it."""
SHOW = "w = show('Kart Racer', 40, 30, 200, 100, 0xC81E0A)"


@pytest.fixture
def app(wide):
    """A program that shows a red window of 200x100, with the focus."""
    app = wide.app()
    app.do(SHOW)
    app.do("focus(w)")
    return app


@pytest.fixture
def source(app, soon):
    source = open_screen(SourceSettings(window="kart racer"))
    soon(lambda: why(source) is None)
    yield source
    source.close()
    source.close()
    with pytest.raises(DeviceError, match="was closed"):
        source.read()


def why(source):
    """Why nothing can be read, or None."""
    try:
        image = source.read().image
    except Away as e:
        return str(e).removeprefix("the window 'Kart Racer' ")
    assert image.shape == (100, 200, 3)
    assert image.dtype == np.uint8
    assert (image == RED).all()
    return None


def test_it_is_followed_where_it_moves(app, source):
    before = time.monotonic_ns()
    assert before <= source.read().t_ns <= time.monotonic_ns()
    for x, y in ((40, 30), (0, 0), (440, 380), (123, 217)):
        app.do(f"w.configure(x={x}, y={y})")
        assert why(source) is None


@pytest.mark.parametrize(
    ("away", "reason", "back"),
    [
        ("w.unmap()", "is minimised, or on another workspace", "w.map(); focus(w)"),
        ("w.configure(width=300)", "is 300x100 now, it was 200x100; make it as", "w.configure(width=200)"),
        placed("w.configure(x=-1)", "is partly off the screen", "w.configure(x=0)"),
        placed("w.configure(y=381)", "is partly off the screen", "w.configure(y=380)"),
        placed("o = show('Chat', 239, 129, 9, 9, 1)", "is covered by 'Chat'", "o.configure(x=240)"),
        placed("o = show('', 0, 0, 99, 99, 1, override_redirect=True)", "is covered by another window", "o.unmap()"),
        placed("o = show('Chat', 0, 0, 99, 99, 1)", "is covered by 'Chat'", "w.raise_window()"),
        ("o = show('Chat', 400, 0, 9, 9, 1); focus(o)", "has not the focus", "focus(w)"),
        placed("d.set_input_focus(X.NONE, X.RevertToNone, X.CurrentTime)", "has not the focus", "focus(w)"),
        ("w.destroy()", "was closed; open it again", SHOW + "; focus(w)"),
    ],
)
def test_while_it_cannot_be_seen_or_played_nothing_is_read(app, source, soon, away, reason, back):
    assert why(source) is None
    app.do(away)
    soon(lambda: str(why(source)).startswith(reason))
    for _ in range(3):
        assert str(why(source)).startswith(reason)
    app.do(back)
    if not inside_sway():  # where it is not back yet
        assert str(why(source)).startswith("is back; it is given a moment")
    soon(lambda: why(source) is None)


@pytest.mark.plain_x11  # a window that is covered has a picture on Wayland
def test_windows_below_beside_and_transparent_to_clicks_do_not_cover(app, source):
    app.do("show('below', 40, 30, 99, 99, 1); w.raise_window()")
    app.do("show('beside', 240, 30, 99, 99, 1); show('under', 40, 130, 99, 99, 1)")
    app.do("root.create_window(0, 0, 640, 480, 0, 0, window_class=X.InputOnly).map()")
    assert why(source) is None
    # As compositors lay one over the whole screen; here it has a hole, so that the red stays.
    app.do("o = root.create_window(0, 0, 640, 480, 0, X.CopyFromParent, override_redirect=True)")
    app.do("from Xlib.ext import shape; o.shape_rectangles(shape.SO.Set, shape.SK.Input, 0, 0, 0, [])")
    app.do("o.shape_rectangles(shape.SO.Set, shape.SK.Bounding, 0, 0, 0, [(0, 0, 1, 1)]); o.map()")
    assert why(source) is None


@pytest.mark.plain_x11  # a window that is covered has a picture on Wayland
def test_a_shadow_that_a_window_draws_itself_does_not_cover(app, source, soon):
    app.do("from Xlib.ext import shape; o = show('Chat', 219, 100, 99, 99, 1)")
    # The shadow is transparent there; here it is cut off, so that the red stays.
    app.do("o.shape_rectangles(shape.SO.Set, shape.SK.Bounding, 0, 0, 0, [(20, 20, 70, 70)])")
    app.do("o.change_property(d.get_atom('_GTK_FRAME_EXTENTS'), Xatom.CARDINAL, 32, [20, 9, 20, 9])")
    assert str(why(source)).startswith("is covered by 'Chat'")
    app.do("o.configure(x=220)")
    soon(lambda: why(source) is None)


@pytest.mark.plain_x11  # there is always a window manager on Wayland
def test_without_a_window_manager_the_pointer_may_have_the_focus(wide, app, source, soon):
    app.do("d.set_input_focus(X.PointerRoot, X.RevertToNone, X.CurrentTime)")
    wide.fake(X.MotionNotify, x=500, y=400)
    assert str(why(source)).startswith("has not the focus")
    wide.fake(X.MotionNotify, x=100, y=100)
    soon(lambda: why(source) is None)
    app.do("focus(root)")
    assert why(source) is None
    app.do("c = w.create_window(0, 0, 9, 9, 0, X.CopyFromParent, background_pixel=0xC81E0A); c.map(); focus(c)")
    assert why(source) is None


def test_frames_to_look_at_need_no_focus(app):
    app.do("focus(show('Terminal', 400, 0, 9, 9, 1))")
    source = open_screen(SourceSettings(window="kart racer", background=True))
    assert why(source) is None
    app.do("w.unmap()")
    assert why(source) is not None
    source.close()


@pytest.mark.plain_x11  # a window that is covered has a picture on Wayland
def test_a_part_of_the_window_is_all_that_must_be_seen(app):
    app.do("w.create_window(150, 50, 20, 10, 0, X.CopyFromParent, background_pixel=0xFF).map()")
    source = open_screen(SourceSettings(window="kart racer", region=(140, 45, 60, 50)))
    app.do("w.configure(x=-100, y=7)")
    app.do("show('over the rest', 0, 0, 39, 99, 1)")
    image = source.read().image
    assert image.shape == (50, 60, 3)
    assert (image[5:15, 10:30] == (0, 0, 255)).all()
    assert (image[15:] == RED).all()
    app.do("show('over it', 60, 80, 9, 9, 1)")
    with pytest.raises(Away, match="covered by 'over it'"):
        source.read()
    source.close()
    with pytest.raises(DeviceError, match="not wholly in the window 'Kart Racer', which is 0,0,200,100"):
        open_screen(SourceSettings(window="kart racer", region=(150, 0, 51, 9)))


def test_a_window_that_only_has_its_number_is_not_it(app, source, soon):
    """X gives the numbers of a program that ended to the next one that starts."""
    assert why(source) is None
    thief = app.process
    app.__init__(source._desk._display.get_display_name())
    thief.kill()
    thief.communicate()
    assert str(why(source)).startswith("was closed")
    app.do("w = show('Bank', 40, 30, 200, 100, 0xFF); focus(w)")
    assert str(why(source)).startswith("was closed")
    app.do(SHOW + "; focus(w)")
    soon(lambda: why(source) is None)


@pytest.mark.plain_x11  # a window that is covered has a picture on Wayland
def test_no_frame_shows_anything_else_whatever_happens_meanwhile(app, source):
    """300 reads while the window moves about, others pop up over it, and it comes and goes."""
    app.do("o = show('Chat', 0, 0, 90, 90, 0xFF)")
    app.do(
        "import threading, random, time\n"
        "def stir(w, o):\n"
        "    d = Display()\n"  # of its own: python-xlib can deadlock when two threads share one
        "    w, o = (d.create_resource_object('window', x.id) for x in (w, o))\n"
        "    while True:\n"
        "        random.choice([\n"
        "            lambda: w.configure(x=random.randrange(-20, 400), y=random.randrange(-20, 300)),\n"
        "            lambda: o.configure(x=random.randrange(400), y=random.randrange(300), stack_mode=X.Above),\n"
        "            lambda: w.raise_window(), lambda: focus(w), o.map, o.unmap,\n"
        "            lambda: (w.unmap(), w.map()), lambda: time.sleep(0.4), lambda: time.sleep(0.4),\n"
        "        ])()\n"
        "        d.sync()\n"
        "        time.sleep(random.random() * 0.004)\n"
        "threading.Thread(target=stir, args=(w, o), daemon=True).start()".replace("\n", "\\n").join(
            ("exec('''", "''')")
        )
    )
    seen, reasons = 0, set()
    until = time.monotonic() + 60
    while (seen < 300 or not {"covered", "partly"} <= reasons) and time.monotonic() < until:
        try:
            image = source.read().image
        except Away as e:
            reasons.add(str(e).split("Kart Racer' ")[1].split()[1])
            continue
        assert (image == RED).all(), "a frame shows another window"
        seen += 1
    assert seen >= 300
    assert {"covered", "partly"} <= reasons


def test_the_screen_goes(wide, app, source):
    wide.process.kill()
    wide.process.wait()
    with pytest.raises(DeviceError) as caught:
        source.read()
    assert not isinstance(caught.value, Away)
