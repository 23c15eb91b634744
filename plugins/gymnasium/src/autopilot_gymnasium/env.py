"""A game of autopilot as a Gymnasium environment: pixels in, an action out, for reinforcement learning.

Importing this module registers them, as `gymnasium.make("autopilot_gymnasium.env:autopilot/carracing-v0")` does.
"""

from __future__ import annotations

from contextlib import suppress
from typing import Any, ClassVar

import autopilot
import gymnasium
import numpy as np
from autopilot.api import Action, Game, Image, Reading, Registry, UserError
from autopilot.bundle.preprocess import Preprocess, boxes
from gymnasium.spaces import Box, Discrete, MultiDiscrete

MOST_TRACKS = "0-9999"
"""Where tracks are numbers, an environment that is told no other is about these."""


class GameEnv(gymnasium.Env[Image, Any]):  # type: ignore[misc]
    """A game that runs in lock-step. Each episode is a race on one of `track` (`3`, `a,b`, `0-99`; None: all of them).

    It observes the frame as it is recorded, uint8 RGB (H, W, 3), black where the game hides what a network must not
    see, such as the score's digits. An action is an index on each axis of the label map
    `actions`: MultiDiscrete, or Discrete for a single axis. A reset draws the track and the game's own seed.

    The reward is what a step added to the game's own score, as the referee tells it. A game without a score gives 1 for
    each lap completed, less the time that passed as a share of the time limit of a lap: of a race, the sum is its laps
    less its time over that limit. Nothing is rewarded where there is no referee.

    `terminated` says that the race is over, `truncated` that its time is: the game's limit for a lap, times `laps`; of
    a scored game, the limit itself. `info` has the `track`, and what the referee said as `reading`, which an agent
    must not see.

    Raises UserError for a game that does not run in lock-step, and for a track, a mode or a label map that it lacks.
    """

    metadata: ClassVar[dict[str, Any]] = {"render_modes": ["rgb_array"]}

    def __init__(
        self,
        game: str,
        track: str | None = None,
        mode: str | None = None,
        laps: int | None = None,
        actions: str | None = None,
        render_mode: str | None = None,
    ) -> None:
        self._home = autopilot.open()
        self.game = Game(self._home.registry, game)
        spec = self.game.spec
        self.tracks, self._mode, self.laps = _tracks(self.game, track), mode, laps
        self._labels = self.game.label_map(actions)
        sizes = self._labels.action_space.sizes
        self.action_space = Discrete(sizes[0]) if len(sizes) == 1 else MultiDiscrete(sizes)
        width, height = spec.frame_size
        self._prepare = Preprocess(spec.frame_size, spec.frame_size, masks=boxes(spec.hidden, spec.frame_size))
        self.observation_space = Box(0, 255, (height, width, 3), np.uint8)
        self.metadata = self.metadata | {"render_fps": spec.hz}  # type: ignore[misc]
        if render_mode not in (None, "rgb_array"):
            raise UserError(f"there is no render_mode {render_mode!r}: say rgb_array")
        self.render_mode = render_mode
        self._world: autopilot.SteppedWorld | None = None

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Image, dict[str, Any]]:
        """Begin a race: `seed` decides the track and the start; `options={"track": "3"}` names the track."""
        super().reset(seed=seed)
        drawn, start = self.tracks[self.np_random.integers(len(self.tracks))], int(self.np_random.integers(2**31))
        track = (options or {}).get("track", drawn)
        if self._world is not None:
            self._world.close()
        self._world = self._home.world(self.game.spec.name, track, mode=self._mode, laps=self.laps, seed=start)
        self._steps = 0
        return self._prepare(self._world.frame.image), self._info(self._world)

    def step(self, action: Any) -> tuple[Image, float, bool, bool, dict[str, Any]]:
        """Hold what the action means for the time of one decision."""
        world, before = self._begun(), self._begun().reading
        image = self._prepare(world.step(self._labels.held(self._chosen(action))).image)
        self._steps += 1
        finished = world.reading is not None and world.reading.finished
        late = self._steps >= self.game.spec.race.lap_limit_s * max(world.request.laps, 1) * world.request.hz
        reward = self._reward(before or Reading(), world.reading)
        return image, reward, finished, bool(not finished and (late or world.over)), self._info(world)

    def _reward(self, before: Reading, now: Reading | None) -> float:
        if now is None:
            return 0.0
        if now.score is not None:
            return float(now.score - (before.score or 0.0))
        return now.lap - before.lap - 1 / (self.game.spec.hz * self.game.spec.race.lap_limit_s)

    def _chosen(self, action: Any) -> Action:
        if not self.action_space.contains(action):
            raise gymnasium.error.InvalidAction(f"{action!r} is no action of {self.action_space}")
        return tuple(int(value) for value in np.atleast_1d(action))

    def _begun(self) -> autopilot.SteppedWorld:
        if self._world is None:
            raise gymnasium.error.ResetNeeded("there is no race yet: call reset()")
        return self._world

    def _info(self, world: autopilot.SteppedWorld) -> dict[str, Any]:
        return {"track": world.request.track, "reading": world.reading}

    def demonstration(self) -> Any:
        """Return the action that the game's demonstrator would take now; raises UserError where there is none."""
        action = self._labels.action(self._begun().demonstration())
        if action is None:
            raise UserError(f"the demonstrator of {self.game.spec.name} holds what {self.action_space} cannot say")
        return action[0] if isinstance(self.action_space, Discrete) else np.array(action)

    def render(self) -> Any:
        """Return the frame once more, where `render_mode` is `rgb_array`."""
        return None if self.render_mode is None else self._begun().frame.image.copy()

    def close(self) -> None:
        """Let go of everything and give the game back. Calling it twice is harmless."""
        self._home.close()


def _tracks(game: Game, given: str | None) -> list[str]:
    """Return the tracks that are meant: without a word all names, or as many numbers as there are."""
    if given is None and game.spec.tracks.names:
        return list(game.spec.tracks.names)
    if given is None and game.spec.tracks.pattern:
        with suppress(UserError):  # they are no numbers
            return game.tracks(MOST_TRACKS)
    return game.tracks(given)


def _register() -> None:
    """Register `autopilot/Game-v0`, which takes a `game`, and an environment for each game that runs in lock-step."""
    specs = [spec for _, spec in Registry().provided("game")]
    names = [spec.name for spec in specs if spec.simulator is not None and "lockstep" in spec.simulator.clocks]
    for name, options in [("Game", {}), *((name, {"game": name}) for name in sorted(set(names)))]:
        gymnasium.register(f"autopilot/{name}-v0", "autopilot_gymnasium.env:GameEnv", kwargs=options)


_register()
