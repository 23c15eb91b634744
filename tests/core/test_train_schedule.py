"""Schedules: the rate that the optimiser applies, how the weights follow it, when to stop."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from autopilot.learn.options import TrainOptions
from autopilot.learn.schedule import best, out_of_patience
from autopilot.learn.step import TrainState, learning_rate, optimiser

STEPS = 200


def applied(steps: int = STEPS, **options: Any) -> tuple[np.ndarray, np.ndarray]:
    """The rates that the optimiser's state names, and how far a weight moves, step by step.

    Under a gradient that never changes Adam moves a weight by its rate (arXiv:1412.6980, section 2.1).
    """
    adam = optimiser(TrainOptions("m", learning_rate=1e-2, **options), steps)
    weights = jnp.zeros(1)
    state = adam.init(weights)

    @jax.jit
    def step(weights: jax.Array, state: Any) -> tuple[jax.Array, Any, jax.Array]:
        updates, state = adam.update(jnp.ones(1), state, weights)
        return optax.apply_updates(weights, updates), state, updates[0]

    rates, moves = [], []
    for _ in range(steps):
        weights, state, move = step(weights, state)
        rates.append(learning_rate(TrainState(weights, None, state)))
        moves.append(-float(move))
    return np.array(rates), np.array(moves)


@pytest.mark.parametrize("name", ["cosine", "step", "constant"])
def test_the_weights_move_by_the_rate_that_is_logged(name: str) -> None:
    rates, moves = applied(schedule=name, warmup=0.1)
    np.testing.assert_allclose(moves, rates, rtol=1e-4)
    np.testing.assert_allclose(rates[:21], np.linspace(1e-3, 1e-2, 21), rtol=1e-4)
    done = (np.arange(20, STEPS) - 20) / 180
    wanted = {
        "cosine": 1e-2 * (0.01 + 0.99 * 0.5 * (1 + np.cos(np.pi * done))),
        "step": np.select([done < 0.5, done < 0.75], [1e-2, 1e-3], 1e-4),
        "constant": np.full(180, 1e-2),
    }[name]
    np.testing.assert_allclose(rates[20:], wanted, rtol=2e-3, atol=1e-7)


def test_warm_up_is_a_share_or_a_number_of_steps_or_nothing() -> None:
    share, _ = applied(warmup=0.25)
    steps, _ = applied(warmup=50)
    assert np.array_equal(share, steps)
    assert int(share.argmax()) == 50
    none, _ = applied(warmup=0.0)
    assert int(none.argmax()) == 0
    for few in (1, 2, 3):
        rates, _ = applied(few, warmup=1000)
        assert rates.max() <= 1e-2 * (1 + 1e-6), "a warm-up longer than the training never overshoots"


def history(*losses: float) -> list[dict[str, Any]]:
    return [{"epoch": n, "loss": loss} for n, loss in enumerate(losses, 1)]


def test_the_best_epochs_are_those_with_the_smallest_loss_and_of_equals_the_earlier() -> None:
    found = best(history(3, 1, 2, 1, 5), 3)
    assert [h["epoch"] for h in found] == [2, 4, 3]
    assert [h["epoch"] for h in best(history(3, 1), 5)] == [2, 1]


@pytest.mark.parametrize(
    ("losses", "patience", "stops"),
    [
        ((), 2, False),
        ((1,), 1, False),
        ((3, 2, 1), 1, False),
        ((3, 1, 2), 2, False),
        ((3, 1, 2, 2), 2, True),
        ((3, 1, 2, 0.5), 2, False),
        ((1, 1, 1), 2, True),
        ((1, 2, 3, 4, 5), 0, False),
    ],
)
def test_patience_ends_after_so_many_epochs_that_are_no_better(
    losses: tuple[float, ...], patience: int, stops: bool
) -> None:
    assert out_of_patience(history(*losses), patience) is stops
