"""GoogLeNet, the first Inception network, in Flax NNX (arXiv:1409.4842, table 1)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from autopilot.api import UserError
from autopilot.learn.fastops import Conv, max_pool, relu
from flax import nnx

BLOCKS = {
    "inception3a": (64, 96, 128, 16, 32, 32),
    "inception3b": (128, 128, 192, 32, 96, 64),
    "inception4a": (192, 96, 208, 16, 48, 64),
    "inception4b": (160, 112, 224, 24, 64, 64),
    "inception4c": (128, 128, 256, 24, 64, 64),
    "inception4d": (112, 144, 288, 32, 64, 64),
    "inception4e": (256, 160, 320, 32, 128, 128),
    "inception5a": (256, 160, 320, 32, 128, 128),
    "inception5b": (384, 192, 384, 48, 128, 128),
}
"""Features of each block: 1x1; reduction and 3x3; reduction and 5x5; projection of the pool."""

POOL_AFTER = {"inception3b": "pool3", "inception4e": "pool4"}
AUX_AFTER = ("inception4a", "inception4d")
AUX_WEIGHT = 0.3

HE = nnx.initializers.he_normal()
GLOROT = nnx.initializers.glorot_uniform()


def _conv(features: int, out: int, kernel: int, rngs: nnx.Rngs, stride: int = 1) -> nnx.Conv:
    pad = kernel // 2
    return Conv(
        features, out, (kernel, kernel), (stride, stride), padding=((pad, pad), (pad, pad)), kernel_init=HE, rngs=rngs
    )


def _halve(x: jax.Array) -> jax.Array:
    """Max-pool 3x3 with stride 2; (N, H, W, C) becomes (N, ceil(H/2), ceil(W/2), C)."""
    return max_pool(x, (3, 3), (2, 2), ((1, 1), (1, 1)))


class Inception(nnx.Module):  # type: ignore[misc]
    """One inception block (figure 2b of the paper): four branches side by side.

    1x1; 1x1 then 3x3; 1x1 then 5x5; 3x3 max-pool then 1x1; each followed by ReLU.
    """

    def __init__(self, features: int, sizes: tuple[int, ...], rngs: nnx.Rngs) -> None:
        one, reduce3, three, reduce5, five, pool = sizes
        self.one = _conv(features, one, 1, rngs)
        self.reduce3 = _conv(features, reduce3, 1, rngs)
        self.three = _conv(reduce3, three, 3, rngs)
        self.reduce5 = _conv(features, reduce5, 1, rngs)
        self.five = _conv(reduce5, five, 5, rngs)
        self.pool = _conv(features, pool, 1, rngs)
        self.features = one + three + five + pool

    def __call__(self, x: jax.Array) -> jax.Array:
        """Return (N, H, W, features) for x (N, H, W, C)."""
        branches = [
            self.one(x),
            self.three(relu(self.reduce3(x))),
            self.five(relu(self.reduce5(x))),
            self.pool(max_pool(x, (3, 3), (1, 1), ((1, 1), (1, 1)))),
        ]
        return relu(jnp.concatenate(branches, axis=-1))


class Auxiliary(nnx.Module):  # type: ignore[misc]
    """A classifier on a middle block: average-pool 5x5/3, 1x1 to 128, dense 1024, dropout, heads.

    Used in training only, where it feeds gradient to the lower blocks (section 5 of the paper).
    """

    def __init__(self, height: int, width: int, features: int, outputs: Sequence[int], rngs: nnx.Rngs) -> None:
        cells = ((height - 5) // 3 + 1) * ((width - 5) // 3 + 1)
        self.conv = _conv(features, 128, 1, rngs)
        self.dense = nnx.Linear(128 * cells, 1024, kernel_init=HE, rngs=rngs)
        self.dropout = nnx.Dropout(0.7, rngs=rngs)
        self.heads = nnx.List([nnx.Linear(1024, n, kernel_init=GLOROT, rngs=rngs) for n in outputs])

    def __call__(self, x: jax.Array) -> tuple[jax.Array, ...]:
        """Return logits (N, size) per axis for the output x (N, H, W, C) of a block."""
        x = relu(self.conv(nnx.avg_pool(x, (5, 5), (3, 3))))
        x = self.dropout(relu(self.dense(x.reshape(len(x), -1))))
        return tuple(head(x) for head in self.heads)


class GoogLeNet(nnx.Module):  # type: ignore[misc]
    """GoogLeNet for images (N, H, W, 3) in 0..255; returns logits (N, size) per axis.

    With images of 90x160 and one axis of 3 values:

    | layer | what | output | parameters |
    |---|---|---|---|
    | normalise | x / 127.5 - 1 | 90x160x3 | 0 |
    | conv1 | 7x7, stride 2, ReLU | 45x80x64 | 9,472 |
    | pool1 | max 3x3, stride 2 | 23x40x64 | 0 |
    | reduce2 | 1x1, ReLU | 23x40x64 | 4,160 |
    | conv2 | 3x3, ReLU | 23x40x192 | 110,784 |
    | pool2 | max 3x3, stride 2 | 12x20x192 | 0 |
    | inception3a | 64, 96-128, 16-32, 32 | 12x20x256 | 163,696 |
    | inception3b | 128, 128-192, 32-96, 64 | 12x20x480 | 388,736 |
    | pool3 | max 3x3, stride 2 | 6x10x480 | 0 |
    | inception4a | 192, 96-208, 16-48, 64 | 6x10x512 | 376,176 |
    | inception4b | 160, 112-224, 24-64, 64 | 6x10x512 | 449,160 |
    | inception4c | 128, 128-256, 24-64, 64 | 6x10x512 | 510,104 |
    | inception4d | 112, 144-288, 32-64, 64 | 6x10x528 | 605,376 |
    | inception4e | 256, 160-320, 32-128, 128 | 6x10x832 | 868,352 |
    | pool4 | max 3x3, stride 2 | 3x5x832 | 0 |
    | inception5a | 256, 160-320, 32-128, 128 | 3x5x832 | 1,043,456 |
    | inception5b | 384, 192-384, 48-128, 128 | 3x5x1024 | 1,444,080 |
    | average | mean over all cells, dropout | 1024 | 0 |
    | heads | one linear layer per axis | 3 | 3,075 |

    A block's numbers are its 1x1, 3x3 (after a reduction), 5x5 (after a reduction) and pool
    branches. Convolutions pad with half a kernel of zeros. The mean spans whatever is left of the
    image where the paper's 7x7 window spanned its 224x224. Local response normalisation (figure 3
    of the paper) has no parameters and is left out: with inputs in -1..1 it multiplies by 0.999
    or more, and later work found that it does not help (arXiv:1409.1556, section 4.1). He's
    initialisation (arXiv:1502.01852) lets the 22 layers train without it.
    """

    def __init__(
        self, height: int, width: int, outputs: Sequence[int], rngs: nnx.Rngs, dropout: float = 0.4, aux: bool = False
    ) -> None:
        if not 0 <= dropout < 1:
            raise UserError(f"the inception network's dropout is {dropout}: give a share from 0 to below 1")
        # A sixteenth of the frame reaches the auxiliary heads, whose window is 5x5.
        smallest = 65 if aux else 32
        if min(height, width) < smallest:
            raise UserError(
                f"the inception network{' with aux' if aux else ''} needs frames of "
                f"{smallest}x{smallest} pixels or more, not {width}x{height}"
            )
        self.conv1 = _conv(3, 64, 7, rngs, stride=2)
        self.reduce2 = _conv(64, 64, 1, rngs)
        self.conv2 = _conv(64, 192, 3, rngs)
        blocks: dict[str, Inception] = {}
        auxiliaries: dict[str, Auxiliary] = {}
        features = 192
        for name, sizes in BLOCKS.items():
            blocks[name] = Inception(features, sizes, rngs)
            features = blocks[name].features
            if aux and name in AUX_AFTER:
                auxiliaries[name] = Auxiliary(-(-height // 16), -(-width // 16), features, outputs, rngs)
        self.blocks = nnx.Dict(blocks)
        self.auxiliaries = nnx.Dict(auxiliaries)
        self.dropout = nnx.Dropout(dropout, rngs=rngs)
        self.heads = nnx.List([nnx.Linear(features, n, kernel_init=GLOROT, rngs=rngs) for n in outputs])

    def stages(self) -> list[tuple[str, Callable[[Any], Any]]]:
        """Return the layers by name, in order: the network is their composition."""
        stages: list[tuple[str, Callable[[Any], Any]]] = [
            ("normalise", lambda x: x / 127.5 - 1),
            ("conv1", lambda x: relu(self.conv1(x))),
            ("pool1", _halve),
            ("reduce2", lambda x: relu(self.reduce2(x))),
            ("conv2", lambda x: relu(self.conv2(x))),
            ("pool2", _halve),
        ]
        for name in BLOCKS:
            stages.append((name, self.blocks[name]))
            if name in POOL_AFTER:
                stages.append((POOL_AFTER[name], _halve))
        stages.append(("average", lambda x: self.dropout(x.mean(axis=(1, 2)))))
        stages.append(("heads", lambda x: tuple(head(x) for head in self.heads)))
        return stages

    def __call__(self, images: jax.Array) -> tuple[jax.Array, ...]:
        """Return logits (N, size) per axis for float32 images (N, H, W, 3) in 0..255."""
        x: Any = images
        for _, layer in self.stages():
            x = layer(x)
        logits: tuple[jax.Array, ...] = x
        return logits

    def training_logits(self, images: jax.Array) -> list[tuple[float, tuple[jax.Array, ...]]]:
        """Return what the loss sums: the main heads with weight 1, each auxiliary with 0.3."""
        x: Any = images
        auxiliary = []
        for name, layer in self.stages():
            x = layer(x)
            if name in self.auxiliaries:
                auxiliary.append((AUX_WEIGHT, self.auxiliaries[name](x)))
        return [(1.0, x), *auxiliary]


def build(height: int, width: int, outputs: Sequence[int], rngs: nnx.Rngs, **config: Any) -> GoogLeNet:
    """Build GoogLeNet; `config` may hold `dropout` and `aux` (auxiliary heads in training).

    Raises UserError when the images are too small for it, or `dropout` is no share.
    """
    return GoogLeNet(height, width, outputs, rngs, **config)
