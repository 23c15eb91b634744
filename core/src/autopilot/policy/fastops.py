"""Convolution and max-pooling whose gradients are fast on the CPU; plain primitives elsewhere."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax
from flax import nnx
from jax import lax

Padding = str | Sequence[tuple[int, int]]
"""`SAME`, `VALID`, or (before, after) for height and width."""


def conv2d(
    x: jax.Array, kernel: jax.Array, strides: tuple[int, int] = (1, 1), padding: Padding = "SAME"
) -> jax.Array:
    """Return the convolution (N, H', W', O) of x (N, H, W, I) with kernel (kh, kw, I, O)."""
    return lax.conv_general_dilated(
        x, kernel, strides, padding, dimension_numbers=("NHWC", "HWIO", "NHWC")
    )


def max_pool(
    x: jax.Array, window: tuple[int, int], strides: tuple[int, int], padding: Padding = "VALID"
) -> jax.Array:
    """Return the largest value of each window of x (N, H, W, C), shape (N, H', W', C)."""
    return nnx.max_pool(x, window, strides, padding)


class Conv(nnx.Conv):  # type: ignore[misc]
    """`nnx.Conv` for images: same parameters and initialisers, computed by `conv2d`.

    Takes kernel_size, strides, padding, use_bias, kernel_init, bias_init and rngs.
    """

    def __call__(self, inputs: jax.Array, out_sharding: Any = None) -> jax.Array:
        """Return the convolved images (N, H', W', out_features) of (N, H, W, in_features)."""
        y = conv2d(inputs, self.kernel[...], self.strides, self.padding)
        return y if self.bias is None else y + self.bias[...]
