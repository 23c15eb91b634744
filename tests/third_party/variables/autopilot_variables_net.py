"""A network with batch normalisation, dropout and a counter of its own."""

import jax
import jax.numpy as jnp
from flax import nnx


class Count(nnx.Variable):
    """How many batches were seen in training."""


class Net(nnx.Module):
    def __init__(self, height, width, outputs, rngs, fault=""):
        self.conv = nnx.Conv(3, 8, (16, 16), strides=16, rngs=rngs)
        self.norm = nnx.BatchNorm(8, rngs=rngs)
        self.dropout = nnx.Dropout(0.5, rngs=rngs)
        self.seen = Count(jnp.zeros((), jnp.int32))
        self.fault = fault
        if fault == "loose":
            self.scale = jnp.ones(8)
        self.heads = nnx.List([nnx.Linear(-(-height // 16) * -(-width // 16) * 8, n, rngs=rngs) for n in outputs])

    def __call__(self, images):
        if not self.dropout.deterministic:
            self.seen[...] += 1
        if self.fault == "sow":
            self.sow(nnx.Intermediate, "mean", images.mean())
        x = self.dropout(jax.nn.relu(self.norm(self.conv(images / 127.5 - 1))))
        return tuple(head(x.reshape(len(x), -1)) for head in self.heads)
