"""The one way into a plugin's code: what it raises, returns or keeps waiting is told under its name."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from functools import cache
from types import TracebackType
from typing import Any, get_type_hints

from autopilot.api.errors import AutopilotError, PluginError
from autopilot.api.interfaces import FrameSource
from autopilot.api.values import Misfit, Take, misfit, taker

PATIENCE_S = 10.0
"""After so long without an answer a line says who gives none; after twice as long again, and so on."""

_log = logging.getLogger("autopilot")

_under_way: dict[int, tuple[float, str]] = {}
"""Thread -> since when it runs a plugin's code, and whose."""


class Calling:
    """While it lasts, this thread runs a plugin's code; `what` says whose and which.

    Raises PluginError, which begins with `what`, for all that is raised in there but `passing`: what a plugin may
    raise on purpose. The watchdog tells of one that lasts, unless it is not `watched`.
    """

    def __init__(
        self, what: str, passing: tuple[type[BaseException], ...] = (AutopilotError,), watched: bool = True
    ) -> None:
        self._what, self._passing, self._watched = what, passing, watched

    def __enter__(self) -> None:
        self._thread = threading.get_ident()
        self._outer = _under_way.get(self._thread)
        if self._watched:
            _under_way[self._thread] = time.monotonic(), self._what

    def __exit__(self, kind: object, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._outer is None:
            _under_way.pop(self._thread, None)
        else:  # it has waited for us, not we for it
            _under_way[self._thread] = time.monotonic(), self._outer[1]
        if isinstance(error, Exception | SystemExit) and not isinstance(error, self._passing):
            said = str(error) if isinstance(error, Misfit) else one_line(error)
            raise PluginError(f"{self._what}: {said}") from error


def under_way(thread: int) -> tuple[float, str] | None:
    """Return since when (monotonic seconds) a thread runs a plugin's code, and whose, if it does."""
    return _under_way.get(thread)


def one_line(error: BaseException) -> str:
    """Return what a foreign exception says, in one line of bounded length."""
    return f"{type(error).__name__}: {' '.join(str(error).split())}"[:300].rstrip(": ")


class Guard:
    """Calls what one plugin offers; `who` says its distribution, kind and name."""

    def __init__(self, who: str) -> None:
        self.who = who

    def function(
        self,
        function: Callable[..., Any],
        label: str,
        take: Take,
        passing: tuple[type[BaseException], ...] = (AutopilotError,),
        watched: bool = True,
    ) -> Callable[..., Any]:
        """Return `function`, each call of it in `Calling`, and what it returns passed through `take`."""
        _watchdog()
        what = f"{self.who}: {label}"

        def call(*args: Any, **named: Any) -> Any:
            with Calling(what, passing, watched):
                return take(function(*args, **named), self)

        return call

    def object(self, thing: Any, protocol: type) -> Any:
        """Return an object whose methods, those of its protocol, are guarded; raises Misfit where one is missing."""
        return Guarded(self, thing, protocol)


class Guarded:
    """A plugin's object: its protocol's methods guarded, its properties read once, all else as it is."""

    def __init__(self, guard: Guard, thing: Any, protocol: type) -> None:
        self._thing = thing
        for name, is_method, take in _members(protocol):
            if not hasattr(thing, name) or (is_method and not callable(getattr(thing, name))):
                raise misfit(f"a {protocol.__name__}, with {name}{'()' * is_method}", thing)
            member = getattr(thing, name)
            if not is_method:
                member = take(member, guard)
            elif protocol is FrameSource and name == "read":
                member = guard.function(member, name, _SameShape(take), (AutopilotError, EOFError))
            else:
                member = guard.function(member, name, take)
            vars(self)[name] = member

    def __getattr__(self, name: str) -> Any:
        return getattr(vars(self)["_thing"], name)


@cache
def _members(protocol: type) -> list[tuple[str, bool, Take]]:
    """Return of each method and property of a protocol its name, whether it is a method, and what takes its value."""
    members = [(name, member) for name, member in vars(protocol).items() if not name.startswith("_")]
    functions = [(name, getattr(member, "fget", member), callable(member)) for name, member in members]
    return [(name, is_method, taker(get_type_hints(f)["return"])) for name, f, is_method in functions]


class _SameShape:
    """Takes the frames of one source, which all have one shape."""

    def __init__(self, take: Take) -> None:
        self._take, self._first = take, ()

    def __call__(self, value: Any, guard: Guard) -> Any:
        frame = self._take(value, guard)
        (height, width, _), first = frame.image.shape, self._first or frame.image.shape
        if (height, width) != first[:2]:
            raise Misfit(f"image: is {width}x{height} now, it was {first[1]}x{first[0]}")
        self._first = first
        return frame


@cache
def _watchdog() -> threading.Thread:
    """Start the thread that says who gives no answer."""
    thread = threading.Thread(target=_watch, name="watchdog", daemon=True)
    thread.start()
    return thread


def _watch() -> None:
    told: dict[tuple[float, str], int] = {}
    while True:
        time.sleep(PATIENCE_S / 10)
        now, calls = time.monotonic(), set(_under_way.copy().values())
        told = {call: told.get(call, 0) for call in calls}
        for call in calls:
            if now - call[0] >= PATIENCE_S * 2 ** told[call]:
                told[call] += 1
                _log.warning("autopilot: %s: no answer for %.0f s; wait, or stop it by Ctrl-C", call[1], now - call[0])
