"""A plugin whose network has the fault that its setting names; MODULE stands for this module's own name."""

import time

import jax
import jax.numpy as jnp
from autopilot.api import ModelSpec, hookimpl
from flax import nnx

AUTOPILOT_API = 2


class Brittle(nnx.Module):
    """A linear layer for each axis, on the mean colours of a frame."""

    def __init__(self, height, width, outputs, rngs, fault="", scale=1.0, layers=1, deep=False, sizes=(3, 2)):
        self.fault, self.training = fault, True
        if fault == "build":
            raise RuntimeError("no such\n layer")
        outputs = {"wide": [n + 1 for n in outputs], "odd": [outputs[0] + 1, *outputs[1:]]}.get(fault, outputs)
        self.heads = nnx.List([nnx.Linear(3, n, rngs=rngs) for n in outputs])

    def train(self, **attributes):
        self.training = True

    def eval(self, **attributes):
        self.training = False

    def __call__(self, images):
        x = images.mean((1, 2)) / 255
        if self.fault == "slow" and not isinstance(images, jax.ShapeDtypeStruct):
            time.sleep(2)  # while it is traced
        if self.fault == "rate":  # overflows where the biases grow, which begin at nought
            x = x + 0 * jnp.exp(jnp.exp(10 * jnp.abs(self.heads[0].bias[...]).max()))
        if self.fault == "gradient":  # of a root, at nought
            x = x + jnp.sqrt(0 * self.heads[0].kernel[...].sum())
        if self.fault == "nan" or (self.fault == "eval" and not self.training):
            x = x / 0 * 0
        if self.fault == "white":  # where a frame is all white
            x = jnp.where(x.min() < 1, x, jnp.nan)
        heads = tuple(head(x) for head in self.heads)
        return {
            "single": heads[0],
            "few": heads[:-1],
            "extra": (*heads, heads[0]),
            "reversed": heads[::-1],
            "flat": tuple(head.sum(1) for head in heads),
            "whole": tuple(head.argmax(1, keepdims=True) + jnp.zeros(head.shape, int) for head in heads),
            "nothing": None,
        }.get(self.fault, heads)


class Sided(Brittle):
    """Has a head for training alone, of another width."""

    def training_logits(self, images):
        heads = self(images)
        return [(1.0, heads), (0.3, tuple(head[:, 1:] for head in heads))]


@hookimpl
def autopilot_models():
    config = {"fault": "", "scale": 1.0, "layers": 1, "deep": False, "sizes": [3, 2]}
    return [ModelSpec(name, name, f"MODULE:{name.title()}", config) for name in ("brittle", "sided")]
