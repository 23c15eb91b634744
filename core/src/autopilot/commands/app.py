"""What all commands share: the home, the registry, printing for people and programs."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Collection, Sequence
from functools import cached_property
from typing import Any

import click

from autopilot.api.registry import Registry
from autopilot.commands.opened import OpenHome
from autopilot.sessions.home import Home


class App(OpenHome):
    """What a command needs of its surroundings: the home that its line names, and how to speak to a person."""

    def __init__(self, json: bool = False) -> None:
        super().__init__()
        self.json = json
        self.own_commands: Collection[str] = ()
        self.losses: list[str] = []

    @classmethod
    def of(cls, ctx: click.Context) -> App:
        """Return the one of this command line."""
        root = ctx.find_root()
        found: App = root.ensure_object(cls)
        found.own_commands = getattr(root.command, "own", ())
        return found

    @cached_property
    def registry(self) -> Registry:
        """All plugins, loaded once; none may replace a command of core's."""
        return Registry(self.safe_mode, self.own_commands, lambda: self.home.root)

    @property
    def home(self) -> Home:
        """The folder of sessions, bundles and races."""
        return self.folders

    def print(self, data: Any, text: Callable[[], None] | str) -> None:
        """Print data with `--json`, else text, or what `text()` prints."""
        if self.json:
            click.echo(json.dumps(data, indent=2, allow_nan=False))
        elif isinstance(text, str):
            click.echo(text)
        else:
            text()

    def say(self, line: str) -> None:
        """Tell a person something beside the result."""
        from autopilot.commands import ui

        ui.say(line)

    def lost(self, line: str) -> None:
        """Tell, once, what could not be written while the rest went on; the command will end with 1."""
        if line not in self.losses:
            self.losses.append(line)
            self.say(f"autopilot: {line}")

    def ask(self, option: str, names: Sequence[str]) -> str | None:
        """Return what a person at a terminal picks, by its number or by itself."""
        if not (sys.stdin.isatty() and sys.stderr.isatty()):
            return None
        for number, name in enumerate(names, 1):
            self.say(f"  {number}  {name}")
        while True:
            answer: str = click.prompt(f"which one ({option})", err=True).strip()
            if answer in names:
                return answer
            if answer.isdecimal() and 0 < int(answer) <= len(names):
                return names[int(answer) - 1]
            self.say(f"there is no {answer!r}")
