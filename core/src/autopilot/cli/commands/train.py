"""`autopilot train`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from autopilot.cli.training import training_options
from autopilot.commands import App, GroupedCommand, common, examples

if TYPE_CHECKING:
    from autopilot.learn.cluster import ClusterConfig
    from autopilot.learn.options import TrainProgress


@contextmanager
def _showing(model: str) -> Iterator[Callable[[TrainProgress], None]]:
    """Show how a training goes: a bar in a terminal, lines where there is none, and until the bar is there."""
    from autopilot.commands import ui
    from autopilot.learn.forecast import in_words

    with ui.progress("{task.fields[state]}", "{task.fields[news]}", "{task.elapsed:.0f} s") as bar:
        task = bar.add_task(f"train {model}", total=None, state="preparing", left="", news="")

        def show(p: TrainProgress) -> None:
            v = p.validation
            bar.start()
            news = f"epoch {p.epoch}/{p.epochs}"
            if v is not None:
                news += f"  val loss {v['loss']:.3f}  accuracy {100 * v['accuracy']:.1f}%"
            state = f"{p.samples_per_s:.0f} samples/s" if p.samples_per_s else "compiling, measuring"
            left = "" if p.left_s is None else f", {in_words(p.left_s)} left"
            bar.update(task, completed=p.step, total=p.steps, state=state, left=left, news=news)

        def so_far() -> str:
            now = bar.tasks[0]
            at = "" if now.total is None else f"step {now.completed:.0f} of {now.total:.0f}, "
            about = f"{at}{now.fields['state']}{now.fields['left']}  {now.fields['news']}".rstrip()
            return f"{now.description}: {about}  ({now.elapsed:.0f} s so far)"

        with ui.heartbeat(so_far, quiet=lambda: bool(bar.live.is_started and ui.err.is_terminal)):
            yield show


@click.command(
    cls=GroupedCommand,
    epilog=examples(
        "autopilot train                           asks where there is a choice of network or game",
        "autopilot train --model nvidia",
        "autopilot train --model inception --game ctr --epochs 40 --balance oversample",
        "autopilot train --model nvidia --name try2 --set dropout=0.2",
        'autopilot train --model nvidia --game ctr --laps "best 50%" --driver anna,coco --mode N',
        "autopilot train --model nvidia --init-from ctr-nvidia --name ctr-2 --epochs 5 --learning-rate 0.0003",
        "autopilot train --model nvidia --epochs 200 --patience 20 --keep-best 3",
        "autopilot train --model nvidia --game carracing --choose-by driving    the epoch that drives best",
        "tensorboard --logdir HOME/runs             look at the curves",
    ),
)
@training_options
@common
def command(
    app: App,
    model: str | None,
    game: str | None,
    settings: dict[str, Any],
    cluster: ClusterConfig | None,
    **options: Any,
) -> None:
    """Train a network on recorded sessions, and write a bundle.

    The same command resumes an interrupted training where it stopped.
    """
    from autopilot.commands.choices import choose_training

    model, game = choose_training(app, model, game, options["start"], options["sessions"])  # it may ask
    with _showing(model) as show:
        result = app.train(model, game, on_progress=show, cluster=cluster, config=settings, **options)
    wrote = cluster is None or cluster.process == 0
    data = asdict(result) | {"bundle": str(result.bundle) if wrote else None, "run": str(result.run) if wrote else None}
    best, frames, driven = result.best, result.frames, result.best.get("driving")
    for what in result.left_out:
        click.echo(f"left out {what}", err=True)
    speed = f", {result.samples_per_s:.0f} samples/s" if result.samples_per_s else ""
    if result.waiting > 0.03:
        speed += f", {100 * result.waiting:.0f} % of the time spent waiting for data"
    early = ", stopped by --patience" if result.epochs < options["epochs"] else ""
    app.print(
        data,
        f"bundle {result.name}: epoch {best.get('mean_of', best['epoch'])} of {result.epochs}{early}, validation "
        f"accuracy {100 * best['accuracy']:.1f} % on {frames['validation']} frames of held-out data "
        f"({frames['train']} trained on{speed})\n"
        + ("" if driven is None else f"chosen by driving: {driven['finished']} of {driven['races']} races finished\n")
        + (f"curves and plots in {result.run}" if wrote else "bundle, curves and plots are with process 0"),
    )
