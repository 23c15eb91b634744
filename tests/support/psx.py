"""A PlayStation: pcsxr with a game of our own (tests/psx), what its pictures prove, and a human who plays it.

PYTHONPATH=tests python -m support.psx GAME.exe [TRACK]      builds it; pcsxr -nogui GAME.exe plays it
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from support.ctr.desktop import Desktop, wait

if TYPE_CHECKING:
    from autopilot.api import Image

SOURCES = Path(__file__).parents[1] / "psx"
FLAGS = (
    "-march=r3000 -mabi=32 -msoft-float -mno-abicalls -fno-pic -G0 -ffreestanding -nostdlib -static -no-pie -O2 -Wall"
    " -Wextra -Werror -Wno-parentheses -mno-check-zero-division -fno-tree-loop-distribute-patterns -Wl,--build-id=none"
)
"""No instruction and no library that a MIPS R3000 of 1994 has not."""

KEYS = {"left": "Left", "right": "Right", "up": "Up", "down": "Down", "accelerate": "z", "brake": "s", "item": "x"}
KEYS |= {"slide_left": "w", "slide_right": "r"}
BINDS = [word for control, key in KEYS.items() for word in ("--bind", f"{control}={key.lower()}")]
"""The game's controls, for a home in which no setup was done."""
KEYS |= {"triangle": "d", "l2": "e", "r2": "t", "start": "v", "select": "c"}
"""pcsxr's keys, as X names them."""
LAMPS = ("left", "up", "down", "right", "brake", "accelerate", "item", "triangle")
LAMPS += ("slide_left", "slide_right", "l2", "r2", "start", "select")
MENU, COUNTDOWN, RACE, PAUSE, OVER = range(5)

SETTINGS = """Bios = HLE
Gpu = libpeopsxgl.so
Spu = libDFSound.so
Cdr = libDFCdrom.so
Sio1 = libBladeSio1.so
Net = Disabled
Pad1 = libDFInput.so
Pad2 = libDFInput.so
Mcd1 = {0}/memcards/card1.mcd
Mcd2 = {0}/memcards/card2.mcd
BiosDir = {0}/bios/
PluginsDir = {0}/plugins/
PsxAuto = 0
PsxType = 0
Cpu = 0
"""
PICTURE = """
ResX = {0}
ResY = {1}
UseFrameLimit = 1
FrameRate = 60
OffscreenDrawing = 1
FrameTextures = 1
"""
"""The plugin that draws reads from the second line on."""


def build(game: Path, track: int = 1) -> Path:
    """Build the game, which begins with this track; returns `game`."""
    for program in ("mipsel-linux-gnu-gcc", "mipsel-linux-gnu-objcopy"):
        if shutil.which(program) is None:
            pytest.skip(f"missing: {program} (Debian package gcc-mipsel-linux-gnu)")
    linked = game.with_suffix(".elf")
    sources = [str(SOURCES / name) for name in ("console.c", "trial.c")]
    compiler = ["mipsel-linux-gnu-gcc", *FLAGS.split(), f"-DTRACK={track}", "-T", str(SOURCES / "psx.ld")]
    subprocess.run([*compiler, "-o", str(linked), *sources], check=True)
    subprocess.run(["mipsel-linux-gnu-objcopy", "-O", "binary", "-j", ".exe", str(linked), str(game)], check=True)
    return game


@dataclass(frozen=True)
class Proof:
    """What the game writes at its picture's foot: the buttons down, the picture's number, and the race.

    `laps` are the laps' times in 1/960 s, that of the lap being driven too; `lap` is how many are whole.
    """

    lamps: frozenset[str]
    frame: int
    phase: int
    lap: int
    wrong_way: bool
    laps: tuple[int, ...]

    @classmethod
    def of(cls, image: Image) -> Proof | None:
        """Read it from a picture of the whole game, of any size from 160x90 on; None where it is not shown."""
        light = image.min(2) > 127

        def bits(x: int, y: int, count: int, width: int = 8) -> list[bool]:
            at = ((x + (np.arange(count) + 0.5) * width) * light.shape[1] / 512).astype(int)
            return [bool(bit) for bit in light[int((y + 4) * light.shape[0] / 216), at]]

        def number(x: int, y: int, count: int) -> int:
            return int("".join("01"[bit] for bit in bits(x, y, count)), 2)

        if number(432, 200, 8) != 0xB3:
            return None
        lit = (name for name, on in zip(LAMPS, bits(8, 200, 14, 16), strict=True) if on)
        state = number(376, 200, 6)
        times = tuple(number(8 + 168 * i, 208, 20) for i in range(3))
        return cls(frozenset(lit), number(240, 200, 16), state >> 3, state >> 1 & 3, bool(state & 1), times)

    @property
    def clock(self) -> int:
        """The race's clock, in 1/960 s."""
        return sum(self.laps)


