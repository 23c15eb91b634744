"""Watching a game on the screen at native resolution, while a human plays it; or a film of that."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing

from autopilot.api.errors import Away
from autopilot.api.types import Frame
from autopilot.desktop.desktop import Desktop
from autopilot.drive.world import WallClock


def watch_screen(
    desktop: Desktop,
    seconds: float,
    watch: Callable[[float, str | None], None] = lambda passed_s, away: None,
    hz: float = 10.0,
) -> Iterator[Frame]:
    """Give the frames of `seconds` in which the game could be seen, as many a second as `hz`.

    Both by the frames' own time: a film is gone through as quickly as it can be read. `watch` is told after
    each how many seconds there are and why the game cannot be seen, if so.
    Raises DeviceError and UserError as the frame source does.
    """
    with closing(desktop.open_source()) as source:
        skip: Callable[[float], None] | None = getattr(source, "skip", None)
        clock, passed = WallClock(hz), 0.0
        last_ns: int | None = None
        while passed < seconds:
            away: str | None = None
            try:
                frame = source.read()
            except EOFError:
                return
            except Away as e:
                away, last_ns = str(e), None
            else:
                passed += 0.0 if last_ns is None else min((frame.t_ns - last_ns) / 1e9, 2 / hz)
                last_ns = frame.t_ns
                yield frame
            watch(passed, away)
            if skip is None:
                clock.tick()
            else:
                skip(1 / hz)
