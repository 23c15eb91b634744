"""Who drives, by name: a human, one of the game's demonstrators, chance, or a bundle."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from autopilot.api.errors import UserError
from autopilot.api.game import Game
from autopilot.api.interfaces import LabelMap
from autopilot.bundle.selector import Selector
from autopilot.drive.drivers import DemonstratorDriver, Driver, HumanDriver, PolicyDriver, RandomDriver
from autopilot.drive.timing import Timing
from autopilot.drive.world import OpenWorld
from autopilot.sessions.home import is_scripted

if TYPE_CHECKING:
    from autopilot.learn.policy import Policy


Select = Callable[[int], Selector]
"""Makes, for a seed, what chooses a policy's actions."""

WEIGHTED: Select = partial(Selector, "weighted", 1.0)


@dataclass(frozen=True)
class Entrant:
    """A driver that was looked up, ready to enter any world of its game; `hz` is how often it decides."""

    name: str
    label_map_name: str
    label_map: LabelMap
    hz: float
    policy: Policy | None = None
    human: bool = False
    select: Select = WEIGHTED

    def driver(self, world: OpenWorld, timing: Timing, seed: int) -> Driver:
        """Return what decides in `world`; raises UserError where the world has nobody of that name."""
        if self.policy is not None:
            return PolicyDriver(self.policy, self.select(seed), self.label_map, timing)
        if self.human and world.reader is not None:
            return HumanDriver(world.reader)
        if self.name == "random":
            return RandomDriver(self.label_map, seed)
        if world.demonstrator is not None:
            return DemonstratorDriver(world.demonstrator, self.label_map)
        raise UserError(f"there is no {self.name} here: it may need --clock lockstep")


class Lineup:
    """Looks up drivers of a game; `load` gives the policy of a bundle that fits it, by name.

    `select` and `temperature` say how actions are selected, None: as the bundle does, where a temperature alone asks
    for `weighted`. Raises UserError for a selection that makes no sense.
    """

    def __init__(
        self, game: Game, load: Callable[[str], Policy], select: str | None = None, temperature: float | None = None
    ) -> None:
        self.game, self._load = game, load
        self._kind = select or (None if temperature is None else "weighted")
        self._temperature = temperature
        Selector(self._kind or "weighted", 1.0 if temperature is None else temperature)

    def find(self, name: str) -> Entrant:
        """Return who that is, and load it; raises UserError for a demonstrator that the game does not ship.

        Raises also what loading a bundle raises.
        """
        if is_scripted(name):
            return self.scripted(name)
        policy = self._load(name)
        manifest = policy.manifest
        labels = manifest.label_maps[self.game.spec.name]
        temperature = manifest.temperature if self._temperature is None else self._temperature
        select = partial(Selector, self._kind or manifest.select, temperature)
        return Entrant(name, labels, self.game.label_map(labels), manifest.hz, policy, select=select)

    def scripted(self, name: str, actions: str | None = None, hz: float | None = None) -> Entrant:
        """Return a driver that is no bundle's: whoever is no demonstrator and not chance is a human of that name.

        `actions` is a label map, by default the demonstrator's or the game's own; `hz` is the game's by default.
        """
        self.game.check_demonstrator(name)
        labels = self.game.label_map_name(actions or self.game.demonstrators.get(name))
        human = name != "random" and name not in self.game.demonstrators
        return Entrant(name, labels, self.game.label_map(labels), hz or self.game.spec.hz, human=human)
