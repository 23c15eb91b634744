"""Making an environment from its id, and finding out what it is: its picture, its actions, its rate."""

from __future__ import annotations

import importlib
import importlib.metadata
import inspect
import re
from collections.abc import Callable, Mapping
from typing import Any

import gymnasium
import numpy as np
from autopilot.api import Image, UserError, suggest

type Environment = gymnasium.Env[Any, Any]


def make_environment(id: str, options: Mapping[str, Any], render: bool | None = None) -> Environment:
    """Make an environment, which renders pictures if it is to or, by default (None), if it can.

    Raises UserError where it cannot be made: it is not registered, its package is missing, or an option is wrong.
    """
    gymnasium.logger.min_level = gymnasium.logger.ERROR
    _import_package(id)
    name = id.rpartition(":")[2]
    try:
        spec = gymnasium.spec(name)
        modes = getattr(_class_of(spec), "metadata", {}).get("render_modes", ())
        mode = {"render_mode": "rgb_array"} if render or (render is None and "rgb_array" in modes) else {}
        made: Environment = gymnasium.make(spec, disable_env_checker=True, **mode, **options)
    except gymnasium.error.UnregisteredEnv as e:
        near = suggest(name, gymnasium.registry, "one of a package is named package:id, such as ale_py:ALE/Enduro-v5")
        raise UserError(f"no environment {id!r} is registered; {near}") from e
    except (gymnasium.error.DependencyNotInstalled, ImportError) as e:
        raise UserError(f"the environment {id!r} needs a package that is not installed: {_line(e)}") from e
    except Exception as e:  # whatever an environment says of its options
        raise UserError(f"the environment {id!r} cannot be made: {_line(e)}") from e
    return made


def _line(error: Exception) -> str:
    return " ".join(f"{error}".split())[:200]


def _class_of(spec: Any) -> Any:
    entry = spec.entry_point
    return gymnasium.envs.registration.load_env_creator(entry) if isinstance(entry, str) else entry


def _import_package(id: str) -> None:
    """Import the package that registers an environment: an installed one, made for Gymnasium, and nothing else."""
    package, _, name = id.rpartition(":")
    if not package:
        return
    distributions = importlib.metadata.packages_distributions().get(package, ())
    if not distributions:
        raise UserError(f"the package {package!r} of {name!r} is not installed: install it, or correct the id")
    needs = [r for d in distributions for r in importlib.metadata.requires(d) or ()]
    if not any(re.match(r"gymnasium\b", need) for need in needs):
        raise UserError(f"the package {package!r} was not made for Gymnasium: give the one that registers {name!r}")
    module = importlib.import_module(package)
    if package == "ale_py":  # it greets on stderr, which a program may read
        module.ALEInterface.setLoggerMode(module.LoggerMode.Error)


def check_actions(env: Environment, id: str, numbers: Mapping[int, object] | None = None) -> int:
    """Return how many actions there are; raises UserError where they are not discrete, or lack one of these numbers."""
    space = env.action_space
    if not isinstance(space, gymnasium.spaces.Discrete):
        can = "continuous" in inspect.signature(type(env.unwrapped)).parameters
        more = "; try its option continuous=false" if can else ""
        raise UserError(f"{id} has no discrete actions but {space}: a game needs Discrete{more}")
    for number in numbers or ():
        if not space.start <= number < space.start + space.n:
            raise UserError(f"{id} has no action {number}: there are {space.start} to {space.start + space.n - 1}")
    return int(space.n)


def picture_of(env: Environment, id: str, wanted: str) -> Callable[[Any], Image]:
    """Return what makes the picture of an observation; raises UserError where the environment has no such picture."""
    space = env.observation_space
    shape: tuple[int, ...] = space.shape or ()
    sees = isinstance(space, gymnasium.spaces.Box) and space.dtype == np.uint8 and len(shape) == 3 and shape[2] == 3
    if wanted == "observation" and sees:
        return np.asarray
    if env.render_mode == "rgb_array":
        return lambda observation: np.asarray(env.render(), np.uint8)
    raise UserError(f"{id} has no picture: it neither shows RGB pixels nor renders them (rgb_array)")


def decisions_of(env: Environment, most_hz: float = 17.0) -> tuple[float, int]:
    """Return a rate that a person can play at, at most `most_hz`, and the environment's steps in each decision."""
    spec, metadata = env.spec, env.metadata
    skip = spec.kwargs.get("frameskip") if spec else None
    fps = (
        60 / skip
        if isinstance(skip, int) and hasattr(env.unwrapped, "ale")
        else float(metadata.get("render_fps") or 30)
    )
    steps = max(1, int(np.ceil(fps / most_hz)))
    return round(fps / steps, 3), steps


def meanings_of(env: Environment, count: int) -> list[str]:
    """Return what an environment calls its actions, as far as it says so; else empty words."""
    inner: Any = env.unwrapped
    if hasattr(inner, "get_action_meanings"):
        return [str(word) for word in inner.get_action_meanings()]
    named = getattr(getattr(inner, "action_type", None), "actions", None)  # as highway_env has it
    return [str(named[n]) for n in range(count)] if isinstance(named, dict) and len(named) == count else [""] * count
