"""Driving and racing through the command line: films, tables, refusals, honest reports."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import av
import cv2
import pytest
from autopilot.sessions.session import Session
from support.apart import Result, Running

Run = Callable[..., Result]
Begin = Callable[..., Running]


def line(done: Result, code: int = 2) -> str:
    """Return the one line of an error."""
    assert done.code == code, done.err
    assert done.out == ""
    assert done.err.startswith("autopilot: ")
    assert done.err.count("\n") == 1, done.err
    return done.err


def pit(**plan: Any) -> str:
    return json.dumps(plan)


@pytest.fixture
def home(trained: Path, tmp_path: Path) -> Path:
    """A copy of the home with a bundle."""
    return Path(shutil.copytree(trained, tmp_path / "home"))


@pytest.fixture
def pit_bundle(home: Path) -> Path:
    """The bundle's weights under a manifest for the game in real time."""
    folder = home / "bundles/pit"
    shutil.copytree(home / "bundles/tiny", folder)
    path = folder / "manifest.json"
    change = {"name": "pit", "game": "pit", "label_map": "pit", "hz": 50.0}
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    return folder


def test_the_network_drives_a_lap_of_an_unseen_road(run: Run, home: Path, tmp_path: Path) -> None:
    film = tmp_path / "films" / "lap.mp4"
    args = ["drive", "--game", "ribbon", "--bundle", "tiny", "--track", "30", "--laps", "1"]
    done = run(*args, "--film", str(film), "--seed", "5", "--json", home=home)
    assert done.code == 0, done.err
    report = json.loads(done.out)
    assert report["ending"] == "finished"
    assert len(report["reading"]["lap_times_s"]) == 1
    timing = report["timing"]
    assert timing["clock"] == "lock-step"
    assert timing["wanted_hz"] == 10
    assert {"capture", "preprocess", "policy", "select", "device", "observe"} <= set(timing["stages_ms"])
    with av.open(str(film)) as container:
        stream = container.streams.video[0]
        assert float(stream.average_rate) == 10
        pictures = [f.to_ndarray(format="rgb24") for f in container.decode(stream)]
    assert len(pictures) == timing["steps"]
    assert pictures[0].shape[1] == 640
    road, grass = pictures[0][210, 320], pictures[0][40, 10]
    assert grass[1] > grass[0], "RGB, not BGR: the grass is green"
    assert abs(int(road[0]) - int(road[2])) < 30, "the road is grey"
    assert not (pictures[0] == pictures[50]).all()
    again = run(*args, "--seed", "5", "--json", home=home)
    assert json.loads(again.out)["reading"] == report["reading"], "the seed decides"
    plain = run(*args, "--select", "argmax", home=home)
    assert "lock-step" in plain.err
    assert "stages, ms p50/p99" in plain.err
    assert plain.out.startswith("tiny on 30: finished; ")


SLOW = r"the loop ran at \d+\.\d of 50 Hz, less than half of what was wanted; most of its time went into device"
HUNG = "the device hung or its process was ended, and it was replaced once; nothing was held meanwhile"


@pytest.mark.parametrize(
    "command",
    [
        "drive --game padded --bundle demonstrator --track endless --seconds 0.6",
        "record --game padded --driver demonstrator --track endless --seconds 0.6",
        "race --game padded --drivers demonstrator --tracks oval --laps 1 --name cup",
    ],
)
def test_a_device_that_hung_and_a_rate_far_below_the_wanted_one_are_warnings(
    run: Run, tmp_path: Path, command: str
) -> None:
    done = run(*command.split(), "--json", home=tmp_path / "json", PITLANE_LOG=str(tmp_path / "one"))
    assert done.code == 0, done.err
    found = json.loads(done.out)
    if command.startswith("race"):
        (one,) = found["runs"]
        kept = (tmp_path / "json/races/cup/race.md").read_text()
        assert f"\nWarning: demonstrator on oval, race 1: {HUNG}\n" in kept
    else:
        one = (found[0] if command.startswith("record") else found)["timing"]
        assert one["device_replaced"] == 1
    slow, hung = one["warnings"]
    assert re.fullmatch(SLOW, slow), slow
    assert hung == HUNG
    assert "gave no answer" in done.err or "was ended, a new one took over" in done.err
    done = run(*command.split(), home=tmp_path / "text", PITLANE_LOG=str(tmp_path / "two"))
    told = done.err if command.startswith("race") else done.out
    assert re.search(f"warning: {SLOW}", told), told
    assert f"warning: {HUNG}" in told


