"""Numbers that are not finite, and networks that do not fit: no training, no checkpoint, no bundle, one line."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from autopilot.learn.checkpoint import Checkpoint
from safetensors.numpy import load, save
from support.apart import Result

Run = Callable[..., Result]
TRY = "try --learning-rate {} or a longer --warmup, with --restart"
TRAIN = "train --model brittle --name b --epochs 4 --batch-size 64".split()
TINY = "train --model tiny --name tiny --epochs 8 --batch-size 64 --set width=8".split()


def checkpoints(home: Path, name: str = "b") -> list[Path]:
    return sorted((home / f"runs/{name}/checkpoints").glob("*.safetensors"))


def assert_nothing_broken_is_left(home: Path) -> None:
    assert not (home / "bundles/b").exists()
    for path in checkpoints(home):
        found = Checkpoint.parse(path.read_bytes())
        assert all(np.isfinite(a).all() for a in found.arrays.values())


@pytest.mark.parametrize(
    ("fault", "step", "rate", "says"),
    [("nan", 1, "0.0001", ""), ("gradient", 2, "0.001", f"{TRY.format('0.0001')}; if that does not help, ")],
)
def test_what_is_not_finite_from_the_first_step_is_the_networks_fault(
    home: Path, run: Run, brittle: str, fault: str, step: int, rate: str, says: str
) -> None:
    done = run(*TRAIN, "--set", f"fault={fault}", home=home, PYTHONPATH=brittle)
    assert done.code == 2
    assert (
        f"autopilot: step {step}: the loss is not a finite number, at a learning rate of {rate}: "
        f"{says}network brittle is at fault, or its --set or --init-from\n"
    ) in done.err
    assert "Traceback" not in done.err
    assert not checkpoints(home)
    assert_nothing_broken_is_left(home)


def test_a_rate_that_is_too_high_stops_with_the_step_and_what_to_try(home: Path, run: Run, brittle: str) -> None:
    rate = ["--set", "fault=rate", "--schedule", "constant", "--warmup", "0", "--learning-rate"]
    done = run(*TRAIN, *rate, "0.1", home=home, PYTHONPATH=brittle)
    assert done.code == 2
    last = done.err.strip().splitlines()[-1]
    said, _, rest = last.partition(": the loss is not a finite number, ")
    assert 1 < int(said.removeprefix("autopilot: step ")) < 40, last
    assert rest.startswith(f"at a learning rate of 0.1: {TRY.format('0.01')}; if that")
    assert_nothing_broken_is_left(home)
    done = run(*TRAIN, *rate, "0.001", "--restart", home=home, PYTHONPATH=brittle)
    assert done.code == 0, done.err
    assert (home / "bundles/b").exists(), "what it says to try works"


def test_a_network_that_validates_to_no_number_becomes_no_bundle(home: Path, run: Run, brittle: str) -> None:
    done = run(*TRAIN, "--set", "fault=eval", home=home, PYTHONPATH=brittle)
    assert done.code == 2
    assert "the loss on the validation frames is not a finite number, at a learning rate of" in done.err
    assert not checkpoints(home)
    assert_nothing_broken_is_left(home)


def test_heads_that_do_not_fit_end_before_the_first_step(home: Path, run: Run, brittle: str) -> None:
    done = run(*TRAIN, "--set", "fault=single", home=home, PYTHONPATH=brittle)
    assert done.code == 2
    assert done.err == (
        "autopilot: autopilot-brittle: network 'brittle' gives logits (N, 3), no tuple; "
        "the axes need a tuple of (N, 3) for axis steer\n"
    )
    assert not (home / "runs").exists()


def poisoned(data: bytes, number: float) -> bytes:
    arrays = {name: array.copy() for name, array in load(data).items()}
    name = next(n for n in sorted(arrays) if "kernel" in n and arrays[n].dtype == np.float32)
    arrays[name].flat[0] = number
    return bytes(save(arrays))


def test_a_checkpoint_that_is_not_finite_is_not_gone_on_from(trained: Path, run: Run, tmp_path: Path) -> None:
    """An earlier version may have written it."""
    home = Path(shutil.copytree(trained, tmp_path / "home"))
    for path in checkpoints(home, "tiny"):
        data = poisoned(path.read_bytes(), np.nan)
        path.unlink()
        step = path.name.partition("-")[0]
        path.with_name(f"{step}-{hashlib.sha256(data).hexdigest()[:16]}.safetensors").write_bytes(data)
    done = run(*TINY, home=home)
    assert done.code == 2
    assert done.err.count("\n") == 1
    assert "the newest checkpoint cannot be gone on from" in done.err
    assert "--restart" in done.err
    done = run(*TINY, "--restart", home=home)
    assert done.code == 0, done.err


def test_a_bundle_that_is_not_finite_neither_drives_nor_begins_a_training(
    trained: Path, run: Run, tmp_path: Path
) -> None:
    home = Path(shutil.copytree(trained, tmp_path / "home"))
    folder = home / "bundles/tiny"
    data = poisoned((folder / "weights.safetensors").read_bytes(), np.inf)
    (folder / "weights.safetensors").write_bytes(data)
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["weights_sha256"] = hashlib.sha256(data).hexdigest()
    (folder / "manifest.json").write_text(json.dumps(manifest))
    further = "train --model tiny --name more --epochs 1 --batch-size 64 --set width=8 --init-from tiny".split()
    for command in ("drive --game ribbon --bundle tiny".split(), further):
        done = run(*command, home=home)
        assert done.code == 2, done.err
        assert "bundle tiny: the weights" in done.err
        assert "are not all finite numbers" in done.err
        assert done.err.count("\n") == 1
    assert not (home / "bundles/more").exists()


def test_an_option_that_is_not_finite_trains_nothing(home: Path, run: Run) -> None:
    done = run(*TINY, "--brightness", "nan", home=home)
    assert done.code == 2
    assert "'--brightness': nan is not a finite number" in done.err
    assert done.err.count("\n") == 1
    assert not (home / "runs").exists()


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ("dropout=0,2", "model 'nvidia': setting dropout is '0,2': give one like 0.2"),
        ("dropout=NaN", "model 'nvidia': setting dropout is 'NaN': give one like 0.2"),
        ("dropout=1e999", "model 'nvidia': setting dropout is '1e999': give one like 0.2"),
        ("dropout=1.5", "the nvidia network's dropout is 1.5: give a share from 0 to below 1"),
        ("dropout=-1", "the nvidia network's dropout is -1: give a share from 0 to below 1"),
    ],
)
def test_a_setting_of_a_network_that_makes_no_sense(home: Path, run: Run, settings: str, says: str) -> None:
    done = run("train", "--model", "nvidia", "--batch-size", "64", "--set", settings, home=home)
    assert (done.code, done.err) == (2, f"autopilot: {says}\n")
