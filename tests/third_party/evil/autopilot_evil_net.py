"""A network that fails where EVIL says so."""

from autopilot_evil import evil
from flax import nnx


class Net(nnx.Module):
    def __init__(self, height, width, outputs, rngs):
        evil_build()
        self.heads = nnx.List([nnx.Linear(3, size, rngs=rngs) for size in outputs])

    def __call__(self, images):
        evil_call()
        return tuple(head(images.mean((1, 2))) for head in self.heads)


@evil
def evil_build():
    pass


@evil
def evil_call():
    pass
