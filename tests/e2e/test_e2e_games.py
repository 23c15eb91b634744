"""One network for several games, and several label maps for the same sessions: an outside plugin's games."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import filelock
import numpy as np
import pytest
from autopilot.api import BundleError, Game, Registry, UserError
from autopilot.bundle.manifest import MANIFEST, read_manifest
from autopilot.learn.data import load_dataset
from autopilot.learn.options import TrainOptions
from autopilot.learn.policy import load_policy
from autopilot.sessions.home import Home
from support.apart import Result, start

Run = Callable[..., Result]
SEASONS = Path(__file__).parents[1] / "third_party/seasons"
COMMANDS = (
    "record --game summer --driver demonstrator --track 0-1 --seconds 12",
    "record --game winter --driver demonstrator --track 0-1 --seconds 12",
    "train --game summer,winter --model tiny --set width=8 --epochs 12 --batch-size 32 --learning-rate 0.01",
)


@pytest.fixture(scope="session")
def path(site: Path) -> str:
    return f"{SEASONS}{os.pathsep}{site}"


@pytest.fixture(scope="session")
def seasons(shared: Path, path: str) -> Path:
    """A home with two sessions of two games each, and a bundle that learned from all of them."""
    home = shared / "seasons"
    with filelock.FileLock(shared / "seasons.lock"):
        if not home.exists():
            part = shared / "seasons.part"
            env = {**os.environ, "AUTOPILOT_HOME": str(part), "PYTHONPATH": path}
            for number, command in enumerate(COMMANDS):
                done = start(command.split(), env, shared / f"io/seasons-{number}", shared / "jax").wait()
                assert done.code == 0, done.err
            part.rename(home)
    return home


@pytest.fixture(scope="module")
def registry(path: str) -> Iterator[Registry]:
    with pytest.MonkeyPatch.context() as patch:
        for folder in path.split(os.pathsep):
            patch.syspath_prepend(folder)
        yield Registry()


def test_a_bundle_says_which_games_it_drives_and_drives_them(seasons: Path, run: Run, path: str) -> None:
    (name,) = Home(seasons).bundle_names()
    assert name == "summer-winter-tiny"
    manifest = read_manifest(seasons / "bundles" / name)
    assert manifest.label_maps == {"summer": "seasons", "winter": "seasons"}
    for game in ("summer", "winter"):
        drive = run(
            "drive", "--game", game, "--bundle", name, "--track", "7", "--seconds", "10", home=seasons, PYTHONPATH=path
        )
        assert drive.code == 0, drive.err
    asked = run("drive", "--seconds", "1", home=seasons, PYTHONPATH=path)
    assert asked.code == 2
    assert asked.err.splitlines()[-1] == "autopilot: there are games summer, winter: choose with --game"
    other = run("drive", "--game", "autumn", "--bundle", name, home=seasons, PYTHONPATH=path)
    assert other.code == 2
    assert other.err.splitlines()[-1] == f"autopilot: bundle {name} drives summer and winter, not autumn"


def test_what_it_learned_is_of_both_games(seasons: Path, registry: Registry) -> None:
    home, (name,) = Home(seasons), Home(seasons).bundle_names()
    for own in ("summer", "winter"):
        game = Game(registry, own)
        policy = load_policy(home.bundle(name), game)
        data = load_dataset(game, home, TrainOptions("tiny", own, batch_size=8))
        pixels = [policy.probabilities(policy.preprocess(row.frame.image)) for row in data.recordings[0].rows()]
        right = np.mean([int(p[0].argmax()) for p in pixels] == data.labels[: len(pixels), 0])
        commonest = np.bincount(data.labels[: len(pixels), 0]).max() / len(pixels)
        assert right > commonest + 0.1, own


def test_each_game_has_its_label_map_and_all_their_masks(seasons: Path, registry: Registry) -> None:
    game, home = Game(registry, "summer"), Home(seasons)
    data = load_dataset(game, home, TrainOptions("tiny", "summer, winter", batch_size=8, mirror=False))
    assert {session.info.game for session in data.recordings} == {"summer", "winter"}
    assert data.preprocess.masks == ((0, 0, 40, 18), (0, 72, 80, 18))
    assert data.steering is None
    alone = load_dataset(game, home, TrainOptions("tiny", "summer", batch_size=8, mirror=False))
    assert alone.preprocess.masks == ((0, 0, 40, 18),)
    assert alone.label_maps == {"summer": "seasons"}


def test_the_same_sessions_teach_another_label_map(seasons: Path, registry: Registry) -> None:
    game, home = Game(registry, "summer"), Home(seasons)
    plain, pedal = (
        load_dataset(game, home, TrainOptions("tiny", "summer,winter", actions=actions, batch_size=8))
        for actions in (None, "seasons-pedal")
    )
    assert plain.space.sizes == (3,)
    assert pedal.space.sizes == (3, 2)
    assert np.array_equal(pedal.labels[:, 0], plain.labels[:, 0])
    assert (pedal.labels[:, 1] == 0).all(), "the gas is always held"
    assert pedal.label_maps == {"summer": "seasons-pedal", "winter": "seasons-pedal"}


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"game": "summer,autumn"}, "no sessions of autumn in .*: record some with `autopilot record --game autumn`"),
        (
            {"game": "summer,carracing"},
            r"summer has the actions \[steer: .*\], carracing \[.* x pedal: .*\]: name label",
        ),
        ({"game": "summer,autumn", "actions": "seasons"}, "'seasons' belongs to summer and winter, not autumn"),
        ({"game": "summer,winter", "shift": 2}, "--shift, --rotate: these games do not correct a moved picture alike"),
        ({"game": "summer,winter", "tracks": "0,x"}, "summer has no track 'x'"),
        ({"game": "summer,"}, "unknown game ''"),
    ],
)
def test_games_that_do_not_go_together(seasons: Path, registry: Registry, options: dict[str, str], says: str) -> None:
    with pytest.raises(UserError, match=says):
        load_dataset(Game(registry, "summer"), Home(seasons), TrainOptions("tiny", batch_size=8, **options))


def test_a_bundle_of_one_game_is_as_older_versions_read_it(trained: Path, seasons: Path, registry: Registry) -> None:
    plain = json.loads((trained / "bundles/tiny" / MANIFEST).read_text())
    assert "games" not in plain
    assert read_manifest(trained / "bundles/tiny").label_maps == {"ribbon": "ribbon"}
    both = json.loads((seasons / "bundles/summer-winter-tiny" / MANIFEST).read_text())
    assert (both["game"], both["label_map"], both["games"]) == ("summer", "seasons", {"winter": "seasons"})
    with pytest.raises(BundleError, match="bundle summer-winter-tiny drives summer and winter, not autumn"):
        load_policy(Home(seasons).bundle("summer-winter-tiny"), Game(registry, "autumn"))
