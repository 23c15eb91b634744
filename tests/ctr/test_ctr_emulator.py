"""A real emulator, with a game of our own: its window is found, captured, and takes keys."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys

import numpy as np
import pytest
from autopilot.api.game import Game
from autopilot.api.registry import Registry
from autopilot.api.types import SourceSettings, WorldRequest
from autopilot.desktop.emitter import Emitter
from autopilot.drive.world import Worlds
from autopilot.sessions.home import Home
from autopilot_screen.windows import windows
from support.ctr.nes import cartridge

A = frozenset({"slide_right"})
"""Keypad 3 of Mednafen's defaults: R1 of a PlayStation's pad, and A of this console's."""


def test_mednafen_is_found_by_setup_and_plays_by_our_keyboard(desktop, soon, tmp_path):
    mednafen = shutil.which("mednafen", path=f"{os.environ['PATH']}:/usr/games")
    if mednafen is None:
        pytest.skip("missing: mednafen (Debian package mednafen)")
    rom, own = tmp_path / "game.nes", tmp_path / "mednafen"
    rom.write_bytes(cartridge())
    # 256x224 enlarged to 4:3, the size of no other window.
    size = ["-nes.xscale", "2.333", "-nes.yscale", "2"]
    options = ["-sound", "0", "-video.driver", "softfb", "-video.fs", "0", *size]
    desktop.start([mednafen, *options, str(rom)], HOME=str(tmp_path), MEDNAFEN_HOME=str(own))
    desktop.point(640, 480)
    (window,) = soon(windows)
    assert window.title == "game", "the title is the game's, so a profile cannot go by it"
    home = Home(tmp_path / "home")
    line = [sys.executable, "-m", "autopilot", "setup", "--game", "ctr", "--yes", "--json", "--home", str(home.root)]
    done = subprocess.run(line, capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=300)
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert report["screen"] == {"profile": "mednafen", "window": "process:mednafen"}, "all of the window is picture"
    assert report["keys"]["accelerate"] == "kp_2"
    assert report["hotkeys"] == {}

    worlds = Worlds(Game(Registry(), "ctr"), home)
    assert worlds.desktop.settings == SourceSettings(window="process:mednafen")
    assert worlds.desktop.bindings.hotkeys({})["panic"] == "f4", "F12 would end the emulator"
    with worlds.open(WorldRequest("coco-park", "N", 10.0)) as world:

        def picture():
            return world.source.read().image.astype(int)

        def red():
            red, green, _ = picture().mean((0, 1))
            return red > green + 10

        soon(lambda: picture().max() > 200)
        first = picture()
        assert first.shape == (*window.box[:1:-1], 3)
        soon(lambda: np.abs(picture() - first).mean() > 5)
        assert not red()
        soon(lambda: world.device.hold(A) or red())
        world.device.release_all()
        soon(lambda: not red())
        bright = picture().mean()
        helped = Emitter("autopilot_input_keyboard.backends:open_backend", {"help": "f1"}, patience_s=1.0)
        try:
            helped.hold(frozenset({"help"}))
            soon(lambda: helped.hold(frozenset({"help"})) or picture().mean() < bright / 2)
            helped.release_all()
        finally:
            helped.close()
