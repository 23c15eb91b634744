"""A game with scores and without laps: raced, driven and recorded, and nothing of it is called incomplete."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from autopilot.race.report import markdown, save_reports
from autopilot.race.result import RaceResult, RunResult
from support.apart import Result

Run = Callable[..., Result]


def test_drivers_are_compared_by_their_scores(run: Run, tmp_path: Path) -> None:
    home = tmp_path / "home"
    args = "race --game arena --drivers demonstrator,random --tracks oval,endless --races 2 --name cup"
    done = run(*args.split(), "--json", home=home)
    assert done.code == 0, done.err
    race = json.loads(done.out)
    assert race["laps"] == 0
    teacher, chance = race["summary"]
    assert (teacher["finished"], teacher["runs"], teacher["score_ratio"]) == (4, 4, 1.0)
    by_track = [row for row in race["by_track"] if row["driver"] == "demonstrator"]
    assert [row["median_score"] for row in by_track] == [15, 23], "20 frames, or 0.6 s of 50 Hz where it has no end"
    assert (teacher["best_score"], teacher["mean_score"], teacher["median_score"]) == (23, 19, 19)
    assert 0 < chance["mean_score"] < teacher["mean_score"]
    assert chance["score_ratio"] == round(chance["mean_score"] / 19, 3)
    table = (home / "races/cup/race.md").read_text()
    assert "| driver | races | median score | best score | mean score | score ratio |" in table
    assert "| demonstrator | 4 | 19.0 | 23.0 | 19.0 | 1.00 |" in table
    assert "| oval | 1 | demonstrator | 15.0 |" in table
    shown = run("race", "--game", "arena", "--drivers", "demonstrator", home=home)
    for text in (table, shown.out + shown.err):
        assert not [word for word in ("Incomplete", "finished", "lap", "incident") if word in text]


def test_driving_and_recording_know_no_lap(run: Run) -> None:
    done = run("drive", "--game", "arena", "--bundle", "demonstrator", "--races", "2")
    assert done.out == "demonstrator on oval: finished; score 15.0 (AI)\n" * 2
    done = run("record", "--game", "arena", "--driver", "demonstrator", "--json")
    assert [(one["frames"], one["ending"]) for one in json.loads(done.out)] == [(20, "finished")]


@pytest.mark.parametrize(
    ("args", "said"),
    [
        ("race --drivers random --laps 2", "arena has no laps, its races are scored: leave out --laps"),
        ("drive --bundle random --laps 2", "arena has no laps, its races are scored: leave out --laps"),
        ("record --driver demonstrator --laps 2", "arena has no laps, its races are scored: leave out --laps"),
        ("drive --bundle random --keep-laps clean", "arena has no laps to keep: --record keeps the whole drive"),
    ],
)
def test_laps_are_refused(run: Run, args: str, said: str) -> None:
    done = run(*args.split(), "--game", "arena")
    assert (done.code, done.out, done.err) == (2, "", f"autopilot: {said}\n")


def test_a_race_that_a_human_helped_with_has_no_score(tmp_path: Path) -> None:
    runs = [RunResult("a", "0", i, (), (), 0, score is not None, score) for i, score in enumerate((-4.0, None, 9.0))]
    result = RaceResult("arena", "Arena", ("a",), ("0",), 0, 3, 10.0, tuple(runs))
    assert "| a | 2 | 2.5 | 9.0 | 2.5 | 1.00 |" in markdown(result)
    assert "| 0 | 2 | a | - |" in markdown(result)
    assert save_reports(result, tmp_path)["png"].stat().st_size > 10_000
