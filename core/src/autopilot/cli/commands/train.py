"""`autopilot train`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from autopilot.cli.training import training_options
from autopilot.commands import App, GroupedCommand, common, examples
from autopilot.learn import memory

if TYPE_CHECKING:
    from autopilot.learn.cluster import ClusterConfig
    from autopilot.learn.options import TrainListener


@contextmanager
def _listening(model: str) -> Iterator[TrainListener]:
    """Show how a training goes: a bar in a terminal, lines where there is none, and until the bar is there."""
    from autopilot.commands import ui
    from autopilot.learn.forecast import in_words
    from autopilot.learn.options import TrainListener, TrainProgress

    with ui.progress("{task.fields[state]}", "{task.fields[news]}", "{task.elapsed:.0f} s") as bar:
        task = bar.add_task(f"train {model}", total=None, state="preparing", left="", news="")

        class Listener(TrainListener):
            def progress(self, progress: TrainProgress) -> None:
                p, v = progress, progress.validation
                bar.start()
                news = f"epoch {p.epoch}/{p.epochs}"
                if v is not None:
                    news += f"  val loss {v['loss']:.3f}  accuracy {100 * v['accuracy']:.1f}%"
                state = f"{p.samples_per_s:.0f} samples/s" if p.samples_per_s else "compiling, measuring"
                left = "" if p.left_s is None else f", {in_words(p.left_s)} left"
                bar.update(task, completed=p.step, total=p.steps, state=state, left=left, news=news)

            def say(self, line: str) -> None:
                ui.say(line)

        def so_far() -> str:
            now = bar.tasks[0]
            at = "" if now.total is None else f"step {now.completed:.0f} of {now.total:.0f}, "
            about = f"{at}{now.fields['state']}{now.fields['left']}  {now.fields['news']}".rstrip()
            return f"{now.description}: {about}  ({now.elapsed:.0f} s so far)"

        with ui.heartbeat(so_far, quiet=lambda: bool(bar.live.is_started and ui.err.is_terminal)):
            yield Listener()


def _kept(run: Path) -> str:
    """Say what an interrupted training keeps."""
    steps = [int(path.name.partition("-")[0]) for path in (run / "checkpoints").glob("*-*.safetensors")]
    if not steps:
        return "no step of this training was kept yet"
    return f"the training is kept as it was after step {max(steps)}: the same command, without --restart, goes on"


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
        "tensorboard --logdir HOME/runs             look at the curves",
    ),
)
@training_options
@common
def command(
    app: App,
    settings: dict[str, Any],
    restart: bool,
    check: bool,
    learning_rate: float | None,
    average_epochs: tuple[int, ...] | None,
    cluster: ClusterConfig | None,
    **options: Any,
) -> None:
    """Train a network on recorded sessions, and write a bundle.

    The same command resumes an interrupted training where it stopped.
    """
    memory.keep_freed()
    from autopilot.commands.choices import choose_training
    from autopilot.learn.cluster import train_in_cluster
    from autopilot.learn.options import Invocation, TrainOptions
    from autopilot.learn.train import train

    options["model"], options["game"] = choose_training(
        app, options["model"], options["game"], options["start"], options["sessions"]
    )
    model = app.registry.get("model", options["model"])
    chosen = TrainOptions(**options, learning_rate=learning_rate or model.learning_rate, config=settings)
    how = Invocation(restart, check, average_epochs)
    wrote = cluster is None or cluster.process == 0
    with _listening(chosen.model) as listener:
        try:
            if cluster is None:
                result = train(app.registry, app.home, chosen, how, listener)
            else:
                result = train_in_cluster(cluster, app.safe_mode, app.home, chosen, how, listener)
        except KeyboardInterrupt as e:
            e.add_note(_kept(app.home.runs / chosen.bundle) if wrote else "process 0 keeps what was trained")
            raise
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
