"""Gymnasium environments through the command line: described, recorded, learned, driven, raced; and what is refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from autopilot.sessions.store import SessionStore
from support.apart import Result

Run = Callable[..., Result]

ROAD = """\
id = "roadside:Road-v0"
hz = 10
frame_size = [16, 16]
[actions]
0 = []
1 = ["left"]
2 = ["right"]
"""


@pytest.fixture
def write(home: Path) -> Callable[..., Path]:
    """Write a file that describes a game."""

    def write(name: str = "mine", text: str = ROAD) -> Path:
        (home / "games").mkdir(parents=True, exist_ok=True)
        path = home / "games" / f"{name}.toml"
        path.write_text(text)
        return path

    return write


def fault(done: Result) -> str:
    """Return the one line of the user's mistake."""
    assert (done.code, done.out, done.err.count("\n")) == (2, "", 1), done.err
    return done.err.removeprefix("autopilot: ").rstrip("\n")


def test_a_scripted_driver_is_recorded_learned_from_and_raced_by_score(run: Run, home: Path) -> None:
    done = run("record --game road --driver demonstrator --track 0-3 --json")
    assert [(one["frames"], one["ending"]) for one in json.loads(done.out)] == [(31, "finished")] * 4
    session = SessionStore(home / "sessions").all()[0][0]
    assert session.info.action_space[0]["values"] == ["nothing", "left", "right"]
    assert session.info.action_space[0]["mirror"] == [0, 2, 1]
    args = "--epochs 30 --batch-size 16 --set width=8 --learning-rate 0.01"
    done = run(f"train --model tiny --game road --name net {args}")
    assert done.code == 0, done.err
    done = run("drive --bundle net --track 50 --select argmax")
    assert done.out.startswith("net on 50: finished; score "), done.out
    done = run("race --drivers demonstrator,net,random --game road --tracks 10000-10004 --select argmax --json")
    teacher, net, chance = json.loads(done.out)["summary"]
    assert teacher["mean_score"] == 30
    assert net["mean_score"] >= 24, "four fifths of its teacher's"
    assert chance["mean_score"] < 20


def test_a_file_that_add_wrote_is_a_game(run: Run, home: Path) -> None:
    done = run("gymnasium add roadside:Road-v0 --name mine --option length=5")
    assert done.code == 0, done.err
    assert "keys: left: left, right: right" in done.out
    assert "# LEFT" in (home / "games/mine.toml").read_text()
    assert "exists already" in fault(run("gymnasium add roadside:Road-v0 --name mine"))
    listed = json.loads(run("gymnasium list --json").out)
    assert [(one["name"], one["id"], one["fault"]) for one in listed] == [("mine", "roadside:Road-v0", None)]
    assert "game: mine;" in run("plugins").out
    done = run("record --game mine --driver random --track 3 --json")
    assert json.loads(done.out)[0]["frames"] == 6, "as long as the option says, and the last picture"
    assert "unknown game 'mine'" in fault(run(f"drive --game mine --bundle random --home {home}-other"))


def test_actions_without_a_name_are_controls_of_their_own(run: Run, home: Path) -> None:
    assert run("gymnasium add CarRacing-v3 --option continuous=false --name box").code == 0
    text = (home / "games/box.toml").read_text()
    assert '4 = ["action4"]' in text
    assert 'action4 = "4"' in text
    assert "hz = 16.667\nsteps = 3\nframe_size = [96, 96]" in text
    done = run("drive --game box --bundle random --seconds 1 --json")
    assert json.loads(done.out)["timing"]["steps"] == 17


