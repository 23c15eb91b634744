"""A policy: a bundle made ready to turn frames into probabilities, by JAX or another engine."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import numpy as np
from numpy.typing import NDArray

from autopilot.api.errors import BundleError
from autopilot.api.game import Game
from autopilot.api.registry import Registry
from autopilot.api.types import ActionSpace, Image
from autopilot.bundle.manifest import Manifest, read_manifest, read_weights
from autopilot.bundle.preprocess import Preprocess
from autopilot.learn import devices, network
from autopilot.sessions.home import Home

Run = Callable[[Image], tuple[NDArray[np.float32], ...]]
"""uint8 (H, W, 3) -> one vector of probabilities (size,) per axis."""


class Policy:
    """A trained network with its preprocessing. It sees pixels and nothing else.

    `run` computes its probabilities: JAX, unless another engine is put in its place.
    """

    def __init__(self, manifest: Manifest, registry: Registry, folder: Path) -> None:
        self.manifest = manifest
        self.preprocess = Preprocess.from_json(manifest.preprocess)
        module = network.build(
            registry, manifest.model, manifest.config, self.preprocess.size, manifest.space, seed=None
        )
        _, state, _ = network.split(module)
        self.weights = network.with_weights(state, read_weights(folder, manifest))
        self.function = network.probability_function(module)
        self._jitted = devices.jit(self.function)
        self.run: Run = self.run_jax
        width, height = self.preprocess.size
        self.probabilities(np.zeros((height, width, 3), np.uint8))  # compile before driving

    @classmethod
    def load(cls, folder: Path, registry: Registry) -> Policy:
        """Load a bundle.

        Raises BundleError when it is missing, damaged or made by something this autopilot does
        not know, PluginError when its network's plugin is not installed or its network does not fit.
        """
        return cls(read_manifest(folder), registry, folder)

    def probabilities(self, image: Image) -> tuple[NDArray[np.float32], ...]:
        """Return one vector per axis for a preprocessed image, uint8 RGB (H, W, 3).

        Raises BundleError when the network gives numbers that are not finite: they mean no action.
        """
        vectors = self.run(image)
        if not all(np.isfinite(p).all() for p in vectors):
            raise BundleError(f"bundle {self.manifest.name}: its network gives probabilities that are no numbers (NaN)")
        return vectors

    def run_jax(self, image: Image) -> tuple[NDArray[np.float32], ...]:
        """Return the same, computed by JAX whatever `run` is."""
        return tuple(np.asarray(p) for p in jax.device_get(self._jitted(self.weights, image)))

    def check_fits(self, game: str, space: ActionSpace, frame_size: tuple[int, int]) -> None:
        """Raise BundleError unless this policy can drive that game, in words."""
        ours = self.manifest.space
        if ours != space:
            raise BundleError(f"bundle {self.manifest.name} decides on [{ours}], but {game} wants [{space}]")
        if self.preprocess.source != frame_size:
            was, now = self.preprocess.source, frame_size
            raise BundleError(
                f"bundle {self.manifest.name} was trained on {was[0]}x{was[1]} frames, but {game} "
                f"gives {now[0]}x{now[1]}"
            )


def load_policy(
    name: str, game: Game, home: Home, engine: str = "jax", say: Callable[[str], None] = lambda line: None
) -> Policy:
    """Load a bundle that fits the game, with its engine, `jax` or a plugin's; `say` hears what came of choosing it.

    Raises BundleError for a bundle, or its export for the engine, that does not fit.
    """
    policy = Policy.load(home.bundle(name), game.registry)
    if policy.manifest.game != game.spec.name:
        raise BundleError(f"bundle {name} drives {policy.manifest.game}, not {game.spec.name}")
    space = game.label_map(policy.manifest.label_map).action_space
    policy.check_fits(game.spec.name, space, game.spec.frame_size)
    if engine != "jax":
        target = game.registry.get("engine", engine).accelerate
        accelerate = game.registry.load("engine", engine, target, Callable[[Image], tuple[Any, ...]])
        policy.run = accelerate(policy, home.bundle(name), say)
    return policy
