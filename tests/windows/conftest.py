"""Windows programs under Wine, on a display of their own, and a human at its keyboard."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
from support import wine
from support.windows import Agent, Game, Human

if os.environ.get("AUTOPILOT_WINDOWS") != "1":
    collect_ignore_glob = ["test_*"]  # `make test-windows` runs these


@pytest.fixture(scope="session")
def environment() -> Iterator[dict[str, str]]:
    """What `wine` needs: its prefix, and a display that nobody else uses."""
    with wine.display() as environment:
        yield environment
        wine.stop()


@pytest.fixture(scope="session")
def game(environment: dict[str, str]) -> Game:
    """A game in a window, which has the focus."""
    return Game(environment)


@pytest.fixture(scope="session")
def agent(environment: dict[str, str]) -> Agent:
    """A Windows Python that does what it is told."""
    return Agent(environment)


@pytest.fixture
def human(environment: dict[str, str], game: Game) -> Iterator[Human]:
    """Somebody at the keyboard of the game."""
    human = Human(environment["DISPLAY"])
    yield human
    human.close()