def test_enduro_of_ale_is_described_and_stepped(run: Run, home: Path) -> None:
    pytest.importorskip("ale_py", reason="missing: ale-py")
    assert run("gymnasium add ALE/Enduro-v5").code == 0
    text = (home / "games/enduro.toml").read_text()
    assert 'id = "ale_py:ALE/Enduro-v5"\nhz = 15.0\nsteps = 1\nframe_size = [122, 160]' in text
    assert '7 = ["right", "fire"]  # RIGHTFIRE' in text
    done = run("drive --game enduro --bundle random --seconds 2 --json")
    assert json.loads(done.out)["timing"]["steps"] == 30
    assert "A.L.E" not in done.err


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("hz = 10\n", "", "the key 'hz' is missing"),
        ("hz = 10", "hx = 10", "unknown key 'hx'; did you mean hz?"),
        ("hz = 10", "hz = 0", "hz: must be above 0, not 0"),
        ("hz = 10", "hz = ", "Invalid value (at line 2, column 6)"),
        ("id =", 'demonstrator = "os:system"\nid =', "the key 'demonstrator' is for plugins: leave it out"),
        ("2 =", "7 =", "roadside:Road-v0 has no action 7: there are 0 to 2"),
        ("2 =", "right =", "actions: must be a whole number, not 'right'"),
        ('["right"]', '"right"', "actions: must be a list, not 'right'"),
        ('["right"]', '["left"]', "actions: 1 and 2 both hold left: leave one out"),
        (
            "[actions]",
            '[keys]\nleft = "a"\nright = "a"\n[actions]',
            "keys: 'a' is both left and right: take another key",
        ),
        ("[actions]", '[keys]\nleft = "p"\n[actions]', "keys: 'p' is both the hotkey quit and left: take another key"),
        ("[actions]", '[keys]\nlift = "a"\n[actions]', "keys: no action holds 'lift'; did you mean left?"),
        ("[actions]", "[options]\nwidth = 3\n[actions]", "the environment 'roadside:Road-v0' cannot be made"),
        ("[16, 16]", "[16, 9]", ""),
        ("roadside:Road", "Road", "no environment 'Road-v0' is registered; one of a package is named package:id"),
        ("Road-v0", "Raod-v0", "no environment 'roadside:Raod-v0' is registered; did you mean Road-v0"),
        ("roadside:Road-v0", "CarRacign-v3", "no environment 'CarRacign-v3' is registered; did you mean CarRacing-v3"),
        ("roadside:", "nowhere:", "the package 'nowhere' of 'Road-v0' is not installed: install it, or correct the id"),
        (
            "roadside:",
            "click:",
            "the package 'click' was not made for Gymnasium: give the one that registers 'Road-v0'",
        ),
        ("Road-v0", "Broken-v0", "the environment 'roadside:Broken-v0' needs a package that is not installed"),
        ("Road-v0", "Blind-v0", "roadside:Blind-v0 has no picture: it neither shows RGB pixels nor renders them"),
        ("Road-v0", "Smooth-v0", "roadside:Smooth-v0 has no discrete actions but Box(-1.0, 1.0, (1,), float32)"),
    ],
)
def test_a_wrong_file_is_one_line_where_it_is_used(run: Run, write, old: str, new: str, said: str) -> None:
    assert old in ROAD
    path = write(text=ROAD.replace(old, new))
    done = run("drive --game mine --bundle random --seconds 1")
    if not said:
        assert done.code == 0, "a square picture fits any size"
        return
    assert said in fault(done)
    assert fault(done).startswith((f"{path}: ", "roadside:", "the ", "no environment"))


def test_a_wrong_file_leaves_all_other_games(run: Run, write) -> None:
    write("mine", "id =")
    write("good")
    write("Not a name")
    assert run("drive --game good --bundle random --seconds 1").code == 0
    faults = {one["name"]: one["fault"] for one in json.loads(run("gymnasium list --json").out)}
    assert faults["good"] is None
    assert "Invalid value" in faults["mine"]
    assert "name: must be made of a-z, 0-9 and -" in faults["Not a name"]


def test_two_games_of_one_name_are_told_apart(run: Run, write) -> None:
    write("road")
    assert "say autopilot-gymnasium:road or roadside:road" in fault(run("drive --game road --bundle random"))


def test_another_rate_than_the_files_is_refused(run: Run) -> None:
    assert "road takes 10 decisions a second, not 20" in fault(run("record --game road --driver random --hz 20"))
