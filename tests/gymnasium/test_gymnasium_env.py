"""Our games as Gymnasium environments: Gymnasium's own checker, the frames of a recording, rewards, ends."""

from __future__ import annotations

import re
import warnings
from pathlib import Path
from typing import Any

import autopilot
import gymnasium
import numpy as np
import pytest
from autopilot.api import Game
from autopilot.bundle.preprocess import Preprocess, boxes
from gymnasium.utils.env_checker import check_env

MODULE = "autopilot_gymnasium.env"


@pytest.fixture
def opened(site: Path, home: Path, monkeypatch: pytest.MonkeyPatch) -> autopilot.OpenHome:
    """The home that the environments find too."""
    monkeypatch.syspath_prepend(str(site))
    monkeypatch.setenv("AUTOPILOT_HOME", str(home))
    return autopilot.open()


@pytest.fixture
def make(opened: autopilot.OpenHome) -> Any:
    """Make an environment, which is closed twice at the end."""
    made = []

    def make(game: str, **options: Any) -> gymnasium.Env[Any, Any]:
        made.append(gymnasium.make(f"{MODULE}:autopilot/Game-v0", game=game, **options))
        return made[-1]

    yield make
    for env in made * 2:
        env.close()


@pytest.mark.parametrize("game", ["ribbon", "road", "carracing"])
def test_gymnasiums_own_checker_passes(make: Any, game: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)  # Gymnasium's; Box2D cannot bear its own as errors
        check_env(make(game, render_mode="rgb_array").unwrapped)


def test_the_code_of_the_page_runs(opened: autopilot.OpenHome, capsys: pytest.CaptureFixture[str]) -> None:
    page = (Path(__file__).parents[2] / "docs/gymnasium.md").read_text(encoding="utf-8")
    (code,) = (c for c in re.findall(r"^```python\n(.*?)^```$", page, re.M | re.S) if "gymnasium.make" in c)
    exec(code, {})
    assert re.fullmatch(r"-?\d+\.\d+ \d{1,2} Reading\(lap=0, .*\)\n", capsys.readouterr().out)


def test_a_game_is_registered_by_its_name(opened: autopilot.OpenHome) -> None:
    env = gymnasium.make(f"{MODULE}:autopilot/carracing-v0", track="3")
    assert env.spec is not None
    assert env.spec.id == "autopilot/carracing-v0"
    assert env.action_space == gymnasium.spaces.MultiDiscrete([3, 3])
    assert env.observation_space == gymnasium.spaces.Box(0, 255, (90, 160, 3), np.uint8)
    assert "autopilot/supertuxkart-v0" in gymnasium.registry
    assert "autopilot/ctr-v0" not in gymnasium.registry, "it waits for nobody"
    env.close()


@pytest.mark.parametrize(("game", "seconds"), [("ribbon", 60), ("carracing", 4)])
def test_the_demonstrators_actions_give_the_frames_of_its_recording(
    opened: autopilot.OpenHome, make: Any, game: str, seconds: float
) -> None:
    (report,) = opened.record("demonstrator", game, track="3", max_s=seconds, laps=1)
    session, spec = opened.session(str(report.session)), Game(opened.registry, game).spec
    seen = Preprocess(spec.frame_size, spec.frame_size, masks=boxes(spec.hidden, spec.frame_size))
    env = make(game, track="3", render_mode="rgb_array")
    observation, info = env.reset(seed=1)
    for recorded, reading, label in zip(session.images, session.rows.readings(), session.labels, strict=True):
        assert np.array_equal(env.render(), recorded)
        assert np.array_equal(observation, seen(recorded))
        assert (info["reading"].lap, info["reading"].race_time_s) == pytest.approx((reading.lap, reading.race_time_s))
        action = env.unwrapped.demonstration()
        assert np.array_equal(np.atleast_1d(action), label)
        if not info["reading"].finished:
            observation, _, _, _, info = env.step(action)


def drive(env: Any, choose: Any) -> tuple[float, int, bool, bool, dict[str, Any]]:
    """Drive an episode; return the sum of its rewards, its steps, and how it ended."""
    env.reset(seed=5)
    total, steps, terminated, truncated, info = 0.0, 0, False, False, {}
    while not (terminated or truncated):
        _, reward, terminated, truncated, info = env.step(choose())
        total, steps = total + reward, steps + 1
    return total, steps, terminated, truncated, info


def test_laps_are_rewarded_less_the_time_that_they_took(make: Any) -> None:
    env = make("ribbon", track="3", laps=2)
    total, steps, terminated, truncated, info = drive(env, env.unwrapped.demonstration)
    assert (terminated, truncated, info["reading"].lap) == (True, False, 2)
    assert total == pytest.approx(2 - sum(info["reading"].lap_times_s) / 60)
    assert steps == pytest.approx(10 * sum(info["reading"].lap_times_s))


def test_who_takes_longer_than_the_limit_is_cut_short(make: Any) -> None:
    total, steps, terminated, truncated, info = drive(make("ribbon", track="3"), lambda: 0)
    assert (steps, terminated, truncated, info["reading"].finished) == (600, False, True, False)
    assert total == pytest.approx(info["reading"].lap - 1)


def test_a_score_is_the_sum_of_the_rewards(make: Any) -> None:
    env = make("road")
    total, _, terminated, truncated, info = drive(env, env.unwrapped.demonstration)
    assert (total, terminated, truncated) == (info["reading"].score, True, False)
    assert total == 30


def test_a_seed_decides_the_track_and_the_start(make: Any) -> None:
    env = make("ribbon", track="0-99")
    (first, info), tracks = env.reset(seed=7), {env.reset()[1]["track"] for _ in range(8)}
    assert len(tracks) > 4
    again, info_again = env.reset(seed=7)
    assert np.array_equal(first, again)
    assert info["track"] == info_again["track"]
    assert env.reset(seed=7, options={"track": "31"})[1]["track"] == "31"
    astray = make("carracing", track="3", mode="A")
    pictures = [astray.reset(seed=seed)[0] for seed in (1, 1, 2)]
    assert np.array_equal(pictures[0], pictures[1])
    assert not np.array_equal(pictures[0], pictures[2])


def test_wrong_use_is_told_in_one_line(make: Any) -> None:
    env = make("ribbon").unwrapped
    with pytest.raises(gymnasium.error.ResetNeeded, match="call reset"):
        env.step(0)
    env.reset(seed=0)
    with pytest.raises(gymnasium.error.InvalidAction, match=r"7 is no action of Discrete\(3\)"):
        env.step(7)
    assert env.render() is None
    env.close()
    with pytest.raises(autopilot.UserError, match="this world was closed"):
        env.step(0)
    with pytest.raises(autopilot.UserError, match="this home was closed"):
        env.reset()
    with pytest.raises(autopilot.UserError, match="ctr runs in real time and waits for no step"):
        make("ctr").reset(seed=0)
    with pytest.raises(autopilot.UserError, match="ribbon has no track 'x'"):
        make("ribbon", track="x")
    with pytest.raises(autopilot.UserError, match="unknown game 'ribon'; did you mean ribbon"):
        make("ribon")
