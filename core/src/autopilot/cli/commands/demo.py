"""`autopilot demo`."""

from __future__ import annotations

import click

from autopilot.cli.common import App, common, examples


@click.command(epilog=examples("autopilot demo", "autopilot demo --home ./demo --model inception"))
@click.option("--model", default="nvidia", show_default=True)
@click.option(
    "--tracks",
    type=click.IntRange(2),
    default=24,
    show_default=True,
    help="How many tracks the demonstrator records.",
)
@click.option("--epochs", type=int, default=12, show_default=True)
@common
def command(app: App, model: str, tracks: int, epochs: int) -> None:
    """Record CarRacing's demonstrator, train a network on it, film it, race it.

    Tracks that it races on are never recorded. Ten minutes on two processor cores.
    """
    from autopilot.cli import ui
    from autopilot.demo import demo

    with ui.progress("{task.fields[news]}") as bar:
        result = demo(app.registry, app.home, bar, model, tracks, epochs)
    app.print(result.to_json(), lambda: ui.demo_tables(result))
