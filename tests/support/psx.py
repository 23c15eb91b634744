"""A PlayStation: pcsxr with a game of our own (tests/psx), what its pictures prove, and a human who plays it.

PYTHONPATH=tests python -m support.psx GAME.exe [TRACK]      builds it; pcsxr -nogui GAME.exe plays it
"""

from __future__ import annotations

import json
import os
import random
import shutil
import subprocess
import sys
import threading
import time
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
WINDOW = ("--window", "process:pcsxr", *BINDS)
ON_IT = ("--game", "ctr", *WINDOW)
"""What a command needs to know of it."""
MENU, COUNTDOWN, RACE, PAUSE, OVER = range(5)

whole = pytest.mark.skipif(os.environ.get("AUTOPILOT_PSX") != "whole", reason="takes minutes: `make test-psx` runs it")

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


def patience(library: Path) -> dict[str, str]:
    """Build what keeps the emulator from waiting busily; return the environment that preloads it."""
    if shutil.which("cc") is None:
        pytest.skip("missing: cc (Debian package gcc)")
    subprocess.run(["cc", "-shared", "-fPIC", "-nostdlib", "-O2", "-o", library, SOURCES / "patience.c"], check=True)
    return {"LD_PRELOAD": str(library)}


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

        def bits(x: int, y: int, count: int, width: int = 8) -> list[bool]:
            at = ((x + (np.arange(count) + 0.5) * width) * image.shape[1] / 512).astype(int)
            return [bool(bit) for bit in image[int((y + 4) * image.shape[0] / 216), at].min(-1) > 127]

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
        self._env = {"HOME": str(folder / "console"), "SDL_AUDIODRIVER": "dummy", **patience(folder / "patience.so")}
        own = folder / "console/.pcsxr"
        for part in ("plugins", "memcards", "bios"):
            (own / part).mkdir(parents=True, exist_ok=True)
        (own / "pcsxr.cfg").write_text(SETTINGS.format(own))
        (own / "plugins/gpuPeopsMesaGL.cfg").write_text(PICTURE.format(*size))
        self.desktop = desktop or Desktop("1600x1200")
        self.start()

    def start(self) -> None:
        """Start the emulator, and wait until its game takes keys."""
        import mss

        line = [self._pcsxr, "-nogui", str(self.game)]
        self.process = self.desktop.start(line, **self._env)
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
        with self.begin(*args, "--json") as process:
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

    def begin(self, *args: str, err: Any = subprocess.PIPE) -> subprocess.Popen[str]:
        """Start a command; its standard error is a pipe, unless `err` is something else."""
        program = [sys.executable, "-m", "autopilot", *args, "--home", str(self.folder / "home")]
        env = {**os.environ, "DISPLAY": self.desktop.name}
        return subprocess.Popen(program, env=env, stdout=subprocess.PIPE, stderr=err, text=True)

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


def steering(image: Image) -> float:
    """Return where the road's middle is seen 11 m ahead: -1 (left edge of the picture) to 1, NaN where no road is."""
    row = image[image.shape[0] * 130 // 216].astype(int)
    grey = (np.abs(row - row[:, 1:2]).max(1) < 16) & (row[:, 1] > 70) & (row[:, 1] < 125)
    return float(np.flatnonzero(grey).mean() / len(row) * 2 - 1) if grey.mean() > 0.02 else float("nan")


class Human:
    """Plays by real key presses: sees the road in the window, keeps to it, and begins the next race after each.

    In a share `slips` of the time the hands do something else for a moment, which is then put right. `laps` are the
    game's own times of finished races, in hundredths, as far as a race that ended was seen.
    """

    def __init__(self, console: Console, slips: float = 0.0, seed: int = 0) -> None:
        self._console, self._slips, self._chance = console, slips, random.Random(seed)
        self._playing, self._instead, self._slip = False, None, (0.0, frozenset[str]())
        self._held: set[str] = set()
        self._side, self._over, self.races, self.laps = 0.0, False, 0, list[int]()
        self._lock, self._ended = threading.Lock(), threading.Event()
        self._thread = threading.Thread(target=self._live, daemon=True)
        self._thread.start()

    def play(self, playing: bool, instead: frozenset[str] | None = None) -> None:
        """Race on and on, or hold `instead`; or let go of everything."""
        with self._lock:
            self._playing, self._instead = playing, instead
            self._hold(frozenset())

    def close(self) -> None:
        """Let go and stop."""
        self._ended.set()
        self._thread.join()
        self.play(False)

    def _live(self) -> None:
        while not self._ended.wait(0.04):
            image = self._console.picture()
            proof = Proof.of(image)
            over = proof is not None and proof.phase == OVER
            if proof is not None and over and not self._over:
                self.laps += map(hundredths, proof.laps)
                self.races += 1
            self._over = over
            with self._lock:
                if self._playing:
                    self._hold(self._instead or self._wish(image, proof))

    def _wish(self, image: Image, proof: Proof | None) -> frozenset[str]:
        """Return what a human would hold now."""
        now = time.monotonic()
        if proof is not None and proof.phase in (MENU, OVER, PAUSE):  # tap, and wait for what comes
            button = "start" if proof.phase == PAUSE else "accelerate"
            return frozenset({button} if now % 1.2 < 0.2 else ())
        middle = steering(image)
        self._side = self._side if np.isnan(middle) else middle
        if now > self._slip[0] + 2 and self._chance.random() < self._slips * 0.04:
            self._slip = now + self._chance.uniform(0.3, 0.7), frozenset({self._chance.choice(("left", "right"))})
        if now < self._slip[0]:
            return self._slip[1] | {"accelerate"}
        side = {"left"} if self._side < -0.06 else {"right"} if self._side > 0.06 else set[str]()
        return frozenset(side | {"accelerate"})

    def _hold(self, wanted: frozenset[str]) -> None:
        for control in self._held ^ wanted:
            self._console.desktop.key(KEYS[control], control in wanted)
        self._held = set(wanted)


def hundredths(units: int) -> int:
    """Return the clock's 1/960 s as it shows them."""
    return units * 100 // 960


def learn_hud(console: Console, human: Human, *where: str) -> str:
    """Learn the display by the command, from a lap, the wrong way, and a little more; return what it says."""

    def race() -> None:
        human.play(True)
        wait(lambda: console.proof().lap == 1, 120)
        human.play(True, frozenset({"brake"}))
        wait(lambda: console.proof().wrong_way)
        time.sleep(5)
        human.play(True)

    said = console.autopilot("learn-hud", "--game", "ctr", *where, "--seconds", "90", at_go=race, go="looking on")
    return str(said["learned"])


def main() -> None:
    """Build the game."""
    print(build(Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 1))


if __name__ == "__main__":
    main()
