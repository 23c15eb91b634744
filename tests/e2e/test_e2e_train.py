"""Training through the command line: bit for bit the same, whatever interrupts it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from autopilot.api.errors import UserError
from autopilot.api.game import Game
from autopilot.api.registry import Registry
from autopilot.learn.data import load_dataset
from autopilot.learn.options import TrainOptions
from autopilot.sessions.home import Home
from autopilot.sessions.store import SessionStore
from safetensors.numpy import load_file
from support.apart import Result, Running
from tensorboardX.proto.event_pb2 import Event

Run = Callable[..., Result]
Begin = Callable[..., Running]
TRAIN = "train --model tiny --name tiny --epochs 8 --batch-size 64 --set width=8".split()


def files(folder: Path) -> dict[str, bytes]:
    return {p.name: p.read_bytes() for p in sorted(folder.iterdir())}


def checkpoints(home: Path) -> list[Path]:
    return list((home / "runs" / "tiny" / "checkpoints").glob("*"))


def steps(home: Path) -> list[int]:
    return [int(p.name.split("-")[0]) for p in checkpoints(home) if p.suffix == ".safetensors"]


def test_the_same_seed_gives_the_same_bundle_bit_for_bit(trained: Path, home: Path, run: Run) -> None:
    done = run(*TRAIN, home=home, cache=False)  # compiled anew, not taken from a cache
    assert done.code == 0, done.err
    assert files(home / "bundles/tiny") == files(trained / "bundles/tiny")
    assert "samples/s" in done.err
    assert "val loss" in done.err
    other = run(*TRAIN, "--seed", "1", "--restart", home=home)
    assert other.code == 0, other.err
    assert files(home / "bundles/tiny") != files(trained / "bundles/tiny")


def test_ctrl_c_in_the_middle_of_an_epoch(trained: Path, home: Path, begin: Begin) -> None:
    running = begin(*TRAIN, home=home)
    assert running.until(lambda: steps(home))
    running.interrupt()
    done = running.wait()
    assert done.code == 130
    assert "Traceback" not in done.err
    assert not (home / "bundles/tiny").exists()
    done = begin(*TRAIN, "--json", home=home).wait()
    assert done.code == 0, done.err
    assert json.loads(done.out)["resumed_at"] > 0
    assert files(home / "bundles/tiny") == files(trained / "bundles/tiny")


def test_a_training_begins_with_the_weights_of_a_bundle(trained: Path, run: Run, tmp_path: Path) -> None:
    home = Path(shutil.copytree(trained, tmp_path / "home"))
    how = "train --model tiny --epochs 1 --batch-size 64 --set width=8 --learning-rate 0.0001 --json --name".split()
    begun = json.loads(run(*how, "more", "--from", "tiny", home=home).out)
    tiny = json.loads((trained / "bundles/tiny/manifest.json").read_text())["metrics"]
    assert begun["best"]["loss"] < tiny["loss"] + 0.05, "as good as it was, where a new one knows nothing yet"
    still = [*how, "mean", "--init-from", "tiny,more", "--learning-rate", "1e-12"]
    assert run(*still, home=home).code == 0
    mean, *two = (load_file(home / f"bundles/{name}/weights.safetensors") for name in ("mean", "tiny", "more"))
    assert all(np.allclose(mean[k], (two[0][k] + two[1][k]) / 2, atol=1e-7) for k in mean)
    assert not all(np.allclose(mean[k], two[0][k], atol=1e-7) for k in mean)
    other = Path(shutil.copytree(home / "bundles/tiny", home / "bundles/turned")) / "manifest.json"
    manifest = json.loads(other.read_text())
    manifest["name"], manifest["label_map"] = "turned", "ribbon-turned"
    manifest["action_space"][0]["values"] = manifest["action_space"][0]["values"][::-1]
    other.write_text(json.dumps(manifest))
    for wrong, said in (
        (["more"], "was made with other start"),
        (
            ["twist", "--init-from", "turned"],
            "bundle turned has other actions, of label map ribbon-turned: see --actions",
        ),
        (["thin", "--init-from", "tiny", "--set", "width=4"], "the weights do not fit the network"),
        (["other", "--init-from", "none"], "no bundle 'none'"),
        (["other", "--init-from", "tiny,none"], "no bundle 'none'"),
        (["other", "--init-from", "../tiny"], "../tiny"),
    ):
        refused = run(*how, *wrong, home=home)
        assert refused.code == 2
        assert said in refused.err
        assert "Traceback" not in refused.err


def test_a_finished_training_given_again_writes_the_same_bundle(trained: Path, run: Run, tmp_path: Path) -> None:
    home = Path(shutil.copytree(trained, tmp_path / "home"))
    shutil.rmtree(home / "bundles")
    done = run(*TRAIN, home=home)
    assert done.code == 0, done.err
    assert files(home / "bundles/tiny") == files(trained / "bundles/tiny")
    for change, word in ((["--seed", "9"], "seed"), (["--set", "width=4"], "config"), (["--no-mirror"], "mirror")):
        done = run(*TRAIN, *change, home=home)
        assert done.code == 2
        assert done.err.startswith("autopilot: a training called tiny was made with other")
        assert word in done.err
        assert "--restart" in done.err
        assert done.err.count("\n") == 1
    assert files(home / "bundles/tiny") == files(trained / "bundles/tiny")


def test_what_a_training_leaves_behind(trained: Path) -> None:
    folder = trained / "runs/tiny"
    for name in ("labels.png", "confusion.png", "curves.png"):
        picture = cv2.imread(str(folder / name))
        assert picture is not None, name
        assert min(picture.shape[:2]) > 200
        assert picture.std() > 10, "something is drawn"
    manifest = json.loads((trained / "bundles/tiny/manifest.json").read_text())
    assert manifest["game"] == "ribbon"
    assert manifest["config"] == {"width": 8}
    assert manifest["hz"] == 10
    assert len(manifest["sessions"]) == 3
    assert set(manifest["versions"]) == {"autopilot-core", "autopilot-ribbon"}
    metrics = manifest["metrics"]
    assert 0.5 < metrics["accuracy"] <= 1
    assert np.array(metrics["confusion"]["steer"]).sum() == metrics["frames"]
    best, bundle = (load_file(trained / p) for p in ("runs/tiny/best.safetensors", "bundles/tiny/weights.safetensors"))
    assert best.keys() == bundle.keys()
    assert all(np.array_equal(best[k], bundle[k]) for k in best)


def scalars(folder: Path) -> dict[str, list[tuple[int, float]]]:
    """Read TensorBoard's records: length, its CRC, the event, its CRC."""
    found: dict[str, list[tuple[int, float]]] = {}
    for path in sorted(folder.glob("events.out.tfevents.*")):
        data, at = path.read_bytes(), 0
        while at < len(data):
            size = int.from_bytes(data[at : at + 8], "little")
            event = Event.FromString(data[at + 12 : at + 12 + size])
            at += size + 16
            for value in event.summary.value:
                found.setdefault(value.tag, []).append((event.step, value.simple_value))
    return found


