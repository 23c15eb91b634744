"""Checks of a device: pressed by the real emitter's process, read back, and let go whatever dies."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from functools import cached_property

from autopilot.api import AutopilotError, DeviceError, DeviceSpec, Held, PluginError, Reader, Trial, UserError
from autopilot.desktop.emitter import Emitter

from autopilot_kit.subject import Missing, Subject, soon

HELD: Held = frozenset({"test"})
NO_NAME = "no-such-button"
WAIT_S = 2.0
"""How long a press may take to be seen; a guard lets go after 0.35 s."""


class DeviceChecks(Subject):
    """A device, by its trial where it has one."""

    checks = ("opens", "names", "presses", "not_the_humans", "closes", "killed", "hotkeys", "prints_nothing")
    streams = (1, 2)  # what the emitter's process prints comes to standard error
    spec: DeviceSpec

    def opens(self) -> Iterator[str]:
        """Both ends open without a name, and a reader closes twice."""
        if self.spec.backend is None and self.spec.reader is None:
            yield "has neither a backend nor a reader; name one of them"
        with ExitStack() as stack:
            if self.spec.backend:
                self._missing(lambda: stack.enter_context(closing(self._emitter({}))))
            if self.spec.reader:
                reader = self._missing(lambda: self._reader({}, {}, frozenset))
                stack.callback(reader.close)
                reader.close()

    def names(self) -> Iterator[str]:
        """A name that it has not is refused, by both ends."""
        self._can_open()
        if self.spec.backend:
            try:
                self._emitter({"test": NO_NAME}).close()
                yield f"its backend takes a button called {NO_NAME!r}; raise a UserError that says which there are"
            except DeviceError as e:
                if NO_NAME not in str(e):
                    yield f"its backend says of a button {NO_NAME!r}: {e}; say which name it is, and which there are"
        if self.spec.reader:
            try:
                self._reader({"test": NO_NAME}, {}, frozenset).close()
                yield f"its reader takes a button called {NO_NAME!r}; raise a UserError that says which there are"
            except PluginError as e:
                yield f"{self.told(e)}; raise a UserError for a button that it has not"
            except AutopilotError:
                pass

    def presses(self) -> Iterator[str]:
        """A press arrives, holding again changes nothing, a release arrives; no call hangs."""
        with ExitStack() as stack:
            trial = self._trial(stack)
            emitter = stack.enter_context(closing(self._emitter({"test": trial.name})))
            reader = stack.enter_context(closing(self._reader({"test": trial.name}, {}, frozenset)))
            try:
                faults = [fault for fault in (self._press(trial, emitter, reader) for _ in range(2)) if fault]
            except DeviceError:
                if not emitter.replaced:
                    raise
                faults = []
            if emitter.replaced:
                yield "press(), release() or flush() hangs or ends the process; return within a second"
            yield from faults[:1]

    def _press(self, trial: Trial, emitter: Emitter, reader: Reader) -> str:
        """Press and release; return what does not arrive, in words."""
        arrived = trial.arrived or (lambda down: True)
        emitter.hold(HELD)
        if not soon(lambda: arrived(True), WAIT_S):
            return f"{trial.name} is pressed, but does not come to its window; press in press() or flush()"
        if not soon(lambda: reader.held() == HELD, WAIT_S):
            return f"{trial.name} is pressed, but its reader does not see it; let both ends mean one button"
        emitter.release_all()
        if not soon(lambda: arrived(False) and not reader.held(), WAIT_S):
            return f"{trial.name} stays down after it was released; let go in release() or flush()"
        return ""

    def not_the_humans(self) -> Iterator[str]:
        """What our emitter presses is not taken for the human's."""
        with ExitStack() as stack:
            trial = self._trial(stack)
            emitter = stack.enter_context(closing(self._emitter({"test": trial.name})))
            human = stack.enter_context(closing(self._reader({"test": trial.name}, {}, emitter.ours)))
            emitter.hold(HELD)
            if soon(lambda: bool(human.held()), 0.3):
                yield f"its reader takes {trial.name}, held by our emitter, for the human's; leave out what ours() says"

    def closes(self) -> Iterator[str]:
        """A key that is held when the device is closed is let go."""
        with ExitStack() as stack:
            trial = self._trial(stack)
            reader = stack.enter_context(closing(self._reader({"test": trial.name}, {}, frozenset)))
            emitter = self._emitter({"test": trial.name})
            emitter.hold(HELD)
            soon(lambda: reader.held() == HELD, WAIT_S)
            emitter.close()
            emitter.close()
            if not soon(lambda: not reader.held(), WAIT_S):
                yield f"{trial.name} stays down after close(); let release() and close() release at once"
            stack.callback(reader.close)

    def killed(self) -> Iterator[str]:
        """A key that is held when the emitter's process is killed is let go by its guard, or by the system."""
        with ExitStack() as stack:
            trial = self._trial(stack)
            reader = stack.enter_context(closing(self._reader({"test": trial.name}, {}, frozenset)))
            if fault := self._kill(trial.name, reader):
                yield fault
            elif not soon(lambda: not reader.held(), WAIT_S):
                yield f"{trial.name} stays down when the emitter is killed; say sticky = True, so that a guard lets go"
                self._emitter({"test": trial.name}).close()  # which releases all that it may press

    def _kill(self, name: str, reader: Reader) -> str:
        """Start an emitter's process, let it press, and kill it; return what is wrong before that, in words."""
        command = [sys.executable, "-P", "-m", "autopilot.desktop.emitter", str(self), str(self.spec.backend), name]
        with subprocess.Popen(  # noqa: S603 - as core starts it
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True
        ) as process:
            assert process.stdin is not None
            assert process.stdout is not None
            try:
                opened = json.loads(process.stdout.readline() or "{}")
                if "pids" not in opened:
                    return f"it opened once, and now says {opened.get('error', 'nothing')}; let it open again"
                process.stdin.write(f"{json.dumps([name])}\n".encode())
                process.stdin.flush()
                process.stdout.readline()
                soon(lambda: reader.held() == HELD, 0.2)
            finally:
                os.kill(process.pid, signal.SIGKILL if hasattr(signal, "SIGKILL") else signal.SIGTERM)
        return ""

    def hotkeys(self) -> Iterator[str]:
        """A hotkey is told once."""
        with ExitStack() as stack:
            trial = self._trial(stack)
            reader = stack.enter_context(closing(self._reader({}, {"pause": trial.name}, frozenset)))
            emitter = stack.enter_context(closing(self._emitter({"test": trial.name})))
            reader.hotkeys()
            told: list[str] = []

            def listen() -> bool:
                told.extend(reader.hotkeys())
                return bool(told)

            emitter.hold(HELD)
            soon(listen, WAIT_S)
            told += [*reader.hotkeys(), *reader.hotkeys()]
            emitter.release_all()
            if told.count("pause") > 1:
                yield "a hotkey that is held is told again and again; tell it when it goes down"
            elif not told:
                yield "a hotkey that is pressed is not told; let hotkeys() return those pressed since its last call"

    # --- parts

    def _emitter(self, bindings: dict[str, str]) -> Emitter:
        assert self.spec.backend is not None
        self.load(self.spec.backend)
        return Emitter(self.spec.backend, bindings, 5.0, f"{self.plugin.dist}: {self}")

    def _reader(self, bindings: dict[str, str], hotkeys: dict[str, str], ours: Callable[[], frozenset[str]]) -> Reader:
        assert self.spec.reader is not None
        made: Reader = self.load(self.spec.reader, Reader)(bindings, hotkeys, ours)
        return made

    def _trial(self, stack: ExitStack) -> Trial:
        if not (self.spec.trial and self.spec.backend and self.spec.reader):
            raise Missing("without a backend, a reader and a trial nothing can be pressed and read back")
        self._can_open()
        found: Trial = self._missing(lambda: stack.enter_context(self.load(str(self.spec.trial))()))
        return found

    @cached_property
    def _lacking(self) -> str:
        """Why this machine has no such device, if so."""
        try:
            if self.spec.backend:
                self._missing(lambda: self._emitter({})).close()
        except Missing as e:
            return str(e)
        return ""

    def _can_open(self) -> None:
        if self._lacking:
            raise Missing(self._lacking)

    def _missing[T](self, make: Callable[[], T]) -> T:
        """Return what `make` does; where this machine has no such device, the check cannot be made."""
        try:
            return make()
        except PluginError:
            raise
        except UserError as e:
            if str(e).startswith(f"{self.plugin.dist}: {self}: "):
                raise
            raise Missing(f"not here: {e}") from e
