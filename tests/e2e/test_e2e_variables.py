"""A network that keeps more than weights is trained, stored and driven with all of it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file
from support.apart import Result

THERE = str(Path(__file__).parents[1] / "third_party/variables")
TRAIN = "train --model variables --name v --epochs 2 --batch-size 64".split()
Run = Callable[..., Result]


@pytest.mark.slow
@pytest.mark.parametrize("flags", ["1", "2"], ids=["one device", "two devices"])
def test_variables_that_are_no_weights_are_kept(home: Path, run: Run, site: Path, flags: str) -> None:
    env = {"PYTHONPATH": f"{THERE}:{site}", "XLA_FLAGS": f"--xla_force_host_platform_device_count={flags}"}
    trained = run(*TRAIN, home=home, **env)
    assert trained.code == 0, trained.err
    kept = load_file(home / "bundles/v/weights.safetensors")
    assert (kept["seen"].dtype, kept["seen"].shape) == (np.int32, ())
    assert kept["seen"] > 10
    assert not np.allclose(kept["norm.mean"], 0)
    assert not [name for name in kept if "dropout" in name]
    drove = run(*"drive --game ribbon --bundle v --track 20 --seconds 1".split(), home=home, **env)
    assert drove.code == 0, drove.err


@pytest.mark.parametrize(
    ("fault", "says"),
    [
        ("loose", "keeps an array in 'scale': wrap it, in nnx.Param to train it, else in another nnx.Variable"),
        ("sow", "adds the variable 'mean' when it is called: make it in __init__"),
    ],
)
def test_what_cannot_be_kept_is_refused(home: Path, run: Run, site: Path, fault: str, says: str) -> None:
    done = run(*TRAIN, "--set", f"fault={fault}", home=home, PYTHONPATH=f"{THERE}:{site}")
    assert done.code == 2
    assert f"autopilot: autopilot-variables: network 'variables' {says}" in done.err
    assert "Traceback" not in done.err
