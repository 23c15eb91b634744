"""The leaderboard: whose races count, what they are compared with, and what is left out."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from autopilot.commands.zoo import leaderboard
from autopilot.race.board import Board, games_raced, read_result
from autopilot.race.result import RaceResult, RunResult
from autopilot.sessions.home import Home, write_json


def run(driver: str, track: str, *laps: float, finished: bool = True, score: float | None = None) -> RunResult:
    return RunResult(driver, track, 0, laps, (), 0, finished, score)


def keep(home: Home, name: str, *runs: RunResult, game: str = "kart", laps: int = 1) -> Path:
    drivers, tracks = (tuple(dict.fromkeys(getattr(r, of) for r in runs)) for of in ("driver", "track"))
    path = home.races / name / "race.json"
    write_json(path, RaceResult(game, "Kart", drivers, tracks, laps, 1, 10.0, runs).to_json())
    return path


def bundle(home: Home, name: str, game: str = "kart") -> Path:
    about = {"format": 1, "name": name, "game": game, "label_map": game, "model": "x:y", "config": {}, "hz": 10.0}
    about |= {"action_space": [], "preprocess": {}, "sessions": [], "options": {}, "metrics": {}, "versions": {}}
    path = home.bundles / name / "manifest.json"
    write_json(path, {**about, "weights_sha256": ""})
    os.utime(path, (1000, 1000))
    return path


@pytest.fixture
def home(tmp_path: Path) -> Home:
    made = Home(tmp_path)
    for name in ("quick", "slow", "idle"):
        bundle(made, name)
    bundle(made, "other", "boat")
    return made


def rows(found: Board) -> list[tuple[str, str]]:
    return [(row.driver, row.kind) for row in found.standings]


def test_everybody_who_raced_is_on_it_the_best_first(home: Home) -> None:
    keep(home, "one", run("demonstrator", "a", 20.0), run("quick", "a", 18.0), run("slow", "a", 25.0))
    keep(home, "two", run("human", "b", 30.0), run("demonstrator", "b", 40.0), run("quick", "b", 44.0))
    keep(home, "three", run("old", "a", 19.0), run("ctr-ai:human", "a", 21.0), run("random", "a", finished=False))
    keep(home, "sea", run("other", "a", 1.0), game="boat")
    found = leaderboard(home, "kart")
    assert rows(found) == [
        ("human", "human"),
        ("old", "gone"),
        ("demonstrator", "demonstrator"),
        ("quick", "bundle"),
        ("ctr-ai:human", "published"),
        ("slow", "bundle"),
        ("random", "random"),
        ("idle", "bundle"),
    ]
    by_name = {row.driver: row for row in found.standings}
    assert found.compared_with == "demonstrator"
    assert (by_name["quick"].lap_ratio, by_name["quick"].median_lap_s) == (1.0, 31.0), "0.9 and 1.1, and their median"
    assert by_name["human"].lap_ratio == 0.75
    assert (by_name["random"].finished, by_name["random"].runs) == (0, 1)
    assert by_name["idle"].runs == 0
    assert games_raced(home) == ["boat", "kart"]


def test_times_over_other_lengths_are_not_compared(home: Home) -> None:
    keep(home, "short", run("demonstrator", "a", 20.0))
    keep(home, "long", run("quick", "a", 18.0, 18.0, 18.0), laps=3)
    quick = next(row for row in leaderboard(home, "kart").standings if row.driver == "quick")
    assert quick.lap_ratio is None
    assert quick.median_lap_s == 18.0


def test_scores_decide_where_there_are_no_laps(home: Home) -> None:
    keep(home, "one", *(run(d, "a", score=s) for d, s in (("human", 50.0), ("quick", 80.0), ("slow", 40.0))), laps=0)
    found = leaderboard(home, "kart")
    assert [row.driver for row in found.standings] == ["quick", "human", "slow", "idle"]
    assert [row.score_ratio for row in found.standings] == [1.6, 1.0, 0.8, None]
    assert found.compared_with == "human"


def test_what_raced_under_the_name_before_is_left_out(home: Home) -> None:
    keep(home, "one", run("demonstrator", "a", 20.0), run("quick", "a", 18.0))
    path = keep(home, "before", run("demonstrator", "a", 20.0), run("quick", "a", 5.0))
    os.utime(path, (900, 900))
    found = leaderboard(home, "kart")
    assert {row.driver: row.runs for row in found.standings} == {"quick": 1, "demonstrator": 2, "slow": 0, "idle": 0}
    assert found.notes == ("left out: 1 run of earlier bundles of the same names",)


def test_a_race_that_cannot_be_read_is_named(home: Home) -> None:
    path = keep(home, "one", run("quick", "a", 18.0))
    assert read_result(path).runs[0] == run("quick", "a", 18.0)
    for text in ("", "[]", json.dumps({"game": "kart"}), path.read_text().replace('"runs"', '"walks"')):
        path.write_text(text)
        found = leaderboard(home, "kart")
        assert len(found.notes) == 1
        assert found.notes[0].startswith("race one cannot be read")
    assert games_raced(home) == []


def test_a_home_without_anything_has_an_empty_one(tmp_path: Path) -> None:
    assert leaderboard(Home(tmp_path), "kart") == Board("kart", None, (), ())
