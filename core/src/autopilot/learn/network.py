"""Networks as pure functions: building one, its weights by name, its logits."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping
from functools import partial
from typing import Any

import jax
import numpy as np
import optax
from flax import nnx
from numpy.typing import NDArray

from autopilot.api.errors import BundleError, PluginError, suggest
from autopilot.api.guard import Calling
from autopilot.api.registry import Registry
from autopilot.api.types import ActionSpace
from autopilot.api.values import settle

Weights = dict[str, NDArray[Any]]
"""Dotted path -> array, as stored in a bundle."""

MOST_FRAMES = 64


def engine() -> str:
    """Return which JAX runs networks here, and on what."""
    return f"{jax.__version__} on {', '.join(str(d.device_kind) for d in jax.devices())}"


def build(
    registry: Registry,
    model: str,
    config: Mapping[str, Any],
    size: tuple[int, int],
    space: ActionSpace,
    seed: int | None = 0,
) -> nnx.Module:
    """Return a freshly initialised network for images of `size` (width, height).

    With no seed (None) it has shapes for weights: all that loading a bundle needs, without the seconds
    that compiling the initialisers takes. Raises PluginError when there is no such model, a setting
    is none of its own, it cannot be built, or its logits do not fit the axes.
    """
    plugin, spec = registry.find("model", model)
    settings = settle(f"model {model!r}", spec.config, config)
    make = registry.load("model", model, spec.build)

    def construct() -> nnx.Module:
        rngs = nnx.Rngs(params=seed or 0, dropout=(seed or 0) + 1)
        made: nnx.Module = make(size[1], size[0], space.sizes, rngs, **settings)
        return made

    who = f"{plugin.dist}: network {model!r}"
    with Calling(f"{who} cannot be built"):
        module: nnx.Module = nnx.eval_shape(construct)
    with Calling(f"{who} cannot be run"):
        wrong = _misfit(module, size, space)
    if wrong:
        raise PluginError(f"{who} {wrong}")
    if seed is None:
        return module
    with Calling(f"{who} cannot be initialised", watched=False):
        # One program, compiled in a hurry: it runs once. GoogLeNet takes 9 s so, and 44 s op by op.
        make_state = jax.jit(lambda: nnx.split(construct())[1], compiler_options={"xla_backend_optimization_level": 0})
        return nnx.merge(nnx.split(module)[0], make_state())


def _misfit(module: nnx.Module, size: tuple[int, int], space: ActionSpace) -> str:
    """Return how a network's logits do not fit the axes, in words, or nothing.

    Shapes are all that it sees: of two axes with as many values, it cannot tell whose logits are whose. An array that
    is in no variable does not fit either: it would be neither trained nor stored.
    """
    frames = frames_of(module)
    if frames is None and hasattr(module, "initial_carry"):
        return "has an initial_carry: set its `frames`, of how many it is trained on windows"
    if frames is not None and (type(frames) is not int or not 1 <= frames <= MOST_FRAMES):
        return f"asks for windows of {frames!r} frames: it can have 1 to {MOST_FRAMES}"
    for path, part in nnx.iter_modules(module):
        for name in (n for n, v in vars(part).items() if isinstance(v, jax.Array | jax.ShapeDtypeStruct)):
            where = ".".join([*map(str, path), name])
            return f"keeps an array in {where!r}: wrap it, in nnx.Param to train it, else in another nnx.Variable"
    graph, state = nnx.split(module)
    if wrong := _misfit_training(module, size, space):
        return wrong
    images = jax.ShapeDtypeStruct((2, *input_shape(module, size)), jax.numpy.float32)
    heads, carries, after = jax.eval_shape(lambda state, images: _call(nnx.merge(graph, state), images), state, images)
    if added := _paths(after).keys() - _paths(state).keys():
        return f"adds the variable {min(added)!r} when it is called: make it in __init__"
    for carry in carries:
        if _types(carry) != _types(carries[0]):
            return f"carries on {_types(carry)}, where initial_carry gives {_types(carries[0])}"
    return next(filter(None, (_misfit_logits(head, space) for head in heads)), "")


def _call(network: Any, images: jax.Array) -> tuple[list[Any], list[Any], Any]:
    """Return all logits that a network gives, all that it carries, and its state thereafter."""
    network.eval()
    heads, carries = [logits_of(network, images)], []
    if hasattr(network, "initial_carry"):
        logits, carry = network(images[:, :1], network.initial_carry(2))  # as in driving
        heads.append(logits)
        carries = [network.initial_carry(2), carry]
    network.train()
    return [*heads, *(logits for _, logits in training_logits(network, images))], carries, nnx.state(network)


def _misfit_training(module: Any, size: tuple[int, int], space: ActionSpace) -> str:
    """Return what is wrong with a network's own loss, augmentation or optimiser, in words, or nothing."""
    numbers, whole = (partial(jax.ShapeDtypeStruct, dtype=of) for of in (jax.numpy.float32, jax.numpy.int32))
    axes = len(space.axes)
    if hasattr(module, "loss"):
        logits = tuple(numbers((2, n)) for n in space.sizes)
        loss = jax.eval_shape(module.loss, logits, whole((2, axes)), numbers((2, axes)))
        if _shape(loss) != "()":
            return f"has a loss {_shape(loss)}: it must be one number"
    if hasattr(module, "augment"):
        given = (numbers(input_shape(module, size)), whole((axes,)))
        made = jax.eval_shape(module.augment, jax.eval_shape(jax.random.key, 0), *given)
        if _types(made) != _types(given):
            was, now = (" and ".join(jax.tree.leaves(_types(those))) for those in (given, made))
            return f"augments {was} to {now}: it must give an image and labels like those that it was given"
    if hasattr(module, "optimiser"):
        made = module.optimiser(learning_rate=1e-3)
        if not isinstance(made, optax.GradientTransformation):
            return f"has an optimiser that is {made!r:.40}: return an optax.GradientTransformation"
    return ""


