"""Checks of a network: its logits by shape alone, then a few real steps on eight pictures."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
from autopilot.api import ActionSpace, Axis, BundleError, Image, ModelSpec, PluginError

from autopilot_kit.subject import Missing, Subject

STEPS, BATCH = 12, 8
"""Steps on one batch, and its pictures."""
SIZE, SIZES = (160, 90), (3, 2, 5)
"""Width and height of the pictures that it learns from; of the axes, no two have as many values."""
OTHERS = (((128, 72), (4, 3)), ((96, 96), (2, 3, 4)), ((200, 112), (7,)))
"""Other pictures and axes, of which only shapes are computed."""


FALLS = 0.99
"""So far must the loss come down, at least."""
NAN = "look for a division, a root or a logarithm of nought"


def space(sizes: tuple[int, ...]) -> ActionSpace:
    """Return an action space with axes of these sizes."""
    return ActionSpace(
        tuple(Axis(f"axis{i}", tuple(map(str, range(size))), tuple(range(size))) for i, size in enumerate(sizes))
    )


class NetworkChecks(Subject):
    """A network with its default settings."""

    checks = ("shapes", "learns", "finite", "decides", "onnx", "prints_nothing")
    spec: ModelSpec

    def shapes(self) -> Iterator[str]:
        """For pictures and axes of several sizes it gives an array of logits for each axis, in their order."""
        from autopilot.learn import network

        for size, sizes in ((SIZE, SIZES), *OTHERS):
            try:
                network.build(self.registry, self.name, {}, size, space(sizes), seed=None)
            except PluginError as e:
                fix = "; return a tuple, a head for each size of `outputs` in its order" if "logits" in str(e) else ""
                what = str(e).replace(f"{self.plugin.dist}: network {self.name!r} ", "")
                build = "" if fix else "; build it from height, width and `outputs`, whatever they are"
                yield f"{what} ({size[0]}x{size[1]}, {' x '.join(map(str, sizes))}){fix}{build}"
                return

    @cached_property
    def trained(self) -> Any:
        """The network after STEPS steps: weights before and after, the losses."""
        import jax
        import optax
        from autopilot.learn import network
        from autopilot.learn.step import make_step

        if any(self.shapes()):
            raise Missing("not tried: its shapes are wrong")
        module = network.build(self.registry, self.name, {}, SIZE, space(SIZES), seed=0)
        adam = optax.adam(self.spec.learning_rate)
        state, step = make_step(module, adam, lambda key, index, images, labels: (images, labels), seed=0)
        images, labels = pictures()
        batch = (self._batch(module, images), labels, np.ones(labels.shape, np.float32))
        before = network.to_weights(state.weights)
        weights, other, optimiser, losses = state.weights, state.other, state.optimiser, []
        for number in range(STEPS):
            weights, other, optimiser, loss = step(weights, other, optimiser, jax.numpy.asarray(number), batch)
            losses.append(float(loss))
        return SimpleNamespace(module=module, weights=weights, other=other, before=before, losses=losses)

    def _batch(self, module: Any, images: Image) -> Any:
        """Return pictures as the network takes them: each alone, or a window of it."""
        from autopilot.learn import network

        frames = network.frames_of(module)
        return images if frames is None else np.repeat(images[:, None], frames, axis=1)

    def learns(self) -> Iterator[str]:
        """Its loss is finite and falls on one small batch, and every weight changes."""
        from autopilot.learn import network

        losses = self.trained.losses
        if not np.isfinite(losses).all():
            at = int(np.argmin(np.isfinite(losses)))
            yield f"the loss is {losses[at]} at step {at + 1}; {NAN}"
            return
        after = network.to_weights(self.trained.weights)
        still = [name for name, array in self.trained.before.items() if np.array_equal(array, after[name])]
        if still:
            yield (
                f"no gradient reaches {', '.join(still[:3])}{'…' * (len(still) > 3)}; use it in what __call__ returns, "
                "or make it no nnx.Param"
            )
        elif min(losses[-3:]) > FALLS * losses[0]:
            rate = f"{self.spec.learning_rate:g}"
            yield (
                f"the loss does not fall on {BATCH} pictures in {STEPS} steps ({losses[0]:.2f} to {losses[-1]:.2f}, "
                f"rate {rate}); try a smaller learning_rate in its ModelSpec, and scale its images"
            )

    @cached_property
    def _logits(self) -> Any:
        """Return `(images, seed) -> logits` in evaluation mode, jitted; the seed is that of dropout."""
        import jax
        from autopilot.learn import network
        from flax import nnx

        module, weights, other = self.trained.module, self.trained.weights, self.trained.other
        module.eval()
        graph, _, rng, _ = nnx.split(module, nnx.Param, nnx.RngState, ...)

        @jax.jit
        def run(weights: Any, other: Any, images: Any, key: Any) -> Any:
            # Merging shares variables, and these are changed.
            merged = nnx.merge(graph, weights, *jax.tree.map(lambda x: x, (rng, other)))
            nnx.reseed(merged, dropout=key)
            return network.logits_of(merged, images)

        def logits(images: Image, seed: int = 0) -> list[Any]:
            found = run(weights, other, self._batch(module, images).astype(np.float32), jax.random.key(seed))
            return [np.asarray(head, np.float32) for head in found]

        return logits

    def finite(self) -> Iterator[str]:
        """Whatever the picture, logits are numbers."""
        images, _ = pictures()
        images[0], images[1], images[2] = 0, 255, np.indices(images[2].shape).sum(0) % 2 * 255
        for name, i in (("black", 0), ("white", 1), ("chequered", 2), ("common", 3)):
            if not all(np.isfinite(head[i]).all() for head in self._logits(images)):
                yield f"the logits of a {name} picture are no numbers; {NAN}"
                return

    def decides(self) -> Iterator[str]:
        """In evaluation mode the same picture gets the same logits, whatever is beside it; another one gets others."""
        images, _ = pictures()
        one, two = self._logits(images), self._logits(images, seed=1)
        if not all(np.array_equal(a, b) for a, b in zip(one, two, strict=True)):
            yield "evaluated twice it gives different logits; draw chance in training alone (nnx.Dropout does)"
            return
        beside = images.copy()
        beside[1:] = beside[1:] // 3
        if not all(np.allclose(a[0], b[0], atol=1e-2) for a, b in zip(one, self._logits(beside), strict=True)):
            yield "a picture's logits depend on those beside it in the batch; in evaluation use no batch's statistics"
        if all(np.array_equal(head, np.broadcast_to(head[:1], head.shape)) for head in one):
            yield "all pictures get the same logits; let them depend on the images"

    def onnx(self) -> Iterator[str]:
        """It can be exported, where a plugin exports."""
        from autopilot.bundle.manifest import save_bundle
        from autopilot.bundle.preprocess import Preprocess
        from autopilot.learn import network
        from autopilot.learn.policy import Policy

        exporters = [(plugin, spec) for plugin, spec in self.registry.provided("engine") if spec.export]
        if not exporters:
            raise Missing("no plugin exports networks: pip install -c constraints.txt -e plugins/onnx")
        plugin, engine = exporters[0]
        export = self.registry.load("engine", f"{plugin.dist}:{engine.name}", engine.export)
        weights = network.to_weights(self.trained.weights) | network.to_weights(self.trained.other)
        manifest = {
            **{"name": "it", "game": "", "label_map": "", "model": self.name, "config": {}, "hz": 10.0, "sessions": []},
            **{"options": {}, "metrics": {}, "versions": {}, "action_space": space(SIZES).to_json()},
            **{"preprocess": Preprocess(SIZE, SIZE).to_json(), "frames": network.frames_of(self.trained.module)},
        }
        with tempfile.TemporaryDirectory() as folder:
            save_bundle(Path(folder, "it"), manifest, weights)
            try:
                export(Policy.load(Path(folder, "it"), self.registry), Path(folder, engine.file), True)
            except BundleError as e:
                yield f"{e}; or take operations that it knows"


def pictures() -> tuple[Image, Any]:
    """Return BATCH pictures, uint8 (BATCH, H, W, 3), each with a bar for each axis; and labels, int32 (BATCH, axes)."""
    rng = np.random.default_rng(0)
    width, height = SIZE
    images = rng.integers(60, 120, (BATCH, height, width, 3), np.uint8)
    labels = np.stack([rng.permutation(BATCH) % size for size in SIZES], axis=1).astype(np.int32)
    rows = height // len(SIZES)
    for image, label in zip(images, labels, strict=True):
        for axis, (value, size) in enumerate(zip(label, SIZES, strict=True)):
            left = int(value) * width // size
            image[axis * rows : (axis + 1) * rows, left : left + width // size] = 230
    return images, labels
