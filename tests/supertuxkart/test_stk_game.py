"""Starting and ending the installed game, on a screen of its own."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from autopilot.api.errors import DeviceError, UserError
from autopilot.api.types import Frame
from autopilot_supertuxkart.game import RealGame, find_game
from autopilot_supertuxkart.hud import HudReader
from support.x import x_server


@pytest.fixture
def screen(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """An Xvfb as large as the game's window, and the game's home kept from run to run."""
    with x_server("480x270") as name:
        monkeypatch.setenv("DISPLAY", name)
        yield name


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path / "autopilot" / "supertuxkart"


@pytest.fixture
def false_game(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A program called supertuxkart that says what it was given and ends; write another to it."""
    monkeypatch.setenv("DISPLAY", ":none")
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    program = tmp_path / "supertuxkart"
    program.write_text('#!/bin/sh\necho "$@ $XDG_CONFIG_HOME"\nexit 3\n')
    program.chmod(0o755)
    return program


@pytest.mark.slow
def test_the_game_starts_its_clock_is_read_a_driver_joins_in_and_it_is_gone_after_close(
    screen: str, tmp_path: Path
) -> None:
    import mss

    try:
        find_game()
    except UserError as e:
        pytest.skip(f"missing: {e}")
    reader, read = HudReader(), []
    with RealGame("olivermath", 3) as game, mss.MSS(display=screen) as grab:
        game.wait_until_racing()
        until = time.monotonic() + 60
        while len(read) < 5 and time.monotonic() < until:
            game.check()
            shot = grab.grab(grab.monitors[0])
            image = np.frombuffer(shot.rgb, np.uint8).reshape(shot.height, shot.width, 3)
            reading = reader.read(Frame(image, time.monotonic_ns()))
            read += [] if reading.race_time_s is None else [reading.race_time_s]
            time.sleep(0.1)
        command = [sys.executable, "-m", "autopilot", "drive", "--game", "supertuxkart", "--bundle", "random"]
        options = ["--window", "SuperTuxKart", "--seconds", "2", "--home", str(tmp_path), "--json"]
        driven = subprocess.run([*command, *options], capture_output=True, text=True, timeout=100, check=False)
        assert game.running
        pid = game._process.pid
    assert len(read) == 5
    assert 0 <= read[0] < 3
    assert read == sorted(read)
    assert driven.returncode == 0, driven.stderr
    report = json.loads(driven.stdout)
    assert report["timing"]["clock"] == "wall"
    assert report["reading"]["race_time_s"] is None or report["reading"]["race_time_s"] > read[-1]
    assert not Path(f"/proc/{pid}").exists()


def test_a_missing_game_is_named_with_its_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda *_, **__: None)
    with pytest.raises(UserError, match=r"not installed: sudo apt-get install supertuxkart$"):
        RealGame("olivermath", 1)


def test_a_game_that_ends_early_is_reported(false_game: Path, home: Path) -> None:
    with RealGame("olivermath", 2, extra=("--profile-laps=2",)) as game:
        with pytest.raises(DeviceError, match=r"ended early \(code 3\): its log is .*game\.log$"):
            game.wait_until_racing(10)
        said = (home / "game.log").read_text()
    assert "--track=olivermath --laps=2" in said
    assert "--screensize=480x270" in said
    assert f"--profile-laps=2 {home}/config" in said


def test_a_game_that_never_races_is_ended(false_game: Path, home: Path) -> None:
    false_game.write_text("#!/bin/sh\nexec sleep 60\n")
    game = RealGame("olivermath", 1)
    with pytest.raises(DeviceError, match=r"showed no race in 0\.5 s"):
        game.wait_until_racing(0.5)
    assert not game.running


def test_the_game_ends_with_a_program_that_is_killed(false_game: Path, home: Path) -> None:
    if shutil.which("setpriv") is None:
        pytest.skip("missing: setpriv (Debian package util-linux)")
    false_game.write_text("#!/bin/sh\nexec sleep 60\n")
    code = "from autopilot_supertuxkart.game import RealGame as G; print(G('x', 1)._process.pid, flush=True); input()"
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as program:
        assert program.stdout is not None
        stat = Path(f"/proc/{int(program.stdout.readline())}/stat")
        until = time.monotonic() + 20
        while "(sleep)" not in stat.read_text():  # a program killed before setpriv has run is not noticed
            assert time.monotonic() < until, "the game does not start"
            time.sleep(0.01)
        program.kill()
    until = time.monotonic() + 20
    while stat.exists() and ") Z " not in stat.read_text():
        assert time.monotonic() < until, "the game outlived its program"
        time.sleep(0.05)


def test_without_a_screen_the_person_is_told(false_game: Path, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DISPLAY")
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    with pytest.raises(DeviceError, match="DISPLAY is not set"):
        RealGame("olivermath", 1)
