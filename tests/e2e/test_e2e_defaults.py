"""What a command line leaves out: the newest bundle, its game, the only answer, or a list; and what Ctrl-C keeps."""

from __future__ import annotations

import json
import os
import pty
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from support.apart import Result, Running

Run = Callable[..., Result]
Begin = Callable[..., Running]


def line(done: Result) -> str:
    """Return the one line of a user's mistake."""
    assert done.code == 2, done.err
    assert done.err.startswith("autopilot: ")
    assert done.err.count("\n") == 1, done.err
    return done.err


def bundle(home: Path, name: str, newer_s: int = 10, **change: Any) -> None:
    """Make a bundle of the weights of `tiny`, with another manifest, so many seconds newer."""
    folder = home / "bundles" / name
    shutil.copytree(home / "bundles/tiny", folder)
    path = folder / "manifest.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"name": name} | change))
    then = (home / "bundles/tiny/manifest.json").stat().st_mtime + newer_s
    os.utime(path, (then, then))


@pytest.fixture
def home(trained: Path, tmp_path: Path) -> Path:
    """A copy of the home with a bundle, `tiny` for ribbon."""
    return Path(shutil.copytree(trained, tmp_path / "home"))


def test_drive_takes_the_newest_bundle_and_its_game_and_says_so(run: Run, home: Path) -> None:
    short = ("drive", "--seconds", "0.2", "--json")
    done = run(*short, home=home)
    assert done.code == 0, done.err
    assert json.loads(done.out)["driver"] == "tiny"
    assert [x for x in done.err.splitlines() if "bundle" in x] == ["the newest bundle: tiny, for ribbon"]
    bundle(home, "pit", game="pit", label_map="pit", hz=50.0)
    bundle(home, "half", 20, weights_sha256=7)
    newest = run(*short, home=home)
    assert json.loads(newest.out)["driver"] == "pit"
    assert "the newest bundle: pit, for pit" in newest.err
    assert "bundle half: manifest.json: " in newest.err, "what is passed over is named"
    of_a_game = run(*short, "--game", "ribbon", home=home)
    assert json.loads(of_a_game.out)["driver"] == "tiny"
    assert "the newest bundle of ribbon: tiny" in of_a_game.err
    named = run(*short, "--bundle", "tiny", home=home)
    assert json.loads(named.out)["driver"] == "tiny"
    assert "newest" not in named.err


def test_drive_with_a_gamepad_as_a_newcomer_types_it(run: Run, home: Path) -> None:
    bundle(home, "coco", game="ctr", label_map="ctr-timetrial")
    done = run("drive", "--input", "gamepad", home=home)
    assert done.code == 2
    assert done.err.splitlines() == [
        "the newest bundle: coco, for ctr",
        "autopilot: ctr is played on the screen, and none can be seen from here: "
        "in a desktop session start the emulator, then `autopilot setup --game ctr`",
    ]


def test_a_scripted_driver_s_game_is_the_only_one_or_a_list(run: Run, home: Path) -> None:
    said = line(run("drive", "--bundle", "demonstrator", home=home))
    assert "there are games carracing, " in said
    assert said.endswith("supertuxkart, supertuxkart-arcade: choose with --game\n")
    assert "wild" not in said, "which ships no demonstrator"
    fast = line(run("drive", "--bundle", "demonstrator-fast", "--track", "../moon", home=home))
    assert "carracing has no track '../moon'" in fast
    assert "there are games " in line(run("drive", "--bundle", "random", home=home))


@pytest.mark.parametrize("command", ["drive", "race"])
def test_without_a_bundle_it_says_what_to_do(run: Run, recorded: Path, command: str) -> None:
    said = line(run(command, "--game", "ribbon", home=recorded))
    assert said.startswith("autopilot: no bundle of ribbon in ")
    assert said.endswith("record with `autopilot record --game ribbon`, then train with `autopilot train`\n")


def test_without_a_bundle_of_the_game_it_says_so(run: Run, home: Path) -> None:
    said = line(run("drive", "--game", "ctr", home=home))
    assert said.startswith("autopilot: no bundle of ctr in ")
    assert "record with `autopilot record --game ctr`" in said
    assert "unknown game 'nowhere'" in line(run("drive", "--game", "nowhere", home=home))


