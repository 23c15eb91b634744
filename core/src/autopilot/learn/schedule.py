"""When to learn fast, and when to stop: the rate over the steps, the best epochs, patience."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import optax

from autopilot.learn.options import TrainOptions

Entry = Mapping[str, Any]
"""What is known of an epoch: `epoch`, validation `loss`, and more."""


def rate(options: TrainOptions, steps: int) -> optax.Schedule:
    """Return step -> learning rate, for a training of `steps` steps.

    The warm-up rises linearly from a tenth of the peak. Then `cosine` falls to a hundredth of the
    peak (arXiv:1608.03983, without restarts), `step` falls to a tenth when half of the rest is
    done and to a hundredth at three quarters, `constant` stays.
    """
    peak, share = options.learning_rate, options.warmup
    warm_up = min(round(share * steps) if share < 1 else round(share), steps - 1)
    rest = max(steps - warm_up, 1)
    then = {
        "cosine": lambda: optax.cosine_decay_schedule(peak, rest, alpha=0.01),
        "step": lambda: optax.piecewise_constant_schedule(peak, {rest // 2: 0.1, rest * 3 // 4: 0.1}),
        "constant": lambda: optax.constant_schedule(peak),
    }[options.schedule]()
    if warm_up < 1:
        return then
    return optax.join_schedules([optax.linear_schedule(peak / 10, peak, warm_up), then], [warm_up])


def best(history: Sequence[Entry], count: int = 1) -> list[Entry]:
    """Return the `count` epochs with the smallest validation loss, the best first; ties: the earlier."""
    return sorted(history, key=lambda h: (h["loss"], h["epoch"]))[:count]


def out_of_patience(history: Sequence[Entry], patience: int) -> bool:
    """Return whether the last `patience` epochs brought no smaller validation loss; 0: never.

    It asks the history alone, which is part of a checkpoint: a resumed training stops where one that
    was never interrupted does.
    """
    return bool(patience and history) and history.index(best(history)[0]) < len(history) - patience
