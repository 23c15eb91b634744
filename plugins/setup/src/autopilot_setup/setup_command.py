"""`autopilot setup`."""

from __future__ import annotations

import sys
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click
from autopilot.commands import App, Finite, GroupedCommand, common, examples, world_options

if TYPE_CHECKING:
    from autopilot.api import GameSpec
    from autopilot.desktop.desktop import DeviceChoice


@click.command(
    cls=GroupedCommand,
    epilog=examples(
        "autopilot setup --game ctr                                    asks for everything",
        "autopilot setup --game ctr --emulator duckstation --window click",
        "autopilot setup --game ctr --window process:duckstation --region 160,24,960,720",
        "autopilot setup --game ctr --emulator epsxe --bind accelerate=x --bind brake=z",
        "autopilot setup --game ctr --emulator duckstation --window process:duckstation --yes     asks for nothing",
    ),
)
@click.option("--game", metavar="NAME", help="Which game (default: the only one that is played on the screen).")
@click.option("--yes", is_flag=True, help="Ask nothing: accept --window, the proposed answers and the known keys.")
@click.option(
    "--try-key/--no-try-key", default=None, help="Press one key, to see that it reaches the game (default: ask)."
)
@click.option(
    "--learn-hud/--no-learn-hud", default=None, help="Learn to read the race clock while you drive (default: ask)."
)
@click.option("--seconds", metavar="S", type=Finite(1, 900), default=90.0, help="How long to learn it.")
@world_options
@common
def command(app: App, game: str | None, yes: bool, devices: DeviceChoice, seconds: float, **options: Any) -> None:
    """Set up a game on the screen: its window, its picture in the window, your keys, its clock.

    Each answer can be given as an option. The answers are stored in bindings.toml beside your sessions;
    record, drive, race and doctor use them unless the command line says otherwise. If you stop before the
    end, nothing is changed. Run it again when the window has another size.
    """
    from autopilot.api import UserError
    from autopilot.commands import ui
    from autopilot.commands.choices import choose_offered

    from autopilot_setup.talk import Nobody, Terminal
    from autopilot_setup.wizard import SetupOptions, setup

    if not yes and not sys.stdin.isatty():
        raise UserError("setup asks questions: run it in a terminal, or add --yes and the answers as options")
    chosen = SetupOptions(devices, options["try_key"], options["learn_hud"], seconds)
    game = game or choose_offered(app, "--game", "game", _on_screen)
    done = setup(game, app.home, app.registry, chosen, Nobody() if yes else Terminal())

    def show() -> None:
        rows = [[name, key] for name, key in (done.keys | done.hotkeys).items()]
        ui.table(f"{done.game}, {done.profile}", ["control", "key"], rows)
        rows = [[name, str(value)] for name, value in done.screen.items()]
        ui.table(f"kept in {done.kept}", ["screen", "value"], rows)
        ui.out.print(f"next: autopilot record --game {done.game}", soft_wrap=True)

    app.print(asdict(done), show)


def _on_screen(spec: GameSpec) -> bool:
    return spec.simulator is None and spec.screen is not None and spec.screen.frame_source is not None
