"""The loop's lag through a real emulator, and its profile: the hotkeys it leaves alone."""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
from autopilot.api import Image, SourceSettings
from autopilot.api.game import Game
from autopilot.api.registry import Registry
from autopilot.desktop.desktop import Desktop, DeviceChoice
from autopilot.sessions.home import Home
from support.lag import measured_and_true
from support.psx import Console, Proof


def side(image: Image) -> int:
    """Return which of the two lamps of the steering is lit."""
    proof = Proof.of(image)
    return 0 if proof is None else ("right" in proof.lamps) - ("left" in proof.lamps)


def test_the_lag_is_what_the_lamps_show(console: Console, monkeypatch) -> None:
    monkeypatch.setenv("DISPLAY", console.desktop.name)
    choice = DeviceChoice(profile="pcsxr", settings=SourceSettings(window="process:pcsxr"))
    lag, true_ms = measured_and_true(Desktop(Game(Registry(), "ctr"), Home(console.folder / "home"), choice), side)
    assert lag.ms is not None
    assert abs(lag.ms - true_ms) <= 1000 / 30
    for hz in (10, 30):
        assert abs(lag.rows(hz) - np.ceil(true_ms * hz / 1000)) <= 1


def test_setup_knows_the_emulator_and_gives_it_hotkeys_of_its_own(console: Console, monkeypatch) -> None:
    monkeypatch.setenv("DISPLAY", console.desktop.name)
    home = console.folder / "home"
    line = [sys.executable, "-m", "autopilot", "setup", "--game", "ctr", "--yes", "--json", "--home", str(home)]
    done = subprocess.run(line, capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=300)
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert report["screen"]["window"] == "process:pcsxr"
    assert report["profile"] == "pcsxr"
    assert "Y pauses a recording and F9 is the panic key" in done.stderr
    before = console.proof().frame

    def play() -> None:
        for key in ("y", "y", "F9", "y", "u", "o"):
            console.desktop.tap(key)

    told = console.autopilot("record", "--game", "ctr", "--track", "coco", at_go=play)
    assert told
    assert console.proof().frame > before, "no hotkey began the game anew, or showed a state in its place"