class Console:
    """The emulator in a window of its own, with the game in it, on a desktop of its own or another's."""

    def __init__(self, folder: Path, size: tuple[int, int] = (640, 480), desktop: Desktop | None = None) -> None:
        pcsxr = shutil.which("pcsxr", path=f"{os.environ['PATH']}:/usr/games")
        if pcsxr is None:
            pytest.skip("missing: pcsxr (Debian package pcsxr)")
        self.folder, self.size, self._pcsxr, self.limit_s = folder, size, pcsxr, 300.0
        self.game = build(folder / "game.exe")
        own = folder / "console/.pcsxr"
        for part in ("plugins", "memcards", "bios"):
            (own / part).mkdir(parents=True)
        (own / "pcsxr.cfg").write_text(SETTINGS.format(own))
        (own / "plugins/gpuPeopsMesaGL.cfg").write_text(PICTURE.format(*size))
        self.desktop = desktop or Desktop("1600x1200")
        self.start()

    def start(self) -> None:
        """Start the emulator, and wait until its game takes keys."""
        import mss

        line = [self._pcsxr, "-nogui", str(self.game)]
        self.process = self.desktop.start(line, HOME=str(self.folder / "console"), SDL_AUDIODRIVER="dummy")
        self.desktop.point(self.size[0] // 2, self.size[1] // 2)
        self._screen = mss.MSS(display=self.desktop.name)
        wait(lambda: Proof.of(self.picture()))
        self.desktop.key(KEYS["item"], down=True)
        wait(lambda: self.proof().lamps)
        self.desktop.key(KEYS["item"], down=False)

    def kill(self) -> None:
        """End the emulator, which ignores a request to end."""
        self.process.kill()
        self.process.wait()

    def autopilot(self, *args: str, at_go: Callable[[], None] = lambda: None, go: str = "go") -> Any:
        """Run a command to its end and return its JSON; `at_go` is called when it has counted, or says `go`."""
        program = [sys.executable, "-m", "autopilot", *args, "--json", "--home", str(self.folder / "home")]
        env = {**os.environ, "DISPLAY": self.desktop.name}
        pipes: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        with subprocess.Popen(program, env=env, **pipes) as process:
            limit = threading.Timer(self.limit_s, process.kill)
            limit.start()
            said = ""
            for line in process.stderr or ():
                said += line
                if line.startswith(go):
                    at_go()
            out = process.stdout.read() if process.stdout else ""
            limit.cancel()
        assert process.returncode == 0, said
        return json.loads(out)

    def picture(self) -> Image:
        """Return what its window shows: uint8 RGB (height, width, 3)."""
        width, height = self.size
        shot = self._screen.grab({"left": 0, "top": 0, "width": width, "height": height})
        return np.ascontiguousarray(np.frombuffer(shot.raw, np.uint8).reshape(height, width, 4)[..., 2::-1])

    def proof(self) -> Proof:
        """Return what its picture proves now; waits for one that proves something."""
        proof: Proof = wait(lambda: Proof.of(self.picture()))
        return proof

    def tap(self, *controls: str) -> None:
        """Press buttons together until the game has seen them."""
        for control in controls:
            self.desktop.key(KEYS[control], down=True)
        wait(lambda: self.proof().lamps >= set(controls))
        for control in controls:
            self.desktop.key(KEYS[control], down=False)
        wait(lambda: not self.proof().lamps & set(controls))


def main() -> None:
    """Build the game."""
    print(build(Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 1))


if __name__ == "__main__":
    main()
