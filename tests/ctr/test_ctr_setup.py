"""The whole of `autopilot setup` on a real X server: the drawn game's window, a terminal, a human's keys."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import tomllib
from contextlib import contextmanager, suppress

import pytest
from autopilot.api.errors import UserError
from autopilot.api.game import Game
from autopilot.api.registry import Registry
from autopilot.api.types import SourceSettings
from autopilot.desktop.bindings import UserBindings
from autopilot.desktop.desktop import Desktop, DeviceChoice
from autopilot.sessions.home import Home
from autopilot.sessions.store import SessionStore
from autopilot_ctr.game import CTR
from autopilot_setup import wizard
from autopilot_setup.wizard import SetupOptions, setup
from support.ctr.shown import LIGHT

WINDOW = ("--width", "640", "--height", "534")
REGION = [0, 30, 640, 480]
MINE = """# my keys
[ctr.keyboard]
item = "x"  # as I like it

[carracing.hotkeys]
pause = "f9"
"""
KEYS = {"left": "Left", "right": "Right", "up": "Up", "down": "Down", "brake": "j", "item": "x"}


class Answers:
    """A script of answers: a question that holds the word gets the answer, once; others get their default."""

    def __init__(self, *answers):
        self.answers, self.said = list(answers), []

    def say(self, line):
        self.said.append(line)

    def ask(self, question, default, option):
        for number, (word, answer) in enumerate(self.answers):
            if word in question:
                del self.answers[number]
                return answer() if callable(answer) else answer
        assert default is not None, f"no answer to {question!r}; said: {self.said}"
        return default

    def agree(self, question, default):
        return default

    def show(self, picture):
        assert picture.exists()

    @contextmanager
    def pressing(self):
        yield False


@pytest.fixture
def home(tmp_path):
    home = Home(tmp_path / "home")
    home.root.mkdir()
    home.bindings.write_text(MINE)
    return home


def run(home, talk, profile="duckstation", window=None, region=None, bind=()):
    settings = SourceSettings(window=window, region=region)
    return setup(
        "ctr", home, Registry(), SetupOptions(DeviceChoice(None, dict(bind), profile, None, None, settings)), talk
    )


def untouched(home):
    return home.bindings.read_text() == MINE and list(home.root.glob("*.tmp")) == []


def command(home, *args):
    line = [sys.executable, "-m", "autopilot", *args, "--home", str(home.root)]
    return subprocess.run(line, capture_output=True, text=True, timeout=300, stdin=subprocess.DEVNULL)


def pressed(desktop, asked, said, *keys):
    """Press keys together until setup says so: on a busy machine a tap may fall between two of its looks."""
    for _ in range(5):
        desktop.tap(*keys)
        with suppress(AssertionError):
            return asked.expect(said, 8)
    return asked.expect(said)


def test_the_whole_of_it_in_a_terminal_and_then_record_uses_it(desktop, home, terminal):
    game = desktop.show(*WINDOW)
    asked = terminal("setup", "--game", "ctr", "--home", str(home.root))
    asked.answer("its number", "9")
    asked.expect("no window matches '9'")
    asked.answer("its number", "1")
    asked.answer("which emulator is it", "duckstaton")
    asked.expect("there is no 'duckstaton'")
    asked.answer("which emulator is it", "duckstation")
    asked.expect("640x480 at 0,30 in 640x534")
    asked.answer("is that the game's picture?", "0,0,641,480")
    asked.expect("0,0,641,480 does not lie in 640x534")
    asked.answer("is that the game's picture?", "yes")
    asked.expect("'yes' is no answer")
    asked.answer("is that the game's picture?", "10,30,600,450")
    asked.answer("is that the game's picture?", "again")
    asked.expect("640x480 at 0,30 in 640x534")
    asked.answer("is that the game's picture?", "")
    for control, key in KEYS.items():
        if control == "brake":
            asked.expect("press the key for accelerate (Enter: it is k)")
            for wrong, why in (("Left", "left is left already"), ("t", "t is the hotkey pause already")):
                pressed(desktop, asked, why, wrong)
            pressed(desktop, asked, "several keys at once", "m", "n")
            pressed(desktop, asked, "accelerate is m", "m")
        asked.expect(f"press the key for {control}")
        tapped = "Return" if control == "up" else "Escape" if control == "down" else key
        pressed(desktop, asked, f"{control} is {key.lower()}", tapped)
    for control, key in (("slide_left", "q"), ("slide_right", "e")):
        asked.expect(f"press the key for {control}")
        pressed(desktop, asked, f"{control} is {key}", key)
    asked.expect("kept in")
    asked.answer("try a key now", "y")
    asked.expect("click into the game now")
    desktop.point(640, 480)
    asked.answer("did the game react?", "y")
    asked.answer("learn the race clock now", "n")
    assert asked.end() == 0, asked.seen

    text = home.bindings.read_text()
    assert "# my keys" in text
    assert 'item = "x"  # as I like it' in text
    data = tomllib.loads(text)
    assert data["carracing"] == {"hotkeys": {"pause": "f9"}}
    screen = {"profile": "duckstation", "region": REGION, "size": [640, 534], "window": "process:python3"}
    assert {**data["ctr"]["screen"], "window": "process:python3"} == screen
    assert data["ctr"]["keyboard"] == {"item": "x", "duckstation": {"accelerate": "m"}}, "the others are as they were"

    done = command(home, "record", "--game", "ctr", "--driver", "x", "--seconds", "2", "--json")
    assert done.returncode == 0, done.stderr
    game.send_signal(signal.SIGTERM)
    keys = game.communicate()[0].split("\n")
    assert "press m" in keys, "setup's try came to the game"
    assert "release m" in keys
    ((session,), _) = SessionStore(home.sessions).all()
    frames = [row.frame.image for row in session.rows()]
    assert len(frames) >= 10
    for frame in (frames[0], frames[-1]):
        for edge in (frame[0], frame[-1]):
            assert abs(edge.astype(int).mean(0) - LIGHT).max() > 8, "no bar is in the picture"


STEPS = (("its number", "1"), ("which emulator", "retroarch"), ("the game's picture", ""), ("the key for left", None))


def test_control_c_at_each_step_stores_nothing(desktop, home, terminal):
    desktop.show(*WINDOW)
    for steps in range(len(STEPS)):
        asked = terminal("setup", "--game", "ctr", "--home", str(home.root))
        for question, answer in STEPS[:steps]:
            asked.answer(question, answer)
        asked.expect(STEPS[steps][0])
        asked.interrupt()
        assert asked.end() == 130, asked.seen
        assert "autopilot: stopped; nothing was stored" in asked.seen
        assert untouched(home), STEPS[steps]


def test_options_answer_everything_and_only_what_differs_is_written(desktop, home):
    desktop.show(*WINDOW)
    bind = ("accelerate=k", "brake=b", "pause=f8")
    options = ("--emulator", "duckstation", "--window", "crash", *(f"--bind={b}" for b in bind), "--yes", "--json")
    done = command(home, "setup", "--game", "ctr", *options)
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert (report["profile"], report["screen"]["region"], report["reacted"], report["hud"]) == (
        *("duckstation", REGION),
        *(None, None),
    )
    data = tomllib.loads(home.bindings.read_text())["ctr"]
    assert data["keyboard"] == {"item": "x", "duckstation": {"brake": "b"}}
    assert data["hotkeys"] == {"pause": "f8"}
    bindings = UserBindings(home.bindings, CTR)
    assert bindings.device("keyboard", None, {})["brake"] == "b"
    assert bindings.hotkeys({})["pause"] == "f8"

    game = Game(Registry(), "ctr")
    stored = SourceSettings(window=report["screen"]["window"], region=tuple(REGION), size=(640, 534))
    assert Desktop(game, home).settings == stored
    named = SourceSettings(window="another")
    given = Desktop(game, home, DeviceChoice(settings=named))
    assert given.settings == named, "the command line goes before the file"
    assert Desktop(game, None).settings == SourceSettings(window="click")

    # The window of another size has its picture elsewhere.
    desktop.started[0].kill()
    desktop.started[0].wait()
    desktop.show("--width", "700", "--height", "534")
    with pytest.raises(UserError, match="is 700x534, and was 640x534 when its picture was set up"):
        Desktop(game, home).open_source()


def test_each_wrong_start_is_one_line_and_stores_nothing(desktop, home, monkeypatch):
    monkeypatch.setattr(wizard, "PATIENCE_S", 1.0)
    with pytest.raises(UserError, match="no window can be seen: start the emulator"):
        run(home, Answers())
    with pytest.raises(UserError, match="knows no emulator 'duck': there are duckstation, "):
        run(home, Answers(), "duck")
    first = desktop.show(*WINDOW)
    yes = ("the game's picture", "yes")
    with pytest.raises(UserError, match="the keys of epsxe are not known: say which by --bind left=KEY"):
        run(home, Answers(), "epsxe", "crash")
    with pytest.raises(UserError, match="accelerate and brake are both on the key 'j'"):
        run(home, Answers(), window="crash", bind={"accelerate": "j"})
    with pytest.raises(UserError, match="the key 't' is both item and pause"):
        run(home, Answers(), window="crash", bind={"item": "t"})
    with pytest.raises(UserError, match="unknown name 'turbo'"):
        run(home, Answers(), window="crash", bind={"turbo": "t"})
    with pytest.raises(UserError, match="stopped, and nothing was stored"):
        run(home, Answers(("picture", "no")), window="crash")

    def close():
        first.kill()
        first.wait()
        return "again"

    with pytest.raises(UserError, match="no window matches"):
        run(home, Answers(("picture", close), yes), window="crash")

    desktop.show(*WINDOW)
    desktop.show(*WINDOW)
    with pytest.raises(UserError, match="2 windows match 'crash'"):
        run(home, Answers(), window="crash")
    with pytest.raises(UserError, match=r"another window of python.* is called 'Crash Team Racing' too"):
        run(home, Answers(("its number", "2")))
    with pytest.raises(UserError, match="carracing brings its own picture and keys"):
        setup("carracing", home, Registry(), SetupOptions(DeviceChoice()), Answers())
    assert untouched(home)


def test_an_emulator_with_unknown_keys_gets_a_profile_of_its_own(desktop, home):
    desktop.show(*WINDOW, "--title", "ePSXe - Enhanced PSX emulator")
    bind = dict(zip(CTR.controls, "asdwzxcvb", strict=True))
    report = run(home, Answers(("its number", "1"), ("picture", "yes")), "epsxe", bind=bind)
    assert report.screen["profile"] == "epsxe"
    assert UserBindings(home.bindings, CTR).device("keyboard", None, {}) == bind
    learn = SetupOptions(DeviceChoice(profile="epsxe"), learn_hud=True, hud_s=1.0)
    answers = Answers(("its number", "1"))
    with pytest.raises(UserError, match="too little to learn from"):
        setup("ctr", home, Registry(), learn, answers)
    assert any("kept in" in line for line in answers.said), "which was done before"
    with pytest.raises(UserError, match="no profile 'mednafe'"):
        UserBindings(home.bindings, CTR).device("keyboard", "mednafe", {})


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ("region = [1, 2, 3]", "ctr.screen.region must be 4 numbers"),
        ("size = [640, 4.5]", "ctr.screen.size must be 2 numbers"),
        ('monitor = "1"', "ctr.screen.monitor must be a number"),
        ("window = 3", "ctr.screen.window must be text"),
        ('regoin = "x"', "unknown name 'regoin'; did you mean region?"),
    ],
)
def test_a_screen_table_that_says_something_else_is_refused(tmp_path, line, complaint):
    path = tmp_path / "bindings.toml"
    path.write_text(f"[ctr.screen]\n{line}\n")
    with pytest.raises(UserError, match=re.escape(complaint)):
        UserBindings(path, CTR)


def test_with_yes_the_option_that_is_missing_is_named(desktop, home):
    desktop.show(*WINDOW)
    for given, missing in (
        ([], "so say it by --window TITLE (or process:NAME): which window"),
        (["--window", "crash"], "so say it by --emulator NAME: which emulator"),
    ):
        done = command(home, "setup", "--game", "ctr", "--yes", *given)
        assert done.returncode == 2
        assert missing in done.stderr.splitlines()[-1]
    assert untouched(home)


@pytest.mark.parametrize("shown", [False, True], ids=["an empty desktop", "another program's window"])
@pytest.mark.parametrize("args", ["record", "drive --bundle random", "race --drivers random", "learn-hud"])
def test_without_setup_and_without_an_emulator_it_says_what_to_start(desktop, home, args, shown):
    if shown:
        desktop.show(*WINDOW, "--title", "Crash Bandicoot - a page about it")
    done = command(home, *args.split(), "--game", "ctr")  # which waited for a click, or spoke of templates
    assert (done.returncode, done.stdout, done.stderr) == (
        *(2, ""),
        "autopilot: ctr was not set up, and no emulator that it knows is open: start the emulator, then"
        " `autopilot setup --game ctr`\n",
    )


def test_an_emulator_that_is_known_can_be_clicked_on_and_one_that_was_set_up_is_missed(desktop, home, monkeypatch):
    monkeypatch.setenv("SDL_VIDEO_X11_WMCLASS", "duckstation-qt")
    emulator = desktop.show(*WINDOW)
    Desktop(Game(Registry(), "ctr"), home).check_set_up()
    run(home, Answers(("its number", "1")))
    emulator.kill()
    emulator.wait()
    done = command(home, "record", "--game", "ctr")
    assert (done.returncode, done.stderr) == (
        *(2,),
        "autopilot: no window matches 'process:duckstation'; there are: none; start the emulator, then"
        " `autopilot setup --game ctr` if it was not set up as it is now\n",
    )


def test_without_a_terminal_or_answers_it_says_so(home):
    done = command(home, "setup", "--game", "ctr")
    assert (done.returncode, done.stderr) == (
        *(2,),
        "autopilot: setup asks questions: run it in a terminal, or add --yes and the answers as options\n",
    )
