"""The jitted part of training: loss, one optimiser step, evaluation."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import nnx
from jax.sharding import Mesh

from autopilot.learn.augment import Augment
from autopilot.learn.data import Dataset, validation_batches
from autopilot.learn.devices import ROWS, WHOLE, own_rows, replicate, shard, single, spread
from autopilot.learn.network import logits_of, training_logits
from autopilot.learn.options import TrainOptions
from autopilot.learn.schedule import rate


@dataclass
class TrainState:
    """All that a step changes. `other` is state that is not trained, such as batch statistics."""

    weights: Any
    other: Any
    optimiser: Any


def optimiser(options: TrainOptions, steps: int, module: nnx.Module | None = None) -> optax.GradientTransformation:
    """Return Adam, or the network's own optimiser, with the rate that `schedule.rate` says.

    The rate lies in the optimiser's own state, so what is logged is what was applied.
    """
    return optax.inject_hyperparams(getattr(module, "optimiser", optax.adam))(learning_rate=rate(options, steps))


def cross_entropy(logits: tuple[jax.Array, ...], labels: jax.Array, weights: jax.Array) -> jax.Array:
    """Return the mean over the batch of the cross-entropies, times their weights, summed over the axes.

    `weights` is float32 (B, axes), 1 on the average over the data and not over each batch: dividing
    by a batch's own sum would take the weight of rare labels back just where they are.
    """
    integer = optax.softmax_cross_entropy_with_integer_labels
    losses = [weights[:, a] * integer(axis.astype(jnp.float32), labels[:, a]) for a, axis in enumerate(logits)]
    return jnp.mean(jnp.stack(losses).sum(axis=0))


def loss_function(network: Any) -> Callable[..., jax.Array]:
    """Return a network's own loss, which takes and gives what `cross_entropy` does, or else that."""
    if not hasattr(network, "loss"):
        return cross_entropy
    return lambda logits, *rest: network.loss(tuple(x.astype(jnp.float32) for x in logits), *rest)


def make_step(
    module: nnx.Module,
    adam: optax.GradientTransformation,
    augment: Augment,
    seed: int,
    mesh: Mesh | None = None,
    precision: str = "float32",
) -> tuple[TrainState, Callable[..., tuple[Any, Any, Any, jax.Array]]]:
    """Return the first state and the jitted step, on the devices of `mesh` (default: the first).

    The step maps (weights, other, optimiser state, step number, (images, labels, sample weights))
    to the new first three and the loss. The batch is split over the devices, gradients and losses
    are averaged, the rest is whole on each. The randomness of a step depends on the seed and its
    number alone; that of dropout, also on the number of devices. The network computes in
    `precision`; weights, gradients and loss are float32 (arXiv:1710.03740, without scaling of the
    loss, which bfloat16 does not need).
    """
    mesh = mesh or single()
    module.train()
    graph, weights, rng, other = nnx.split(module, nnx.Param, nnx.RngState, ...)
    seed_key = jax.random.key(seed)

    def loss_of(weights: Any, other: Any, key: jax.Array, batch: Sequence[jax.Array]) -> tuple[jax.Array, Any]:
        pixels, labels, sample_weights = batch
        fresh, other = jax.tree.map(lambda x: x, (rng, other))  # merging shares variables; these are changed
        network: Any = nnx.merge(graph, jax.tree.map(lambda w: w.astype(precision), weights), fresh, other)
        nnx.reseed(network, dropout=key)
        pixels = pixels.astype(precision)
        heads = training_logits(network, pixels)
        loss = sum(share * loss_function(network)(head, labels, sample_weights) for share, head in heads)
        return jnp.asarray(loss), nnx.split(network, nnx.Param, nnx.RngState, ...)[3]

    def step(
        weights: Any, other: Any, state: Any, number: jax.Array, batch: Sequence[jax.Array]
    ) -> tuple[Any, Any, Any, jax.Array]:
        images, labels, sample_weights = batch
        augment_key, dropout_key = jax.random.split(jax.random.fold_in(seed_key, number))
        share, count = jax.lax.axis_index("data"), len(images)
        pixels, labels = augment(augment_key, share * count + jnp.arange(count), images, labels)
        (loss, other), gradients = jax.value_and_grad(loss_of, has_aux=True)(
            weights, other, jax.random.fold_in(dropout_key, share), (pixels, labels, sample_weights)
        )
        mean = jax.lax.pmean((gradients, other, loss), "data")
        gradients, other, loss = jax.tree.map(lambda m, x: m.astype(x.dtype), mean, (gradients, other, loss))
        updates, state = adam.update(gradients, state, weights)
        return optax.apply_updates(weights, updates), other, state, loss

    first = TrainState(*replicate((weights, other, adam.init(weights)), mesh))
    return first, shard(step, mesh, [WHOLE] * 4 + [ROWS], WHOLE, donate=(0, 1, 2))


def make_evaluate(
    module: nnx.Module, data: Dataset, batch_size: int, mesh: Mesh | None = None
) -> Callable[[TrainState], dict[str, Any]]:
    """Return a function that measures a state on the validation frames.

    Its result holds `loss` (mean of the summed cross-entropies, or the network's own), `accuracy` (all axes right),
    `accuracy_by_axis`, and `confusion` per axis: rows are labels, columns decisions.
    """
    module.eval()
    graph, _, rng, _ = nnx.split(module, nnx.Param, nnx.RngState, ...)

    def forward(weights: Any, other: Any, images: jax.Array) -> tuple[jax.Array, ...]:
        network: Any = nnx.merge(graph, weights, rng, other)
        gathered: tuple[jax.Array, ...] = jax.lax.all_gather(
            logits_of(network, images.astype(jnp.float32)), "data", tiled=True
        )
        return gathered

    mesh = mesh or single()
    own = own_rows(batch_size)
    logits = shard(forward, mesh, [WHOLE, WHOLE, ROWS], WHOLE)

    def evaluate(state: TrainState) -> dict[str, Any]:
        confusion = [np.zeros((n, n), np.int64) for n in data.space.sizes]
        loss, right = 0.0, 0
        for rows in validation_batches(data, batch_size):
            images = spread(data.batch(np.resize(rows, batch_size)[own]).images, mesh)  # one compiled shape
            heads = [np.asarray(x)[: len(rows)] for x in logits(state.weights, state.other, images)]
            labels = data.labels[rows]
            picked = np.stack([x.argmax(1) for x in heads], axis=1)
            right += int((picked == labels).all(axis=1).sum())
            if hasattr(module, "loss"):
                plain = np.ones(labels.shape, np.float32)
                loss += len(rows) * float(module.loss(tuple(map(jnp.asarray, heads)), jnp.asarray(labels), plain))
            for a, x in enumerate(heads):
                np.add.at(confusion[a], (labels[:, a], picked[:, a]), 1)
                if not hasattr(module, "loss"):
                    loss += float(optax.softmax_cross_entropy_with_integer_labels(x, labels[:, a]).sum())
        total = len(data.validation)
        return {
            "loss": loss / total,
            "accuracy": right / total,
            "accuracy_by_axis": {
                axis.name: float(np.trace(c)) / total for axis, c in zip(data.space.axes, confusion, strict=True)
            },
            "confusion": {axis.name: c.tolist() for axis, c in zip(data.space.axes, confusion, strict=True)},
            "frames": total,
        }

    return evaluate


def learning_rate(state: TrainState) -> float:
    """Return the rate that the optimiser applied last, from its own state."""
    hyperparams: Mapping[str, Any] = state.optimiser.hyperparams
    return float(hyperparams["learning_rate"])
