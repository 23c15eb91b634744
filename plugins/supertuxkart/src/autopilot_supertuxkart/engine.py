"""The game's engine, one race in a process of its own: `python -m autopilot_supertuxkart.engine`.

A second race in a process runs at half the speed, and the engine is under the GPL: so it is told
what to do through a pipe. Lines of standard input are JSON: first what to race, then a request per
decision. Each is answered by a line of JSON, and by the picture's bytes if it asked for one.

Keys are turned into steering as the game's own player controller does it, tick by tick: a network
that drives here presses keys as it will in the real game.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
from typing import IO, Any

TICK_S = 1 / 60
"""Of the steering. The engine's physics has two ticks in it."""

TIME_RESET, TIME_SLOW, TIME_FAST = 0.1, 0.28, 0.17
"""Seconds for the whole way: back to straight; from half on; to half. From the game's
kart_characteristics.xml (time-reset-steer, time-full-steer)."""


class Keys:
    """What held keys do to a kart: the game's PlayerController."""

    def __init__(self, action: Any) -> None:
        self.action = action

    def tick(self, held: set[str]) -> None:
        """Let one tick pass."""
        action = self.action
        action.steer = steering(action.steer, ("right" in held) - ("left" in held))
        action.brake = "brake" in held
        action.acceleration = float("accelerate" in held and "brake" not in held)
        action.drift, action.nitro = "skid" in held, "nitro" in held
        action.rescue, action.fire = "rescue" in held, "fire" in held


def steering(now: float, wanted: int) -> float:
    """Return the steering (-1 left to 1 right) one tick later, with the keys for `wanted` held."""
    if wanted == 0:
        step = TICK_S / TIME_RESET
        return max(0.0, now - step) if now > 0 else min(0.0, now + step)
    seconds = TIME_RESET if now * wanted < 0 else TIME_SLOW if abs(now) >= 0.5 else TIME_FAST
    return max(-1.0, min(1.0, now + wanted * TICK_S / seconds))


class Engine:
    """One race."""

    def __init__(self, asked: dict[str, Any]) -> None:
        import pystk2

        size = asked["size"]
        graphics = pystk2.GraphicsConfig.ld() if size else pystk2.GraphicsConfig.none()
        graphics.display = False
        if size:
            graphics.render = True
            graphics.screen_width, graphics.screen_height = size
        pystk2.init(graphics)
        if asked["track"] not in pystk2.list_tracks():
            raise ValueError(f"the installed game has no track {asked['track']}")
        race = pystk2.RaceConfig()
        race.track, race.laps, race.difficulty = asked["track"], asked["laps"], asked["difficulty"]
        modes, opponents = pystk2.RaceConfig.RaceMode, asked["opponents"]
        race.mode = modes.NORMAL_RACE if opponents else modes.TIME_TRIAL
        race.num_kart, race.num_cameras = 1 + opponents, int(bool(size))
        race.step_size, race.seed = TICK_S, asked["seed"]
        if opponents:
            _seed(asked["seed"])
        player = race.players[0]
        player.controller = pystk2.PlayerConfig.Controller.PLAYER_CONTROL
        player.camera_mode = pystk2.PlayerConfig.CameraMode.ON
        player.kart = asked["kart"]
        self._race, self._world, self._track = pystk2.Race(race), pystk2.WorldState(), pystk2.Track()
        self._keys = Keys(pystk2.Action())
        self._race.start()
        self._track.update()
        while not self._world.time > 0:  # ready, set, go
            self._race.step(self._keys.action)
            self._world.update()

    def track(self) -> dict[str, Any]:
        """Return the middle of the road: segments (N, 2, 3) in metres, how far down the lap, how wide; and bananas."""
        import numpy as np
        import pystk2

        self._world.update()
        return {
            "bananas": [list(map(float, i.location)) for i in self._world.items if i.type == pystk2.Item.Type.BANANA],
            "segments": np.asarray(self._track.path_nodes).tolist(),
            "at": np.asarray(self._track.path_distance).tolist(),
            "width": np.asarray(self._track.path_width).ravel().tolist(),
            "length": self._track.length,
        }

    def place(self, at: list[float], turn: list[float], speed: float) -> None:
        """Put the kart somewhere: position (x, y, z), quaternion (x, y, z, w), m/s."""
        self._world.set_kart_location(self._world.players[0].kart.id, at, turn, speed)

    def step(self, held: set[str], ticks: int) -> None:
        """Let so many ticks pass."""
        for _ in range(ticks):
            self._keys.tick(held)
            self._race.step(self._keys.action)

    def state(self) -> dict[str, Any]:
        """Return how the kart is, and against opponents how they are, and what lies on the road."""
        self._world.update()
        kart, karts = self._world.players[0].kart, self._world.karts
        items = self._world.items if len(karts) > 1 else []
        return {
            **_kart(kart),
            "time": self._world.time,
            "steer": self._keys.action.steer,
            "down_track": kart.distance_down_track,
            "laps": kart.finished_laps,
            "lap_time": kart.lap_time,
            "on_road": kart.is_on_road,
            "jumping": kart.jumping,
            "energy": kart.energy,
            "skid": kart.skeed_factor,
            "shield_s": kart.shield_time,
            "rivals": [_kart(other) for other in karts if other.id != kart.id],
            "things": [[item.type.name.lower(), *map(float, item.location)] for item in items],
        }

    def image(self) -> bytes:
        """Return the picture, uint8 RGB, row by row."""
        import numpy as np

        return np.ascontiguousarray(self._race.render_data[0].image).tobytes()


