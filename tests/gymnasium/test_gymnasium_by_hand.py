"""A person plays an environment: real keys in its window on a real X server, in real time, are what is recorded."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from autopilot.sessions.store import SessionStore
from support.apart import Running, start
from support.x import x_server


@pytest.fixture(scope="module")
def xvfb() -> Iterator[str]:
    if shutil.which("xdotool") is None:
        pytest.skip("missing: xdotool")
    with x_server("800x600") as name:
        yield name


def focus_window(running: Running, display: str) -> None:
    """Wait for the window, and give it the focus."""
    search = ["xdotool", "search", "--onlyvisible", "--class", "."]
    env, found = {**os.environ, "DISPLAY": display}, []

    def there() -> bool:
        nonlocal found
        found = subprocess.run(search, capture_output=True, text=True, env=env).stdout.split()[-1:]
        return bool(found)

    assert running.until(there), running.err.read_text()
    subprocess.run(["xdotool", "windowfocus", "--sync", found[0]], env=env, check=True, timeout=20)


def test_the_keys_of_a_person_are_recorded(site: Path, home: Path, tmp_path: Path, xvfb: str) -> None:
    env = {k: v for k, v in os.environ.items() if k not in ("WAYLAND_DISPLAY", "SDL_VIDEODRIVER")}
    env |= {"AUTOPILOT_HOME": str(home), "PYTHONPATH": str(site), "DISPLAY": xvfb}
    begun = time.monotonic()
    running = start("record --game road --driver anna --track 3 --bind left=a".split(), env, tmp_path / "io", None)
    focus_window(running, xvfb)
    subprocess.run(["xdotool", "keydown", "a"], env=env, check=True, timeout=20)
    done = running.wait()
    took = time.monotonic() - begun
    subprocess.run(["xdotool", "keyup", "a"], env=env, check=True, timeout=20)
    assert done.code == 0, done.err
    assert "frames (finished)" in done.out
    session = SessionStore(home / "sessions").all()[0][0]
    assert session.info.driver == "anna"
    held = [row.held for row in session.rows()]
    assert held.count(frozenset({"left"})) > 5, "of 30, fewer where the machine was busy"
    assert took > 3 + 3, "3-2-1, and 30 decisions at 10 a second"


def test_without_a_screen_it_is_one_line(run) -> None:
    done = run("record --game road --driver anna")
    assert done.code == 2
    assert done.err.startswith("autopilot: cannot open a window (DISPLAY is not set): start this on a desktop")
    assert done.err.count("\n") == 1