def _types(arrays: Any) -> Any:
    """Return the arrays' types and shapes, in words."""
    return jax.tree.map(lambda array: f"{array.dtype} {array.shape}", arrays)


def _misfit_logits(logits: Any, space: ActionSpace) -> str:
    wanted = [f"(N, {n})" for n in space.sizes]
    several = isinstance(logits, tuple | list)
    shapes = [_shape(array) for array in (logits if several else [logits])]
    if shapes == wanted and several:
        return ""
    gives = f"{' and '.join(shapes) or 'nothing'}{'' if several else ', no tuple'}"
    axes = " and ".join(f"{w} for axis {a.name}" for w, a in zip(wanted, space.axes, strict=True))
    return f"gives logits {gives}; the axes need a tuple of {axes}"


def frames_of(module: nnx.Module) -> int | None:
    """Return how many successive frames a network sees at a time, None where it knows no windows."""
    frames: int | None = getattr(module, "frames", None)
    return frames


def input_shape(module: nnx.Module, size: tuple[int, int]) -> tuple[int, ...]:
    """Return the shape of one image of `size` (width, height), (H, W, 3), or one window, (frames, H, W, 3)."""
    frames = frames_of(module)
    return (*(() if frames is None else (frames,)), size[1], size[0], 3)


def logits_of(network: Any, images: jax.Array) -> Any:
    """Return a network's logits for images (N, H, W, 3), or for windows (N, frames, H, W, 3), with nothing carried."""
    if hasattr(network, "initial_carry"):
        return network(images, network.initial_carry(len(images)))[0]
    return network(images)


def training_logits(network: Any, images: jax.Array) -> Any:
    """Return the weighted heads for the loss."""
    if hasattr(network, "training_logits"):
        return network.training_logits(images)
    return [(1.0, logits_of(network, images))]


def _paths(state: Any) -> dict[str, Any]:
    """Return the variables of a network's state by dotted path."""
    return {".".join(map(str, path)): variable for path, variable in nnx.to_flat_state(state)}


def _shape(array: Any) -> str:
    """Return a shape in words, N for its two images, and the type where that is not one of fractions."""
    if not hasattr(array, "shape"):
        return f"{array!r:.40}"
    sides = ["N" if i == 0 and n == 2 else str(n) for i, n in enumerate(array.shape)]
    odd = "" if jax.numpy.issubdtype(array.dtype, jax.numpy.floating) else f"{array.dtype} "
    return f"{odd}({', '.join(sides)})"


