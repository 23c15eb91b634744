"""Ribbon: a winding road seen from above, as small as a game can be."""

import numpy as np
from autopilot.api import NOTHING, Choice, ChoiceAxis, ChoiceLabelMap, Frame, Reading, World

HALF_WIDTH = 18.0  # of the road, in pixels
LENGTH = 1500.0  # of a lap, in pixels
SPEED, TURN = 6.0, 4.0  # pixels a decision


def labels():
    steer = ChoiceAxis(
        "steer",
        [Choice("left", frozenset({"left"})), Choice("forward"), Choice("right", frozenset({"right"}))],
        mirror={"left": "right"},
        conflicts=[frozenset({"left", "right"})],
    )
    return ChoiceLabelMap([steer], always=frozenset({"accelerate"}))


class Ribbon:
    """Frame source, device, clock, referee and demonstrator in one: core asks for the parts."""

    lockstep = True

    def __init__(self, request):
        rng = np.random.default_rng(int(request.track))
        self.waves = rng.uniform(0.5, 1, 3), rng.uniform(0, 6.28, 3), np.array([180, 310, 470])
        self.request, self.steps, self.y, self.x = request, 0, 0.0, self.centre(0.0)
        self.controls, self.lap_times, self.lap_began = NOTHING, [], 0.0

    def centre(self, y):
        size, phase, length = self.waves
        return (12 * size * np.sin(6.28 * np.asarray(y)[..., None] / length + phase)).sum(-1)

    def read(self):
        rows = self.y + np.arange(90)[::-1, None]
        across = np.arange(160)[None] - 80 + self.x
        image = np.full((90, 160, 3), (40, 140, 50), np.uint8)
        image[np.abs(across - self.centre(rows[:, 0])[:, None]) < HALF_WIDTH] = (110, 110, 110)
        image[84:, 77:83] = (200, 40, 40)
        return Frame(image, int(self.steps * 1e9 / self.request.hz))

    def hold(self, controls):
        self.controls = controls

    def release_all(self):
        self.controls = NOTHING

    def close(self):
        self.release_all()

    def tick(self):
        self.steps += 1
        self.x += TURN * (("right" in self.controls) - ("left" in self.controls))
        off = abs(self.x - self.centre(self.y)) > HALF_WIDTH
        self.y += SPEED * ("accelerate" in self.controls) * (0.3 if off else 1)
        if self.y >= LENGTH * (len(self.lap_times) + 1):
            now = self.steps / self.request.hz
            self.lap_times.append(now - self.lap_began)
            self.lap_began = now

    def reading(self):
        return Reading(
            lap=len(self.lap_times),
            lap_times_s=tuple(self.lap_times),
            race_time_s=self.steps / self.request.hz,
            incident=bool(abs(self.x - self.centre(self.y)) > HALF_WIDTH),
            finished=0 < self.request.laps <= len(self.lap_times),
        )

    def decide(self):
        error = self.centre(self.y + 12) - self.x
        steer = {"right"} if error > 3 else {"left"} if error < -3 else set()
        return frozenset({"accelerate", *steer})


def open_world(request):
    road = Ribbon(request)
    return World(source=road, device=road, clock=road, referee=road, demonstrator=road)
