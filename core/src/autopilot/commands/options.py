"""Options that commands share, and their groups in the help."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any

import click

from autopilot.commands.app import App

type Decorator = Callable[[Callable[..., None]], Callable[..., None]]

HEADING = "heading"
"""The attribute of a click parameter that names its group."""

COLUMN = 26
"""The widest first column; a longer name has a line of its own."""


class GroupedCommand(click.Command):
    """A command whose help lists options in their groups: those without one first, the general ones last."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write each group under its heading, with one width for all first columns."""
        groups: dict[str, list[tuple[str, str]]] = {}
        for param in self.get_params(ctx):
            if isinstance(param, click.Option) and (record := param.get_help_record(ctx)):
                groups.setdefault(vars(param).get(HEADING, "Options"), []).append(record)
        if GENERAL in groups and "Options" in groups and self.get_help_option(ctx) is not None:
            groups[GENERAL].append(groups["Options"].pop())  # click adds --help as the last
        width = min(max((len(name) for rows in groups.values() for name, _ in rows), default=0), COLUMN)
        for heading in sorted(groups, key=lambda h: (h != "Options", h == GENERAL)):
            if groups[heading]:
                with formatter.section(heading):
                    formatter.write_dl([(name.ljust(width), text) for name, text in groups[heading]], col_max=COLUMN)


def option_group(heading: str, *options: Decorator) -> Decorator:
    """Return a decorator that adds options, which a `GroupedCommand` lists in this order under the heading."""

    def add(command: Callable[..., None]) -> Callable[..., None]:
        for option in reversed(options):
            command = option(command)
            vars(vars(command)["__click_params__"][-1])[HEADING] = heading
        return command

    return add


GENERAL = "General options"

_general_options = option_group(
    GENERAL,
    click.option("--home", metavar="DIR", help="Folder of the sessions, bundles and races."),
    click.option("--json", "as_json", is_flag=True, help="Print JSON for programs."),
    click.option("--safe-mode", is_flag=True, help="Load no plugin at all."),
    click.option("--debug", is_flag=True, help="Show tracebacks."),
)


def common(command: Callable[..., None]) -> Callable[..., None]:
    """Add the options that every command has, and pass an `App` first."""

    @_general_options
    @click.pass_context
    @functools.wraps(command)
    def wrapped(
        ctx: click.Context, /, home: str | None, as_json: bool, safe_mode: bool, debug: bool, **options: Any
    ) -> None:
        app = App.of(ctx)
        app.given, app.json = home or app.given, as_json or app.json
        if safe_mode and not app.safe_mode:
            app.safe_mode = True
            app.__dict__.pop("registry", None)
        command(app, **options)
        if app.losses:
            ctx.exit(1)

    return wrapped


class Finite(click.FloatRange):
    """A number in a range; unlike `FloatRange`, `nan` and `inf` are refused."""

    def convert(self, value: Any, param: Any, ctx: Any) -> float:
        """Return the number; fails as click's types do."""
        number = float(super().convert(value, param, ctx))
        if not math.isfinite(number):
            self.fail(f"{value} is not a finite number", param, ctx)
        return number

    def _describe_range(self) -> str:  # of click's, which shows a range without ends as x<=None
        return super()._describe_range() if (self.min, self.max) != (None, None) else ""


def examples(*lines: str) -> str:
    """Return an epilog that shows how the command is used."""
    return "\b\nExamples:\n" + "\n".join(f"  {line}" for line in lines)


def _workers(ctx: click.Context, param: click.Parameter, value: str) -> int | str:
    return value if value == "ray" else int(click.IntRange(1).convert(value, param, ctx))  # type: ignore[arg-type]  # takes text


workers_option = click.option(
    "--workers", metavar="N|ray", callback=_workers, default="1", help="Simulators at once, each in its own process."
)

force_option = click.option("--force", is_flag=True, help="Replace the output if it exists.")

driving_options = option_group(
    "How the bundle drives",
    click.option(
        "--select",
        type=click.Choice(["weighted", "argmax"]),
        help="Draw an action from the probabilities, or take the most probable one (default: as the bundle says).",
    ),
    click.option(
        "--temperature",
        metavar="T",
        type=Finite(),
        help="Of weighted: below 1 prefers probable actions more, above 1 less (default: the bundle's, or 1).",
    ),
    click.option("--seed", metavar="N", type=click.IntRange(0), default=0, help="Of all random choices."),
    click.option(
        "--engine",
        metavar="NAME",
        default="jax",
        help="What computes the network: jax, or a plugin's engine; see `autopilot plugins`.",
    ),
    click.option("--recover/--no-recover", default=True, help="Unstick a stationary car, where the game says how."),
)
"""How a bundle drives."""


def named_values(ctx: click.Context, param: click.Parameter, pairs: tuple[str, ...]) -> dict[str, Any]:
    """Parse NAME=VALUE; a value is JSON where it can be, else text."""
    from autopilot.sessions.home import read_json

    settings: dict[str, Any] = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals:
            raise click.BadParameter(f"{pair!r}: give NAME=VALUE")
        try:
            settings[name] = read_json(value.encode())
        except ValueError:
            settings[name] = value
    return settings


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


_screen_options = option_group(
    "Screen and devices",
    click.option("--window", metavar="WINDOW", help="The game's window: its title, process:NAME, or click."),
    click.option("--region", metavar="X,Y,W,H", callback=_region, help="Part of the window or screen, in pixels."),
    click.option(
        "--monitor", metavar="N", type=click.IntRange(1), help="A whole monitor; `autopilot windows` lists them."
    ),
    click.option("--video", metavar="FILE", help="A file, stream (rtsp://…) or camera (0, /dev/video0)."),
    click.option("--source", metavar="NAME", help="Frame source of another plugin; see `autopilot plugins`."),
    click.option("--input", "device", metavar="NAME", help="Device to play or press on; see `autopilot plugins`."),
    click.option("--profile", "--emulator", "profile", metavar="NAME", help="Key bindings to use, e.g. an emulator's."),
    click.option(
        "--bind",
        multiple=True,
        metavar="CONTROL=KEY",
        callback=_bindings,
        help="Another key for a control or hotkey; repeatable.",
    ),
    click.option(
        "--clock",
        type=click.Choice(["wall", "lockstep"]),
        help="In real time, or with a simulator that waits for each decision (default: what the game has).",
    ),
    click.option(
        "--world",
        multiple=True,
        metavar="NAME=VALUE",
        callback=named_values,
        help="A setting of the game's simulator, e.g. opponents=4; repeatable.",
    ),
)
"""Where frames come from, and who presses."""


def world_options(command: Callable[..., None]) -> Callable[..., None]:
    """Add the options that choose screen and devices; pass a `DeviceChoice` as `devices`."""

    @functools.wraps(command)
    def wrapped(*args: Any, window: Any, monitor: Any, region: Any, video: Any, **options: Any) -> None:
        from autopilot.api.types import SourceSettings
        from autopilot.desktop.desktop import DeviceChoice

        if [window, monitor, video].count(None) < 2:
            raise click.UsageError("--window, --monitor and --video exclude each other")
        choice = {name: options.pop(name) for name in ("clock", "source", "profile", "device", "bind", "world")}
        settings = SourceSettings(region, video, window, monitor)
        command(*args, devices=DeviceChoice(**choice, settings=settings), **options)

    return _screen_options(wrapped)
