"""Whether a value is what its annotation says: a descriptor, or what a plugin's function returns."""

from __future__ import annotations

import math
import numbers
import reprlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import is_dataclass, replace
from functools import cache, partial
from types import NoneType, UnionType
from typing import Annotated, Any, Protocol, TypeAliasType, Union, get_args, get_origin, get_type_hints

from autopilot.api.types import Image, Must


class Misfit(TypeError):
    """A value that is not what its annotation says."""


class Wrap(Protocol):
    """What values that are code come out in."""

    def function(self, function: Callable[..., Any], label: str, take: Take) -> Callable[..., Any]:
        """Return the function as it may be called."""

    def object(self, thing: Any, protocol: type) -> Any:
        """Return the object as it may be used."""


type Take = Callable[[Any, Wrap], Any]
"""Passes on a value that fits, or one like it; what is code comes out wrapped. Raises Misfit for another."""


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
        return lambda value, wrap: wrap.object(value, origin)
    return _plain(origin)


def misfit(wanted: str, value: Any) -> Misfit:
    """Return the error in words."""
    return Misfit(f"must be {wanted}, not {' '.join(reprlib.repr(value).split())}")


def _image(value: Any, wrap: Wrap) -> Any:
    shape: Any = getattr(value, "shape", ())
    dtype = getattr(value, "dtype", None)
    if dtype != "uint8" or len(shape) != 3 or shape[2] != 3 or not all(shape):
        found = f"{dtype} {shape}" if dtype is not None else reprlib.repr(value)
        raise Misfit(f"must be uint8 (H, W, 3), not {found}")
    if value.flags.c_contiguous:
        return value
    import numpy as np

    return np.ascontiguousarray(value)


_WORDS: dict[Any, str] = {int: "a whole number", float: "a finite number", str: "text", bool: "True or False"}
_FITS: dict[Any, Callable[[Any], bool]] = {
    int: lambda v: not isinstance(v, bool) and isinstance(v, numbers.Integral),
    float: lambda v: not isinstance(v, bool) and isinstance(v, numbers.Real) and math.isfinite(v),
    bool: lambda v: type(v).__name__ == "bool",  # NumPy's too
}


def _plain(kind: Any) -> Take:
    fits, word = _FITS.get(kind, lambda v: isinstance(v, kind)), _WORDS.get(kind, f"a {kind.__name__}")

    def take(value: Any, wrap: Wrap) -> Any:
        if not fits(value):
            raise misfit(word, value)
        return value

    return take


def _dataclass(kind: Any) -> Take:
    fields = [(name, taker(hint)) for name, hint in get_type_hints(kind, include_extras=True).items()]
    whole = _plain(kind)

    def take(value: Any, wrap: Wrap) -> Any:
        whole(value, wrap)
        changed = {}
        for name, take_field in fields:
            old = getattr(value, name)
            try:
                new = take_field(old, wrap)
            except Misfit as e:
                raise Misfit(f"{name}: {e}") from None
            if new is not old:
                changed[name] = new
        return replace(value, **changed) if changed else value

    return take


def _many(kind: Any, word: str, *hints: Any) -> Take:
    """Return what takes a container whose items, or keys and values, are as `hints` say."""
    takes = [taker(hint) for hint in hints]

    def take(value: Any, wrap: Wrap) -> Any:
        if not isinstance(value, kind) or isinstance(value, str):
            raise misfit(word, value)
        for item in value.items() if isinstance(value, Mapping) else zip(value):
            for take_one, one in zip(takes, item, strict=True):
                take_one(one, wrap)
        return value

    return take


def _tuple(*hints: Any) -> Take:
    if hints[-1] is ...:
        return _many(tuple, "a tuple", hints[0])
    takes = [taker(hint) for hint in hints]

    def take(value: Any, wrap: Wrap) -> Any:
        if not isinstance(value, tuple) or len(value) != len(takes):
            raise misfit(f"a tuple of {len(takes)}", value)
        for take_one, one in zip(takes, value, strict=True):
            take_one(one, wrap)
        return value

    return take


def _optional(*hints: Any) -> Take:
    (inner,) = (taker(hint) for hint in hints if hint is not NoneType)
    return lambda value, wrap: None if value is None else inner(value, wrap)


def _annotated(hint: Any, must: Must) -> Take:
    inner = taker(hint)

    def take(value: Any, wrap: Wrap) -> Any:
        if not must.holds(inner(value, wrap)):
            raise misfit(must.words, value)
        return value

    return take


def _function(hints: Any, returns: Any) -> Take:
    inner = taker(returns)

    def take(value: Any, wrap: Wrap) -> Any:
        if not callable(value):
            raise misfit("a function", value)
        return wrap.function(value, getattr(value, "__name__", "call"), inner)

    return take


def _each(hint: Any) -> Take:
    inner, end = taker(hint), object()

    def take(value: Any, wrap: Wrap) -> Iterator[Any]:
        things = iter(value)
        step = wrap.function(
            partial(next, things, end),
            getattr(value, "__name__", "next"),
            lambda item, wrap: item if item is end else inner(item, wrap),
        )
        return iter(step, end)

    return take


def _anything(*hints: Any) -> Take:
    return lambda value, wrap: value


_TAKERS: dict[Any, Callable[..., Take]] = {
    **dict.fromkeys((Any, None, NoneType), _anything),
    **dict.fromkeys((Union, UnionType), _optional),
    **dict.fromkeys((Iterator, Iterable), _each),
    Annotated: _annotated,
    Callable: _function,
    tuple: _tuple,
    list: partial(_many, list, "a list"),
    frozenset: partial(_many, frozenset, "a frozenset"),
    Sequence: partial(_many, Sequence, "a sequence"),
    Mapping: partial(_many, Mapping, "a mapping"),
}
