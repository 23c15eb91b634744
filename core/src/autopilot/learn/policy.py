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

Run = Callable[..., tuple[NDArray[Any], ...]]
"""(image, *carry) -> (one vector of probabilities float32 (size,) per axis, *carry): `image` is uint8 of the shape
`Policy.shape`, `carry` what the network carries from frame to frame, which is nothing for most: `Policy.carry`."""


class Policy:
    """A trained network with its preprocessing. It sees pixels and nothing else.

    `run` computes its probabilities: JAX, unless another engine is put in its place. It is shown arrays of `shape`:
    (H, W, 3), or windows of successive frames. `frames` is how many of these it was trained on, `carry` the
    arrays that it carries on when a race begins.
    """

    def __init__(self, manifest: Manifest, registry: Registry, folder: Path) -> None:
        self.manifest = manifest
        self.preprocess = Preprocess.from_json(manifest.preprocess)
        module = network.build(
            registry, manifest.model, manifest.config, self.preprocess.size, manifest.space, seed=None
        )
        _, state, _ = network.split(module)
        self.weights = network.with_weights(state, read_weights(folder, manifest))
        self.function = network.Inference(module)
        self._jitted = devices.jit(self.function)
        self.run: Run = self.run_jax
        frames = network.frames_of(module)
        if frames != manifest.frames:
            raise BundleError(
                f"bundle {manifest.name} was trained on {manifest.frames or 1} frames at a time, but its network takes "
                f"{frames or 1}: install the version of its plugin that trained it"
            )
        self.frames = frames or 1
        self.carry = tuple(np.asarray(array) for array in jax.jit(self.function.carry)(self.weights))
        shape = network.input_shape(module, self.preprocess.size)
        self.shape = (1, *shape[1:]) if self.carry else shape
        self.probabilities(np.zeros(self.shape[-3:], np.uint8))  # compile before driving

    @classmethod
    def load(cls, folder: Path, registry: Registry) -> Policy:
        """Load a bundle.

        Raises BundleError when it is missing, damaged or made by something this autopilot does
        not know, PluginError when its network's plugin is not installed or its network does not fit.
        """
        return cls(read_manifest(folder), registry, folder)

    def probabilities(self, image: Image) -> tuple[NDArray[np.float32], ...]:
        """Return one vector per axis for a preprocessed image, uint8 RGB (H, W, 3), as the first one of a race.

        Raises as `Stream.probabilities`.
        """
        return self.stream().probabilities(image)

    def stream(self, run: Run | None = None) -> Stream:
        """Return what answers for successive frames, of one race each, computed by `run`."""
        return Stream(self, run or self.run)

    def run_jax(self, *arrays: NDArray[Any]) -> tuple[NDArray[Any], ...]:
        """Return what `run` does, computed by JAX whatever that is."""
        return tuple(np.asarray(p) for p in jax.device_get(self._jitted(self.weights, *arrays)))

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


class Stream:
    """A policy over the frames of a race, one after another: what it has seen or carries, until `reset`.

    As in training, what it knows begins with the first frame, repeated.
    """

    def __init__(self, policy: Policy, run: Run) -> None:
        self._policy, self._run = policy, run
        self._heads = len(policy.manifest.action_space)
        self.reset()

    def reset(self) -> None:
        """Forget all frames: another race begins, or some were missed."""
        self._window: NDArray[np.uint8] | None = None
        self._carry = self._policy.carry

    def inputs(self, image: Image) -> tuple[NDArray[Any], ...]:
        """Take in the next frame, uint8 (H, W, 3), and return what `run` is to be called with."""
        shape, before = self._policy.shape, self._window
        if before is None:
            self._window = np.array(np.broadcast_to(image, shape))
            for _ in range(self._policy.frames - 1 if self._carry else 0):
                self._carry = self._run(self._window, *self._carry)[self._heads :]
        else:
            self._window = np.concatenate([before[1:], image[None]]) if len(shape) == 4 else image
        return self._window, *self._carry

    def probabilities(self, image: Image) -> tuple[NDArray[np.float32], ...]:
        """Return one vector per axis for the next frame, preprocessed, uint8 (H, W, 3).

        Raises BundleError when the network gives numbers that are not finite: they mean no action.
        """
        vectors = self.answer(image)
        if not all(np.isfinite(array).all() for array in (*vectors, *self._carry)):
            name = self._policy.manifest.name
            raise BundleError(f"bundle {name}: its network gives probabilities that are no numbers (NaN)")
        return vectors

    def answer(self, image: Image) -> tuple[NDArray[np.float32], ...]:
        """Return the same, whatever numbers they are."""
        found = self._run(*self.inputs(image))
        self._carry = found[self._heads :]
        return found[: self._heads]


def load_policy(
    folder: Path, game: Game, engine: str = "jax", say: Callable[[str], None] = lambda line: None
) -> Policy:
    """Load a bundle that fits the game, with its engine, `jax` or a plugin's; `say` hears what came of choosing it.

    Raises BundleError for a bundle, or its export for the engine, that does not fit.
    """
    policy = Policy.load(folder, game.registry)
    maps = policy.manifest.label_maps
    if game.spec.name not in maps:
        raise BundleError(f"bundle {folder.name} drives {' and '.join(maps)}, not {game.spec.name}")
    space = game.label_map(maps[game.spec.name]).action_space
    policy.check_fits(game.spec.name, space, game.spec.frame_size)
    if engine != "jax":
        target = game.registry.get("engine", engine).accelerate
        accelerate = game.registry.load("engine", engine, target, Callable[..., tuple[Any, ...]])
        policy.run = accelerate(policy, folder, say)
    return policy
