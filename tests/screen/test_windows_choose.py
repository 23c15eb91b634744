"""Which window is meant: by title, program, number or click; and the command that lists them."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from autopilot.api.errors import DeviceError, UserError
from autopilot_screen.windows import choose, open_desk
from support.sway import inside_sway
from Xlib import X

PYTHON = Path(sys.executable).resolve().name


@pytest.fixture
def app(wide):
    app = wide.app()
    app.do("a = show('Kart Racer', 40, 30, 200, 100, 1)")
    app.do("b = show('Kart Racer: settings', 300, 30, 90, 80, 2)")
    app.do("c = show('Chat', 0, 200, 70, 60, 3, kind='talk')")
    app.do("c.change_property(d.get_atom('_NET_WM_NAME'), d.get_atom('UTF8_STRING'), 8, 'Chat — café'.encode())")
    app.do("root.create_window(0, 0, 9, 9, 0, X.CopyFromParent).map()")
    return app


@pytest.fixture
def desk(app):
    desk = open_desk()
    yield desk
    desk.close()


@pytest.mark.plain_x11  # windows stand where they are put
def test_windows_are_listed_topmost_first(app, desk):
    found = desk.windows()
    assert [w.title for w in found] == ["Chat — café", "Kart Racer: settings", "Kart Racer"]
    assert [w.box for w in found] == [(0, 200, 70, 60), (300, 30, 90, 80), (40, 30, 200, 100)]
    assert {w.pid for w in found} == {app.process.pid}
    assert {w.process for w in found} == {PYTHON}
    assert found[0].kind == "talk.Talk"
    app.do("a.raise_window(); b.unmap()")
    assert [w.title for w in desk.windows()] == ["Kart Racer", "Chat — café"]


@pytest.mark.parametrize(
    ("raw", "title"),  # as libX11 writes them
    [
        (b"plain", "plain"),
        (b"caf\xe9 \x1b-b\xa4", "café €"),
        (b"\x1b-L\xb3\xde\xdd\xda\xd0", "Гонка"),
        (b"\x1b-B\xc8e\xb9tina \xbf\x1b-A\xf3\x1b-B\xb3w", "Čeština żółw"),
        (b"\x1b-F\xc1\xe3\xfe\xed\xe1\xf2", "Αγώνας"),
        (b"\x1b$(B%/%i%C%7%e\x1b(B \x1b$(B%l!<%7%s%0\x1b(B: \x1b-A\xe9", "クラッシュ レーシング: é"),
        (b"\x1b)I\xd7\xd8\xb0", "ﾗﾘｰ"),
        (b"\x1b$(AH|35", "赛车"),
        (b"\x1b$(C79@L=L", "레이싱"),
        (b"\x1b%G\xf0\x9f\x8f\x8e\x1b%@ go", "🏎 go"),
        (b"Go \x1b%/1\x80\x8bkoi8-r\x02\xc7\xcf", "Go koi8-r ÇÏ"),  # which it does not know, and lists
    ],
)
def test_a_title_that_is_compound_text_only(app, desk, soon, raw, title):
    app.do("x = show('', 0, 0, 50, 40, 4)")
    app.do(f"x.change_property(Xatom.WM_NAME, d.get_atom('COMPOUND_TEXT'), 8, {raw!r})")
    (found,) = soon(lambda: [w for w in desk.windows()[:1] if w.title == title])
    assert choose(title, desk).id == found.id


def test_a_title_is_one_line(app, desk, soon):
    title = "Kart\n\tRacer \x1b[31m2\r\nLap\u2028three "
    app.do("x = show('', 0, 0, 50, 40, 4)")
    app.do(f"x.change_property(d.get_atom('_NET_WM_NAME'), d.get_atom('UTF8_STRING'), 8, {title!r}.encode())")
    app.do("x.set_wm_class('ka\\nrt', 'Kart')")
    (found,) = soon(lambda: [w for w in desk.windows()[:1] if w.title == "Kart Racer [31m2 Lap three"])
    assert found.kind == "ka rt.Kart"
    assert choose("racer [31m2", desk).id == choose(title, desk).id == found.id
    lines = autopilot("windows").stdout.splitlines()
    assert [line.startswith("id:") for line in lines] == [True] * 4 + [False] * (2 + inside_sway())
    assert lines[0].endswith("Kart Racer [31m2 Lap three")


@pytest.mark.parametrize(
    ("query", "title"),
    [
        ("kart racer", "Kart Racer"),  # the whole title wins over a part of another one
        ("SETT", "Kart Racer: settings"),
        ("title:café", "Chat — café"),
        ("Kart Racer: settings", "Kart Racer: settings"),
        ("re:^kart.*r$", "Kart Racer"),
        ("process:talk", "Chat — café"),
    ],
)
def test_a_query_means_one_window(desk, query, title):
    assert choose(query, desk).title == title


def test_a_number_means_one_window(app, desk):
    for window in desk.windows():
        assert choose(f"id:{window.id}", desk) == window
        assert choose(f"id:{window.id:#x}", desk) == window
    app.do("b.destroy(); c.destroy()")
    assert choose(f"pid:{app.process.pid}", desk).title == "Kart Racer"


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("kart", r"2 windows match 'kart': id:0x\w+ 'Kart Racer: settings' \(\S+\), id:0x\w+ 'Kart Racer' .*by its id"),
        (f"process:{PYTHON}", "3 windows match"),
        ("Cart Raser", r"no window matches 'Cart Raser'; did you mean id:0x\w+ 'Kart Racer' .*\?"),
        ("zzzzzzzz", "no window matches 'zzzzzzzz'; there are: id:.*'Chat — café'"),
        ("re:(", r"--window 're:\(' cannot be understood"),
        ("id:kart", "--window 'id:kart' cannot be understood"),
        ("title:", "names nothing"),
        ("", "names nothing"),
    ],
)
def test_none_or_several_are_named(desk, query, message):
    with pytest.raises(UserError, match=message) as caught:
        choose(query, desk)
    assert "\n" not in str(caught.value)


def test_no_windows_at_all(wide):
    with pytest.raises(UserError, match="there are: none"):
        choose("kart", open_desk())


@contextlib.contextmanager
def doing(desktop, *events):
    """Do again and again what a human would do once when asked to click."""
    done = threading.Event()

    def go():
        while not done.wait(0.05):
            for kind, detail, at in events:
                desktop.fake(kind, detail, **at)

    thread = threading.Thread(target=go)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


def click_at(x, y, button=1):
    return (X.MotionNotify, 0, {"x": x, "y": y}), (X.ButtonPress, button, {}), (X.ButtonRelease, button, {})


def test_a_click_picks_what_is_under_it(wide, desk, capsys):
    for title in ("Kart Racer", "Kart Racer: settings"):
        x, y, _, _ = choose(title, desk).box  # where no other one lies, inside sway either
        with doing(wide, *click_at(x + 2, y + 2)):
            assert choose("click", desk).title == title
    assert "click on the game's window" in capsys.readouterr().err


@pytest.mark.parametrize("how", ["escape", "right button", "no window there"])
def test_a_click_is_cancelled(wide, desk, how):
    a, escape = 38, wide.display.keysym_to_keycode(0xFF1B)
    events = {
        "escape": [(kind, key, {}) for key in (a, escape) for kind in (X.KeyPress, X.KeyRelease)],
        "right button": click_at(99, 99, button=3),
        "no window there": click_at(630, 20),
    }[how]
    with doing(wide, *events), pytest.raises(UserError, match="no window was clicked on"):
        choose("click", desk)
    # Mouse and keyboard are free again.
    assert wide.display.screen().root.grab_pointer(False, 0, 1, 1, X.NONE, X.NONE, X.CurrentTime) == X.GrabSuccess


def test_a_mouse_that_another_program_holds(wide, app, desk):
    app.do("root.grab_pointer(False, 0, 1, 1, X.NONE, X.NONE, X.CurrentTime)")
    with pytest.raises(DeviceError, match="another program holds the mouse"):
        choose("click", desk)


def test_nobody_clicks(app, desk, monkeypatch):
    monkeypatch.setattr("autopilot_screen.x11.CLICK_S", 0.1)
    with pytest.raises(UserError, match="no window was clicked on"):
        choose("click", desk)


def autopilot(*args, encoding="utf-8"):
    command = [sys.executable, "-m", "autopilot", *args]
    return subprocess.run(command, capture_output=True, encoding=encoding, timeout=60)


@pytest.mark.plain_x11  # windows stand where they are put
def test_the_command_lists_windows_and_monitors(app):
    data = json.loads(autopilot("windows", "--json").stdout)
    assert [w["title"] for w in data["windows"]] == ["Chat — café", "Kart Racer: settings", "Kart Racer"]
    assert data["windows"][2]["box"] == [40, 30, 200, 100]
    (monitor,) = data["monitors"]
    assert (monitor["number"], monitor["box"], monitor["primary"]) == (1, [0, 0, 640, 480], True)
    assert data["scale"] == 1
    text = autopilot("windows").stdout
    assert f"{data['windows'][2]['id']} " in text.replace("id:", "")
    assert "200x100 at 40,30" in text
    assert "monitor 1: 640x480 at 0,0" in text


@pytest.mark.parametrize("encoding", ["latin-1", "cp1252", "ascii"])
def test_a_title_that_the_output_cannot_encode_is_listed_all_the_same(app, monkeypatch, encoding):
    app.do(r"b.change_property(d.get_atom('_NET_WM_NAME'), d.get_atom('UTF8_STRING'), 8, 'Гонка \U0001f3ce'.encode())")
    monkeypatch.setenv("PYTHONIOENCODING", encoding)
    listed = autopilot("windows", encoding="utf-8" if encoding == "ascii" else encoding)  # click writes it as UTF-8
    assert (listed.returncode, listed.stderr) == (0, "")
    assert ("Гонка \U0001f3ce" if encoding == "ascii" else r"\u043a\u0430 \U0001f3ce") in listed.stdout
    assert len(listed.stdout.splitlines()) == 5 + inside_sway()  # which windows are listed there
    assert len(json.loads(autopilot("windows", "--json").stdout)["windows"]) == 3


def test_the_terminal_it_runs_in_is_not_listed(app):
    """Its title is often the command with the title that is looked for."""
    app.do(
        "import subprocess; found = subprocess.run("
        f"[{sys.executable!r}, '-m', 'autopilot', 'windows', '--json'], capture_output=True, text=True).stdout"
    )
    app.do("b.set_wm_name(str(len(__import__('json').loads(found)['windows'])))")
    assert {w.title for w in open_desk().windows()} == {"Kart Racer", "0", "Chat — café"}


def test_the_scale_of_the_desktop(app):
    app.do(r"root.change_property(Xatom.RESOURCE_MANAGER, Xatom.STRING, 8, b'Xcursor.size: 48\nXft.dpi:\t192\n')")
    assert json.loads(autopilot("windows", "--json").stdout)["scale"] == 2


def test_without_a_display_one_line_says_so(monkeypatch):
    monkeypatch.delenv("DISPLAY", raising=False)
    done = autopilot("windows")
    assert done.returncode == 2
    assert done.stderr.startswith("autopilot: DISPLAY is not set")
    assert os.linesep not in done.stderr.strip()
