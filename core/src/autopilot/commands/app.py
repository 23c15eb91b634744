"""What all commands share: the home, the registry, printing for people and programs."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import click

from autopilot.api.game import Game
from autopilot.api.registry import Registry
from autopilot.sessions.home import Home

if TYPE_CHECKING:
    from autopilot.drive.lineup import Lineup
    from autopilot.learn.policy import Policy


@dataclass
class App:
    """What a command needs of its surroundings."""

    home_given: str | None = None
    json: bool = False
    safe_mode: bool = False
    own_commands: Collection[str] = ()
    losses: list[str] = field(default_factory=list)

    @classmethod
    def of(cls, ctx: click.Context) -> App:
        """Return the one of this command line."""
        root = ctx.find_root()
        found: App = root.ensure_object(cls)
        found.own_commands = getattr(root.command, "own", ())
        return found

    @cached_property
    def registry(self) -> Registry:
        """All plugins, loaded once."""
        return Registry(self.safe_mode, self.own_commands, lambda: self.home.root)

    @cached_property
    def home(self) -> Home:
        """The folder of sessions, bundles and races."""
        return Home.find(self.home_given)

    def lineup(self, game: Game, select: str = "weighted", temperature: float = 1.0, engine: str = "jax") -> Lineup:
        """Return who can drive a game, bundles among them, which JAX or a plugin's engine computes."""
        from autopilot.bundle.selector import Selector
        from autopilot.commands import ui
        from autopilot.drive.lineup import Lineup

        if engine != "jax":
            self.registry.find("engine", engine)

        def load(name: str) -> Policy:
            from autopilot.learn.policy import load_policy

            return load_policy(name, game, self.home, engine, ui.say)

        return Lineup(game, load, functools.partial(Selector, select, temperature))

    def print(self, data: Any, text: Callable[[], None] | str) -> None:
        """Print data with `--json`, else text, or what `text()` prints."""
        if self.json:
            click.echo(json.dumps(data, indent=2, allow_nan=False))
        elif isinstance(text, str):
            click.echo(text)
        else:
            text()

    def lost(self, line: str) -> None:
        """Tell, once, what could not be written while the rest went on; the command will end with 1."""
        if line not in self.losses:
            self.losses.append(line)
            from autopilot.commands import ui

            ui.say(f"autopilot: {line}")
