"""Patience and the best epochs through the command line, killed and not; masks from game to drive."""

from __future__ import annotations

import itertools
import json
import shutil
import signal
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from autopilot.api.game import Game
from autopilot.api.registry import Registry
from autopilot.api.specs import SteerCorrection
from autopilot.bundle.manifest import read_manifest
from autopilot.bundle.preprocess import Preprocess
from autopilot.learn.data import load_dataset
from autopilot.learn.options import TrainOptions
from autopilot.sessions.home import Home
from safetensors.numpy import load_file
from support.apart import Result, Running

Run = Callable[..., Result]
Begin = Callable[..., Running]


def kept(home: Path) -> dict[str, bytes]:
    run = home / "runs/tiny"
    found = {p.name: p.read_bytes() for p in [*run.glob("*.safetensors"), *(home / "bundles/tiny").iterdir()]}
    assert not list(run.glob(".*")), "nothing half-written is left"
    return found


def test_killed_and_resumed_it_stops_and_keeps_what_the_uninterrupted_run_does(
    patient: Path, patience: list[str], home: Path, begin: Begin, tmp_path: Path
) -> None:
    wanted, again = kept(patient), Path(shutil.copytree(patient, tmp_path / "again"))
    history = json.loads(begin(*patience, home=again).wait().out)
    assert 4 <= history["epochs"] < 40, "out of patience"
    assert history["best"]["epoch"] == history["epochs"] - 3
    assert 0 <= history["waiting"] < 1
    assert len([name for name in wanted if name.startswith("epoch-")]) == 3
    assert kept(again) == wanted, "given again, a finished training does not go on"

    def steps() -> list[int]:
        return [int(p.name.split("-")[0]) for p in (home / "runs/tiny/checkpoints").glob("*.safetensors")]

    killed = 0
    for least in (1, 20, 40):
        running = begin(*patience, home=home)
        if running.until(lambda least=least: max(steps(), default=0) >= least):
            running.process.kill()
        killed += running.wait().code == -signal.SIGKILL
    assert killed >= 2
    done = begin(*patience, home=home).wait()
    assert done.code == 0, done.err
    assert json.loads(done.out)["epochs"] == history["epochs"]
    assert kept(home) == wanted


def test_a_bundle_of_another_epoch_that_was_kept(patient: Path, patience: list[str], run: Run, tmp_path: Path) -> None:
    patient = Path(shutil.copytree(patient, tmp_path / "home"))
    epochs = sorted(int(p.stem.split("-")[1]) for p in (patient / "runs/tiny").glob("epoch-*"))
    best = read_manifest(patient / "bundles/tiny").metrics["epoch"]
    other = next(e for e in epochs if e != best)
    done = run(*patience, "--bundle-from", str(other), home=patient)
    assert done.code == 0, done.err
    manifest = read_manifest(patient / "bundles/tiny")
    assert manifest.metrics["epoch"] == other
    assert manifest.options["label_shift"] == 100
    bundle = load_file(patient / "bundles/tiny/weights.safetensors")
    file = load_file(patient / f"runs/tiny/epoch-{other:04d}.safetensors")
    assert all(np.array_equal(bundle[k], file[k]) for k in file)
    assert run(*patience, home=patient).code == 0
    assert read_manifest(patient / "bundles/tiny").metrics["epoch"] == best
    best_loss = read_manifest(patient / "bundles/tiny").metrics["loss"]
    two = next([a, b] for a, b in itertools.pairwise(epochs) if b == a + 1)
    chosen = ["--average-epochs", "{}-{}".format(*two)]
    mean = run(*patience, *chosen, home=patient)
    assert mean.code == 0, mean.err
    files = [load_file(patient / f"runs/tiny/epoch-{e:04d}.safetensors") for e in two]
    bundle = load_file(patient / "bundles/tiny/weights.safetensors")
    assert all(np.allclose(bundle[k], np.mean([f[k] for f in files], axis=0), atol=1e-7) for k in bundle)
    assert not any(all(np.array_equal(bundle[k], f[k]) for k in f) for f in files)
    metrics = read_manifest(patient / "bundles/tiny").metrics
    assert metrics["mean_of"] == two
    assert metrics["loss"] not in {manifest.metrics["loss"], best_loss}, "it was measured"
    assert f"epoch {two} of" in run(*(word for word in patience if word != "--json"), *chosen, home=patient).out
    assert run(*patience, "--average-epochs", "2-3-4", home=patient).code == 2
    none = run(*patience, "--average-epochs", "39", home=patient)
    assert none.code == 2
    assert none.err.count("\n") == 1
    assert f"{best}" in none.err
    never = run(*patience, "--average-epochs", "41", home=patient)
    assert (never.code, never.err.count("\n")) == (2, 1)
    assert "from 1 to 40" in never.err


def test_the_mask_of_a_game_is_in_the_cache_in_the_bundle_and_in_driving(
    site: Path, recorded: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(site)
    game = Game(Registry(), "ribbon")
    plain = load_dataset(game, Home(home), TrainOptions("tiny", batch_size=8))
    steering = SteerCorrection(per_pixel=0.1, static_regions=((0.4, 0.4, 0.2, 0.2),))
    game.spec = replace(game.spec, hidden=((0.0, 0.0, 0.25, 0.2),), steering=steering)
    masked = load_dataset(game, Home(home), TrainOptions("tiny", batch_size=8))
    one_sided = load_dataset(game, Home(home), TrainOptions("tiny", batch_size=8, mirror=False))
    left, right = np.s_[:, :18, :40], np.s_[:, :18, 120:]
    for before, after, single in zip(plain.caches, masked.caches, one_sided.caches, strict=True):
        wanted = before.images.copy()
        assert wanted[left].any()
        wanted[left] = 0
        assert np.array_equal(single.images, wanted)
        wanted[right] = 0
        assert np.array_equal(after.images, wanted), "else the mask would tell a mirrored picture"
        assert np.array_equal(after.images[:, :, ::-1][left], after.images[left])
    assert masked.static_regions == ((0, 0, 40, 18), (120, 0, 40, 18), (64, 36, 32, 18))
    assert plain.steering is None
    assert masked.steering == steering
    driven = Preprocess.from_json(json.loads(json.dumps(masked.preprocess.to_json())))
    frame: Any = plain.caches[0].images[5]
    assert np.array_equal(driven(frame), masked.caches[0].images[5])
