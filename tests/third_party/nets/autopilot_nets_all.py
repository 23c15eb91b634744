"""A stack of frames, a recurrent network, a residual one with batch normalisation and a training of its own."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
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
    """Also says how it is trained: the loss, the optimiser, what happens to pictures, what it begins with."""

    def __init__(self, height, width, outputs, rngs, filters=8, smoothing=0.1, decay=1e-3, erase=20, stem="", fault=""):
        self.smoothing, self.decay, self.erase, self.file, self.fault = smoothing, decay, erase, stem, fault
        self.stem = nnx.Conv(3, filters, (8, 8), strides=4, rngs=rngs)
        self.norm = nnx.BatchNorm(filters, rngs=rngs)
        self.blocks = nnx.List([Block(filters * 2**i, filters * 2 ** (i + 1), rngs) for i in range(2)])
        self.heads = nnx.List([nnx.Linear(filters * 4, n, rngs=rngs) for n in outputs])

    def __call__(self, images):
        x = jax.nn.relu(self.norm(self.stem(images / 127.5 - 1)))
        for block in self.blocks:
            x = block(x)
        return tuple(head(x.mean((1, 2))) for head in self.heads)

    def loss(self, logits, labels, weights):
        """Smoothed labels (arXiv:1512.00567)."""
        if self.fault == "loss":
            return weights
        hot = [jax.nn.one_hot(labels[:, a], x.shape[1]) for a, x in enumerate(logits)]
        targets = [optax.smooth_labels(one, self.smoothing) for one in hot]
        each = [optax.softmax_cross_entropy(x, target) for x, target in zip(logits, targets, strict=True)]
        return (jnp.stack(each, 1) * weights).sum(1).mean()

    def optimiser(self, learning_rate):
        """Adam with decay of the weights (arXiv:1711.05101)."""
        return None if self.fault == "optimiser" else optax.adamw(learning_rate, weight_decay=self.decay)

    def augment(self, key, image, label):
        """A black square somewhere (arXiv:1708.04552)."""
        if self.fault == "augment":
            return image[:-1], label
        y, x = jax.random.randint(key, (2,), 0, jnp.array(image.shape[:2]))
        rows, columns = jnp.arange(image.shape[0])[:, None], jnp.arange(image.shape[1])
        inside = (abs(rows - y) < self.erase // 2) & (abs(columns - x) < self.erase // 2)
        return jnp.where(inside[..., None], 0, image), label

    def pretrained(self):
        """The first layer, where somebody has trained one."""
        return dict(np.load(self.file, allow_pickle=False)) if self.file else {}
