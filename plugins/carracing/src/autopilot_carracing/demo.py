"""`autopilot demo`: the main job as the commands that a user would type."""

from __future__ import annotations

import json
import shlex
import sys
import time
from contextlib import redirect_stdout

import click
from autopilot.commands import App, GroupedCommand, common, examples

RACE_TRACKS = "10000-10004"
"""Never recorded, and nothing was chosen by how anything drives on them."""


@click.command(cls=GroupedCommand, epilog=examples("autopilot demo", "autopilot demo --home ./demo --model inception"))
@click.option("--model", metavar="NAME", default="nvidia", help="Which network.")
@click.option("--tracks", metavar="N", type=click.IntRange(2), default=24, help="Tracks to record.")
@click.option("--epochs", metavar="N", type=click.IntRange(1), default=8, help="Epochs of training.")
@common
def command(app: App, model: str, tracks: int, epochs: int) -> None:
    """Record CarRacing's demonstrator, train a network on it, film it, race it.

    It races on tracks that were never recorded. Started again, it goes on where it was stopped.
    """
    cli = click.get_current_context().find_root().command
    from autopilot.sessions.store import SessionStore

    done = [s.info for s in SessionStore.of(app.home).all()[0] if s.info.ended == "saved"]
    have = {info.track for info in done if info.game == "carracing"}
    missing = ",".join(str(n) for n in range(tracks) if str(n) not in have)
    folder = app.home.races / "demo"
    film = shlex.quote(str(folder / "film.mp4"))
    game, race = "--game carracing", f"--tracks {RACE_TRACKS} --laps 1 --name demo --force"
    steps = [
        f"record {game} --driver demonstrator --noise 0.02 --laps 1 --track {missing}",
        f"train {game} --model {model} --epochs {epochs} --batch-size 32 --brightness 0 --name {model}",
        f"drive {game} --bundle {model} --track 10000 --laps 1 --film {film} --force",
        f"race {game} --drivers demonstrator,{model},random {race}",
    ]
    seconds = {}
    for step in steps if missing else steps[1:]:
        begun = time.monotonic()
        click.secho(f"$ autopilot {step}", err=True, bold=True)
        with redirect_stdout(sys.stderr if app.json else sys.stdout):
            try:
                cli.main([*shlex.split(step), "--home", str(app.home.root)], standalone_mode=False)
            except click.Abort as e:
                (e.__cause__ or e).add_note("the same demo goes on from there")
                raise
        seconds[step.split()[0]] = round(time.monotonic() - begun, 1)
    spent = ", ".join(f"{name} {s:.0f} s" for name, s in seconds.items())
    result = json.loads((folder / "race.json").read_bytes())
    app.print(
        {"race": result, "film": str(folder / "film.mp4"), "seconds": seconds},
        f"film: {folder / 'film.mp4'}\ntook {sum(seconds.values()):.0f} s: {spent}",
    )
