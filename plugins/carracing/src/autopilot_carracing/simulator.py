"""CarRacing-v3 in lock-step: frame source, output device and clock of one race in one object."""

from __future__ import annotations

import math
import time
from typing import Any

import numpy as np
from autopilot.api import NOTHING, Frame, Held, Image, level_of
from gymnasium.envs.box2d.car_dynamics import Car
from gymnasium.envs.box2d.car_racing import FPS, GRASS_DIM, WINDOW_H, WINDOW_W, CarRacing
from numpy.typing import NDArray

from autopilot_carracing.referee import CarRacingReferee
from autopilot_carracing.track import CentreLine
from autopilot_carracing.window import Window

STEER_RAD, STEER_ACC, GAS, BRAKE = 0.4, 450.0, 0.45, 0.35
"""What a held control means. The wheels turn to 0.4 rad at most, and at speed v (m/s) to 450 / v²:
the faster, the less, as far as the tyres can hold. 45 % gas and 35 % brake. With all of it at once
the car spins, whoever holds the keys."""
SHOW_EVERY = 2
"""Simulator frames per picture in a window: 25 pictures a second."""
MAX_LATE_S = 0.25
"""Later than this (a pause, a hopeless machine) the game goes on from here, without a burst."""
REACH_PX = math.hypot(WINDOW_W / 2, WINDOW_H * 3 / 4)
"""From the car to the farthest corner of the picture."""


class Simulator(CarRacing):  # type: ignore[misc]
    """CarRacing-v3 that draws only when asked to, and only what can be seen; same pixels."""

    car: Car
    road_poly: list[Any]

    def __init__(self) -> None:
        super().__init__(render_mode="rgb_array")

    def astray(self, rng: np.random.Generator) -> None:
        """Put the car beside the road, in any direction."""
        _, beta, x, y = self.track[0]
        off = rng.uniform(4.0, 12.0) * rng.choice([-1, 1])
        angle = beta + rng.uniform(-math.pi, math.pi)
        self.car.destroy()
        self.car = Car(self.world, angle, x + off * math.cos(beta), y + off * math.sin(beta))

    def _render(self, mode: str) -> Image | None:
        # step() draws an observation that nobody looks at: nine tenths of its time.
        return None if mode == "state_pixels" else super()._render(mode)

    def _render_road(self, zoom: float, translation: Any, angle: float) -> None:
        # Gymnasium transforms every polygon before it looks whether it is in the picture.
        self._eye, self._reach = tuple(self.car.hull.position), REACH_PX / zoom + 1.5 * GRASS_DIM
        whole = self.road_poly
        self.road_poly = [part for part in whole if self._in_sight(part[0])]
        super()._render_road(zoom, translation, angle)
        self.road_poly = whole

    def _draw_colored_polygon(self, surface: Any, poly: Any, *colour_and_view: Any, clip: bool = True) -> None:
        if not clip or self._in_sight(poly):
            super()._draw_colored_polygon(surface, poly, *colour_and_view, clip=clip)

    def _in_sight(self, poly: Any) -> bool:
        return bool(math.dist(poly[0], self._eye) < self._reach)


class Race:
    """One race: gives frames, holds controls, and steps the simulator at each tick.

    `frames` simulator frames (1/50 s each) pass per decision. In a window they pass in real time.
    """

    lockstep = True

    def __init__(self, simulator: Simulator, frames: int, laps: int, window: Window | None) -> None:
        self.simulator = simulator
        self.line = CentreLine(simulator.track)
        x, y = simulator.car.hull.position
        self.place = self.line.locate(x, y)
        self.referee = CarRacingReferee(self.line.tiles, self.place, laps)
        self._frames = frames
        self._window = window
        self._count = 0
        self._held: Held = NOTHING
        self._drawn: Frame | None = None
        self._due = time.monotonic()
        if window is not None:
            self._show(window)

    def read(self) -> Frame:
        """Return the screen as it is now, uint8 RGB (400, 600, 3); `t_ns` is simulated time.

        Raises EOFError when the window was closed.
        """
        if self._window is not None and self._window.closed:
            raise EOFError("the window was closed")
        return self._draw()

    def _draw(self) -> Frame:
        t_ns = self._count * 1_000_000_000 // FPS
        if self._drawn is None or self._drawn.t_ns != t_ns:
            self._drawn = Frame(self.simulator.render(), t_ns)
        return self._drawn

    def hold(self, controls: Held) -> None:
        """Hold exactly these controls from the next tick on."""
        self._held = controls

    def release_all(self) -> None:
        """Let go of everything."""
        self._held = NOTHING

    def close(self) -> None:
        """Let go of everything; there is nothing else to give back."""
        self.release_all()

    @property
    def lock(self) -> float:
        """How far the wheels turn at most, in radians, at the present speed."""
        speed = math.hypot(*self.simulator.car.hull.linearVelocity)
        return min(STEER_RAD, STEER_ACC / max(speed, 1.0) ** 2)

    def tick(self) -> None:
        """Let one decision's simulator frames pass with what is held."""
        steer = level_of(self._held, "steer") + ("right" in self._held) - ("left" in self._held)
        brake = "brake" in self._held
        gas = "accelerate" in self._held and not brake
        action = np.array([self.lock * max(-1.0, min(1.0, steer)), GAS * gas, BRAKE * brake])
        self.referee.start_decision()
        for left in reversed(range(self._frames)):
            self._step(action)
            if self._window is not None:
                self._keep_pace(self._window, last=left == 0)

    def _step(self, action: NDArray[np.float64]) -> None:
        simulator = self.simulator
        _, reward, terminated, _, _ = simulator.step(action)
        self._count += 1
        car = simulator.car
        x, y = car.hull.position
        self.place = self.line.locate(x, y, self.place)
        on_grass = sum(not wheel.tiles for wheel in car.wheels)
        self.referee.watch(self.place, car.hull.angle, on_grass, reward, terminated)

    def _keep_pace(self, window: Window, last: bool) -> None:
        self._due += 1 / FPS
        late = time.monotonic() - self._due
        if late > MAX_LATE_S:
            self._due += late
        # A slow machine shows fewer pictures before it slows the game down.
        if last or (late < 0 and self._count % SHOW_EVERY == 0):
            self._show(window)
        time.sleep(max(0.0, self._due - time.monotonic()))

    def _show(self, window: Window) -> None:
        self._draw()
        window.show(self.simulator.surf)
