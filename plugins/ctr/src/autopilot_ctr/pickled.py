"""Reads the one kind of pickle that the original's `.npy` files hold, and runs nothing.

`numpy.save` pickles an array of objects. Unpickling calls whatever the file names; this reader knows the
opcodes that describe arrays, lists, numbers and text, builds those itself, and refuses every other one.
Opcodes: Python's `pickletools`; the array's state: `ndarray.__reduce__` in numpy's documentation.
"""

from __future__ import annotations

import mmap
import pickletools
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from tokenize import TokenError
from typing import Any

import numpy as np

KNOWN = {
    **{f"numpy.{core}.multiarray _reconstruct": "array" for core in ("core", "_core")},
    **{"numpy ndarray": "ndarray", "numpy dtype": "dtype", "_codecs encode": "encode"},
}
"""Names that such a file refers to, and what this reader does for them."""
DTYPES = ("O8", "O", "u1", "b1", "i1", "i4", "i8", "f4", "f8")
_VALUES = (
    *("BININT", "BININT1", "BININT2", "LONG1", "BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8"),
    *("BINBYTES", "SHORT_BINBYTES", "BINBYTES8"),
)
_CONSTANTS = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False, "EMPTY_TUPLE": ()}
_TUPLES = {"TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}


@dataclass
class PickledArray:
    """An array of objects: `items` in the order of memory, which is column by column if `by_column`."""

    shape: tuple[int, ...] = ()
    items: list[Any] = field(default_factory=list)
    by_column: bool = False


@dataclass
class _Made:
    """An array from when it is named until its content is known."""

    value: PickledArray | np.ndarray[Any, Any] | None = None


@dataclass
class _Type:
    name: str
    order: str = "|"


def read_pickled(path: Path) -> PickledArray:
    """Return the array of objects in an `.npy` file; arrays of numbers in it come as numpy arrays.

    Raises ValueError, with what is wrong, for any other file.
    """
    with path.open("rb") as f:
        try:
            version = np.lib.format.read_magic(f)
            header = f"read_array_header_{'1_0' if version == (1, 0) else '2_0'}"
            shape, _, dtype = getattr(np.lib.format, header)(f)
            if dtype != np.dtype("O"):
                raise ValueError(f"it holds {dtype} numbers of shape {shape}: frames without their keys")
            with mmap.mmap(f.fileno(), 0, access=mmap.ACCESS_READ) as data:
                data.seek(f.tell())
                value = _Reader().read(data)
        except (IndexError, KeyError, TypeError, AttributeError, OverflowError, SyntaxError, TokenError) as e:
            raise ValueError(f"it is no array, or a damaged one ({type(e).__name__})") from e
    if not isinstance(value, PickledArray):
        raise ValueError("its pickle is not one of an array of objects")
    return value


class _Reader:
    def __init__(self) -> None:
        self._stack: list[Any] = []
        self._marks: list[int] = []
        self._memo: dict[int, Any] = {}

    def read(self, data: Any) -> Any:
        """Return what the pickle describes."""
        for opcode, argument, _ in pickletools.genops(data):
            if opcode.name == "STOP":
                return _unwrap(self._stack.pop())
            self._do(opcode.name, argument)
        raise ValueError("its pickle is cut short")

    def _do(self, name: str, argument: Any) -> None:
        stack, memo = self._stack, self._memo
        match name:
            case "PROTO" | "FRAME":
                pass
            case "MARK":
                self._marks.append(len(stack))
            case "EMPTY_LIST":
                stack.append([])
            case "APPEND" | "APPENDS":
                items = [stack.pop()] if name == "APPEND" else self._since_mark()
                stack[-1].extend(map(_unwrap, items))
            case "TUPLE":
                stack.append(tuple(map(_unwrap, self._since_mark())))
            case "BINPUT" | "LONG_BINPUT" | "MEMOIZE":
                memo[len(memo) if argument is None else argument] = stack[-1]
            case "BINGET" | "LONG_BINGET":
                stack.append(memo[argument])
            case _ if name in _VALUES:
                stack.append(argument)
            case _ if name in _CONSTANTS:
                stack.append(_CONSTANTS[name])
            case _ if name in _TUPLES:
                items = [stack.pop() for _ in range(_TUPLES[name])]
                stack.append(tuple(map(_unwrap, reversed(items))))
            case _:
                self._make(name, argument)

    def _make(self, name: str, argument: Any) -> None:
        """Do what makes an array: only of what is known."""
        stack = self._stack
        match name:
            case "GLOBAL":
                stack.append(self._known(argument))
            case "STACK_GLOBAL":
                attribute, module = stack.pop(), stack.pop()
                stack.append(self._known(f"{module} {attribute}"))
            case "REDUCE":
                arguments, function = stack.pop(), stack.pop()
                stack.append(function(*arguments))
            case "BUILD":
                state = stack.pop()
                self._build(stack[-1], state)
            case _:
                raise ValueError(f"its pickle does more than describe an array ({name})")

    def _since_mark(self) -> list[Any]:
        mark = self._marks.pop()
        items = self._stack[mark:]
        del self._stack[mark:]
        return items

    def _known(self, name: str) -> Callable[..., Any]:
        if name not in KNOWN:
            raise ValueError(f"its pickle asks for {name.replace(' ', '.')[:80]}, which no array needs")
        made: dict[str, Callable[..., Any]] = {
            "array": lambda *ignored: _Made(),
            "ndarray": lambda: None,
            "dtype": lambda name, *ignored: _Type(name),
            "encode": lambda text, codec: text.encode("latin-1"),
        }
        return made[KNOWN[name]]

    def _build(self, what: Any, state: Any) -> None:
        """Fill in a type, or an array, which is numpy's where it holds numbers."""
        if isinstance(what, _Type):
            what.order = state[1]
            return
        _, shape, dtype, by_column, content = state
        if dtype.name not in DTYPES:
            raise ValueError(f"an array in it is of {dtype.name[:20]!r}")
        if dtype.name.startswith("O"):
            what.value = PickledArray(shape, content, by_column)
        else:
            kind = np.dtype(dtype.name).newbyteorder(dtype.order)
            what.value = np.frombuffer(content, kind).reshape(shape, order="F" if by_column else "C")


def _unwrap(item: Any) -> Any:
    return item.value if isinstance(item, _Made) else item
