"""A run: one driver in one world from start to end, with its observers."""

from __future__ import annotations

import logging
import signal
import threading
import time
from collections.abc import Sequence
from contextlib import ExitStack
from functools import partial
from typing import Literal

from autopilot.api.errors import Away, DeviceError
from autopilot.api.types import NOTHING, Held, Reading, Step
from autopilot.drive.drivers import Driver
from autopilot.drive.timing import Timing
from autopilot.drive.world import OpenWorld

_log = logging.getLogger("autopilot")

POLL_S = 0.02
"""Between two looks while a run is paused, or the game away."""

Ending = Literal["finished", "limit", "ended", "saved", "quit"]
"""Why a run is over: the race is, the step limit, no more frames, or a hotkey."""

BY_HOTKEY = ("saved", "quit")
"""The endings by which a person ends all runs that were to follow, too."""


class Observer:
    """Is told of a run's named moments: a session recorder, a film, a status line. Each does nothing by default."""

    def prepare(self, run: Run) -> None:
        """The world is open: open a film, start a race, count down."""

    def begin(self, run: Run) -> None:
        """All are prepared, nothing was decided yet."""

    def step(self, step: Step) -> None:
        """A decision was sent."""

    def pause(self, paused: bool) -> None:
        """The human paused the run, or lets it go on; nothing is held meanwhile."""

    def away(self, reason: str | None) -> None:
        """The game cannot be seen, so that nothing is held, or (None) is back."""

    def discard(self) -> None:
        """The human wants the last seconds forgotten."""

    def close(self, ending: Ending | None, error: BaseException | None) -> None:
        """The run is over, by an error (no ending), perhaps before it began: a note added to it tells what was kept."""


class Run:
    """One driver in one world, until the race ends, a hotkey stops it or `max_steps` have passed.

    `size` (width, height) is that of the frames that the driver sees and sessions keep. `reading` is the
    referee's last word, `human_frames` counts the steps that a human decided.
    """

    def __init__(
        self,
        world: OpenWorld,
        driver: Driver,
        timing: Timing,
        size: tuple[int, int],
        observers: Sequence[Observer] = (),
        max_steps: int | None = None,
    ) -> None:
        self.world, self.driver, self.timing = world, driver, timing
        self._size, self._observers, self._max_steps = size, tuple(observers), max_steps
        self.steps = self.human_frames = 0
        self.reading: Reading | None = None
        self._held: Held = NOTHING
        self._away: str | None = None
        self._ending: Ending | None = None

    def go(self) -> Ending:
        """Run to the end. Whatever happens, everything is released and every observer closed, on Ctrl-C too.

        Raises DeviceError when the source is over before it gave a frame, and what the parts of the world raise.
        """
        ctrl_c = CtrlC()
        with ExitStack() as stack:
            stack.callback(ctrl_c.close)
            for observer in self._observers:
                stack.push(partial(self._close, observer))
            stack.callback(self.world.device.release_all)
            for observer in self._observers:
                observer.prepare(self)
            for observer in self._observers:
                observer.begin(self)
            self.timing.start()
            stack.callback(self.timing.stop)
            if self.world.reader is not None:
                self.world.reader.held()  # what was tapped before, to begin the game's race, is no driving
            while self._ending is None:
                ctrl_c.heed()
                self._ending = self._turn()
        return self._ending

    def _close(self, observer: Observer, kind: object, error: BaseException | None, trace: object) -> None:
        observer.close(None if error else self._ending, error)

    def _turn(self) -> Ending | None:
        """Heed hotkeys, then capture, decide, hold, observe, tick; return why the run is over, if it is."""
        if self.steps == self._max_steps:
            return "limit"
        if (stopped := self._hotkeys()) is not None:
            return stopped
        timing = self.timing
        timing.begin_step()
        try:
            with timing.stage("capture"):
                try:
                    frame, native = self.world.read(self._size)
                except EOFError as e:
                    if self.steps == 0:
                        raise DeviceError("the frame source was over before it gave a picture: name another") from e
                    return "ended"
            with timing.stage("decide"):
                decision = self.driver.decide(frame)
        except Away as e:
            with timing.pause():
                self._release()
                self.tell_away(str(e))
                time.sleep(POLL_S)
            return None
        self.tell_away(None)
        with timing.stage("device"):
            self.world.device.hold(decision.sent)
            self._held = decision.sent
        with timing.stage("observe"):
            self.reading = self.world.referee.reading() if self.world.referee else None
            self.human_frames += decision.by_human
            step = Step(self.steps, frame, native, decision, self.reading)
            for observer in self._observers:
                observer.step(step)
        timing.end_work()
        if self.reading is not None and self.reading.finished:
            return "finished"
        self.world.clock.tick(self._meanwhile)
        self.steps += 1
        return None

    def _meanwhile(self) -> None:
        if self.driver.meanwhile() and self._held:
            self.world.device.release_all()
            self._held = NOTHING

    def _release(self) -> None:
        self.world.device.release_all()
        self._held = NOTHING
        self.driver.released()

    def tell_away(self, reason: str | None) -> None:
        """Tell the observers why the game cannot be seen, or (None) that it is back, once."""
        if reason != self._away:
            self._away = reason
            for observer in self._observers:
                observer.away(reason)

    def _hotkeys(self) -> Ending | None:
        """Act on the human's hotkeys; while paused, hold nothing and wait."""
        paused = False
        with self.timing.pause():
            while self.world.reader is not None:
                for key in self.world.reader.hotkeys():
                    if key in ("save", "quit"):
                        return "saved" if key == "save" else "quit"
                    if key == "discard":
                        for observer in self._observers:
                            observer.discard()
                    elif key == "panic" or (key == "pause" and (paused or not self.driver.pause())):
                        paused = key == "panic" or not paused
                        self._pause(paused, panic=key == "panic")
                if not paused:
                    break
                time.sleep(POLL_S)
        return None

    def _pause(self, paused: bool, panic: bool) -> None:
        self._release()
        if panic:
            _log.warning("autopilot: panic key: everything is released; the pause key goes on")
        for observer in self._observers:
            observer.pause(paused)


class CtrlC:
    """Raises KeyboardInterrupt as ever, and once more where that was lost.

    What is raised in a finaliser or a callback of the garbage collector, mss's and JAX's among
    them, Python prints and forgets. In the main thread only, and only over Python's own handler.
    """

    def __init__(self) -> None:
        self._pressed = False
        self._ours = (
            threading.current_thread() is threading.main_thread()
            and signal.getsignal(signal.SIGINT) is signal.default_int_handler
        )
        if self._ours:
            signal.signal(signal.SIGINT, self._press)

    def _press(self, number: int, frame: object) -> None:
        self._pressed = True
        raise KeyboardInterrupt

    def heed(self) -> None:
        """Raise KeyboardInterrupt if one came before."""
        if self._pressed:
            raise KeyboardInterrupt

    def close(self) -> None:
        """Put Python's handler back."""
        if self._ours:
            signal.signal(signal.SIGINT, signal.default_int_handler)
