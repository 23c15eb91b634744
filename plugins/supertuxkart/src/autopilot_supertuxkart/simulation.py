"""The lock-step mode: the engine's process, and the race as frame source, output device and clock."""

from __future__ import annotations

import contextlib
import json
import math
import os
import subprocess
import sys
import tempfile
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from autopilot.api import NOTHING, DeviceError, Frame, Held
from numpy.typing import NDArray

from autopilot_supertuxkart.assets import prepare

TICKS_PER_S = 60
ENDLESS = 99
"""Laps, where none were asked: what the game can count to."""
INSTALL = "pip install -c constraints.txt -e 'plugins/supertuxkart[lockstep]'"
LIBRARY = f"the lock-step mode needs its library: in the checkout, {INSTALL}; or add --clock wall"


DIFFICULTIES = ("novice", "intermediate", "expert", "supertux")
"""Of the game's own drivers, and of the speed that all karts reach."""


@dataclass(frozen=True)
class Setting:
    """What is raced besides the track: with `opponents`, the game's own drivers, there are items on the road."""

    seed: int = 1
    opponents: int = 0
    difficulty: int = 1
    kart: str = "tux"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rival:
    """How a kart is. Metres, seconds, m/s; x to the left or right, y up; angles of the map (x, z).

    `overall` is how far it has come since the start, `finish_time` when it was over the last line, by the race's
    clock; `item` is what it can fire, `count` times, and `attached` what hangs on it; both may be `nothing`.
    """

    at: tuple[float, float, float]
    front: tuple[float, float, float]
    velocity: tuple[float, float, float]
    speed: float
    overall: float
    finished: bool
    finish_time: float
    place: int
    item: str
    count: int
    attached: str

    @property
    def heading(self) -> float:
        """Where it points: radians, from z towards x."""
        return math.atan2(self.front[0] - self.at[0], self.front[2] - self.at[2])


@dataclass(frozen=True, slots=True, kw_only=True)
class Kart(Rival):
    """How the kart is that is driven.

    `down_track` is how far along the lap it is; `lap_time` when the lap line was crossed last, by the race's clock;
    `things` are what lies on the road, each with its place: none without opponents.
    """

    time: float
    steer: float
    down_track: float
    laps: int
    lap_time: float
    on_road: bool
    jumping: bool
    energy: float
    skid: float
    shield_s: float
    rivals: tuple[Rival, ...]
    things: tuple[tuple[str, float, float, float], ...]


def _plain(state: dict[str, Any]) -> dict[str, Any]:
    """Return what a line of the engine's says, with tuples for its lists."""
    return {name: tuple(value) if isinstance(value, list) else value for name, value in state.items()}


class Simulation:
    """The engine's process. Raises DeviceError when it cannot be started, or ends."""

    def __init__(self, track: str, laps: int, size: tuple[int, int] | None, setting: Setting = Setting()) -> None:
        home = str(prepare().absolute())
        env = {**os.environ, **dict.fromkeys(("XDG_CACHE_HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME"), home)}
        env.pop("SUPERTUXKART_DATADIR", None)  # the engine would look there for what was prepared
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 - closed with the process
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", "autopilot_supertuxkart.engine"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            env=env,
            cwd=home,  # where it writes when a second one makes its folders at the same time
            start_new_session=True,  # Ctrl-C is for us: we close its pipe
        )
        self._size = size
        self._image: NDArray[np.uint8] | None = None
        self._waiting = False
        self.held: Held = NOTHING
        try:
            self._send({"track": track, "laps": laps or ENDLESS, "size": size, **asdict(setting)})
            made = self._receive()
        except BaseException:
            self.close()
            raise
        self.track: dict[str, Any] = made["track"]

    def step(self, held: Held, ticks: int, place: tuple[Any, ...] | None = None) -> None:
        """Begin to let so many ticks of 1/60 s pass with the controls held; after it was placed, if asked."""
        self._wait()
        self.held = held
        request = {"held": sorted(held), "ticks": ticks, "image": self._size is not None}
        self._send(request if place is None else {**request, "place": place})

    @property
    def kart(self) -> Kart:
        """The kart after the last step."""
        self._wait()
        return self._kart

    @property
    def image(self) -> NDArray[np.uint8]:
        """The screen after the last step, uint8 RGB (H, W, 3)."""
        self._wait()
        assert self._image is not None, "no size was asked for, or no step made"
        return self._image

    def close(self) -> None:
        """End the process. Calling it twice is harmless."""
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            assert pipe is not None
            with contextlib.suppress(OSError):  # of what was not sent: EPIPE, on Windows EINVAL
                pipe.close()
        self._errors.close()

    def _send(self, message: dict[str, Any]) -> None:
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps(message).encode() + b"\n")
            self._process.stdin.flush()
        except OSError:  # EPIPE, on Windows EINVAL
            raise self._ended() from None
        self._waiting = True

    def _wait(self) -> None:
        if self._waiting:
            self._receive()

    def _receive(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise self._ended()
        self._waiting = False
        answer: dict[str, Any] = json.loads(line)
        if "error" in answer:
            missing = "No module named 'pystk2'" in answer["error"]
            raise DeviceError(LIBRARY if missing else f"SuperTuxKart's engine: {answer['error']}")
        state = _plain(answer["state"])
        state["rivals"] = tuple(Rival(**_plain(rival)) for rival in state["rivals"])
        self._kart = Kart(**state)
        if answer["bytes"]:
            assert self._size is not None
            data = self._process.stdout.read(answer["bytes"])
            if len(data) < answer["bytes"]:
                raise self._ended()
            self._image = np.frombuffer(data, np.uint8).reshape(self._size[1], self._size[0], 3)
        return answer

    def _ended(self) -> DeviceError:
        status = self._process.wait()
        self._errors.seek(0)
        said = self._errors.read().decode(errors="replace").strip().splitlines()
        return DeviceError(
            f"SuperTuxKart's engine ended with status {status}: {said[-1] if said else 'it said nothing'}"
        )


class Race:
    """Gives frames, holds controls, and lets the engine run at each tick: `ticks` of 1/60 s.

    The engine draws no lots in a time trial: what tells two races apart is how many of its ticks have
    passed before the first decision, up to a second. `seed` chooses that: at 60 ticks a second
    there are 60 different races of a deterministic driver.
    """

    lockstep = True

    def __init__(self, simulation: Simulation, hz: float, seed: int = 0) -> None:
        self.simulation = simulation
        self._ticks = max(1, round(TICKS_PER_S / hz))
        self._held: Held = NOTHING
        simulation.step(NOTHING, 1 + seed % TICKS_PER_S)

    def read(self) -> Frame:
        """Return the screen as it is now; `t_ns` is the race's time. Raises DeviceError when the engine ended."""
        return Frame(self.simulation.image, round(self.simulation.kart.time * 1e9))

    def hold(self, controls: Held) -> None:
        """Hold exactly these controls from the next tick on."""
        self._held = controls

    def release_all(self) -> None:
        """Let go of everything."""
        self._held = NOTHING

    def held(self) -> Held:
        """Return nothing: nobody plays in lock-step."""
        return NOTHING

    def hotkeys(self) -> tuple[str, ...]:
        """Return none: it reads no keyboard. Ctrl-C stops it."""
        return ()

    def tick(self) -> None:
        """Let the time of one decision pass."""
        self.simulation.step(self._held, self._ticks)

    def close(self) -> None:
        """End the engine."""
        self.simulation.close()
