"""Analogue controls: each level of one is a control of its own, such as `steer:-0.6`; at rest none of them is held.

So what is held stays a set of controls, from a stick to the network and back, and letting go of everything is rest.
"""

from __future__ import annotations

from collections.abc import Iterable

from autopilot.api.types import NOTHING, Held


def levels(name: str, at: Iterable[float]) -> tuple[str, ...]:
    """Return the controls that an analogue control is at each level, but for 0, its rest, at which none is held.

    A level is a share of the whole way, from -1 to 1 (right and up), of a trigger from 0. Raises ValueError for others.
    """
    wanted = list(at)
    if wrong := [level for level in wanted if not -1 <= level <= 1]:
        raise ValueError(f"{name}: a level is from -1 to 1, not {wrong[0]:g}")
    return tuple(f"{name}:{level:g}" for level in wanted if level)


def split_level(control: str) -> tuple[str, float | None]:
    """Return the name and the level of `steer:-0.6`; of any other control (or button) itself and None."""
    name, _, level = control.rpartition(":")
    try:
        return (name, float(level)) if name else (control, None)
    except ValueError:
        return control, None


def level_of(held: Held, name: str) -> float:
    """Return the level, -1 to 1, at which an analogue control is held; opposite ones cancel out."""
    each = (level for its, level in map(split_level, held) if its == name and level is not None)
    return min(1.0, max(-1.0, sum(each)))


def nearest_level(controls: Iterable[str], value: float) -> Held:
    """Return the one of an analogue control's `controls` (`levels`) that is nearest to a value; none nearest to 0."""
    near = {level: control for control in controls if (level := split_level(control)[1]) is not None}
    best = min((0.0, *near), key=lambda level: abs(level - value))
    return frozenset({near[best]}) if best else NOTHING