def _seed(seed: int) -> None:
    """Seed what opponents and boxes draw their lots from: `RaceConfig.seed` does not.

    The engine's generator begins anew whenever this variable has changed. A build that hides it draws as it likes.
    """
    import ctypes

    import pystk2

    with contextlib.suppress(ValueError):
        engine = ctypes.CDLL(pystk2.__file__)
        ctypes.c_uint32.in_dll(engine, "_ZN15RandomGenerator14m_random_valueE").value = (seed + 1) % 2**32


def _kart(kart: Any) -> dict[str, Any]:
    return {
        "at": [float(x) for x in kart.location],
        "front": [float(x) for x in kart.front],
        "velocity": [float(x) for x in kart.velocity],
        "speed": kart.speed,
        "overall": kart.overall_distance,
        "finished": kart.has_finished_race,
        "finish_time": kart.finish_time,
        "place": kart.position,
        "item": kart.powerup.type.name.lower(),
        "count": kart.powerup.num,
        "attached": kart.attachment.type.name.lower(),
    }


def serve(requests: IO[str], answers: IO[bytes]) -> None:
    """Do what each line says, until there are no more."""

    def answer(data: dict[str, Any], picture: bytes = b"") -> None:
        answers.write(json.dumps({**data, "bytes": len(picture)}).encode() + b"\n" + picture)
        answers.flush()

    try:
        engine = Engine(json.loads(requests.readline()))
    except Exception as e:  # noqa: BLE001 - whatever the engine raises, the parent reports in a line
        answer({"error": " ".join(str(e).split()) or type(e).__name__})
        return
    answer({"track": engine.track(), "state": engine.state()}, b"")
    for line in requests:
        asked = json.loads(line)
        if "place" in asked:
            engine.place(*asked["place"])
        engine.step(set(asked["held"]), asked["ticks"])
        answer({"state": engine.state()}, engine.image() if asked["image"] else b"")


if __name__ == "__main__":
    # Under Mesa's software renderer anisotropic filtering loops for seconds, or for ever.
    off = "-GL_EXT_texture_filter_anisotropic -GL_ARB_texture_filter_anisotropic"
    os.environ["MESA_EXTENSION_OVERRIDE"] = off
    pipe = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # the engine prints
    serve(sys.stdin, pipe)
    pipe.flush()
    os._exit(0)  # its own end takes seconds, or crashes
