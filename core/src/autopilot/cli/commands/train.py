"""`autopilot train`."""

from __future__ import annotations

from dataclasses import asdict
from functools import partial
from typing import TYPE_CHECKING, Any

import click

from autopilot import memory
from autopilot.cli.common import App, common, examples
from autopilot.cli.training import training_options

if TYPE_CHECKING:
    from autopilot.train import Place


@click.command(
    epilog=examples(
        "autopilot train --model nvidia",
        "autopilot train --model inception --game ctr --epochs 40 --balance oversample",
        "autopilot train --model nvidia --name try2 --set dropout=0.2",
        'autopilot train --model nvidia --game ctr --laps "best 50%" --driver anna,coco --mode N',
        "autopilot train --model nvidia --from ctr-nvidia --name ctr-2 --epochs 5 --learning-rate 0.0003",
        "autopilot train --model nvidia --epochs 200 --patience 20 --keep-best 3",
        "tensorboard --logdir HOME/runs             look at the curves",
    )
)
@training_options
@common
def command(
    app: App,
    settings: dict[str, Any],
    restart: bool,
    check: bool,
    learning_rate: float | None,
    bundle_from: tuple[int, ...] | None,
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
    chosen = TrainOptions(**options, learning_rate=learning_rate, config=settings)
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
        how = {"restart": restart, "check": check, "bundle_from": bundle_from}
        arguments: dict[str, Any] = {"home": app.home, "options": chosen, **how}
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
        f"bundle {result.name}: epoch {best.get('mean_of', best['epoch'])} of {result.epochs}{early}, validation "
        f"accuracy {100 * best['accuracy']:.1f} % on {frames['validation']} frames of held-out data "
        f"({frames['train']} trained on{speed})\n"
        + (f"curves and plots in {result.run}" if wrote else "bundle, curves and plots are with process 0"),
    )
