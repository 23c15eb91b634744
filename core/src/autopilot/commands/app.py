"""What all commands share: the home, the registry, `--json`, and the options for worlds."""

from __future__ import annotations

import functools
import json
import math
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
        return Registry(self.safe_mode, self.own_commands)

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


def common(command: Callable[..., None]) -> Callable[..., None]:
    """Add the options that every command has, and pass an `App` first."""

    @click.option("--home", metavar="DIR", help="Where sessions, bundles and races live.")
    @click.option("--json", "as_json", is_flag=True, help="Print JSON for programs.")
    @click.option("--safe-mode", is_flag=True, help="Load no plugin at all.")
    @click.option("--debug", is_flag=True, help="Show tracebacks.")
    @click.pass_context
    @functools.wraps(command)
    def wrapped(
        ctx: click.Context, /, home: str | None, as_json: bool, safe_mode: bool, debug: bool, **options: Any
    ) -> None:
        app = App.of(ctx)
        app.home_given, app.json = home, as_json
        if safe_mode and not app.safe_mode:
            app.safe_mode = True
            app.__dict__.pop("registry", None)
        command(app, **options)
        if app.losses:
            ctx.exit(1)

    return wrapped


class Finite(click.FloatRange):
    """A number in a range; unlike `FloatRange`, `nan` and `inf` are none."""

    def convert(self, value: Any, param: Any, ctx: Any) -> float:
        """Return the number; fails as click's types do."""
        number = float(super().convert(value, param, ctx))
        if not math.isfinite(number):
            self.fail(f"{value} is not a number to count with", param, ctx)
        return number

    def _describe_range(self) -> str:  # of click's, which shows a range without ends as x<=None
        return super()._describe_range() if (self.min, self.max) != (None, None) else ""


def add_options(*options: Callable[[Callable[..., None]], Callable[..., None]]) -> Callable[..., Callable[..., None]]:
    """Return a decorator that adds options, which the help shows in this order."""

    def add(command: Callable[..., None]) -> Callable[..., None]:
        return functools.reduce(lambda made, option: option(made), reversed(options), command)

    return add


def examples(*lines: str) -> str:
    """Return an epilog that shows how the command is used."""
    return "\b\nExamples:\n" + "\n".join(f"  {line}" for line in lines)


force_option = click.option("--force", is_flag=True, help="Replace the file, or data set, that is there.")

driving_options = add_options(
    click.option(
        "--select",
        type=click.Choice(["weighted", "argmax"]),
        default="weighted",
        show_default=True,
        help="How to choose from the probabilities.",
    ),
    click.option("--temperature", type=Finite(), default=1.0, show_default=True),
    click.option("--seed", type=click.IntRange(0), default=0, show_default=True),
    click.option(
        "--engine",
        metavar="NAME",
        default="jax",
        show_default=True,
        help="What computes the network: jax, or a plugin's engine; see `autopilot plugins`.",
    ),
    click.option(
        "--recover/--no-recover", default=True, help="Get a car going again that stands still, where the game says how."
    ),
)
"""How a bundle drives."""


def _bindings(ctx: click.Context, param: click.Parameter, given: tuple[str, ...]) -> dict[str, str]:
    pairs = [text.partition("=") for text in given]
    for name, _, key in pairs:
        if not name or not key:
            raise click.BadParameter(f"{name!r}: give CONTROL=KEY, e.g. pause=f9")
    return {name: key for name, _, key in pairs}


def _region(ctx: click.Context, param: click.Parameter, text: str | None) -> tuple[int, ...] | None:
    try:
        box = None if text is None else tuple(map(int, text.split(",")))
    except ValueError:
        box = ()
    if box is not None and len(box) != 4:
        raise click.BadParameter(f"{text!r}: give X,Y,W,H in pixels")
    if box is not None and min(box[2:]) < 1:
        raise click.BadParameter(f"{text!r}: width and height must be positive")
    return box


WORLD = (
    click.option(
        "--clock", type=click.Choice(["wall", "lockstep"]), help="The real game, or a simulator that waits; where both."
    ),
    click.option("--source", help="Frame source, where the game is not its own; see `autopilot plugins`."),
    click.option("--window", metavar="WINDOW", help="Title of the game's window, process:NAME, or click."),
    click.option("--monitor", type=click.IntRange(1), metavar="N", help="A monitor; see `autopilot windows`."),
    click.option(
        "--region", metavar="X,Y,W,H", callback=_region, help="Part of the window, monitor or screen, in pixels."
    ),
    click.option("--video", metavar="FILE", help="File, stream (rtsp://…) or camera (0, /dev/video0)."),
    click.option("--profile", "--emulator", "profile", help="Which of the game's key bindings, e.g. an emulator's."),
    click.option("--input", "device", help="Device to play or press on; see `autopilot plugins`."),
    click.option(
        "--bind",
        multiple=True,
        metavar="CONTROL=KEY",
        callback=_bindings,
        help="Another key for a control or hotkey; repeatable.",
    ),
)
"""Where frames come from, and who presses."""


def world_options(command: Callable[..., None]) -> Callable[..., None]:
    """Add the options of `WORLD`; pass a `DeviceChoice` as `devices`."""

    @functools.wraps(command)
    def wrapped(*args: Any, window: Any, monitor: Any, region: Any, video: Any, **options: Any) -> None:
        from autopilot.api.types import SourceSettings
        from autopilot.desktop.desktop import DeviceChoice

        if [window, monitor, video].count(None) < 2:
            raise click.UsageError("--window, --monitor and --video exclude each other")
        choice = {name: options.pop(name) for name in ("clock", "source", "profile", "device", "bind")}
        settings = SourceSettings(region, video, window, monitor)
        command(*args, devices=DeviceChoice(**choice, settings=settings), **options)

    return add_options(*WORLD)(wrapped)
