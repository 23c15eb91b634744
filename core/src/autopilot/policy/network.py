"""Networks as pure functions: building one, its weights by name, its logits."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import numpy as np
from flax import nnx
from numpy.typing import NDArray

from autopilot.errors import BundleError, PluginError
from autopilot.plugins import Registry

Weights = dict[str, NDArray[Any]]
"""Dotted path -> array, as stored in a bundle."""


def engine() -> str:
    """Return which JAX runs networks here, and on what."""
    return f"{jax.__version__} on {', '.join(str(d.device_kind) for d in jax.devices())}"


def build(
    registry: Registry,
    model: str,
    config: Mapping[str, Any],
    size: tuple[int, int],
    outputs: Sequence[int],
    seed: int = 0,
    abstract: bool = False,
) -> nnx.Module:
    """Return a freshly initialised network for images of `size` (width, height).

    An `abstract` one has shapes for weights: all that loading a bundle needs, without the seconds
    that compiling the initialisers takes. Raises PluginError when there is no such model or it
    cannot be built.
    """
    plugin, spec = registry.find("model", model)
    unknown = set(config) - set(spec.config)
    if unknown:
        known = ", ".join(spec.config) or "none"
        raise PluginError(f"model {model!r} has no setting {min(unknown)!r}; there are: {known}")
    make = registry.load("model", model, spec.build)

    def construct() -> nnx.Module:
        rngs = nnx.Rngs(params=seed, dropout=seed + 1)
        made: nnx.Module = make(size[1], size[0], tuple(outputs), rngs, **{**spec.config, **config})
        return made

    try:
        module: nnx.Module = nnx.eval_shape(construct)
        if not abstract:
            # One program, compiled in a hurry: it runs once. GoogLeNet takes 9 s so, and 44 s op by op.
            make_state = jax.jit(
                lambda: nnx.split(construct())[1], compiler_options={"xla_backend_optimization_level": 0}
            )
            module = nnx.merge(nnx.split(module)[0], make_state())
    except (TypeError, ValueError) as e:
        raise PluginError(f"{plugin.dist}: cannot build model {model!r}: {e}") from e
    return module


def split(module: nnx.Module) -> tuple[Any, Any, Any]:
    """Return (graph definition, weights, random state): all weights, no random keys."""
    graph, rng, weights = nnx.split(module, nnx.RngState, ...)
    return graph, weights, rng


def to_weights(state: Any) -> Weights:
    """Return the arrays of a network's state by dotted path."""
    flat = nnx.to_flat_state(state)
    return {".".join(map(str, path)): np.asarray(v[...]) for path, v in flat}


def with_weights(state: Any, weights: Mapping[str, NDArray[Any]]) -> Any:
    """Return `state` with its arrays replaced.

    Raises BundleError when names, types or shapes differ.
    """
    own = {".".join(map(str, path)): v for path, v in nnx.to_flat_state(state)}
    if own.keys() != weights.keys():
        odd = sorted(own.keys() ^ weights.keys())[0]
        raise BundleError(f"the weights do not fit the network: {odd!r} is on one side only")
    for name, array in own.items():
        found, wanted = ((str(a.dtype), a.shape) for a in (weights[name], array))
        if found != wanted:
            raise BundleError(
                f"the weights do not fit the network: {name!r} is {found[0]} {found[1]}, not {wanted[0]} {wanted[1]}"
            )
    return nnx.from_flat_state(
        [(p, v.replace(jax.numpy.asarray(weights[".".join(map(str, p))]))) for p, v in nnx.to_flat_state(state)]
    )


def probability_function(module: nnx.Module) -> Callable[[Any, Any], tuple[jax.Array, ...]]:
    """Return `(weights, image uint8 (H, W, 3)) -> one probability vector per axis`, to be jitted or exported."""
    module.eval()
    graph, _, rng = split(module)
    rng = jax.tree.map(_blank, rng)

    def probabilities(weights: Any, image: jax.Array) -> tuple[jax.Array, ...]:
        network: Any = nnx.merge(graph, rng, weights)
        logits = network(image[None].astype(jax.numpy.float32))
        return tuple(jax.nn.softmax(axis[0]) for axis in logits)

    return probabilities


def _blank(random: Any) -> Any:
    """Return any random state in the place of an abstract one: evaluation draws nothing."""
    if jax.numpy.issubdtype(random.dtype, jax.dtypes.prng_key):
        return jax.numpy.broadcast_to(jax.random.key(0), random.shape)
    return np.zeros(random.shape, random.dtype)