def test_a_run_at_its_rate_has_no_warnings(run: Run, tmp_path: Path) -> None:
    args = "drive --game pit --bundle demonstrator --track endless --seconds 0.6 --json".split()
    timing = json.loads(run(*args, home=tmp_path / "home", PITLANE=pit()).out)["timing"]
    assert (timing["warnings"], timing["device_replaced"]) == ([], 0)


def test_frames_that_the_human_took_over_are_kept_ready_to_train_on(run: Run, home: Path, tmp_path: Path) -> None:
    args = "drive --game pit --bundle demonstrator --track endless --seconds 1.6 --record --json".split()
    log = tmp_path / "log"
    done = run(*args, home=home, PITLANE=pit(human=list(range(20, 30))), PITLANE_LOG=str(log))
    assert done.code == 0, done.err
    report = json.loads(done.out)
    session = Session.open(home / "sessions" / report["session"])
    rows = list(session.rows())
    assert (session.info.driver, session.info.policy, len(rows)) == ("demonstrator", True, 80)
    ((begun, ended),) = session.info.human
    assert report["human_frames"] == ended - begun
    assert begun == 19, "the frame of the human's first key"
    assert 10 <= ended - begun <= 45, "ten frames held, then half a second of grace"
    for row in rows:
        if begun <= row.index < ended:
            assert row.sent == frozenset()
            assert row.held == ({"right"} if row.index < 29 else frozenset())
            assert row.action == ((1,) if row.index >= 29 else (2,))
        else:
            assert row.sent == row.held != frozenset()
            assert row.action is None, "what the policy did is no label"
    sent = [x for x in log.read_text().splitlines() if x.startswith("hold")]
    assert [bool(x.removeprefix("hold ")) for x in sent] == [not begun <= i < ended for i in range(80)]


def test_a_drive_that_is_interrupted_still_says_which_frames_were_the_human_s(begin: Begin, tmp_path: Path) -> None:
    log = tmp_path / "log"
    args = "drive --game pit --bundle demonstrator --track endless --record".split()
    running = begin(*args, PITLANE=pit(human=list(range(20, 30))), PITLANE_LOG=str(log))
    assert running.until(lambda: log.exists() and log.read_text().count("hold") > 60)
    running.interrupt()
    assert running.wait().code == 130
    (path,) = (tmp_path / "home/sessions").iterdir()
    session = Session.open(path)
    ((begun, ended),) = session.info.human
    assert (session.info.ended, begun) == ("interrupted", 19)
    assert [row.action is not None for row in session.rows()] == [
        begun <= i < ended for i in range(session.info.frames)
    ]


def test_a_lap_with_a_human_s_help_does_not_count(run: Run, tmp_path: Path) -> None:
    args = "race --game pit --drivers demonstrator --tracks oval --laps 1 --name cup --json".split()
    done = run(*args, home=tmp_path / "home", PITLANE=pit(human=[4]))
    assert done.code == 0, done.err
    (one,) = json.loads(done.out)["runs"]
    assert (one["laps_s"], one["finished"]) == ([], False)
    assert "demonstrator on oval, race 1: a human helped, so it does not count" in done.err


def test_who_begins_the_game_s_race_by_a_key_has_not_helped_to_drive_it(run: Run, tmp_path: Path) -> None:
    args = "race --game pit --drivers demonstrator --tracks oval --laps 1 --name cup --json".split()
    done = run(*args, home=tmp_path / "home", PITLANE=pit(tapped=True))
    assert done.code == 0, done.err
    (one,) = json.loads(done.out)["runs"]
    assert (one["laps_s"], one["finished"]) == ([1.0], True)


