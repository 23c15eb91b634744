"""A stack of frames, a recurrent network, a residual one with batch normalisation."""

import jax
import jax.numpy as jnp
from flax import nnx


class Features(nnx.Module):
    """Images (N, H, W, channels) -> (N, size)."""

    def __init__(self, height, width, channels, filters, rngs):
        self.conv1 = nnx.Conv(channels, filters, (8, 8), strides=8, rngs=rngs)
        self.conv2 = nnx.Conv(filters, filters, (3, 3), strides=2, rngs=rngs)
        self.size = -(-height // 16) * -(-width // 16) * filters

    def __call__(self, images):
        x = jax.nn.relu(self.conv1(images / 127.5 - 1))
        return jax.nn.relu(self.conv2(x)).reshape(len(x), -1)


class Stack(nnx.Module):
    """Sees the last frames as channels of one picture."""

    def __init__(self, height, width, outputs, rngs, frames=2, filters=8):
        self.frames = frames
        self.features = Features(height, width, 3 * frames, filters, rngs)
        self.heads = nnx.List([nnx.Linear(self.features.size, n, rngs=rngs) for n in outputs])

    def __call__(self, windows):
        n, frames, height, width, _ = windows.shape
        x = self.features(jnp.moveaxis(windows, 1, 3).reshape(n, height, width, 3 * frames))
        return tuple(head(x) for head in self.heads)


class Gru(nnx.Module):
    """Carries a state from frame to frame."""

    def __init__(self, height, width, outputs, rngs, frames=4, units=16, fault=""):
        self.frames, self.units, self.fault = frames, units, fault
        self.features = Features(height, width, 3, 8, rngs)
        self.rnn = nnx.RNN(nnx.GRUCell(self.features.size, units, rngs=rngs))
        self.heads = nnx.List([nnx.Linear(units, n, rngs=rngs) for n in outputs])
        if fault == "frames":
            del self.frames

    def initial_carry(self, batch):
        return jnp.zeros((batch, self.units))

    def __call__(self, windows, carry):
        n, frames, *image = windows.shape
        x = self.features(windows.reshape(n * frames, *image)).reshape(n, frames, -1)
        carry, x = self.rnn(x, initial_carry=carry, return_carry=True)
        carry = carry[:, 1:] if self.fault == "carry" else carry
        return tuple(head(x[:, -1]) for head in self.heads), carry


class Block(nnx.Module):
    """Two convolutions and a way around them (arXiv:1512.03385), halving height and width."""

    def __init__(self, channels, filters, rngs):
        self.conv1 = nnx.Conv(channels, filters, (3, 3), strides=2, use_bias=False, rngs=rngs)
        self.norm1 = nnx.BatchNorm(filters, rngs=rngs)
        self.conv2 = nnx.Conv(filters, filters, (3, 3), use_bias=False, rngs=rngs)
        self.norm2 = nnx.BatchNorm(filters, rngs=rngs)
        self.around = nnx.Conv(channels, filters, (1, 1), strides=2, rngs=rngs)

    def __call__(self, x):
        y = jax.nn.relu(self.norm1(self.conv1(x)))
        return jax.nn.relu(self.norm2(self.conv2(y)) + self.around(x))


class ResNet(nnx.Module):
    def __init__(self, height, width, outputs, rngs, filters=8):
        self.stem = nnx.Conv(3, filters, (8, 8), strides=4, rngs=rngs)
        self.norm = nnx.BatchNorm(filters, rngs=rngs)
        self.blocks = nnx.List([Block(filters * 2**i, filters * 2 ** (i + 1), rngs) for i in range(2)])
        self.heads = nnx.List([nnx.Linear(filters * 4, n, rngs=rngs) for n in outputs])

    def __call__(self, images):
        x = jax.nn.relu(self.norm(self.stem(images / 127.5 - 1)))
        for block in self.blocks:
            x = block(x)
        return tuple(head(x.mean((1, 2))) for head in self.heads)
