"""`autopilot train`."""

from __future__ import annotations

from dataclasses import asdict
from functools import partial
from typing import TYPE_CHECKING, Any

import click

from autopilot import memory
from autopilot.cli.common import App, common, examples
from autopilot.cli.devices import device_options

if TYPE_CHECKING:
    from autopilot.train import Place

COUNT, SHARE = click.IntRange(1), click.FloatRange(0, 1, min_open=True, max_open=True)


def _settings(pairs: tuple[str, ...]) -> dict[str, Any]:
    """Parse NAME=VALUE; a value is JSON where it can be, else text."""
    import json

    found: dict[str, Any] = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals:
            raise click.BadParameter(f"--set {pair!r}: give NAME=VALUE")
        try:
            found[name] = json.loads(value)
        except ValueError:
            found[name] = value
    return found


@click.command(
    epilog=examples(
        "autopilot train --model nvidia",
        "autopilot train --model inception --game ctr --epochs 40 --balance oversample",
        "autopilot train --model nvidia --name try2 --set dropout=0.2",
        "autopilot train --model nvidia --epochs 200 --patience 20 --keep-best 3",
        "tensorboard --logdir HOME/runs             look at the curves",
    )
)
@click.option("--model", required=True, help="Which network; see `autopilot plugins`.")
@click.option("--game", help="Train on sessions of this game (default: the only one).")
@click.option("--session", "sessions", multiple=True, help="Only this session; may be repeated.")
@click.option("--epochs", type=COUNT, default=20, show_default=True)
@click.option("--batch-size", type=COUNT, default=256, show_default=True)
@click.option(
    "--balance",
    type=click.Choice(["none", "oversample", "weights"]),
    default="none",
    show_default=True,
    help="What to do about rare actions.",
)
@click.option("--mirror/--no-mirror", default=True, show_default=True, help="Flip at random.")
@click.option("--brightness", type=click.FloatRange(0, 1), default=0.2, show_default=True, help="Re-light at random.")
@click.option("--shift", type=click.IntRange(0, 32), default=0, help="Shift sideways at random, pixels.")
@click.option("--rotate", type=click.FloatRange(0, 45), default=0.0, help="Turn at random, degrees.")
@click.option("--label-shift", type=float, default=0.0, metavar="MS", help="Learn what was held MS later.")
@click.option("--learning-rate", type=SHARE, help="Adam's peak rate (default: what suits the network).")
@click.option("--schedule", type=click.Choice(["cosine", "step", "constant"]), default="cosine", show_default=True)
@click.option("--warmup", type=float, default=0.02, show_default=True, help="Share of the steps; from 1 on: steps.")
@click.option("--patience", type=click.IntRange(0), default=0, metavar="N", help="Stop after N epochs no better.")
@click.option("--keep-best", type=COUNT, default=1, metavar="K", help="Keep the weights of the K best epochs.")
@click.option("--bundle-from", type=COUNT, metavar="EPOCH", help="Bundle a kept epoch, not the best.")
@click.option("--precision", type=click.Choice(["float32", "bfloat16"]), default="float32", help="To compute in.")
@click.option("--validation", type=SHARE, default=0.1, show_default=True, help="Share held out.")
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True)
@click.option("--name", help="Name of the bundle (default: GAME-MODEL).")
@click.option("--set", "settings", multiple=True, metavar="NAME=VALUE", help="Network setting.")
@click.option("--restart", is_flag=True, help="Throw away an earlier run of this name.")
@device_options
@common
def command(
    app: App,
    settings: tuple[str, ...],
    restart: bool,
    learning_rate: float | None,
    bundle_from: int | None,
    place: Place | None,
    **options: Any,
) -> None:
    """Train a network on recorded sessions; ends with a bundle.

    A training that was interrupted goes on where it stopped when the same command is given again.
    """
    memory.keep_freed()
    from autopilot.cli import ui
    from autopilot.train import TrainOptions, TrainProgress, train, train_in_team

    if learning_rate is None:
        learning_rate = app.registry.get("model", options["model"]).learning_rate
    chosen = TrainOptions(**options, learning_rate=learning_rate, config=_settings(settings))
    with ui.progress("{task.fields[rate]}", "{task.fields[news]}") as bar:
        task = bar.add_task(f"train {chosen.model}", total=None, rate="", news="")

        def watch(p: TrainProgress) -> None:
            bar.start()
            v = p.validation
            news = f"epoch {p.epoch}/{p.epochs}"
            if v is not None:
                news += f"  val loss {v['loss']:.3f}  accuracy {100 * v['accuracy']:.1f}%"
            rate = f"{p.samples_per_s:.0f} samples/s" if p.samples_per_s else "compiling"
            bar.update(task, completed=p.step, total=p.steps, rate=rate, news=news)

        say = partial(click.echo, err=True)
        arguments: dict[str, Any] = {
            "home": app.home,
            "options": chosen,
            "restart": restart,
            "bundle_from": bundle_from,
        }
        if place is None:
            result = train(app.registry, watch=watch, say=say, **arguments)
        else:
            result = train_in_team(place, app.safe_mode, arguments, watch, say)
    wrote = place is None or place.process == 0
    data = asdict(result) | {"bundle": str(result.bundle) if wrote else None, "run": str(result.run) if wrote else None}
    best, frames = result.best, result.frames
    for what in result.left_out:
        click.echo(f"left out {what}", err=True)
    speed = f", {result.samples_per_s:.0f} samples/s" if result.samples_per_s else ""
    if result.waiting > 0.03:
        speed += f", {100 * result.waiting:.0f} % of the time spent waiting for data"
    early = ", stopped by --patience" if result.epochs < chosen.epochs else ""
    app.print(
        data,
        f"bundle {result.name}: epoch {best['epoch']} of {result.epochs}{early}, validation accuracy "
        f"{100 * best['accuracy']:.1f} % on {frames['validation']} frames of held-out data "
        f"({frames['train']} trained on{speed})\n"
        + (f"curves and plots in {result.run}" if wrote else "bundle, curves and plots are with process 0"),
    )