@pytest.mark.parametrize(
    "command", ["race --drivers demonstrator --tracks oval --name cup", "drive --bundle demonstrator"]
)
def test_a_log_says_why_nobody_drives(run: Run, tmp_path: Path, command: str) -> None:
    name, *rest = command.split()
    done = run(
        name, "--game", "pit", *rest, "--laps", "1", "--json", home=tmp_path / "home", PITLANE=pit(away=[4, 4, 6])
    )
    assert done.code == 0, done.err
    waiting = "WAITING, nothing is held: pit lane was closed; open it again, or stop"
    said = [line for line in done.err.splitlines() if line.startswith(("WAITING", "driving"))]
    assert said == [waiting, "driving"] * 2
    assert json.loads(done.out)


def test_real_time_is_reported_honestly(run: Run, home: Path, pit_bundle: Path) -> None:
    args = "drive --game pit --bundle pit --track endless --seconds 1 --json".split()
    done = run(*args, home=home)
    assert done.code == 0, done.err
    timing = json.loads(done.out)["timing"]
    assert timing["clock"] == "wall"
    assert timing["steps"] == 50
    assert timing["achieved_hz"] == pytest.approx(timing["steps"] / timing["seconds"], rel=0.01)
    assert timing["seconds"] > 0.9
    assert timing["on_time"] == pytest.approx(1 - timing["overruns"] / 50)
    slow = "drive --game pit --bundle demonstrator --track endless --seconds 0.4"
    late = run(*slow.split(), home=home, PITLANE=pit(slow_s=0.05))
    assert late.code == 0, late.err
    assert "of 50 Hz wanted" in late.err
    assert "0.0 % of 20 decisions on time, 20 overruns" in late.err


@pytest.mark.parametrize(("plan", "code"), [({"raise_at": 12}, 2), ({"keys": [[12, "quit"]]}, 0)])
def test_every_key_is_released_however_a_drive_ends(run: Run, tmp_path: Path, plan: dict[str, Any], code: int) -> None:
    log = tmp_path / "log"
    args = "drive --game pit --bundle demonstrator --track endless".split()
    done = run(*args, PITLANE=pit(**plan), PITLANE_LOG=str(log))
    assert done.code == code, done.err
    lines = log.read_text().splitlines()
    assert sum(x.startswith("hold") for x in lines) in (11, 12)
    last = len(lines) - lines[::-1].index("release")
    assert set(lines[last:]) == {"close"}


def test_a_film_cut_short_by_ctrl_c_still_plays(begin: Begin, tmp_path: Path) -> None:
    film, log = tmp_path / "x.mp4", tmp_path / "log"
    args = ["drive", "--game", "pit", "--bundle", "random", "--track", "endless"]
    running = begin(*args, "--film", str(film), PITLANE_LOG=str(log))
    assert running.until(lambda: log.exists() and log.read_text().count("hold") > 20)
    running.interrupt()
    assert running.wait().code == 130
    with av.open(str(film)) as container:
        assert sum(1 for _ in container.decode(video=0)) >= 20


