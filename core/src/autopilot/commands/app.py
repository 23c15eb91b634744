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
        """Return who can drive a game, bundles among them, which JAX or another engine computes."""
        from autopilot.commands import ui
        from autopilot.drive.lineup import Lineup, Selection

        def load(name: str) -> Policy:
            from autopilot.learn.load import load_policy

            return load_policy(name, game, self.home, engine, ui.say)

        return Lineup(game, load, Selection(select, temperature))

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


def force_option(command: Callable[..., None]) -> Callable[..., None]:
    """Add `--force`."""
    return click.option("--force", is_flag=True, help="Replace the file, or data set, that is there.")(command)


def examples(*lines: str) -> str:
    """Return an epilog that shows how the command is used."""
    return "\b\nExamples:\n" + "\n".join(f"  {line}" for line in lines)


def driving_options(command: Callable[..., None]) -> Callable[..., None]:
    """Add `--engine` and `--recover`."""
    engine = click.option(
        "--engine",
        type=click.Choice(["jax", "onnx"]),
        default="jax",
        show_default=True,
        help="What computes the network; onnx is quicker for one frame and exports first where need be.",
    )
    recover = "Get a car going again that stands still, where the game says how."
    return engine(click.option("--recover/--no-recover", default=True, help=recover)(command))


def world_options(command: Callable[..., None]) -> Callable[..., None]:
    """Add the options that say where frames come from and who presses; pass a `DeviceChoice`."""

    @click.option(
        "--clock", type=click.Choice(["wall", "lockstep"]), help="The real game, or a simulator that waits; where both."
    )
    @click.option("--source", help="Frame source, where the game is not its own (screen, video).")
    @click.option("--window", metavar="WINDOW", help="Title of the game's window, process:NAME, or click.")
    @click.option("--monitor", type=click.IntRange(1), metavar="N", help="A monitor; see `autopilot windows`.")
    @click.option("--region", metavar="X,Y,W,H", help="Part of the window, monitor or screen, in pixels.")
    @click.option("--video", metavar="FILE", help="File, stream (rtsp://…) or camera (0, /dev/video0).")
    @click.option("--profile", "--emulator", "profile", help="Which of the game's key bindings, e.g. an emulator's.")
    @click.option("--input", "input_device", help="Device to play or press on: keyboard, gamepad, …")
    @click.option("--bind", multiple=True, metavar="CONTROL=KEY", help="Another key, e.g. accelerate=k; repeatable.")
    @functools.wraps(command)
    def wrapped(
        *args: Any,
        clock: str | None,
        source: str | None,
        window: str | None,
        monitor: int | None,
        region: str | None,
        video: str | None,
        profile: str | None,
        input_device: str | None,
        bind: tuple[str, ...],
        **options: Any,
    ) -> None:
        from autopilot.api.types import SourceSettings
        from autopilot.desktop.desktop import DeviceChoice

        if sum(option is not None for option in (window, monitor, video)) > 1:
            raise click.UsageError("--window, --monitor and --video exclude each other")
        settings = SourceSettings(None if region is None else _region(region), video, window, monitor)
        source = source or ("video" if video else None)
        choice = DeviceChoice(input_device, _bind(bind), profile, source, clock, settings)
        command(*args, devices=choice, **options)

    return wrapped


def _bind(given: tuple[str, ...]) -> dict[str, str]:
    pairs = [text.partition("=") for text in given]
    for name, _, key in pairs:
        if not name or not key:
            raise click.BadParameter(f"--bind {name!r}: give CONTROL=KEY, e.g. accelerate=k")
    return {name: key for name, _, key in pairs}


def _region(text: str) -> tuple[int, int, int, int]:
    try:
        x, y, width, height = (int(part) for part in text.split(","))
    except ValueError:
        raise click.BadParameter(f"--region {text!r}: give X,Y,W,H in pixels") from None
    if width < 1 or height < 1:
        raise click.BadParameter(f"--region {text!r}: width and height must be positive")
    return x, y, width, height
