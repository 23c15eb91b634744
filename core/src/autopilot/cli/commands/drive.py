"""`autopilot drive`."""

from __future__ import annotations

from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import click

from autopilot.cli.common import App, Finite, common, driving_options, examples, world_options


@click.command(
    epilog=examples(
        "autopilot drive --game carracing --bundle carracing-nvidia --track 3 --laps 1 --show",
        "autopilot drive --game carracing --bundle carracing-nvidia --film lap.mp4 --laps 1",
        "autopilot drive --game ctr --bundle coco --input keyboard --profile duckstation --region 0,0,1280,720",
        "autopilot drive --game ctr --bundle coco --select argmax --bind accelerate=x --engine onnx",
        "autopilot drive --game ctr --bundle coco --record     correct it by hand, then train on that",
        'autopilot drive --game ctr --bundle coco --laps 3 --races 10 --keep-laps "time < 41.5 and clean"',
    )
)
@click.option("--game", required=True, help="Which game; see `autopilot plugins`.")
@click.option("--bundle", required=True, help="Which bundle drives (or demonstrator, random).")
@click.option("--track")
@click.option("--mode")
@click.option("--laps", type=click.IntRange(0), default=0, help="Stop after so many laps.")
@click.option("--seconds", "max_s", type=Finite(0, min_open=True), help="Stop after.")
@click.option(
    "--select",
    type=click.Choice(["weighted", "argmax"]),
    default="weighted",
    show_default=True,
    help="How to choose from the probabilities.",
)
@click.option("--temperature", type=float, default=1.0, show_default=True)
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True)
@driving_options
@click.option("--show", is_flag=True, help="Show the frame with the probability bars, in real time.")
@click.option("--film", type=click.Path(path_type=Path), help="Write that as an mp4.")
@click.option("--record", is_flag=True, help="Keep the drive as a session; what you took over is trained on.")
@click.option("--keep-laps", metavar="RULE", help="Keep each lap that passes as a session: time < 41.5 and clean.")
@click.option("--races", type=click.IntRange(1), default=1, show_default=True, help="So many, one after another.")
@click.option(
    "--takeover",
    type=click.Choice(["handback", "pause", "off"]),
    default="handback",
    show_default=True,
    help="When you press a key of the game: drive until you let go, or until the pause key.",
)
@world_options
@common
def command(app: App, game: str, bundle: str, keep_laps: str | None, races: int, devices: Any, **options: Any) -> None:
    """Let a bundle drive until the race is over, P is pressed or Ctrl-C; all is released then."""
    from autopilot.cli import ui
    from autopilot.drive import DriveOptions, drive_races
    from autopilot.game import Game
    from autopilot.sessions import LapRule
    from autopilot.types import Step

    found = Game(app.registry, game, app.home)
    rule = None if keep_laps is None else LapRule.parse(keep_laps, "keep-laps", ranked=False)
    chosen = DriveOptions(**options, keep_laps=rule, say=ui.say, devices=devices)
    real_time = not found.lockstep(devices)
    with ui.status() as line:

        def watch(step: Step) -> None:
            r, held = step.reading, " ".join(sorted(step.decision.sent))
            score = "" if r is None or r.score is None else f"  score {r.score:.0f}"
            lap = "" if r is None else f"  lap {r.lap + 1}"
            who = "YOU DRIVE" if step.decision.by_human else "driving"
            line(f"{who}: {step.index} decisions{lap}{score}  [{held}]")

        before = ui.countdown if real_time else lambda world: None
        about = (bundle, found, app.home, app.registry, chosen, races)
        reports = drive_races(*about, watch, before, partial(line, news=True))
    if not app.json:
        ui.timing_lines(reports[-1].timing)
    lines = [*map(str, reports), *([f"film: {chosen.film}"] if chosen.film is not None else [])]
    data = [asdict(report) for report in reports]
    app.print(data if races > 1 else data[0], "\n".join(lines))
