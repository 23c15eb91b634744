"""A home with sessions, runs and a race, and a studio that serves it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from autopilot.api.registry import Registry
from autopilot.sessions.home import Home
from autopilot_studio.server import Server
from support.studio import Client, make_race, make_run, make_session


@pytest.fixture(scope="session")
def registry() -> Registry:
    return Registry()


@pytest.fixture
def home(tmp_path: Path) -> Home:
    made = Home(tmp_path / "home")
    for i, letter in enumerate("ab"):
        make_session(made, f"20260101-00000{i}-{letter}", track=str(7 + i))
    make_run(made, "one", [0.9, 0.5, 0.6])
    make_run(made, "two", [0.8, 0.7])
    make_race(made, "cup")
    return made


@pytest.fixture
def client(home: Home, registry: Registry) -> Iterator[Client]:
    server = Server(home, registry)
    thread = threading.Thread(target=server.run)
    thread.start()
    yield Client(server)
    server.stop()
    thread.join(60)
    assert not thread.is_alive()
