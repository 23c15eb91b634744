"""`autopilot record`."""

from __future__ import annotations

from typing import Any

import click

from autopilot.commands.app import App, Finite, common, examples, world_options


@click.command(
    epilog=examples(
        "autopilot record --game ctr --driver anna --track coco --region 0,0,1280,720",
        "autopilot record --game ctr --track coco --mode A     recoveries, on purpose",
        "autopilot record --game carracing --track 7           play with the arrow keys",
        "autopilot record --game carracing --driver demonstrator --track 0-14 --laps 1",
        "autopilot record --game carracing --driver my-bundle --teacher demonstrator --track 0-9",
    )
)
@click.option("--game", help="Which game (default: the only one that --driver can drive).")
@click.option(
    "--driver", default="human", show_default=True, help="Your name, or demonstrator; or a bundle that has a teacher."
)
@click.option("--teacher", help="A demonstrator that says what should be done while a bundle drives.")
@click.option(
    "--select", type=click.Choice(["weighted", "argmax"]), default="weighted", help="How that bundle chooses."
)
@click.option("--actions", help="Which label map of the game; see `autopilot plugins`.")
@click.option("--track", help="A track; where tracks are numbers also 0-4,7: a session each.")
@click.option("--mode", help="Recording mode, by letter or name (N normal, A adjust, …); some games take your own.")
@click.option("--hz", type=Finite(0.5, 120), help="Frames a second (default: the game's).")
@click.option("--laps", type=click.IntRange(0), default=0, help="Stop after so many laps.")
@click.option("--seconds", "max_s", type=Finite(0, min_open=True), help="Stop after this long.")
@click.option(
    "--discard-seconds", "discard_s", type=Finite(0.1, 600), default=5.0, show_default=True, help="What U discards."
)
@click.option("--noise", type=Finite(), default=0.0, help="Disturb a demonstrator: share of decisions.")
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True)
@click.option("--show", is_flag=True, help="Show the game's window for a demonstrator too.")
@world_options
@common
def command(
    app: App, game: str | None, teacher: str | None, laps: int, select: str, show: bool, **options: Any
) -> None:
    """Record a human, a game's demonstrator, or what that would do where a bundle drives, as sessions.

    Hotkeys while recording: T pauses, O saves and quits, P quits, U discards the last seconds (they can be
    restored; games may choose other keys). You may play with the keyboard or a gamepad; --input listens
    to one of them only. Nothing recorded is ever lost, whichever way it ends.
    """
    from autopilot.api.types import Step
    from autopilot.commands import ui
    from autopilot.commands.choices import game_of
    from autopilot.drive.drive import DriveOptions
    from autopilot.drive.game import Game
    from autopilot.drive.record import RecordOptions, RecordProgress, record
    from autopilot.drive.teach import teach
    from autopilot.sessions.home import is_scripted

    driver: str = options["driver"]
    no_human = [driver] if teacher is not None or is_scripted(driver) else []
    found = Game(app.registry, game or game_of(app, no_human), app.home)
    scripted = teacher is not None or driver in found.demonstrators
    chosen = RecordOptions(**options, window=show, laps=laps or (1 if scripted and options["max_s"] is None else 0))
    data: list[dict[str, Any]]
    told = "recording"
    with ui.status() as line:

        def watch(p: RecordProgress) -> None:
            nonlocal told
            total = max(sum(p.counts.values()), 1)
            labels = "  ".join(f"{k} {100 * n // total}%" for k, n in p.counts.most_common(5))
            state = f"WAITING ({p.away})" if p.away else "PAUSED" if p.paused else "recording"
            labels += f"  {p.discarded} discarded" if p.discarded else ""
            rate = p.timing.achieved_hz
            line(f"{state} {p.track}: {p.frames} frames  {rate:.1f}/s  {labels}", news=state != told)
            told = state

        if teacher is None:
            before = (lambda world: None) if scripted else ui.countdown
            done = record(found, app.home, chosen, before, watch)
            data = [{**p.to_json(), "timing": p.timing.report()} for p in done]
        else:
            shared = {k: getattr(chosen, k) for k in ("track", "mode", "laps", "max_s", "seed", "devices")}

            def look(track: str, step: Step) -> None:
                line(f"{driver} drives, {teacher} labels {track}: {step.index} frames")

            drive = DriveOptions(**shared, teacher=teacher, select=select)
            reports = teach(driver, found, app.home, app.registry, drive, look)
            data = [{**r.to_json(), "timing": r.timing} for r in reports]
    lines = [f"{d['session']}: {d['frames']} frames ({d['ending']})" for d in data]
    lines += [f"warning: {line}" for d in data for line in d["timing"]["warnings"]]
    app.print(data, "\n".join([*lines, f"kept in {app.home.sessions}"]))
