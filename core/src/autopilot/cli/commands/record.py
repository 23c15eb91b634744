"""`autopilot record`."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import click

from autopilot.cli.common import App, Finite, common, examples, world_options


@click.command(
    epilog=examples(
        "autopilot record --game ctr --driver anna --track coco --region 0,0,1280,720",
        "autopilot record --game ctr --track coco --mode A     recoveries, on purpose",
        "autopilot record --game carracing --track 7           play with the arrow keys",
        "autopilot record --game carracing --driver demonstrator --track 0-14 --laps 1",
        "autopilot record --game carracing --driver my-bundle --teacher demonstrator --track 0-9",
    )
)
@click.option("--game", required=True, help="Which game; see `autopilot plugins`.")
@click.option(
    "--driver", default="human", show_default=True, help="Your name, or demonstrator; or a bundle that has a teacher."
)
@click.option("--teacher", help="A demonstrator that says what should be done while a bundle drives.")
@click.option("--actions", help="Which label map of the game; see `autopilot plugins`.")
@click.option("--track", help="A track; where tracks are numbers also 0-4,7: a session each.")
@click.option("--mode", help="Recording mode, by letter or name (N normal, A adjust, …).")
@click.option("--hz", type=Finite(0.5, 120), help="Frames a second (default: the game's).")
@click.option("--laps", type=click.IntRange(0), default=0, help="Stop after so many laps.")
@click.option("--seconds", type=Finite(0, min_open=True), help="Stop after this long.")
@click.option("--noise", type=float, default=0.0, help="Disturb a demonstrator: share of decisions.")
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True)
@click.option("--show", is_flag=True, help="Show the game's window for a demonstrator too.")
@world_options
@common
def command(
    app: App, game: str, teacher: str | None, laps: int, seconds: float | None, show: bool, devices: Any, **options: Any
) -> None:
    """Record a human, a game's demonstrator, or what that would do where a bundle drives, as sessions.

    Hotkeys while recording: T pauses, O saves and quits, P quits (games may choose others). You may
    play with the keyboard or a gamepad; --input listens to one of them only.
    Nothing recorded is ever lost, whichever way it ends.
    """
    from autopilot.cli import ui
    from autopilot.game import Game
    from autopilot.record import RecordOptions, RecordProgress, record

    found = Game(app.registry, game, app.home)
    scripted = teacher is not None or options["driver"] in found.demonstrators
    chosen = RecordOptions(
        **options, laps=laps or (1 if scripted and seconds is None else 0), max_s=seconds, window=show, devices=devices
    )
    if teacher is not None:
        _taught(app, found, teacher, chosen)
        return

    told = "recording"
    with ui.status() as line:

        def watch(p: RecordProgress) -> None:
            nonlocal told
            total = max(sum(p.counts.values()), 1)
            labels = "  ".join(f"{k} {100 * n // total}%" for k, n in p.counts.most_common(5))
            state = f"WAITING ({p.away})" if p.away else "PAUSED" if p.paused else "recording"
            rate = p.timing.achieved_hz
            line(f"{state} {p.track}: {p.frames} frames  {rate:.1f}/s  {labels}", news=state != told)
            told = state

        before = (lambda world: None) if scripted else ui.countdown
        done = record(found, app.home, chosen, before, watch)
    data = [
        {
            "session": p.path.name,
            "track": p.track,
            "frames": p.frames,
            "ending": p.ending,
            "labels": dict(p.counts),
            "timing": p.timing.report(),
        }
        for p in done
    ]
    lines = [f"{d['session']}: {d['frames']} frames ({d['ending']})" for d in data]
    app.print(data, "\n".join([*lines, f"kept in {app.home.sessions}"]))


def _taught(app: App, game: Any, teacher: str, options: Any) -> None:
    """Let a bundle drive each track while a demonstrator labels what it sees."""
    from autopilot.cli import ui
    from autopilot.drive import DriveOptions, drive, load_policy
    from autopilot.types import Step

    one = DriveOptions(
        mode=options.mode,
        laps=options.laps,
        max_s=options.max_s or game.spec.lap_limit_s * options.laps,
        record=True,
        teacher=teacher,
        takeover="off",
        devices=options.devices,
    )
    policy = load_policy(options.driver, game, app.home, app.registry, one)
    done = []
    with ui.status() as line:
        for number, track in enumerate(game.tracks(options.track)):

            def watch(step: Step, track: str = track) -> None:
                line(f"{options.driver} on {track}, taught by {teacher}: {step.index} decisions")

            chosen = replace(one, track=track, seed=options.seed + number)
            done.append(drive(options.driver, game, app.home, app.registry, chosen, watch, policy=policy))
            if done[-1].ending in ("saved", "quit"):  # by a hotkey
                break
    data = [{"session": r.session, "track": r.track, "ending": r.ending, "timing": r.timing} for r in done]
    lines = [f"{r.session}: {r.timing['steps']} frames ({r.ending})" for r in done]
    app.print(data, "\n".join([*lines, f"kept in {app.home.sessions}"]))