def operations(module: nnx.Module, size: tuple[int, int]) -> float:
    """Return how many operations with fractions a network needs for one image of `size`, as XLA counts them."""
    graph, state = nnx.split(module)
    image = jax.ShapeDtypeStruct((1, *input_shape(module, size)), jax.numpy.float32)
    lowered = jax.jit(lambda state, image: logits_of(nnx.merge(graph, state), image)).lower(state, image)
    return float((lowered.cost_analysis() or {}).get("flops", math.nan))


def split(module: nnx.Module) -> tuple[Any, Any, Any]:
    """Return (graph definition, weights, random state): all weights, no random keys."""
    graph, rng, weights = nnx.split(module, nnx.RngState, ...)
    return graph, weights, rng


def to_weights(state: Any) -> Weights:
    """Return the arrays of a network's state by dotted path."""
    return {path: np.asarray(variable[...]) for path, variable in _paths(state).items()}


def with_weights(state: Any, weights: Mapping[str, NDArray[Any]]) -> Any:
    """Return `state` with its arrays replaced.

    Raises BundleError when names, types or shapes differ.
    """
    own = _paths(state)
    if own.keys() != weights.keys():
        odd = sorted(own.keys() ^ weights.keys())[0]
        raise BundleError(f"the weights do not fit the network: {odd!r} is on one side only")
    for name, array in own.items():
        given, wanted = ((str(a.dtype), a.shape) for a in (weights[name], array))
        if given != wanted:
            raise BundleError(
                f"the weights do not fit the network: {name!r} is {given[0]} {given[1]}, not {wanted[0]} {wanted[1]}"
            )
    paths = [path for path, _ in nnx.to_flat_state(state)]
    pairs = zip(paths, own.items(), strict=True)
    return nnx.from_flat_state([(path, v.replace(jax.numpy.asarray(weights[name]))) for path, (name, v) in pairs])


def pretrain(module: Any) -> str:
    """Give a network the arrays of its method `pretrained`, named as in a bundle, and return their digest.

    Raises BundleError for arrays that it has not, of another shape, or with numbers that are not finite.
    """
    state = split(module)[1]
    own, digest = to_weights(state), hashlib.sha256()
    for name, array in sorted(module.pretrained().items()):
        if name not in own:
            there = suggest(name, own, f"it has {min(own)} and others")
            raise BundleError(f"the network has no weights {name!r:.80} to be pretrained: {there}")
        own[name] = np.asarray(array, own[name].dtype)
        if not np.isfinite(own[name]).all():
            raise BundleError(f"the pretrained weights {name!r:.80} are not all finite numbers")
        digest.update(name.encode() + own[name].tobytes())
    nnx.update(module, with_weights(state, own))
    return digest.hexdigest()


class Inference:
    """A network's weights made into what it says of a frame: pure functions, to be jitted or exported."""

    def __init__(self, module: nnx.Module) -> None:
        module.eval()
        self._graph, _, rng = split(module)
        self._rng = jax.tree.map(_blank, rng)

    def network(self, weights: Any) -> Any:
        """Return the network with these weights; what a call changes in it is thrown away with it."""
        rng, weights = jax.tree.map(lambda x: x, (self._rng, weights))  # merging shares them
        return nnx.merge(self._graph, rng, weights)

    def carry(self, weights: Any) -> tuple[Any, ...]:
        """Return what the network has carried from frame to frame when a race begins, as a flat tuple of arrays."""
        network = self.network(weights)
        return tuple(jax.tree.leaves(network.initial_carry(1))) if hasattr(network, "initial_carry") else ()

    def __call__(self, weights: Any, image: jax.Array, *carry: jax.Array) -> tuple[jax.Array, ...]:
        """Return one probability vector per axis, then what is carried on.

        `image` is uint8 (H, W, 3), or a window (frames, H, W, 3): of one frame where something is carried.
        """
        network = self.network(weights)
        images, kept = image[None].astype(jax.numpy.float32), ()
        if hasattr(network, "initial_carry"):
            order = jax.tree.structure(network.initial_carry(1))
            logits, kept = network(images, jax.tree.unflatten(order, carry))
        else:
            logits = network(images)
        return (*(jax.nn.softmax(axis[0]) for axis in logits), *jax.tree.leaves(kept))


def _blank(random: Any) -> Any:
    """Return any random state in the place of an abstract one: evaluation draws nothing."""
    if jax.numpy.issubdtype(random.dtype, jax.dtypes.prng_key):
        return jax.numpy.broadcast_to(jax.random.key(0), random.shape)
    return np.zeros(random.shape, random.dtype)
