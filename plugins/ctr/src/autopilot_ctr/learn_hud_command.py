"""`autopilot learn-hud`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click
from autopilot.commands import App, Finite, GroupedCommand, common, examples, world_options

if TYPE_CHECKING:
    from autopilot.desktop.desktop import DeviceChoice


@click.command(
    cls=GroupedCommand,
    epilog=examples(
        "autopilot learn-hud --game ctr                             click on the emulator's window, then drive",
        "autopilot learn-hud --game ctr --profile pcsx-redux --window process:pcsx",
        "autopilot learn-hud --game ctr --region 240,0,1440,1080    the game's picture alone, without borders",
    ),
)
@click.option("--game", metavar="NAME", help="Which game (default: the only one whose display can be learned).")
@click.option("--seconds", metavar="S", type=Finite(1, 900), default=90.0, help="How long to watch.")
@world_options
@common
def command(app: App, game: str | None, seconds: float, devices: DeviceChoice) -> None:
    """Learn to read a game's clock and laps while you drive, so that it has lap times.

    Start a race, drive over the line at least once, and turn round for a few seconds. The result
    is valid for this --profile and this window size; learning again replaces it. If the result is
    uncertain, nothing is written.
    """
    from autopilot.api import Game
    from autopilot.commands import ui
    from autopilot.commands.choices import choose_offered
    from autopilot.desktop.desktop import Desktop
    from autopilot.drive.watch import watch_screen

    game = game or choose_offered(app, "--game", "game", lambda spec: spec.hud and spec.hud.learner)
    chosen = Game(app.registry, game)
    desktop = Desktop(chosen, app.home, devices)
    told = ""
    with ui.status() as line:

        def watch(passed_s: float, away: str | None) -> None:
            nonlocal told
            state = f"WAITING ({away})" if away else "looking on"
            line(f"{state}: {passed_s:.0f} of {seconds:.0f} s", news=state != told)
            told = state

        try:
            said = desktop.learn_hud(watch_screen(desktop, seconds, watch))
        except KeyboardInterrupt as e:
            e.add_note("nothing was learned; what was learned before stays")
            raise
    app.print({"game": chosen.spec.name, "profile": desktop.profile, "learned": said}, said)
