"""The options of a training."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import click

from autopilot.commands.app import Finite, add_options
from autopilot.sessions.home import read_json

COUNT, SHARE = click.IntRange(1), Finite(0, 1, min_open=True, max_open=True)


def _count(ctx: click.Context, param: click.Parameter, value: str) -> int | None:
    return None if value == "all" else int(click.IntRange(1).convert(value, param, ctx))  # type: ignore[arg-type]  # takes text


def _epochs(ctx: click.Context, param: click.Parameter, value: str | None) -> tuple[int, ...] | None:
    return None if value is None else tuple(COUNT.convert(n, param, ctx) for n in value.split("-", 1))  # type: ignore[arg-type]  # takes text


def _settings(ctx: click.Context, param: click.Parameter, pairs: tuple[str, ...]) -> dict[str, Any]:
    """Parse NAME=VALUE; a value is JSON where it can be, else text."""
    found: dict[str, Any] = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals:
            raise click.BadParameter(f"{pair!r}: give NAME=VALUE")
        try:
            found[name] = read_json(value.encode())
        except ValueError:
            found[name] = value
    return found


class _Renamed(click.Option):
    """An option whose last name is its old one, which works and is not listed."""

    def get_help_record(self, ctx: click.Context) -> tuple[str, str] | None:
        """Return what is listed."""
        old = self.opts.pop()
        try:
            return super().get_help_record(ctx)
        finally:
            self.opts.append(old)


DATA = (
    click.option("--model", help="Which network (default: that of --init-from, or the only one)."),
    click.option("--game", help="Train on sessions of this game (default: the only one with sessions)."),
    click.option("--session", "sessions", multiple=True, help="Only this session; may be repeated."),
    click.option("--tracks", help="Only what was recorded on these: a,b,… or, where they are numbers, 0-4."),
    click.option("--driver", "drivers", help="Only what these drove: a,b,…"),
    click.option("--mode", "modes", help="Only what was recorded in these modes: N,A,…"),
    click.option("--laps", metavar="RULE", help='Only these laps, by track: "best 50%", "time < 41.5 and clean".'),
    click.option("--actions", help="Which label map of the game; see `autopilot plugins`."),
)
"""What to learn from."""

LEARNING = (
    click.option("--epochs", type=COUNT, default=20, show_default=True),
    click.option("--batch-size", type=COUNT, default=256, show_default=True),
    click.option(
        "--balance",
        type=click.Choice(["none", "oversample", "weights"]),
        default="none",
        show_default=True,
        help="What to do about rare actions.",
    ),
    click.option("--mirror/--no-mirror", default=True, show_default=True, help="Flip at random."),
    click.option("--brightness", type=Finite(0, 1), default=0.2, show_default=True, help="Re-light at random."),
    click.option("--shift", type=click.IntRange(0, 32), default=0, help="Shift sideways at random, pixels."),
    click.option("--rotate", type=Finite(0, 45), default=0.0, help="Turn at random, degrees."),
    click.option("--label-shift", type=Finite(), default=0.0, metavar="MS", help="Learn what was held MS later."),
    click.option("--learning-rate", type=SHARE, help="Adam's peak rate (default: what suits the network)."),
    click.option("--schedule", type=click.Choice(["cosine", "step", "constant"]), default="cosine", show_default=True),
    click.option(
        "--warmup", type=Finite(), default=0.02, show_default=True, help="Share of the steps; from 1 on: steps."
    ),
    click.option("--patience", type=click.IntRange(0), default=0, metavar="N", help="Stop after N epochs no better."),
    click.option("--keep-best", type=COUNT, default=1, metavar="K", help="Keep the weights of the K best epochs."),
    click.option(
        "--average-epochs",
        "--bundle-from",
        cls=_Renamed,
        callback=_epochs,
        metavar="EPOCH",
        help="Bundle this, if kept; 2-5: their mean.",
    ),
    click.option("--precision", type=click.Choice(["float32", "bfloat16"]), default="float32", help="To compute in."),
    click.option("--validation", type=SHARE, default=0.1, show_default=True, help="Share held out."),
    click.option("--seed", type=click.IntRange(0), default=0, show_default=True),
    click.option("--name", help="Name of the bundle (default: GAME-MODEL)."),
    click.option(
        "--init-from",
        "--from",
        "start",
        cls=_Renamed,
        metavar="BUNDLE",
        help="Begin with its weights; a,b,…: with their mean.",
    ),
    click.option("--set", "settings", multiple=True, callback=_settings, metavar="NAME=VALUE", help="Network setting."),
    click.option("--check/--no-check", default=True, help="Look through the sessions first; see `autopilot check`."),
    click.option("--restart", is_flag=True, help="Throw away an earlier run of this name."),
    click.option(
        "--devices", metavar="N|all", callback=_count, default="all", show_default=True, help="They share each batch."
    ),
)
"""How to learn it."""

CLUSTER = (
    click.option("--coordinator", metavar="HOST:PORT", help="Several machines: where process 0 listens."),
    click.option("--process", type=click.IntRange(0), help="Which one this is, from 0."),
    click.option("--processes", type=click.IntRange(1), help="How many there are."),
    click.option("--join-wait", type=Finite(1), default=60, show_default=True, help="Wait so long for all, seconds."),
)
"""With whom."""


def training_options(command: Callable[..., None]) -> Callable[..., None]:
    """Add what a user may choose; pass `settings` parsed, and a `ClusterConfig`, or None, as `cluster`."""

    @functools.wraps(command)
    def wrapped(
        *args: Any,
        coordinator: str | None,
        process: int | None,
        processes: int | None,
        join_wait: float,
        **options: Any,
    ) -> None:
        cluster = None
        given = (coordinator, process, processes)
        if given.count(None) not in (0, 3):
            raise click.UsageError("--coordinator, --process and --processes go together")
        if coordinator is not None and process is not None and processes is not None:
            from autopilot.learn.cluster import ClusterConfig

            cluster = ClusterConfig(coordinator, process, processes, join_wait)
        command(*args, cluster=cluster, **options)

    return add_options(*DATA, *LEARNING, *CLUSTER)(wrapped)
