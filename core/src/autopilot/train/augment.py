"""Augmentation, inside the jitted step: mirrored, moved and re-lit at random, labels corrected."""

from __future__ import annotations

from collections.abc import Callable

import jax
import jax.numpy as jnp

from autopilot.train.options import TrainOptions
from autopilot.types import ActionSpace

Augment = Callable[[jax.Array, jax.Array, jax.Array, jax.Array], tuple[jax.Array, jax.Array]]
"""(key, rows int32 (B,), images uint8 (B, H, W, 3), labels int32 (B, axes)) -> (pixels, labels):
pixels float32 (B, H, W, 3) in 0..255. `rows` are places in the whole batch, of which B may be one
device's share: what happens to an image depends on `key` and its row, not on who computes it."""


def make_augment(space: ActionSpace, options: TrainOptions) -> Augment:
    """Return the augmentation that the options ask for; a mirrored image gets the mirrored label."""

    def one(key: jax.Array, image: jax.Array, label: jax.Array) -> tuple[jax.Array, jax.Array]:
        flip_key, gain_key, bias_key, shift_key = jax.random.split(key, 4)
        if options.mirror:
            flip = jax.random.bernoulli(flip_key)
            image = jnp.where(flip, image[:, ::-1], image)
            mirrored = jnp.stack([jnp.asarray(axis.mirror)[label[a]] for a, axis in enumerate(space.axes)])
            label = jnp.where(flip, mirrored, label)
        if options.shift:
            by = jax.random.randint(shift_key, (), -options.shift, options.shift + 1)
            image = jnp.take(image, jnp.arange(image.shape[1]) - by, axis=1, mode="clip")
        pixels = image.astype(jnp.float32)
        if most := options.brightness:
            gain = 1 + jax.random.uniform(gain_key, minval=-most, maxval=most)
            bias = 127.5 * jax.random.uniform(bias_key, minval=-most / 2, maxval=most / 2)
            pixels = jnp.clip((pixels - 127.5) * gain + 127.5 + bias, 0, 255)
        return pixels, label

    def augment(key: jax.Array, rows: jax.Array, images: jax.Array, labels: jax.Array) -> tuple[jax.Array, jax.Array]:
        keys = jax.vmap(lambda row: jax.random.fold_in(key, row))(rows)
        return jax.vmap(one)(keys, images, labels)

    return augment
