"""Checkpoints: what was saved comes back bit for bit, or not at all."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from autopilot.api.errors import UserError
from autopilot.learn.checkpoint import Checkpoint, Checkpoints
from autopilot.learn.step import TrainState
from hypothesis import given, settings
from hypothesis import strategies as st
from support.small_disk import SmallDisk

RUN = {"recipe": {"seed": 3}}


def state(seed: int = 0, width: int = 3) -> TrainState:
    draw = np.random.default_rng(seed)
    weights = {"kernel": jnp.asarray(draw.normal(size=(5, width)), jnp.float32), "scale": jnp.float32(draw.normal())}
    other = {"count": jnp.int32(seed), "empty": jnp.zeros((0, 2))}
    return TrainState(weights, other, optax.inject_hyperparams(optax.adam)(learning_rate=1e-3).init(weights))


def assert_same(one: TrainState, two: TrainState) -> None:
    for a, b in zip((one.weights, one.other, one.optimiser), (two.weights, two.other, two.optimiser), strict=True):
        assert jax.tree.structure(a) == jax.tree.structure(b)
        for x, y in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True):
            assert (x.shape, x.dtype, x.tobytes()) == (y.shape, y.dtype, y.tobytes())


def newest(folder: Path) -> tuple[Checkpoint, list[str]]:
    data, damaged = Checkpoints(folder, {}).newest()
    return Checkpoint.parse(data), damaged


def test_what_was_saved_comes_back(tmp_path: Path) -> None:
    checkpoints = Checkpoints(tmp_path / "c", RUN)
    assert checkpoints.newest() == (b"", [])
    progress: dict[str, Any] = {"losses": [0.1, float(np.float32(1) / 3)], "order": {"next": 4}, "history": []}
    checkpoints.save(7, state(7), progress, {"best.safetensors": b"\0\1", "empty": b""})
    found, damaged = newest(tmp_path / "c")
    assert (found.step, found.run, found.progress, damaged) == (7, RUN, progress, [])
    assert found.files == {"best.safetensors": b"\0\1", "empty": b""}
    assert_same(found.state(state()), state(7))


def test_two_are_kept_and_the_same_step_again_is_one_file(tmp_path: Path) -> None:
    checkpoints = Checkpoints(tmp_path, RUN)
    for step in (5, 10, 15, 15):
        checkpoints.save(step, state(step), {}, {})
    names = sorted(p.name.split("-")[0] for p in tmp_path.iterdir())
    assert names == ["0000000010", "0000000015"]


@settings(deadline=None, max_examples=40)  # each writes and syncs four files
@given(where=st.floats(0, 1, exclude_max=True), bit=st.integers(0, 7), cut=st.booleans())
def test_any_damage_is_seen(tmp_path_factory: pytest.TempPathFactory, where: float, bit: int, cut: bool) -> None:
    folder = tmp_path_factory.mktemp("c")
    Checkpoints(folder, RUN).save(1, state(1), {}, {})
    Checkpoints(folder, RUN).save(2, state(2), {}, {})
    assert len(list(folder.iterdir())) == 1, "each run keeps what it has read or written itself"
    checkpoints = Checkpoints(folder, RUN)
    checkpoints.newest()
    checkpoints.save(3, state(3), {}, {})
    path = max(folder.iterdir())
    data = bytearray(path.read_bytes())
    at = int(where * len(data))
    data[at] ^= 1 << bit
    path.write_bytes(data[:at] if cut else data)
    again = Checkpoints(folder, RUN)
    intact, damaged = again.newest()
    assert damaged == [path.name]
    found = Checkpoint.parse(intact)
    assert found.step == 2
    assert_same(found.state(state()), state(2))
    again.save(4, state(4), {}, {})
    assert sorted(int(p.name.split("-")[0]) for p in folder.iterdir()) == [2, 4], "the damaged one is gone"


def test_a_checkpoint_of_another_network_is_refused(tmp_path: Path) -> None:
    Checkpoints(tmp_path, RUN).save(1, state(), {}, {})
    found, _ = newest(tmp_path)
    with pytest.raises(UserError, match="--restart"):
        found.state(state(width=4))


def test_a_full_disk_keeps_the_checkpoints_before(disk: SmallDisk) -> None:
    folder = disk.path / "c"
    checkpoints = Checkpoints(folder, RUN)
    checkpoints.save(1, state(1), {}, {})
    disk.fill()
    with pytest.raises(UserError, match="free some space") as e:
        checkpoints.save(2, state(2), {}, {"best.safetensors": bytes(20_000_000)})
    assert "\n" not in str(e.value)
    found, damaged = newest(folder)
    assert (found.step, damaged) == (1, [])
    assert len(list(folder.iterdir())) == 1, "no half-written file is left"
    disk.free()
    checkpoints.save(2, state(2), {}, {"best.safetensors": bytes(20_000_000)})
    assert len(list(folder.iterdir())) == 2
