"""`autopilot record`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from autopilot.commands import (
    App,
    Finite,
    GroupedCommand,
    common,
    examples,
    option_group,
    workers_option,
    world_options,
)

if TYPE_CHECKING:
    from autopilot.desktop.desktop import DeviceChoice
    from autopilot.drive.drive import Drive
    from autopilot.drive.run import Observer


@click.command(
    cls=GroupedCommand,
    epilog=examples(
        "autopilot record --game ctr --driver anna --track coco --region 0,0,1280,720",
        "autopilot record --game ctr --track coco --mode A     recoveries, on purpose",
        "autopilot record --game carracing --track 7           play with the arrow keys",
        "autopilot record --game carracing --driver demonstrator --track 0-14 --laps 1",
        "autopilot record --game carracing --driver my-bundle --teacher demonstrator --track 0-9",
    ),
)
@click.option("--game", metavar="NAME", help="Which game (default: the only one that --driver can drive).")
@click.option(
    "--driver", metavar="NAME", default="human", help="Your name, or demonstrator; or a bundle, with --teacher."
)
@click.option("--track", metavar="NAME", help="A track; where tracks are numbers also 0-4,7: a session each.")
@click.option(
    "--mode", metavar="MODE", help="Recording mode, by letter or name (default: the game's first); some games take any."
)
@click.option("--laps", metavar="N", type=click.IntRange(0), default=0, show_default=False, help="Stop after N laps.")
@click.option("--seconds", "max_s", metavar="S", type=Finite(0, min_open=True), help="Stop after S seconds.")
@option_group(
    "What is recorded",
    click.option("--actions", metavar="NAME", help="Label map of the game; see `autopilot plugins`."),
    click.option("--hz", metavar="HZ", type=Finite(0.5, 120), help="Frames a second (default: the game's)."),
    click.option(
        "--discard-seconds",
        "discard_s",
        metavar="S",
        type=Finite(0.1, 600),
        default=5.0,
        help="How much the hotkey U discards.",
    ),
)
@option_group(
    "Demonstrators and teachers",
    click.option("--show", is_flag=True, help="Show the game's window for a demonstrator too."),
    click.option(
        "--noise", metavar="SHARE", type=Finite(), default=0.0, help="Disturb this share of a demonstrator's decisions."
    ),
    click.option("--teacher", metavar="NAME", help="A demonstrator that labels the frames while a bundle drives."),
    click.option(
        "--select", type=click.Choice(["weighted", "argmax"]), help="How that bundle chooses (default: as it says)."
    ),
    click.option("--seed", metavar="N", type=click.IntRange(0), default=0, help="Of all random choices."),
)
@workers_option
@click.option("--resume", is_flag=True, help="Leave out tracks that this driver has recorded so to the end.")
@world_options
@common
def command(app: App, driver: str, game: str | None, devices: DeviceChoice, **options: Any) -> None:
    """Record a human, a game's demonstrator, or a bundle that a demonstrator teaches, as sessions.

    Hotkeys while recording: T pauses, O saves and quits, P quits, U discards the last seconds (they can be
    restored; games may choose other keys). You may play with the keyboard or a gamepad; --input listens
    to one of them only. Recorded frames are never lost, however the recording ends.
    """
    from autopilot.commands import ui
    from autopilot.commands.status import Countdown, RecordingStatus

    with ui.status() as line:

        def watching(drive: Drive) -> list[Observer]:
            assert drive.recorder is not None, "every drive here is recorded"
            status = RecordingStatus(line, drive.request.track, drive.recorder)
            return [Countdown(), status] if drive.entrant.human else [status]

        reports = app.record(driver, game, devices=devices, watching=watching, **options)
    data: list[dict[str, Any]] = [
        {"session": r.session, "track": r.track, "frames": r.timing["steps"], "ending": r.ending}
        | {"labels": r.labels, "discarded": r.discarded, "timing": r.timing}
        for r in reports
    ]
    lines = [f"{d['session']}: {d['frames']} frames ({d['ending']})" for d in data]
    lines += [f"warning: {line}" for d in data for line in d["timing"]["warnings"]]
    app.print(data, "\n".join([*lines, f"kept in {app.home.sessions}"]))
