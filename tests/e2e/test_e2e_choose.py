"""The network is chosen by driving, and drives as it was chosen to, unless told otherwise."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from autopilot.api.game import Game
from autopilot.api.registry import Registry
from autopilot.bundle.manifest import read_manifest
from autopilot.drive.lineup import Lineup
from autopilot.drive.world import Worlds
from autopilot.learn.policy import Policy
from autopilot.race.choosing import Course, Mark, choose_by_driving
from autopilot.race.result import RunResult
from autopilot.sessions.home import Home
from safetensors.numpy import load_file
from support.apart import Result

Run = Callable[..., Result]
TRAIN = "train --model tiny --name chosen --epochs 3 --batch-size 64 --set width=8 --json".split()


def test_the_epoch_that_drives_best_is_bundled_with_its_selection(run: Run, home: Path) -> None:
    done = run(*TRAIN, "--choose-by", "driving", "--choose-tracks", "20", home=home)
    assert done.code == 0, done.err
    best, run_folder = json.loads(done.out)["best"], home / "runs/chosen"
    rounds = [line for line in done.err.splitlines() if line.startswith("round ")]
    assert [line.split(" the best")[0] for line in rounds] == [
        "round 1: of 9", "round 2: of 5", "round 3: of 3", "round 4: of 2",
    ]  # fmt: skip
    assert best["driving"]["races"] == 4
    assert f": {best['driving']['finished']} of 4 races finished" in rounds[-1]
    manifest = read_manifest(home / "bundles/chosen")
    assert f"epoch-{best['epoch']:04d} by {manifest.select}" in rounds[-1]
    kept = load_file(run_folder / f"epoch-{best['epoch']:04d}.safetensors")
    bundled = load_file(home / "bundles/chosen/weights.safetensors")
    assert all((kept[name] == bundled[name]).all() for name in bundled)
    assert not (run_folder / "candidates").exists()
    again = run(*TRAIN, "--choose-by", "driving", "--choose-tracks", "20", home=home)
    assert json.loads(again.out)["best"] == best, "the same again, and nothing is trained"
    assert json.loads(again.out)["resumed_at"] > 0


@pytest.fixture(scope="module")
def ribbon(site: Path) -> Iterator[Game]:
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(site)
        yield Game(Registry(), "ribbon")


@pytest.fixture(scope="module")
def policy(ribbon: Game, trained: Path) -> Policy:
    return Policy.load(trained / "bundles/tiny", ribbon.registry)


def test_driving_decides_and_not_the_accuracy(ribbon: Game, policy: Policy, tmp_path: Path) -> None:
    useless = copy.copy(policy)
    useless.run = lambda *arrays: tuple(np.eye(n, dtype=np.float32)[0] for n in policy.manifest.space.sizes)
    said: list[str] = []
    course = Course(Worlds(ribbon, Home(tmp_path)))
    best, says = choose_by_driving(course, [useless, policy], [], said.append)
    assert best == 1, "the first one was more accurate"
    assert says["driving"]["finished"] == says["driving"]["races"] == 2 * len(said) >= 4
    assert says["select"] in ("argmax", "weighted")


def test_a_round_goes_over_new_numbers_or_all_known_names(ribbon: Game, tmp_path: Path) -> None:
    course = Course(Worlds(ribbon, Home(tmp_path)), seed=70)
    assert [course.tracks(number, ["1"]) for number in (0, 1)] == [["70", "71"], ["72", "73"]]
    assert Course(Worlds(ribbon, Home(tmp_path)), "4-6").tracks(1, ["1"]) == ["4", "5", "6"]


def test_marks_are_races_finished_then_pace() -> None:
    def mark(*times_s: float | None) -> Mark:
        made = [(time_s, () if time_s is None else (time_s,)) for time_s in times_s]
        return Mark.of([RunResult("d", "1", 0, laps, (), 0, time_s is not None, None) for time_s, laps in made], 120)

    assert mark(20, 30) == Mark(1, -25)
    assert mark(10, None) == Mark(0.5, -65)
    assert mark(10, None) < mark(90, 80) < mark(20, 30)
    scored = [RunResult("d", "1", 0, (), (), 0, True, score) for score in (900.0, 800.0)]
    assert Mark.of(scored, 120) == Mark(1, 850)


@pytest.mark.parametrize(
    ("says", "given", "temperature"),
    [
        ({}, (None, None), 1.0),
        ({"select": "argmax"}, (None, None), 0.0),
        ({"select": "argmax"}, ("weighted", None), 1.0),
        ({"select": "argmax"}, (None, 0.7), 0.7),
        ({"temperature": 0.5}, (None, None), 0.5),
        ({"temperature": 0.5}, ("argmax", None), 0.0),
        ({"temperature": 0.5}, ("weighted", 2.0), 2.0),
    ],
)
def test_a_bundle_drives_as_it_says_unless_told_otherwise(
    ribbon: Game, policy: Policy, says: dict[str, Any], given: tuple[str | None, float | None], temperature: float
) -> None:
    its = copy.copy(policy)
    its.manifest = policy.manifest.model_copy(update=says)
    assert Lineup(ribbon, lambda name: its, *given).find("tiny").select(0)._temperature == temperature


def test_what_cannot_be_chosen_by_driving_is_refused(run: Run, home: Path) -> None:
    for more, says in [
        (["--game", "wild"], "wild has no referee: there are no lap times to choose by"),
        (
            ["--game", "ribbon", "--average-epochs", "1-2"],
            "leave out --average-epochs, --coordinator, and further games",
        ),
        (["--game", "ribbon", "--choose-tracks", "nowhere"], "ribbon has no track 'nowhere'"),
    ]:
        done = run(*TRAIN, "--choose-by", "driving", *more, home=home)
        assert (done.code, done.err.count("\n")) == (2, 1), done.err
        assert says in done.err