def test_tensorboard_shows_the_curves_and_the_rate_that_was_applied(trained: Path) -> None:
    found = scalars(trained / "runs/tiny/tensorboard")
    assert set(found) == {"loss", "accuracy", "train_loss", "learning_rate"}
    assert all(len(points) == 8 for points in found.values())
    steps, rates = zip(*found["learning_rate"], strict=True)
    assert list(steps) == sorted(steps)
    assert all(a > b for a, b in pairwise(rates)), "cosine decay"
    total = steps[-1]
    for step, rate in found["learning_rate"][1:-1]:
        done = (step - 1 - 1) / (total - 1)
        wanted = 1e-3 * (0.01 + 0.99 * 0.5 * (1 + np.cos(np.pi * done)))
        assert rate == pytest.approx(wanted, rel=0.05)
    manifest = json.loads((trained / "bundles/tiny/manifest.json").read_text())
    best = min(value for _, value in found["loss"])
    assert manifest["metrics"]["loss"] == pytest.approx(best, rel=1e-5)


@pytest.fixture(scope="module")
def ribbon(site: Path) -> Any:
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(site)
        yield Game(Registry(), "ribbon")


def test_the_split_leaves_no_session_in_both_parts(ribbon: Game, home: Path) -> None:
    held_out = set()
    for seed in range(6):
        data = load_dataset(ribbon, Home(home), TrainOptions("tiny", seed=seed, batch_size=8))
        owner = np.repeat(np.arange(3), [len(c) for c in data.caches])
        train, validation = set(owner[data.train]), set(owner[data.validation])
        assert not train & validation
        assert train | validation == {0, 1, 2}
        assert len(validation) == 1
        held_out |= validation
        assert "1 of 3 sessions" in data.split
    assert len(held_out) > 1, "the seed chooses"
    big = TrainOptions("tiny", validation=0.9, batch_size=8)
    data = load_dataset(ribbon, Home(home), big)
    assert len(data.train) > 0, "one session at least is trained on"


def test_a_single_session_is_split_with_a_gap(ribbon: Game, home: Path) -> None:
    one = SessionStore(home / "sessions").ids()[0]
    data = load_dataset(ribbon, Home(home), TrainOptions("tiny", sessions=(one,), batch_size=8))
    assert data.train.max() + 10 < data.validation.min()
    total = len(data.labels)
    assert len(data.validation) == pytest.approx(0.1 * total, abs=2)
    assert data.validation.max() == total - 1


