"""Loading the policy of a bundle for the game that it is to drive."""

from __future__ import annotations

from collections.abc import Callable

from autopilot.api.errors import BundleError
from autopilot.api.game import Game
from autopilot.learn.policy import Policy
from autopilot.sessions.home import Home


def load_policy(
    name: str, game: Game, home: Home, engine: str = "jax", say: Callable[[str], None] = lambda line: None
) -> Policy:
    """Load a bundle that fits the game, with its engine, `jax` or `onnx`; `say` hears what came of choosing it.

    Raises BundleError for a bundle or an ONNX export that does not fit.
    """
    policy = Policy.load(home.bundle(name), game.registry)
    if policy.manifest.game != game.spec.name:
        raise BundleError(f"bundle {name} drives {policy.manifest.game}, not {game.spec.name}")
    space = game.label_map(policy.manifest.label_map).action_space
    policy.check_fits(game.spec.name, space, game.spec.frame_size)
    if engine == "onnx":
        from autopilot.learn.onnx import accelerate

        accelerate(policy, home.bundle(name), say)
    return policy
