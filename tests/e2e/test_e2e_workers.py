"""Several simulators at once: what comes of them is what one after another gives; given again, it goes on."""

from __future__ import annotations

import json
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

from autopilot.sessions.session import Session
from support.apart import Result, Running
from support.sessions import plain

Run = Callable[..., Result]
Begin = Callable[..., Running]
RECORD = "record --game ribbon --driver demonstrator --track 0-2 --noise 0.05 --json".split()
RACE = "race --game ribbon --drivers demonstrator,random --tracks 3-4 --laps 1 --races 2 --name grid --json".split()


def recorded(home: Path) -> dict[str, list[tuple[object, ...]]]:
    """All rows of all sessions, by track."""
    sessions = [Session.open(path) for path in sorted((home / "sessions").iterdir())]
    return {s.info.track: [(row.index, *plain(row)) for row in s.rows()] for s in sessions}


def test_two_at_once_record_what_one_after_another_does_and_resume(run: Run, tmp_path: Path) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    alone, both = run(*RECORD, home=one), run(*RECORD, "--workers", "2", home=two)
    assert (alone.code, both.code) == (0, 0), alone.err + both.err
    assert recorded(one).keys() == {"0", "1", "2"}
    assert recorded(two) == recorded(one)
    drives = [[(d["track"], d["frames"], d["labels"]) for d in json.loads(done.out)] for done in (alone, both)]
    assert drives[0] == drives[1], "in the order of the tracks"
    more = run(*[{"0-2": "0-3"}.get(a, a) for a in RECORD], "--workers", "2", "--resume", home=two)
    assert [d["track"] for d in json.loads(more.out)] == ["3"], more.err


def test_two_at_once_race_as_one_does_and_go_on_with_a_race(run: Run, tmp_path: Path) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    alone, both = run(*RACE, home=one), run(*RACE, "--workers", "2", home=two)
    assert (alone.code, both.code) == (0, 0), alone.err + both.err
    race: dict[str, Any] = json.loads(alone.out)
    assert json.loads(both.out) == race
    assert [(run["track"], run["race"], run["driver"]) for run in race["runs"]] == [
        (track, number, driver) for track in "34" for number in (0, 1) for driver in ("demonstrator", "random")
    ]
    path = two / "races/grid/race.json"
    path.write_text(json.dumps(race | {"runs": race["runs"][:3]}))
    rest = run(*RACE, "--resume", home=two)
    assert json.loads(rest.out) == race
    path.write_text(json.dumps(race | {"runs": race["runs"][1:3]}))
    other = run(*RACE, "--resume", home=two)
    assert (other.code, other.err.count("\n")) == (2, 1)
    assert "that race had other drivers, tracks or laps" in other.err


def test_ctrl_c_ends_all_workers_and_keeps_what_they_have(begin: Begin, tmp_path: Path) -> None:
    home = tmp_path / "home"
    running = begin(*RECORD, "--laps", "90", "--workers", "2", home=home)
    segments = lambda: list((home / "sessions").glob("*/seg-*"))  # noqa: E731
    assert running.until(lambda: len({path.parent for path in segments()}) == 2)
    running.interrupt()
    done = running.wait()
    assert done.code in (130, -signal.SIGINT), done.err
    sessions = [Session.open(path) for path in sorted((home / "sessions").iterdir())]
    assert {s.info.ended for s in sessions} == {"interrupted"}
    assert all(len(s) for s in sessions)


def test_what_waits_for_nobody_is_driven_once_at_a_time(run: Run, tmp_path: Path) -> None:
    done = run("record", "--game", "ribbon", "--driver", "anna", "--workers", "2", home=tmp_path / "home")
    assert (done.code, done.err.count("\n")) == (2, 1)
    assert "--workers: only what a simulator waits for" in done.err
