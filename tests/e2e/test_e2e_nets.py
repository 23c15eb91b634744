"""Outside networks that see several frames, carry a state or keep statistics: trained, stopped, resumed, driven."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from support.apart import Result, Running

NETS = str(Path(__file__).parents[1] / "third_party/nets")
Run = Callable[..., Result]
Begin = Callable[..., Running]


def files(folder: Path) -> dict[str, bytes]:
    return {p.name: p.read_bytes() for p in sorted(folder.iterdir())}


@pytest.mark.parametrize("model", ["stack", "gru", "resnet"])
def test_a_network_that_knows_more(home: Path, site: Path, begin: Begin, run: Run, tmp_path: Path, model: str) -> None:
    env = {"PYTHONPATH": f"{NETS}:{site}"}
    train = f"train --model {model} --name net --epochs 3 --batch-size 64 --shift 2 --json".split()
    pretrained = tmp_path / "stem.npz"
    if model == "resnet":
        np.savez(pretrained, **{"stem.bias": np.ones(8)})
        train += ["--set", f"stem={pretrained}"]
    stopped = Path(shutil.copytree(home, tmp_path / "stopped"))
    assert run(*train, home=home, **env).code == 0
    running = begin(*train, home=stopped, **env)
    assert running.until(lambda: list((stopped / "runs/net/checkpoints").glob("*.safetensors")))
    running.interrupt()
    assert running.wait().code == 130
    resumed = run(*train, home=stopped, **env)
    assert resumed.code == 0, resumed.err
    assert json.loads(resumed.out)["resumed_at"] > 0
    assert files(stopped / "bundles/net") == files(home / "bundles/net"), "bit for bit"

    if model == "resnet":
        np.savez(pretrained, **{"stem.bias": np.zeros(8)})
        assert "was made with other pretrained" in run(*train, home=home, **env).err
        pretrained.unlink()
        missing = run(*train, home=home, **env)
        assert (missing.code, missing.err.count("\n")) == (2, 1), missing.err
        assert "autopilot-nets: network 'resnet' cannot be pretrained: FileNotFoundError" in missing.err
    drove = run(*"drive --game ribbon --bundle net --track 20 --laps 1 --json".split(), home=home, **env)
    assert drove.code == 0, drove.err
    assert json.loads(drove.out)["ending"] == "finished"