@pytest.mark.parametrize(
    ("args", "says"),
    [
        ("--game ribbn --bundle tiny", "unknown game 'ribbn'; did you mean ribbon?"),
        ("--game ribbon --bundle tinny", "no bundle 'tinny' in"),
        ("--game ribbon --bundle ../tiny", "bundle name '../tiny' cannot be used"),
        ("--game ribbon --bundle tiny --track x", "has no track 'x'"),
        ("--game ribbon --bundle tiny --track ../1", "has no track '../1'"),
        ("--game ribbon --bundle tiny --mode Z", "has no mode 'Z'"),
        ("--game ribbon --bundle tiny --input keyboard", "leave out --input"),
        ("--game ribbon --bundle tiny --temperature -1", "temperature"),
        ("--game ribbon --bundle tiny --show --laps 1", "no display"),
        ("--game ribbon --bundle tiny --film x.gif --laps 1", "must end in .mp4"),
        ("--game ribbon --bundle tiny --film /proc/no/x.mp4", "cannot be written"),
        ("--game ribbon --bundle tiny --select dice", "--select"),
        ("--game wild", "no bundle of wild in"),
        ("--game ribbon --bundle tiny --seed -1", "--seed"),
        ("--game wild --bundle demonstrator", "demonstrator"),
        ("--game gone --bundle random", "cannot load game 'gone'"),
        ("--game pit --bundle tiny", "ribbon"),
        ("--game other-axes --bundle other", "decides on [steer: left forward right]"),
        ("--game other-size --bundle small", "160x90 frames, but other-size gives 80x45"),
        ("--game ribbon --bundle magic", "another preprocessing"),
        ("--game ribbon --bundle future", "newer autopilot"),
        ("--game ribbon --bundle torn", "damaged"),
    ],
)
def test_a_drive_that_cannot_be_is_refused_in_one_line(run: Run, home: Path, args: str, says: str) -> None:
    changes = {
        "other": {"game": "other-axes", "label_map": "pit-other"},
        "small": {"game": "other-size", "label_map": "pit-size"},
        "magic": {"preprocess": {"recipe": "magic"}},
        "future": {"format": 99},
        "torn": {"weights_sha256": "0"},
    }
    for name, change in changes.items():
        if f"--bundle {name}" in args:
            shutil.copytree(home / "bundles/tiny", home / "bundles" / name)
            path = home / "bundles" / name / "manifest.json"
            path.write_text(json.dumps(json.loads(path.read_text()) | {"name": name} | change))
    assert says in line(run("drive", *args.split(), home=home))


def test_a_race_compares_drivers_and_saves_its_tables(run: Run, home: Path) -> None:
    args = "race --game ribbon --drivers demonstrator,tiny,random --tracks 40,41 --laps 1 --races 1"
    done = run(*args.split(), "--name", "cup", "--films", "--json", home=home)
    assert done.code == 0, done.err
    result = json.loads(done.out)
    folder = home / "races/cup"
    assert json.loads((folder / "race.json").read_text()) == result
    assert "race.json exists already: take another name, or --force" in line(
        run(*args.split(), "--name", "cup", home=home)
    )
    assert [(r["track"], r["driver"]) for r in result["runs"]] == [
        (t, d) for t in ("40", "41") for d in ("demonstrator", "tiny", "random")
    ]
    by_driver = {row["driver"]: row for row in result["summary"]}
    assert by_driver["demonstrator"]["finished"] == 2
    assert by_driver["demonstrator"]["lap_ratio"] == 1
    assert by_driver["random"]["incident_laps"] > by_driver["demonstrator"]["incident_laps"]
    assert by_driver["tiny"]["median_lap_s"] >= by_driver["demonstrator"]["median_lap_s"]
    table = (folder / "race.md").read_text()
    assert "stamped: AI. " in table
    assert table.count("\n| 40 |") == 6, "by track, and every run"
    picture = cv2.imread(str(folder / "race.png"))
    assert picture is not None
    assert picture.std() > 10
    films = sorted(folder.glob("*.mp4"))
    assert len(films) == 6
    with av.open(str(films[0])) as container:
        assert sum(1 for _ in container.decode(video=0)) > 100


def test_incidents_are_starred_and_giving_up_is_incomplete(run: Run, tmp_path: Path) -> None:
    home = tmp_path / "home"
    args = "race --game pit --drivers demonstrator,random --tracks oval --laps 3 --races 2"
    done = run(*args.split(), "--name", "cup", home=home)
    assert done.code == 0, done.err
    assert "1.25*" in done.out
    assert "2/2" in done.out
    assert "race.json, race.md, race.png" in done.out
    runs = json.loads((home / "races/cup/race.json").read_text())["runs"]
    assert [r["race"] for r in runs] == [0, 0, 1, 1]
    for r in runs:
        assert r["laps_s"] == [1.0, 1.25, 1.5]
        assert r["incident_laps"] == [1]
        assert r["incidents"] == 1
        assert r["finished"]
    assert "| 1.00 | 1.25* | 1.50 | 3.75 |" in (home / "races/cup/race.md").read_text()
    short = run(
        *"race --game pit --drivers demonstrator --tracks oval --laps 3 --json --name out".split(),
        home=home,
        PITLANE=pit(frames=14),
    )
    (given_up,) = json.loads(short.out)["runs"]
    assert given_up["laps_s"] == [1.0]
    assert not given_up["finished"]
    assert json.loads(short.out)["summary"][0]["median_race_s"] is None
    assert "| 1.00 | Incomplete |  | - |" in (home / "races/out/race.md").read_text()


