"""Running a driver in a world: the loop itself."""

from __future__ import annotations

import logging
import signal
import threading
import time
from collections.abc import Callable, Sequence
from typing import Literal

from autopilot.api.errors import Away, DeviceError
from autopilot.api.types import NOTHING, Frame, Step
from autopilot.bundle.frames import rescale
from autopilot.drive.drivers import Driver, HumanDriver
from autopilot.drive.game import OpenWorld, WallClock
from autopilot.drive.takeover import Stillness, Takeover
from autopilot.drive.timing import Timing

_log = logging.getLogger("autopilot")

Observer = Callable[[Step], None]
"""Is shown every step after it was sent: a session writer, a film, a status line."""

Ending = Literal["finished", "limit", "ended", "saved", "quit"]
"""Why the loop stopped: the race is over, the step limit, no more frames, or a hotkey."""


def run(
    world: OpenWorld,
    driver: Driver,
    timing: Timing,
    size: tuple[int, int],
    observers: Sequence[Observer] = (),
    max_steps: int | None = None,
    on_pause: Callable[[bool], None] = lambda paused: None,
    on_away: Callable[[str | None], None] = lambda reason: None,
    takeover: Takeover | None = None,
    on_discard: Callable[[], None] = lambda: None,
) -> Ending:
    """Let `driver` drive until the race ends, a hotkey stops it or `max_steps` have passed.

    `size` (width, height) is that of the frames that the driver sees and sessions keep. While the
    source says that the game is away, nothing is held and no step is shown; `on_away` is told why,
    and None when it is back. With a `takeover` the driver is a policy: the human's keys stop it at
    once, and against the wall clock a picture that stands still counts as away. `on_discard` is called when
    the human presses that hotkey. Whatever happens, everything is released at the end, on Ctrl-C too.

    Raises DeviceError when the source is over before it gave a frame, and what the parts of the world raise.
    """
    index = 0
    away = once(on_away)
    held = NOTHING

    def meanwhile() -> None:
        nonlocal held
        if isinstance(driver, HumanDriver):
            driver.look()
        if held and takeover is not None and takeover.begins():
            world.device.release_all()
            held = NOTHING

    stillness = None if takeover is None or world.clock.lockstep else Stillness()
    ctrl_c = CtrlC()
    try:
        while max_steps is None or index < max_steps:
            ctrl_c.heed()
            stopped = _hotkeys(world, timing, on_pause, on_discard, takeover)
            if stopped is not None:
                return stopped
            timing.begin_step()
            try:
                with timing.stage("capture"):
                    seen = world.source.read()
                    _check_upright(seen.image.shape, size)
                    frame = Frame(rescale(seen.image, size), seen.t_ns)
                human = takeover.decide() if takeover else None
                if stillness is not None and human is None:
                    stillness.check(frame.image, bool(held))
            except EOFError as e:
                if index == 0:
                    raise DeviceError("the frame source was over before it gave a picture: name another") from e
                return "ended"
            except Away as e:
                with timing.pause():
                    world.device.release_all()
                    held = NOTHING
                    away(str(e))
                    time.sleep(0.02)
                continue
            away(None)
            with timing.stage("decide"):
                decision = human or driver.decide(frame)
                if takeover and not human:  # a key that came while the policy thought
                    decision = takeover.decide() or decision
            with timing.stage("device"):
                world.device.hold(decision.sent)
                held = decision.sent
            with timing.stage("observe"):
                reading = world.referee.reading() if world.referee else None
                step = Step(index, frame, seen.image, decision, reading)
                for observe in observers:
                    observe(step)
            timing.end_work()
            if reading is not None and reading.finished:
                return "finished"
            if isinstance(world.clock, WallClock):
                world.clock.tick(meanwhile)
            else:
                world.clock.tick()
            index += 1
        return "limit"
    finally:
        timing.stop()
        ctrl_c.close()
        world.device.release_all()


def _check_upright(shape: tuple[int, ...], size: tuple[int, int]) -> None:
    """Raise DeviceError for a picture (H, W, 3) that stands where the game's, `size` (width, height), lies."""
    height, width = shape[:2]
    if (height - width) * (size[1] - size[0]) < 0:
        raise DeviceError(
            f"the picture is {width}x{height}, and the game's {size[0]}x{size[1]}: it would be squashed; "
            "choose another --window or --region, or let the plugin turn its frames"
        )


def once(tell: Callable[[str | None], None]) -> Callable[[str | None], None]:
    """Return what tells only what is other than the last time; None at first is not told."""
    last: str | None = None

    def change(news: str | None) -> None:
        nonlocal last
        if news != last:
            last = news
            tell(news)

    return change


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


def _hotkeys(
    world: OpenWorld,
    timing: Timing,
    on_pause: Callable[[bool], None],
    on_discard: Callable[[], None],
    takeover: Takeover | None,
) -> Literal["saved", "quit"] | None:
    """Act on the human's hotkeys; while paused, hold nothing and wait."""
    paused = False
    with timing.pause():
        while world.reader is not None:
            for key in world.reader.hotkeys():
                if key == "save":
                    return "saved"
                if key == "quit":
                    return "quit"
                if key == "discard":
                    on_discard()
                elif key == "pause" and takeover is not None and takeover.active:
                    takeover.hand_back()
                elif key in ("pause", "panic"):
                    paused = key == "panic" or not paused
                    world.device.release_all()
                    if key == "panic":
                        _log.warning("autopilot: panic key: everything is released; the pause key goes on")
                    on_pause(paused)
            if not paused:
                break
            time.sleep(0.02)
    return None
