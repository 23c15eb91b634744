"""A network small enough to train in seconds."""

import jax
from flax import nnx


class Tiny(nnx.Module):
    def __init__(self, height, width_px, outputs, rngs, width=16):
        self.conv1 = nnx.Conv(3, width, (8, 8), strides=8, rngs=rngs)
        self.conv2 = nnx.Conv(width, width, (3, 3), strides=2, rngs=rngs)
        flat = -(-height // 8 // 2) * -(-width_px // 8 // 2) * width
        self.heads = nnx.List([nnx.Linear(flat, size, rngs=rngs) for size in outputs])

    def __call__(self, images):
        x = jax.nn.relu(self.conv1(images / 127.5 - 1))
        x = jax.nn.relu(self.conv2(x))
        x = x.reshape(x.shape[0], -1)
        return tuple(head(x) for head in self.heads)
