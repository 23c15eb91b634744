"""Laps that were driven well become data: kept while driving, chosen for training, by the commands."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from autopilot.sessions.laps import laps_of
from autopilot.sessions.session import Session
from support.apart import Result, Running

Run = Callable[..., Result]
Begin = Callable[..., Running]


def sessions(home: Path) -> list[Session]:
    return [Session.open(path) for path in sorted((home / "sessions").iterdir())]


def test_laps_are_kept_in_every_race_and_trained_on(run: Run, tmp_path: Path) -> None:
    home = tmp_path / "home"
    args = "drive --game ribbon --bundle demonstrator --track 20 --laps 2 --races 2 --json".split()
    done = run(*args, "--keep-laps", "time < 25.05 and clean", home=home)
    assert done.code == 0, done.err
    races: list[Any] = json.loads(done.out)
    assert [r["laps_seen"] for r in races] == [2, 2]
    assert {r["stamp"] for r in races} == {"AI"}
    kept = [lap for r in races for lap in r["laps_kept"]]
    assert len(kept) == 4
    found = sessions(home)
    assert sorted(s.path.name for s in found) == sorted(lap["session"] for lap in kept)
    for session in found:
        (lap,) = laps_of(session)
        assert session.info.auto
        assert abs(len(session) / session.info.hz - lap.time_s) <= 0.15
        assert [row.reading.lap for row in session.rows()].count(0) in (0, len(session)), "one lap alone"
    train = "train --model tiny --epochs 1 --batch-size 32 --set width=4 --json --laps".split()
    trained = run(*train, "best 50%", home=home)
    assert trained.code == 0, trained.err
    assert "laps: 2 in 2 sessions, " in trained.err
    frames = json.loads(trained.out)["frames"]
    assert 400 < frames["train"] + frames["validation"] < 600, "two laps of 25 s at 10 Hz"
    listed = json.loads(run("sessions", "--json", home=home).out)["sessions"]
    assert sorted(s["lap_time_s"] for s in listed) == sorted(lap["lap_time_s"] for lap in kept)
    assert run("sessions", home=home).out.count("(auto") == 4


def test_a_killed_drive_leaves_whole_laps_only(begin: Begin, run: Run, tmp_path: Path) -> None:
    home = tmp_path / "home"
    args = "drive --game ribbon --bundle demonstrator --track 20 --keep-laps".split()
    running = begin(*args, "time < 99", home=home)
    folder = home / "sessions"
    assert running.until(lambda: folder.is_dir() and len(list(folder.glob("*/session.json"))) >= 3)
    running.process.kill()
    running.wait()
    found = sessions(home)
    whole = [s for s in found if laps_of(s)]
    assert len(found) - 1 <= len(whole), "at most the one that was being written is not"
    assert len(whole) >= 2
    for session in set(found) - set(whole):
        assert session.info.lap_time_s is None
    train = "train --model tiny --epochs 1 --batch-size 32 --set width=4 --json".split()
    done = run(*train, home=home)
    assert done.code == 0, done.err
    assert sum(json.loads(done.out)["frames"].values()) == sum(map(len, whole))


@pytest.mark.parametrize(
    ("args", "says"),
    [
        (["--keep-laps", "best 50%"], "leave out best"),
        (["--keep-laps", "fast"], '"time < 41.5 and clean"'),
        (["--races", "3"], "say when a race is over by --laps or --seconds"),
        (["--races", "2", "--laps", "1", "--film", "x.mp4"], "leave out --film"),
    ],
)
def test_what_makes_no_sense_is_refused(run: Run, tmp_path: Path, args: list[str], says: str) -> None:
    done = run("drive", "--game", "ribbon", "--bundle", "demonstrator", *args, home=tmp_path / "home")
    assert (done.code, done.err.count("\n")) == (2, 1)
    assert says in done.err


def test_a_game_without_a_referee_keeps_no_laps(run: Run, tmp_path: Path) -> None:
    done = run("drive", "--game", "wild", "--bundle", "random", "--keep-laps", "clean", home=tmp_path / "home")
    assert (done.code, done.err) == (2, "autopilot: wild has no referee: there are no lap times to keep laps by\n")
