"""Whether a value is what its annotation says: a descriptor, or what a plugin's function returns."""

from __future__ import annotations

import json
import math
import numbers
import reprlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import is_dataclass, replace
from functools import cache, partial
from types import NoneType, UnionType
from typing import TYPE_CHECKING, Annotated, Any, TypeAliasType, Union, get_args, get_origin, get_type_hints

from autopilot.api.errors import PluginError
from autopilot.api.types import Image, Must

if TYPE_CHECKING:
    from autopilot.api.guard import Guard


class Misfit(TypeError):
    """A value that is not what its annotation says."""


type Take = Callable[[Any, Guard], Any]
"""Passes on a value that fits, or one like it; what is code comes out guarded. Raises Misfit for another."""


@cache
def taker(hint: Any) -> Take:
    """Return what takes values of an annotation: of the kinds that autopilot's vocabulary uses."""
    if isinstance(hint, TypeAliasType):
        return _image if hint is Image else taker(hint.__value__)
    origin: Any = get_origin(hint) or hint
    if origin in _TAKERS:
        return _TAKERS[origin](*get_args(hint))
    if is_dataclass(origin):
        return _dataclass(origin)
    if getattr(origin, "_is_protocol", False):
        return lambda value, guard: guard.object(value, origin)
    return _plain(origin)


def misfit(wanted: str, value: Any) -> Misfit:
    """Return the error in words."""
    return Misfit(f"must be {wanted}, not {' '.join(reprlib.repr(value).split())}")


def _image(value: Any, guard: Guard) -> Any:
    shape: Any = getattr(value, "shape", ())
    dtype = getattr(value, "dtype", None)
    if dtype != "uint8" or len(shape) != 3 or shape[2] != 3 or not all(shape):
        given = f"{dtype} {shape}" if dtype is not None else reprlib.repr(value)
        raise Misfit(f"must be uint8 (H, W, 3), not {given}")
    if value.flags.c_contiguous:
        return value
    import numpy as np

    return np.ascontiguousarray(value)


_PLAIN: dict[Any, tuple[str, Callable[[Any], bool]]] = {
    int: ("a whole number", lambda v: not isinstance(v, bool) and isinstance(v, numbers.Integral)),
    float: ("a finite number", lambda v: not isinstance(v, bool) and isinstance(v, numbers.Real) and math.isfinite(v)),
    bool: ("True or False", lambda v: type(v).__name__ == "bool"),  # NumPy's too
    str: ("text", lambda v: isinstance(v, str)),
}


def _plain(kind: Any) -> Take:
    word, fits = _PLAIN.get(kind) or (f"a {kind.__name__}", lambda v: isinstance(v, kind))

    def take(value: Any, guard: Guard) -> Any:
        if not fits(value):
            raise misfit(word, value)
        return value

    return take


def _dataclass(kind: Any) -> Take:
    fields = [(name, taker(hint)) for name, hint in get_type_hints(kind, include_extras=True).items()]
    whole = _plain(kind)

    def take(value: Any, guard: Guard) -> Any:
        whole(value, guard)
        changed = {}
        for name, take_field in fields:
            old = getattr(value, name)
            try:
                new = take_field(old, guard)
            except Misfit as e:
                raise Misfit(f"{name}: {e}") from None
            if new is not old:
                changed[name] = new
        return replace(value, **changed) if changed else value

    return take


def _many(kind: Any, word: str, *hints: Any) -> Take:
    """Return what takes a container whose items, or keys and values, are as `hints` say."""
    takes = [taker(hint) for hint in hints]

    def take(value: Any, guard: Guard) -> Any:
        if not isinstance(value, kind) or isinstance(value, str):
            raise misfit(word, value)
        for item in value.items() if isinstance(value, Mapping) else zip(value):
            for take_one, one in zip(takes, item, strict=True):
                take_one(one, guard)
        return value

    return take


def _tuple(*hints: Any) -> Take:
    if hints[-1] is ...:
        return _many(tuple, "a tuple", hints[0])
    takes = [taker(hint) for hint in hints]

    def take(value: Any, guard: Guard) -> Any:
        if not isinstance(value, tuple) or len(value) != len(takes):
            raise misfit(f"a tuple of {len(takes)}", value)
        for take_one, one in zip(takes, value, strict=True):
            take_one(one, guard)
        return value

    return take


def _either(*hints: Any) -> Take:
    *others, last = (taker(hint) for hint in hints if hint is not NoneType)

    def take(value: Any, guard: Guard) -> Any:
        if value is None and NoneType in hints:
            return None
        for other in others:
            with suppress(Misfit):
                return other(value, guard)
        return last(value, guard)

    return take


def _annotated(hint: Any, must: Must) -> Take:
    inner = taker(hint)

    def take(value: Any, guard: Guard) -> Any:
        if not must.holds(inner(value, guard)):
            raise misfit(must.words, value)
        return value

    return take


def _function(hints: Any, returns: Any) -> Take:
    inner = taker(returns)

    def take(value: Any, guard: Guard) -> Any:
        if not callable(value):
            raise misfit("a function", value)
        return guard.function(value, getattr(value, "__name__", "call"), inner)

    return take


def _each(hint: Any) -> Take:
    inner, end = taker(hint), object()

    def take(value: Any, guard: Guard) -> Iterator[Any]:
        things = iter(value)
        step = guard.function(
            partial(next, things, end),
            getattr(value, "__name__", "next"),
            lambda item, guard: item if item is end else inner(item, guard),
        )
        return iter(step, end)

    return take


def _anything(*hints: Any) -> Take:
    return lambda value, guard: value


_TAKERS: dict[Any, Callable[..., Take]] = {
    **dict.fromkeys((Any, None, NoneType), _anything),
    **dict.fromkeys((Union, UnionType), _either),
    **dict.fromkeys((Iterator, Iterable), _each),
    Annotated: _annotated,
    Callable: _function,
    tuple: _tuple,
    list: partial(_many, list, "a list"),
    frozenset: partial(_many, frozenset, "a frozenset"),
    Sequence: partial(_many, Sequence, "a sequence"),
    Mapping: partial(_many, Mapping, "a mapping"),
}


def settle(what: str, defaults: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """Return all settings of something: its defaults, and what was given in place of some.

    A default of None takes anything. Raises PluginError for a name that it has not, or a value of another type.
    """
    for name, value in given.items():
        if name not in defaults:
            raise PluginError(f"{what} has no setting {name!r}; there are: {', '.join(defaults) or 'none'}")
        default = defaults[name]
        kind = list | tuple if isinstance(default, list | tuple) else type(default)  # JSON knows no tuples
        fits = isinstance(value, kind) and isinstance(value, bool) == isinstance(default, bool)
        if isinstance(default, float):
            fits = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
        if default is not None and not fits:
            example = json.dumps(default, default=str)
            raise PluginError(f"{what}: setting {name} is {value!r}: give one like {example}")
    return {**defaults, **given}
