"""PilotNet, NVIDIA's end-to-end driving network, in Flax NNX (arXiv:1604.07316, figure 4)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import jax
from autopilot.api import UserError
from autopilot.learn.fastops import Conv, relu
from flax import nnx

CONVOLUTIONS = ((24, 5, 2), (36, 5, 2), (48, 5, 2), (64, 3, 1), (64, 3, 1))
"""Features, kernel size and stride of each convolution; no padding."""

DENSE = (1164, 100, 50, 10)
"""Features of each dense layer."""


class PilotNet(nnx.Module):  # type: ignore[misc]
    """PilotNet for images (N, H, W, 3) in 0..255; returns logits (N, size) per axis.

    With images of 90x160 and one axis of 3 values:

    | layer | what | output | parameters |
    |---|---|---|---|
    | normalise | x / 127.5 - 1 | 90x160x3 | 0 |
    | conv1 | 5x5, stride 2, ReLU | 43x78x24 | 1,824 |
    | conv2 | 5x5, stride 2, ReLU | 20x37x36 | 21,636 |
    | conv3 | 5x5, stride 2, ReLU | 8x17x48 | 43,248 |
    | conv4 | 3x3, ReLU | 6x15x64 | 27,712 |
    | conv5 | 3x3, ReLU | 4x13x64 | 36,928 |
    | flatten | rows, columns, features | 3328 | 0 |
    | dense1 | ReLU, dropout | 1164 | 3,874,956 |
    | dense2 | ReLU, dropout | 100 | 116,500 |
    | dense3 | ReLU | 50 | 5,050 |
    | dense4 | ReLU | 10 | 510 |
    | heads | one linear layer per axis | 3 | 33 |

    The paper names neither the non-linearity nor a regulariser: ReLU with He's initialisation
    (arXiv:1502.01852) and dropout after the two wide dense layers are our choice; a dropped unit
    of the 50 or 10 narrow ones would take the answer with it. Its one output, the inverse turning
    radius, becomes one softmax per axis.
    """

    def __init__(self, height: int, width: int, outputs: Sequence[int], rngs: nnx.Rngs, dropout: float = 0.2) -> None:
        if not 0 <= dropout < 1:
            raise UserError(f"the nvidia network's dropout is {dropout}: give a share from 0 to below 1")
        he = nnx.initializers.he_normal()
        size, features = (height, width), 3
        convs = []
        for out, kernel, stride in CONVOLUTIONS:
            convs.append(
                Conv(features, out, (kernel, kernel), (stride, stride), padding="VALID", kernel_init=he, rngs=rngs)
            )
            size = ((size[0] - kernel) // stride + 1, (size[1] - kernel) // stride + 1)
            features = out
        if min(size) < 1:
            raise UserError(f"the nvidia network needs frames of 61x61 pixels or more, not {width}x{height}")
        features *= size[0] * size[1]
        denses = []
        for out in DENSE:
            denses.append(nnx.Linear(features, out, kernel_init=he, rngs=rngs))
            features = out
        glorot = nnx.initializers.glorot_uniform()
        self.convs = nnx.List(convs)
        self.denses = nnx.List(denses)
        self.heads = nnx.List([nnx.Linear(features, out, kernel_init=glorot, rngs=rngs) for out in outputs])
        self.dropouts = nnx.List([nnx.Dropout(dropout, rngs=rngs) for _ in range(2)])

    def stages(self) -> list[tuple[str, Callable[[Any], Any]]]:
        """Return the layers by name, in order: the network is their composition."""
        stages: list[tuple[str, Callable[[Any], Any]]] = [("normalise", lambda x: x / 127.5 - 1)]
        for i, conv in enumerate(self.convs):
            stages.append((f"conv{i + 1}", nnx.Sequential(conv, relu)))
        stages.append(("flatten", lambda x: x.reshape(len(x), -1)))
        for i, dense in enumerate(self.denses):
            dropout = self.dropouts[i : i + 1]
            stages.append((f"dense{i + 1}", nnx.Sequential(dense, relu, *dropout)))
        stages.append(("heads", lambda x: tuple(head(x) for head in self.heads)))
        return stages

    def __call__(self, images: jax.Array) -> tuple[jax.Array, ...]:
        """Return logits (N, size) per axis for float32 images (N, H, W, 3) in 0..255."""
        x: Any = images
        for _, layer in self.stages():
            x = layer(x)
        logits: tuple[jax.Array, ...] = x
        return logits


def build(height: int, width: int, outputs: Sequence[int], rngs: nnx.Rngs, **config: Any) -> PilotNet:
    """Build PilotNet; `config` may hold `dropout`, the share of units dropped in training.

    Raises UserError when the images are too small for its convolutions, or `dropout` is no share.
    """
    return PilotNet(height, width, outputs, rngs, **config)
