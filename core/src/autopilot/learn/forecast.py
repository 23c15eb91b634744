"""What a training will take: its steps before the first one, the time as soon as it was measured."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import jax

from autopilot.api.errors import UserError
from autopilot.api.registry import Registry
from autopilot.learn import network
from autopilot.learn.data import Dataset
from autopilot.learn.options import TrainListener, TrainOptions, TrainProgress

LONG_S = 600
"""From so many seconds on it is worth saying what would be quicker."""


class Forecast:
    """Watches a training, and says before its first step what it is, and once it was measured how long it takes."""

    def __init__(self, registry: Registry, options: TrainOptions, data: Dataset, listener: TrainListener) -> None:
        self._registry, self._options, self._data = registry, options, data
        self._watch, self._say = listener.progress, listener.say
        self._begun = self._measured = False

    def __call__(self, p: TrainProgress) -> None:
        """Pass the progress on, then say what is new."""
        self._watch(p)
        if not self._begun:
            self._begun = True
            after = f", of which {p.step} are done" if p.step else ""
            self._say(
                f"{len(self._data.train)} frames to train on, {len(self._data.validation)} to validate on: "
                f"{p.steps} steps of {self._options.batch_size} frames in {p.epochs} epochs{after}"
            )
        if p.left_s is not None and p.step < p.steps and not self._measured:
            self._measured = True
            left = p.steps - p.step
            step_s = p.left_s / left
            line = f"measured {step_s:.2g} s a step: {in_words(p.left_s)} for the {left} left, validation not counted"
            ways = self._quicker(step_s * p.steps / p.epochs) if p.left_s >= LONG_S else []
            self._say(line + (f"; quicker: {', '.join(ways)}" if ways else ""))

    def _quicker(self, epoch_s: float) -> list[str]:
        """Return what would be quicker, in words: fewer epochs, a network that computes half as much or less, a GPU."""
        options, provided = self._options, self._registry.provided("model")
        ways = [f"fewer --epochs ({in_words(epoch_s)} each)"] if options.epochs > 1 else []
        own = self._operations(options.model, options.config)
        for name in sorted({spec.name for _, spec in provided}):
            with suppress(UserError):  # one that does not fit these frames, or two of this name
                if own >= 2 * (its := self._operations(name, {})) > 0:
                    ways.append(f"--model {name} (computes {own / its:.0f} times less)")
        return ways + (["a GPU"] if jax.default_backend() == "cpu" else [])

    def _operations(self, model: str, config: Mapping[str, Any]) -> float:
        size = self._data.preprocess.size
        module = network.build(self._registry, model, config, size, self._data.space, seed=None)
        return network.operations(module, size)


def in_words(seconds: float) -> str:
    """Return a time as people say it."""
    minutes = round(seconds / 60)
    if seconds < 100:
        return f"about {seconds:.0f} s"
    return f"about {minutes} min" if minutes < 100 else f"about {minutes // 60} h {minutes % 60:02} min"
