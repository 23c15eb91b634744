"""The options of a training."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import click

from autopilot.commands.options import Finite, named_values, option_group

COUNT, NATURAL = click.IntRange(1), click.IntRange(0)
IMPORTANCE = Finite(1, 100)
SHARE = Finite(0, 1, min_open=True, max_open=True)


def _count(ctx: click.Context, param: click.Parameter, value: str) -> int | None:
    return None if value == "all" else int(COUNT.convert(value, param, ctx))  # type: ignore[arg-type]  # takes text


def _epochs(ctx: click.Context, param: click.Parameter, value: str | None) -> tuple[int, ...] | None:
    return None if value is None else tuple(COUNT.convert(n, param, ctx) for n in value.split("-", 1))  # type: ignore[arg-type]  # takes text


class _Renamed(click.Option):
    """An option whose last name is its old one, which works and is not listed."""

    def get_help_record(self, ctx: click.Context) -> tuple[str, str] | None:
        """Return what is listed."""
        old = self.opts.pop()
        try:
            return super().get_help_record(ctx)
        finally:
            self.opts.append(old)


_renamed = functools.partial(click.option, cls=_Renamed)

OPTIONS = (
    click.option("--model", metavar="NAME", help="Which network (default: that of --init-from, or the only one)."),
    click.option(
        "--game",
        metavar="NAME",
        help="Which game's sessions, or several games', a,b (default: the only one with sessions).",
    ),
    click.option("--name", metavar="NAME", help="Name of the bundle (default: GAME-MODEL)."),
    click.option("--epochs", metavar="N", type=COUNT, default=20, help="Passes over the training data."),
    _renamed("--init-from", "--from", "start", metavar="BUNDLE", help="Start from its weights; a,b,…: their mean."),
    click.option(
        "--set",
        "settings",
        multiple=True,
        metavar="NAME=VALUE",
        callback=named_values,
        help="A setting of the network; repeatable.",
    ),
    click.option("--restart", is_flag=True, help="Discard an unfinished run of this name instead of resuming it."),
)
"""Chosen most often."""

DATA = option_group(
    "Training data",
    click.option("--session", "sessions", metavar="ID", multiple=True, help="Only this session; repeatable."),
    click.option("--tracks", metavar="LIST", help="Only these tracks: a,b,… or, where they are numbers, 0-4."),
    click.option("--driver", "drivers", metavar="LIST", help="Only these drivers: a,b,…"),
    click.option("--mode", "modes", metavar="LIST", help="Only these recording modes: N,A,…"),
    click.option("--laps", metavar="RULE", help='Only these laps of each track: "best 50%", "time < 41.5 and clean".'),
    click.option("--actions", metavar="NAME", help="Label map of the game; see `autopilot plugins`."),
    click.option("--label-shift", metavar="MS", type=Finite(), default=0.0, help="Label with what was held MS later."),
    click.option(
        "--balance",
        type=click.Choice(["none", "oversample", "weights"]),
        default="none",
        help="Show rare actions more often, or weigh them more in the loss.",
    ),
    click.option(
        "--corrections",
        metavar="W",
        type=IMPORTANCE,
        default=1.0,
        help="Count where a human corrected W times as much.",
    ),
    click.option(
        "--fast-laps", metavar="W", type=IMPORTANCE, default=1.0, help="Count clean, fast laps more, slow ones less."
    ),
    click.option("--validation", metavar="SHARE", type=SHARE, default=0.1, help="Share held out for validation."),
    click.option("--check/--no-check", default=True, help="Check the sessions first; see `autopilot check`."),
)

AUGMENTATION = option_group(
    "Augmentation (at random, in training only)",
    click.option("--mirror/--no-mirror", default=True, help="Mirror frame and action."),
    click.option("--brightness", metavar="SHARE", type=Finite(0, 1), default=0.2, help="Change brightness."),
    click.option("--shift", metavar="PIXELS", type=click.IntRange(0, 32), default=0, help="Shift sideways."),
    click.option("--rotate", metavar="DEGREES", type=Finite(0, 45), default=0.0, help="Rotate."),
)

OPTIMISATION = option_group(
    "Optimisation",
    click.option("--batch-size", metavar="N", type=COUNT, default=256, help="Frames in each step."),
    click.option("--learning-rate", metavar="RATE", type=SHARE, help="Adam's peak (default: the network's own)."),
    click.option(
        "--schedule",
        type=click.Choice(["cosine", "step", "constant"]),
        default="cosine",
        help="How the learning rate falls after the warm-up.",
    ),
    click.option("--warmup", metavar="N", type=Finite(), default=0.02, help="N steps; below 1: a share of all steps."),
    click.option(
        "--precision",
        type=click.Choice(["float32", "bfloat16"]),
        default="float32",
        help="Number format of the computation.",
    ),
    click.option("--seed", metavar="N", type=NATURAL, default=0, help="Of all random choices."),
)

EPOCHS = option_group(
    "Stopping and choosing epochs",
    click.option(
        "--patience",
        metavar="N",
        type=NATURAL,
        default=0,
        show_default=False,
        help="Stop after N epochs without improvement.",
    ),
    click.option(
        "--keep-best",
        metavar="K",
        type=COUNT,
        help="Keep weights of the K best epochs (default: 1; if driving chooses, 5).",
    ),
    click.option(
        "--choose-by",
        type=click.Choice(["loss", "driving"]),
        default="loss",
        help="Bundle the epoch of the smallest loss, or the kept one that drives best.",
    ),
    click.option(
        "--choose-tracks", metavar="LIST", help="Tracks of those races (default: known ones, or new numbers)."
    ),
    click.option("--choose-seed", metavar="N", type=click.IntRange(0, 9999), default=5000, help="Their first seed."),
    _renamed(
        "--average-epochs",
        "--bundle-from",
        metavar="EPOCHS",
        callback=_epochs,
        help="Bundle this kept epoch; 2-5: their mean.",
    ),
)

MACHINES = option_group(
    "Several devices and machines",
    click.option("--devices", metavar="N|all", callback=_count, default="all", help="Devices that share each batch."),
    click.option("--coordinator", metavar="HOST:PORT", help="Address where process 0 listens."),
    click.option("--process", metavar="N", type=NATURAL, help="Number of this process, from 0."),
    click.option("--processes", metavar="N", type=COUNT, help="How many processes there are."),
    click.option("--join-wait", metavar="S", type=Finite(1), default=60, help="How long to wait for all processes."),
)


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

    made: Callable[..., None] = wrapped
    for options in reversed((*OPTIONS, DATA, AUGMENTATION, OPTIMISATION, EPOCHS, MACHINES)):
        made = options(made)
    return made
