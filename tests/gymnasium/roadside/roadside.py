"""A package of an outsider: tiny environments, and one of them as a game with a scripted driver."""

import gymnasium
import numpy as np


class Road(gymnasium.Env):
    """A bright column on the left, in the middle or on the right: steer to it. Over after `length` steps."""

    metadata = {"render_modes": ["rgb_array"], "render_fps": 10}  # noqa: RUF012 - Gymnasium's own form
    observation_space = gymnasium.spaces.Box(0, 255, (16, 16, 3), np.uint8)

    def __init__(self, length=30, render_mode=None):
        self.action_space = gymnasium.spaces.Discrete(3)
        self.length, self.render_mode = length, render_mode

    def get_action_meanings(self):
        return ["NOOP", "LEFT", "RIGHT"]

    def reset(self, seed=None, options=None):
        super().reset(seed=seed)
        self.steps, self.where = 0, 0
        return self.render(), {}

    def step(self, action):
        reward = float(action == self.where)
        self.steps += 1
        self.where = int(self.np_random.integers(3))
        return self.render(), reward, self.steps >= self.length, False, {}

    def render(self):
        image = np.full((16, 16, 3), 40, np.uint8)
        first = {1: 0, 0: 6, 2: 12}[self.where]
        image[:, first : first + 4] = (250, 200, 50)
        return image


class Blind(Road):
    """No picture at all."""

    metadata = {"render_modes": []}  # noqa: RUF012
    observation_space = gymnasium.spaces.Box(0, 1, (4,), np.float32)


class Smooth(Road):
    """A wheel in place of keys."""

    def __init__(self, continuous=True, render_mode=None):
        super().__init__(render_mode=render_mode)
        self.action_space = gymnasium.spaces.Box(-1, 1, (1,), np.float32)


for name, kind in (("Road", Road), ("Blind", Blind), ("Smooth", Smooth)):
    gymnasium.register(f"{name}-v0", kind)
gymnasium.register("Broken-v0", "no_such_module:Environment")


def drive(image, env):
    column = int(image[0, :, 0].argmax())
    return {0: {"left"}, 12: {"right"}}.get(column, set())
