"""Opening races, and a desktop of their own for those that need a window."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from autopilot.api.interfaces import World
from autopilot.api.types import WorldRequest
from autopilot_carracing.world import open_world
from support.x import x_server

HZ = 12.5


def open_race(track: int, **request) -> World:
    return open_world(WorldRequest(**{"track": str(track), "mode": "N", "hz": HZ, **request}))


@pytest.fixture(name="open_race")
def _open_race() -> Iterator[Callable[..., World]]:
    """Opens a race on a track; windows are closed at the end."""
    opened: list[World] = []

    def open_one(track: int, **request) -> World:
        opened.append(open_race(track, **request))
        return opened[-1]

    yield open_one
    for world in opened:
        if world.on_close is not None:
            world.on_close()


@pytest.fixture
def no_screen(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in ("DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(variable, raising=False)


@pytest.fixture(scope="module")
def xvfb() -> Iterator[str]:
    with x_server("1100x900") as name:
        yield name


@pytest.fixture
def screen(xvfb: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The screen that DISPLAY names."""
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    monkeypatch.delenv("SDL_VIDEODRIVER", raising=False)
    monkeypatch.setenv("DISPLAY", xvfb)
