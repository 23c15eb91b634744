"""What is checked: one thing that a plugin provides, by checks that each say what is wrong and the fix."""

from __future__ import annotations

import contextlib
import os
import sys
import tempfile
import threading
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

from autopilot.api import AutopilotError, Plugin, PluginError, Registry, SourceSettings
from autopilot.api.guard import one_line, under_way
from autopilot.api.values import Misfit


class Missing(Exception):
    """This machine lacks what a check needs; the message says what."""


@dataclass(frozen=True)
class Options:
    """How to check: `settings` is where frame sources look.

    `patience_s` is how long a call into the plugin may take; `open_s`, how long an opening, or a check altogether:
    a network has to be compiled.
    """

    patience_s: float = 5.0
    open_s: float = 600.0
    settings: SourceSettings = field(default_factory=SourceSettings)


@dataclass(frozen=True)
class Outcome:
    """What came of a check: its faults, a line each with the fix; or why it was left out."""

    faults: Sequence[str] = ()
    left_out: str = ""
    seconds: float = 0.0


class Subject:
    """One thing that a plugin provides. Each of `checks` names a method that yields faults."""

    checks: ClassVar[tuple[str, ...]] = ()
    streams: ClassVar[tuple[int, ...]] = (1,)
    """Where it must not print: 1 is standard output, 2 standard error."""

    def __init__(self, registry: Registry, plugin: Plugin, kind: str, spec: Any, options: Options) -> None:
        self.registry, self.plugin, self.kind, self.spec, self.options = registry, plugin, kind, spec, options
        self.name = f"{plugin.dist}:{spec.name}"
        self._blocked, self._lacks = "", "nothing was tried"
        self._printed: list[str] = []

    def __str__(self) -> str:
        return f"{self.kind} {self.spec.name!r}"

    def load(self, target: str, returns: Any = Any) -> Any:
        """Import what a string of the descriptor names, guarded."""
        return self.registry.load(self.kind, self.name, target, returns)

    def run(self, check: str) -> Outcome:
        """Make a check; whatever the plugin does, there is an outcome. After a call that hangs the rest is left out."""
        begun = time.monotonic()
        if self._blocked:
            return Outcome(left_out=f"not tried: {self._blocked}")
        try:
            with contextlib.ExitStack() as stack:
                texts = [stack.enter_context(printed(number)) for number in self.streams]
                stack.callback(lambda: self._printed.extend(line for text in texts for line in text().splitlines()))
                faults = within(lambda: list(getattr(self, check)()), self.options)
        except Missing as e:
            self._lacks = self._lacks and str(e)
            return Outcome((), str(e), time.monotonic() - begun)
        except Hangs as e:
            self._blocked = f"{check} hangs"
            faults = [f"{e}; let it answer at once, or raise a UserError"]
        except Exception as e:  # noqa: BLE001 - foreign code
            faults = [self.told(e)]
        self._lacks = ""
        prefix = f"{self.plugin.dist}: {self}: "
        return Outcome([fault.removeprefix(prefix) for fault in faults], "", time.monotonic() - begun)

    def told(self, error: BaseException) -> str:
        """Return an error in the plugin as a fault: what it says, and the line of the plugin that raised it."""
        cause = error.__cause__ if isinstance(error, PluginError) and error.__cause__ else error
        said = " ".join(str(error).split()) if isinstance(error, AutopilotError) else one_line(error)
        if isinstance(cause, Misfit):
            return f"{said}; let it be that"
        its = str(Path(getattr(self.plugin.module, "__file__", None) or ".").parent)
        frames = [f for f in traceback.extract_tb(cause.__traceback__) if f.filename.startswith(its)]
        return f"{said}; mend {f'{Path(frames[-1].filename).name}, line {frames[-1].lineno}' if frames else 'that'}"

    def prints_nothing(self) -> Iterator[str]:
        """Nothing was printed meanwhile: standard output is the result's alone, and a status line is easily broken."""
        if self._lacks:
            raise Missing(self._lacks)
        lines = [line for line in self._printed if line.strip() and not line.startswith("autopilot: ")]
        if lines:
            yield f"prints {lines[0].strip()[:60]!r}; leave the print out, or use logging"


class Hangs(Exception):
    """A call gives no answer."""


def within(call: Callable[[], Any], options: Options) -> Any:
    """Return what `call` returns, made in a thread of its own; raises Hangs when that takes longer than it may."""
    result: list[tuple[bool, Any]] = []

    def run() -> None:
        try:
            result.append((True, call()))
        except BaseException as e:  # noqa: BLE001 - raised again below
            result.append((False, e))

    thread = threading.Thread(target=run, name="check", daemon=True)
    begun = time.monotonic()
    thread.start()
    while thread.is_alive():
        thread.join(0.02)
        now, (since, who) = time.monotonic(), under_way(thread.ident or 0) or (begun, "it")
        opening = who == "it" or "open" in who.rpartition(": ")[2]
        allowed = options.open_s if opening else options.patience_s
        if thread.is_alive() and now - since > allowed:
            raise Hangs(f"{who}: no answer for {now - since:.0f} s")
    fine, value = result[0]
    if not fine:
        raise value
    return value


@contextlib.contextmanager
def printed(number: int) -> Iterator[Callable[[], str]]:
    """Catch what is written to standard output (1) or error (2), by Python or a library; call the result for it."""
    name = {1: "stdout", 2: "stderr"}[number]
    stream, own = getattr(sys, name), os.dup(number)
    with tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as file:
        stream.flush()
        os.dup2(file.fileno(), number)
        setattr(sys, name, file)
        try:
            yield lambda: _content(file)
        finally:
            setattr(sys, name, stream)
            os.dup2(own, number)
            os.close(own)


def _content(file: Any) -> str:
    file.flush()
    file.seek(0)
    text = str(file.read())
    file.seek(0, os.SEEK_END)
    return text


def soon(condition: Callable[[], bool], seconds: float = 2.0) -> bool:
    """Return whether something becomes true in time."""
    until = time.monotonic() + seconds
    while not (fine := condition()) and time.monotonic() < until:
        time.sleep(0.005)
    return fine