@pytest.mark.parametrize(
    ("args", "says"),
    [
        ("--game ribbon --drivers demonstrator,nobody", "no bundle 'nobody'"),
        ("--game ribbon --drivers demonstrator,../tiny", "cannot be used"),
        ("--game ribbon --drivers ,", "list of different names"),
        ("--game ribbon --drivers tiny,tiny", "list of different names"),
        ("--game ribbon --drivers demonstrator --laps 0", "--laps"),
        ("--game ribbon --drivers demonstrator --races 0", "--races"),
        ("--game ribbon --drivers demonstrator --tracks moon", "has no track 'moon'"),
        ("--game ribbon --drivers demonstrator --name ../x", "race name '../x' cannot be used"),
        ("--game ribbon --drivers random --temperature nan", "temperature"),
        ("--game wild --drivers random", "no referee"),
        ("--game nowhere --drivers random", "unknown game 'nowhere'"),
        ("--game ribbon --drivers human", "cannot be played by a human"),
    ],
)
def test_a_race_that_cannot_be_is_refused_before_anything_runs(
    run: Run, home: Path, args: str, says: str, tmp_path: Path
) -> None:
    log = tmp_path / "log"
    (home / "races").mkdir(exist_ok=True)
    before = sorted(home.rglob("*"))
    assert says in line(run("race", *args.split(), home=home, PITLANE_LOG=str(log)))
    assert sorted(home.rglob("*")) == before
    assert not log.exists()


def test_an_interrupted_race_keeps_the_runs_that_were_finished(begin: Begin, tmp_path: Path) -> None:
    log = tmp_path / "log"
    args = "race --game pit --drivers demonstrator,random --tracks oval,endless --laps 3 --name c"
    running = begin(*args.split(), PITLANE_LOG=str(log))
    assert running.until(lambda: log.exists() and "open endless" in log.read_text())
    running.interrupt()
    done = running.wait()
    assert done.code == 130
    assert "Traceback" not in done.err
    runs = json.loads((tmp_path / "home/races/c/race.json").read_text())["runs"]
    assert [(r["track"], r["driver"]) for r in runs] == [("oval", "demonstrator"), ("oval", "random")]


def test_a_human_may_quit_a_race(run: Run) -> None:
    args = "race --game pit --drivers demonstrator,random --tracks oval --laps 3".split()
    done = run(*args, PITLANE=pit(keys=[[5, "quit"]]))
    assert done.code == 130
    assert "Traceback" not in done.err


def test_a_teacher_labels_what_a_bundle_drives(run: Run, home: Path) -> None:
    args = "record --game ribbon --driver tiny --track 30,31 --laps 1 --json".split()
    done = run(*args, "--teacher", "demonstrator", home=home)
    assert done.code == 0, done.err
    differ = frames = 0
    for made in json.loads(done.out):
        session = Session.open(home / "sessions" / made["session"])
        assert (session.info.driver, session.info.teacher, session.info.policy) == ("tiny", "demonstrator", False)
        for row in session.rows():
            assert row.action is not None
            differ, frames = differ + (row.held != row.sent), frames + 1
    assert 0 < differ < frames, "the label is the teacher's, the key is the network's"
    assert "ribbon ships no demonstrator-pro" in line(run(*args, "--teacher", "demonstrator-pro", home=home))
    assert "ribbon runs by --clock lockstep only" in line(
        run(*args, "--teacher", "demonstrator", "--clock", "wall", home=home)
    )
