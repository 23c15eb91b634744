"""What a network may say of its own training: loss, optimiser, augmentation, pretrained weights."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from autopilot.api.errors import BundleError, PluginError
from autopilot.api.registry import Registry
from autopilot.api.types import ActionSpace, Axis
from autopilot.bundle.preprocess import Preprocess
from autopilot.learn import network
from autopilot.learn.augment import make_augment
from autopilot.learn.data import Dataset
from autopilot.learn.options import TrainOptions
from autopilot.learn.step import make_evaluate, make_step, optimiser
from autopilot.sessions.cache import Cached
from flax import nnx

NETS = Path(__file__).parents[1] / "third_party/nets"
SPACE = ActionSpace((Axis("steer", ("left", "forward", "right"), (2, 1, 0)), Axis("pedal", ("gas", "brake"), (0, 1))))
OPTIONS = TrainOptions("m", mirror=False, brightness=0, batch_size=8, schedule="constant", warmup=0, learning_rate=0.5)


class Own(nnx.Module):
    """Biases alone. Its loss is their distance to the labels, its optimiser plain descent."""

    def __init__(self) -> None:
        self.heads = nnx.List([nnx.Param(jnp.zeros(n)) for n in SPACE.sizes])

    def __call__(self, images: jax.Array) -> tuple[jax.Array, ...]:
        return tuple(jnp.broadcast_to(head[...], (len(images), *head.shape)) for head in self.heads)

    def loss(self, logits: tuple[jax.Array, ...], labels: jax.Array, weights: jax.Array) -> jax.Array:
        errors = [weights[:, a] * (x - labels[:, a : a + 1]).sum(1) ** 2 / 2 for a, x in enumerate(logits)]
        return jnp.stack(errors).sum(0).mean()

    def optimiser(self, learning_rate: float) -> optax.GradientTransformation:
        return optax.sgd(learning_rate)

    def augment(self, key: jax.Array, image: jax.Array, label: jax.Array) -> tuple[jax.Array, jax.Array]:
        return image + jax.random.uniform(key), label + 1


def dataset() -> Dataset:
    images = np.random.default_rng(0).integers(0, 256, (20, 8, 16, 3), np.uint8)
    labels, rows = np.tile(np.int32([[1, 0]]), (20, 1)), np.arange(20)
    size = (16, 8)
    return Dataset(SPACE, 10, Preprocess(size, size), ["s"], [Cached(images)], labels, rows, rows, "")


def test_a_step_is_the_networks_own() -> None:
    data, module = dataset(), Own()
    augment = make_augment(SPACE, OPTIONS, own=module.augment)
    state, step = make_step(module, optimiser(OPTIONS, 10, module), augment, 0)
    batch = data.batch(data.train[:8])
    batch.weights[:] = 2.0
    weights, _, _, loss = step(state.weights, state.other, state.optimiser, np.int32(0), batch)
    steer, pedal = 3 * 2, 2 * 1  # how far off: labels of 2 and 1 once augmented, for each of three and two values
    assert float(loss) == pytest.approx(2 * (steer**2 + pedal**2) / 2)
    moved = [np.asarray(x) for x in jax.tree.leaves(weights)]
    assert moved[0] == pytest.approx(np.full(3, 0.5 * 2 * steer)), "the rate times the gradient"
    assert moved[1] == pytest.approx(np.full(2, 0.5 * 2 * pedal))


def test_validation_is_by_the_networks_own_loss_on_pictures_as_they_are() -> None:
    data, module = dataset(), Own()
    state, _ = make_step(module, optimiser(OPTIONS, 10, module), make_augment(SPACE, OPTIONS), 0)
    metrics = make_evaluate(module, data, batch_size=8)(state)  # the last batch is filled up
    assert metrics["loss"] == pytest.approx((3 * 1) ** 2 / 2)
    assert metrics["frames"] == 20


def test_own_augmentation_is_the_same_whoever_computes_it_and_different_for_each_row() -> None:
    augment = jax.jit(make_augment(SPACE, OPTIONS, own=Own().augment))
    images, labels = np.zeros((16, 4, 6, 3), np.uint8), np.zeros((16, 2), np.int32)
    pixels, moved = augment(jax.random.key(1), np.arange(16), images, labels)
    assert len(set(np.asarray(pixels)[:, 0, 0, 0].tolist())) == 16
    assert (np.asarray(moved) == 1).all()
    share, _ = augment(jax.random.key(1), np.arange(8, 16), images[8:], labels[8:])
    assert np.array_equal(share, pixels[8:])


@pytest.fixture
def registry(monkeypatch: pytest.MonkeyPatch) -> Registry:
    monkeypatch.syspath_prepend(NETS)
    return Registry()


@pytest.mark.parametrize(
    ("fault", "says"),
    [
        ("loss", "has a loss (N, 2): it must be one number"),
        ("optimiser", "has an optimiser that is None: return an optax.GradientTransformation"),
        ("augment", "augments float32 (90, 160, 3) and int32 (2,) to float32 (89, 160, 3) and int32 (2,): it must"),
    ],
)
def test_what_is_not_fit_for_training_is_told_before_it(registry: Registry, fault: str, says: str) -> None:
    with pytest.raises(PluginError) as e:
        network.build(registry, "resnet", {"fault": fault}, (160, 90), SPACE)
    assert f"autopilot-nets: network 'resnet' {says}" in str(e.value)
    assert "\n" not in str(e.value)


def test_pretrained_weights_are_taken_by_name_and_the_rest_is_drawn(registry: Registry, tmp_path: Path) -> None:
    kernel = np.random.default_rng(3).normal(size=(8, 8, 3, 8)).astype(np.float16)
    module: Any = network.build(registry, "resnet", {}, (160, 90), SPACE, seed=1)
    before = network.to_weights(network.split(module)[1])

    def pretrain(**arrays: Any) -> str:
        module.file = str(tmp_path / "stem.npz")
        np.savez(module.file, **arrays)
        return network.pretrain(module)

    digest = pretrain(**{"stem.kernel": kernel})
    after = network.to_weights(network.split(module)[1])
    assert np.array_equal(after["stem.kernel"], kernel.astype(np.float32))
    assert {name for name in after if not np.array_equal(after[name], before[name])} == {"stem.kernel"}
    assert pretrain(**{"stem.kernel": kernel + 1}) != digest
    for arrays, says in (
        ({"stem.krnel": kernel}, r"has no weights 'stem.krnel' to be pretrained: did you mean stem.kernel or "),
        ({"stem.bias": np.zeros(3)}, r"'stem.bias' is float32 \(3,\), not float32 \(8,\)"),
        ({"stem.bias": np.full(8, np.nan)}, "pretrained weights 'stem.bias' are not all finite"),
    ):
        with pytest.raises(BundleError, match=says):
            pretrain(**arrays)