def test_race_takes_the_newest_bundle_after_its_teacher(run: Run, home: Path) -> None:
    done = run("race", "--tracks", "1", "--laps", "1", "--json", home=home)
    assert done.code == 0, done.err
    result = json.loads(done.out)
    assert (result["game"], result["drivers"]) == ("ribbon", ["demonstrator", "tiny"])
    assert "the newest bundle: tiny, for ribbon" in done.err
    named = json.loads(run(*"race --drivers random,tiny --tracks 1 --laps 1 --json".split(), home=home).out)
    assert (named["game"], named["drivers"]) == ("ribbon", ["random", "tiny"])


def test_export_takes_the_newest_bundle_or_the_sessions_named(run: Run, home: Path) -> None:
    done = run("export", "--json", home=home)
    assert done.code == 0, done.err
    assert json.loads(done.out)["file"] == str(home / "bundles/tiny/model.onnx")
    assert "the newest bundle: tiny, for ribbon" in done.err
    ids = sorted(p.name for p in (home / "sessions").iterdir())
    said = line(run("export", "--format", "lerobot", "--out", "set", home=home))
    assert said == f"autopilot: there are sessions {', '.join(ids)}: choose with SESSION\n"
    assert "the folder --out" in line(run("export", ids[0], home=home))


def test_train_lists_the_networks_and_takes_the_sessions_game(run: Run, home: Path) -> None:
    said = line(run("train", home=home))
    assert said == "autopilot: there are models inception, nvidia, tiny: choose with --model\n"
    short = "train --epochs 1 --batch-size 32 --name again --json".split()
    done = run(*short, "--from", "tiny", "--set", "width=8", home=home)
    assert done.code == 0, done.err
    assert json.loads((home / "bundles/again/manifest.json").read_text())["model"] == "autopilot-ribbon:tiny"
    args = "record --game pit --driver demonstrator --track endless --seconds 0.2".split()
    assert run(*args, home=home).code == 0
    assert "there are sessions of pit, ribbon: choose with --game" in line(run(*short, "--model", "tiny", home=home))
    (one,) = (p.name for p in (home / "sessions").glob("*pit*"))
    of_pit = run(*short, "--model", "tiny", "--session", one, home=home)
    assert "choose with" not in of_pit.err, "the session's game is the only answer"
    assert of_pit.code == 2


def test_record_setup_and_learn_hud_ask_for_the_game_only_where_there_are_several(run: Run, tmp_path: Path) -> None:
    said = line(run("record"))
    assert said.startswith("autopilot: there are games carracing, ctr, ")
    assert said.endswith(": choose with --game\n")
    assert "ctr is played on the screen" in line(run("learn-hud"))
    assert "run in a desktop session" in line(run("setup", "--yes"))


def in_a_terminal(home: Path, site: Path, args: str, *answers: str) -> tuple[int, str]:
    """Type a command and then the answers; return its exit code and all that was seen."""
    ours, its = pty.openpty()
    env = {k: v for k, v in os.environ.items() if k not in ("DISPLAY", "WAYLAND_DISPLAY")}
    env |= {"PYTHONPATH": str(site), "AUTOPILOT_HOME": str(home)}
    command = [sys.executable, "-m", "autopilot", *args.split()]
    process = subprocess.Popen(command, stdin=its, stdout=its, stderr=its, env=env, start_new_session=True)
    os.close(its)
    os.write(ours, "".join(f"{answer}\n" for answer in answers).encode())
    seen = b""
    try:
        while part := os.read(ours, 4096):
            seen += part
    except OSError:  # how Linux says that the other end was closed
        pass
    finally:
        os.close(ours)
    return process.wait(60), seen.decode()


def test_in_a_terminal_a_number_chooses(home: Path, site: Path) -> None:
    code, seen = in_a_terminal(home, site, "train --session nope", "99", "3")
    assert "1  inception" in seen
    assert "3  tiny" in seen
    assert "there is no '99'" in seen
    assert "no session 'nope'" in seen
    assert code == 2
    code, seen = in_a_terminal(home, site, "record --track moon --driver demonstrator", "ribbon")
    assert "ribbon has no track 'moon'" in seen, "the name itself will do"
    assert code == 2