def test_deleted_frames_are_left_out_of_training(ribbon: Game, home: Path, run: Run) -> None:
    one = SessionStore(home / "sessions").ids()[0]
    options = TrainOptions("tiny", sessions=(one,), batch_size=8)
    before = load_dataset(ribbon, Home(home), options)
    done = run("sessions", one, "--delete", "10-19", home=home)
    assert done.code == 0, done.err
    after = load_dataset(ribbon, Home(home), options)
    assert len(after.labels) == len(before.labels) - 10
    assert np.array_equal(after.labels, np.delete(before.labels, np.s_[10:20], 0))
    assert run("sessions", one, "--restore", "10-19", home=home).code == 0
    assert len(load_dataset(ribbon, Home(home), options).labels) == len(before.labels)


def test_corrections_count_more(ribbon: Game, home: Path) -> None:
    options = TrainOptions("tiny", batch_size=8)
    assert load_dataset(ribbon, Home(home), options).importance is None, "by default all count the same"
    one = SessionStore(home / "sessions").open(SessionStore(home / "sessions").ids()[0])
    one.info.model_copy(update={"human": [(50, 60)]}).save(one.path / "session.json")
    data = load_dataset(ribbon, Home(home), replace(options, corrections=4))
    counts = data.importance
    assert counts is not None
    assert counts.dtype == np.float32
    assert counts[data.train].mean() == pytest.approx(1, abs=1e-4)
    assert np.flatnonzero(counts > counts.min()).tolist() == list(range(40, 60))
    assert counts.max() / counts.min() == pytest.approx(4)


@pytest.mark.parametrize("balance", ["oversample", "weights"])
def test_balance_changes_what_is_learnt(trained: Path, home: Path, run: Run, balance: str) -> None:
    done = run(*TRAIN, "--balance", balance, "--json", home=home)
    assert done.code == 0, done.err
    plain = json.loads((trained / "bundles/tiny/manifest.json").read_text())["metrics"]
    found = json.loads(done.out)["best"]

    def share_forward(metrics: dict[str, Any]) -> float:
        confusion = np.array(metrics["confusion"]["steer"])
        return float(confusion[:, 1].sum() / confusion.sum())

    assert share_forward(found) < share_forward(plain), "rare actions are chosen more often"


def test_only_sessions_of_the_chosen_tracks_are_trained_on(ribbon: Game, home: Path) -> None:
    def tracks(given: str | None) -> set[str]:
        data = load_dataset(ribbon, Home(home), TrainOptions("tiny", tracks=given, batch_size=8))
        return {SessionStore(home / "sessions").open(i).info.track for i in data.sessions}

    assert tracks(None) == {"0", "1", "2"}
    assert tracks("0,2") == {"0", "2"}
    with pytest.raises(UserError, match="no sessions of ribbon, track 7 in"):
        tracks("7")


def test_training_data_and_options_that_cannot_work(ribbon: Game, home: Path, tmp_path: Path) -> None:
    def refused(home: Path, **change: Any) -> str:
        with pytest.raises(UserError) as e:
            load_dataset(ribbon, Home(home), TrainOptions("tiny", **change))
        assert "\n" not in str(e.value)
        return str(e.value)

    assert "--batch-size 5000 is larger than the" in refused(home, batch_size=5000)
    assert "no sessions of ribbon" in refused(tmp_path / "empty")
    assert "no session 'nope'" in refused(home, sessions=("nope",))
    assert "cannot be used" in refused(home, sessions=("../nope",))
    assert "belongs to supertuxkart" in refused(home, actions="supertuxkart-pro")
    one = SessionStore(home / "sessions").ids()[0]
    path = home / "sessions" / one / "session.json"
    info = json.loads(path.read_text())
    path.write_text(json.dumps(info | {"hz": 12.0}))
    assert "choose with --session" in refused(home, batch_size=8)
    path.write_text(json.dumps(info | {"game": "other"}))
    assert "is not of ribbon" in refused(home, sessions=(one,))


def test_a_session_with_another_action_space_is_refused(ribbon: Game, home: Path) -> None:
    one = SessionStore(home / "sessions").ids()[0]
    path = home / "sessions" / one / "session.json"
    info = json.loads(path.read_text())
    info["action_space"].append({"name": "horn", "values": ["no", "yes"], "mirror": [0, 1]})
    path.write_text(json.dumps(info))
    # The label comes from what was held, so another label map's session is still of use.
    data = load_dataset(ribbon, Home(home), TrainOptions("tiny", batch_size=8))
    assert data.labels.shape[1] == 1
