"""The options of a training on several devices or machines."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import click

from autopilot.cli.common import Finite


def _count(ctx: click.Context, param: click.Parameter, value: str) -> int | None:
    return None if value == "all" else int(click.IntRange(1).convert(value, param, ctx))  # type: ignore[arg-type]  # takes text


def device_options(command: Callable[..., None]) -> Callable[..., None]:
    """Add the options that say which devices train; pass `devices` and a `Place`, or None, as `place`."""

    @click.option(
        "--devices", metavar="N|all", callback=_count, default="all", show_default=True, help="They share each batch."
    )
    @click.option("--coordinator", metavar="HOST:PORT", help="Several machines: where process 0 listens.")
    @click.option("--process", type=click.IntRange(0), help="Which one this is, from 0.")
    @click.option("--processes", type=click.IntRange(1), help="How many there are.")
    @click.option("--join-wait", type=Finite(1), default=60, show_default=True, help="Wait so long for all, seconds.")
    @functools.wraps(command)
    def wrapped(
        *args: Any,
        coordinator: str | None,
        process: int | None,
        processes: int | None,
        join_wait: float,
        **options: Any,
    ) -> None:
        place = None
        given = (coordinator, process, processes)
        if given.count(None) not in (0, 3):
            raise click.UsageError("--coordinator, --process and --processes go together")
        if coordinator is not None and process is not None and processes is not None:
            from autopilot.train import Place

            place = Place(coordinator, process, processes, join_wait)
        command(*args, place=place, **options)

    return wrapped
