"""Opening a race: from a request to the parts that the loop joins together."""

from __future__ import annotations

import re

import numpy as np
from autopilot.api import UserError, World, WorldRequest
from gymnasium.envs.box2d.car_racing import FPS

from autopilot_carracing.demonstrator import FAST, CarRacingDemonstrator, Style
from autopilot_carracing.simulator import Race, Simulator
from autopilot_carracing.window import Window


def open_world(request: WorldRequest) -> World:
    """Open a race: `request.track` is the seed that makes the track.

    In mode `A` the car starts astray, as `request.seed` draws it. Raises UserError for a track
    that is no seed or a rate that does not divide 50 Hz, DeviceError when a window is asked for
    where there is no screen.
    """
    if not re.fullmatch(r"[0-9]{1,9}", request.track):
        raise UserError(f"carracing has no track {request.track!r}: give a seed, 0 to 999999999")
    frames = round(FPS / request.hz) if request.hz > 0 else 0
    if frames < 1 or abs(frames * request.hz - FPS) > 1e-6:
        raise UserError(f"carracing steps {FPS} times a second: --hz {request.hz:g} must divide it")
    simulator = Simulator()
    simulator.reset(seed=int(request.track))
    if request.mode == "A":
        simulator.astray(np.random.default_rng(request.seed))
    window = None
    if request.window or request.human:
        window = Window(f"CarRacing, track {request.track}")
    race = Race(simulator, frames, request.laps, window)
    style = FAST if request.demonstrator == "demonstrator-fast" else Style()
    return World(
        source=race,
        device=race,
        clock=race,
        reader=window if request.human else None,
        referee=race.referee,
        demonstrator=CarRacingDemonstrator(race, style, analogue=request.demonstrator == "demonstrator-analogue"),
        on_close=window.close if window is not None else None,
    )
