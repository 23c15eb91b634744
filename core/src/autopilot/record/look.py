"""Looking at a game on the screen at native resolution, while a human plays it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

from autopilot.errors import Away
from autopilot.game import DeviceChoice, Game, WallClock
from autopilot.types import Frame


def look(
    game: Game,
    devices: DeviceChoice,
    seconds: float,
    watch: Callable[[float, str | None], None] = lambda passed_s, away: None,
    hz: float = 10.0,
) -> Iterator[Frame]:
    """Give the frames of `seconds` in which the game could be seen, as many a second as `hz`.

    `watch` is told after each how many seconds there are and why the game cannot be seen, if so.
    Raises DeviceError and UserError as the frame source does.
    """
    source = game.open_source(devices)
    try:
        clock, passed, last = WallClock(hz), 0.0, time.monotonic()
        while passed < seconds:
            away: str | None = None
            try:
                frame = source.read()
            except EOFError:
                return
            except Away as e:
                away = str(e)
            else:
                passed += min(time.monotonic() - last, 1 / hz * 2)
                yield frame
            last = time.monotonic()
            watch(passed, away)
            clock.tick()
    finally:
        source.close()