@pytest.mark.parametrize(
    "args",
    [
        "record",
        "record --driver anna --track coco",
        "drive --bundle random",
        'drive --bundle random --keep-laps "time < 40"',
        "race --drivers random",
        "learn-hud",
    ],
)
def test_a_game_on_the_screen_without_a_screen_names_the_emulator_and_setup(run: Run, args: str) -> None:
    command, *rest = shlex.split(args)
    assert line(run(command, "--game", "ctr", *rest)) == (
        "autopilot: ctr is played on the screen, and none can be seen from here: "
        "in a desktop session start the emulator, then `autopilot setup --game ctr`\n"
    )


def stopped(running: Running) -> str:
    """Press Ctrl-C, and return the last line."""
    running.interrupt()
    done = running.wait()
    assert done.code == 130, done.err
    assert "Traceback" not in done.err
    return done.err.splitlines()[-1]


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ("", "nothing is held, and nothing of this drive is kept (--record keeps a drive)"),
        ("--record", " frames are kept as session "),
        ("--keep-laps clean", "laps are kept as sessions"),
        ("--film lap.mp4", "the film as far as it came is lap.mp4"),
    ],
)
def test_ctrl_c_in_a_drive_says_what_is_kept(begin: Begin, tmp_path: Path, options: str, says: str) -> None:
    log = tmp_path / "log"
    args = f"drive --game pit --bundle demonstrator --track endless {options}".split()
    running = begin(*args, PITLANE_LOG=str(log))
    assert running.until(lambda: log.exists() and log.read_text().count("hold") > 40)
    said = stopped(running)
    assert said.startswith("autopilot: stopped; ")
    assert says in said
    kept = sorted(p.name for p in (tmp_path / "home/sessions").glob("*"))
    if options == "--record":
        assert said.endswith(kept[0])
    if options.startswith("--keep"):
        assert f"{len(kept)} of " in said
        assert kept


def test_ctrl_c_in_a_recording_says_what_is_kept(begin: Begin, tmp_path: Path) -> None:
    log = tmp_path / "log"
    args = "record --game pit --driver demonstrator --track endless,oval,endless --seconds 0.4".split()
    running = begin(*args, PITLANE_LOG=str(log))
    assert running.until(lambda: log.exists() and log.read_text().count("open") == 2)
    assert running.until(lambda: log.read_text().rpartition("open")[2].count("hold") > 2)
    said = stopped(running)
    kept = sorted(p.name for p in (tmp_path / "home/sessions").iterdir())
    assert said.endswith(f" frames are kept as session {kept[1]}; so are 1 before it")


def test_ctrl_c_in_a_race_says_where_the_runs_are(begin: Begin, tmp_path: Path) -> None:
    log = tmp_path / "log"
    args = "race --game pit --drivers demonstrator --tracks oval --laps 1 --races 50 --name long".split()
    running = begin(*args, PITLANE_LOG=str(log))
    assert running.until(lambda: log.exists() and log.read_text().count("open") == 3)
    file = tmp_path / "home/races/long/race.json"
    assert stopped(running) == f"autopilot: stopped; the runs that were over are in {file}"
    assert len(json.loads(file.read_text())["runs"]) >= 2


def test_ctrl_c_in_a_training_names_the_step_and_how_to_go_on(begin: Begin, home: Path) -> None:
    args = "train --model tiny --batch-size 8 --epochs 4000 --name long".split()
    running = begin(*args, home=home)
    steps = home / "runs/long/checkpoints"
    assert running.until(lambda: any(steps.glob("*-*.safetensors")))
    said = stopped(running)
    last = max(int(p.name.partition("-")[0]) for p in steps.iterdir())
    assert said == (
        f"autopilot: stopped; the training is kept as it was after step {last}: "
        "the same command, without --restart, goes on"
    )
    early = begin(*args[:-1], "none", home=home)
    assert early.until((home / "runs/none/run.json").exists)
    assert stopped(early).startswith("autopilot: stopped; ")
