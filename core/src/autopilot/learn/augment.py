"""Augmentation, inside the jitted step: mirrored, moved and re-lit at random, labels corrected."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress

import jax
import jax.numpy as jnp
import numpy as np

from autopilot.api.errors import UserError
from autopilot.api.specs import SteerCorrection
from autopilot.api.types import ActionSpace, Axis
from autopilot.bundle.preprocess import Box
from autopilot.learn.options import TrainOptions

Augment = Callable[[jax.Array, jax.Array, jax.Array, jax.Array], tuple[jax.Array, jax.Array]]
"""(key, rows int32 (B,), images uint8 (B, H, W, 3), labels int32 (B, axes)) -> (pixels, labels):
pixels float32 (B, H, W, 3) in 0..255. `rows` are places in the whole batch, of which B may be one
device's share: what happens to an image depends on `key` and its row, not on who computes it.
Windows (B, frames, H, W, 3) become windows, the same done to all frames of one."""


def make_augment(
    space: ActionSpace,
    options: TrainOptions,
    steering: SteerCorrection | None = None,
    static_regions: tuple[Box, ...] = (),
    own: Callable[[jax.Array, jax.Array, jax.Array], tuple[jax.Array, jax.Array]] | None = None,
) -> Augment:
    """Return the augmentation that the options ask for, and then the network's `own`, of one image or window.

    A mirrored image gets the mirrored label. One that is shifted and turned shows the car beside its
    line or askew, with the label that leads back (arXiv:1604.07316, section 5.2): `steering` says by
    how many values the label moves, a fraction of one by chance. The labels stay categories, and the
    mean of the loss over the chances is that of a label split between two values. `static_regions` are pixels
    that do not move with the road. Raises UserError for turns where the game gives no correction.
    """
    if options.rotate and (steering is None or steering.per_degree is None):
        raise UserError("--rotate: this game does not say how a turned picture is to be steered; leave it out")
    correct = _make_correct(space, steering)
    aspect, pivot = (steering.pixel_aspect, steering.pivot) if steering else (1.0, (0.5, 0.5))

    def move(image: jax.Array, pixels: jax.Array, degrees: jax.Array) -> jax.Array:
        """Slide the image to the right and turn it clockwise; the edge's pixels fill what is missing."""
        height, width = image.shape[-3:-1]
        x, y = pivot[0] * width - 0.5, pivot[1] * height - 0.5  # pixels are counted by their middles
        across, down = (jnp.arange(width)[None] - pixels - x) * aspect, jnp.arange(height)[:, None] - y
        cos, sin = jnp.cos(jnp.deg2rad(degrees)), jnp.sin(jnp.deg2rad(degrees))
        # The nearest pixel: to mix four would cost a fifth of a training step on a CPU.
        column = jnp.round((across * cos + down * sin) / aspect + x).astype(jnp.int32)
        row = jnp.round(down * cos - across * sin + y).astype(jnp.int32)
        moved = image[..., jnp.clip(row, 0, height - 1), jnp.clip(column, 0, width - 1), :]
        fixed = np.zeros((height, width, 1), bool)
        for left, top, wide, high in static_regions:
            fixed[top : top + high, left : left + wide] = True
        return jnp.where(fixed, image, moved)

    def one(key: jax.Array, image: jax.Array, label: jax.Array) -> tuple[jax.Array, jax.Array]:
        flip_key, gain_key, bias_key, shift_key, turn_key, chance_key = jax.random.split(key, 6)
        if options.mirror:
            flip = jax.random.bernoulli(flip_key)
            image = jnp.where(flip, image[..., ::-1, :], image)
            mirrored = jnp.stack([jnp.asarray(axis.mirror)[label[a]] for a, axis in enumerate(space.axes)])
            label = jnp.where(flip, mirrored, label)
        if options.shift or options.rotate:
            pixels = jax.random.randint(shift_key, (), -options.shift, options.shift + 1)
            degrees = jax.random.uniform(turn_key, minval=-options.rotate, maxval=options.rotate)
            image = move(image, pixels, degrees)
            label = correct(label, pixels, degrees, jax.random.uniform(chance_key))
        lit = image.astype(jnp.float32)
        if most := options.brightness:
            gain = 1 + jax.random.uniform(gain_key, minval=-most, maxval=most)
            bias = 127.5 * jax.random.uniform(bias_key, minval=-most / 2, maxval=most / 2)
            lit = jnp.clip((lit - 127.5) * gain + 127.5 + bias, 0, 255)
        return (lit, label) if own is None else own(jax.random.fold_in(key, 6), lit, label)

    def augment(key: jax.Array, rows: jax.Array, images: jax.Array, labels: jax.Array) -> tuple[jax.Array, jax.Array]:
        keys = jax.vmap(lambda row: jax.random.fold_in(key, row))(rows)
        return jax.vmap(one)(keys, images, labels)

    return augment


def _make_correct(
    space: ActionSpace, steering: SteerCorrection | None
) -> Callable[[jax.Array, jax.Array, jax.Array, jax.Array], jax.Array]:
    """Return (label (axes,), pixels, degrees, chance in 0..1) -> label (axes,), steered back."""
    if steering is None:
        return lambda label, pixels, degrees, chance: label
    a = next((a for a, axis in enumerate(space.axes) if axis.name == steering.axis), -1)
    places = _places(space.axes[a], steering) if a >= 0 else {}
    if not places:
        raise UserError(f"the game corrects {steering.axis} {' '.join(steering.values)}, but the labels are {space}")
    order, at = np.array(sorted(places, key=places.__getitem__)), np.array(sorted(places.values()), np.float32)
    place = np.array([places.get(value, np.nan) for value in range(len(space.axes[a].values))], np.float32)
    per_pixel, per_degree = steering.per_pixel, steering.per_degree or 0.0

    def correct(label: jax.Array, pixels: jax.Array, degrees: jax.Array, chance: jax.Array) -> jax.Array:
        old = jnp.asarray(place)[label[a]]
        wanted = jnp.clip(old + pixels * per_pixel + degrees * per_degree, at[0], at[-1])
        below = jnp.clip((jnp.asarray(at) <= wanted).sum() - 1, 0, len(at) - 2)
        low, high = jnp.asarray(at)[below], jnp.asarray(at)[below + 1]
        new = jnp.asarray(order)[below + (chance < (wanted - low) / (high - low))]
        return label.at[a].set(jnp.where(jnp.isnan(old), label[a], new).astype(label.dtype))

    return correct


def _places(axis: Axis, steering: SteerCorrection) -> dict[int, float]:
    """Return value -> where it lies, counted in the values of `steering`; nothing for an axis without them.

    Of an axis of levels each lies between those, which are the same way from -1 to 1 in even steps.
    """
    with suppress(ValueError):
        return {i: (float(value) + 1) / 2 * (len(steering.values) - 1) for i, value in enumerate(axis.values)}
    known = set(steering.values) <= set(axis.values)
    return {axis.values.index(value): float(n) for n, value in enumerate(steering.values)} if known else {}
