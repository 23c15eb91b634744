"""`autopilot coach`."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import click
from autopilot.commands import App, Finite, GroupedCommand, common, examples, option_group, world_options

if TYPE_CHECKING:
    from autopilot.api.game import Game


@click.command(
    cls=GroupedCommand,
    epilog=examples(
        "autopilot coach --game carracing                         you play, it learns",
        "autopilot coach --game carracing --human lagged --quick   a stand-in plays, as fast as can be",
        "autopilot coach --game ctr --name coco --minutes 15",
    ),
)
@click.option("--game", metavar="NAME", help="Which game.")
@click.option("--name", metavar="NAME", help="Name of the sitting and of its bundle (default: GAME-coach).")
@click.option("--minutes", metavar="M", type=Finite(0.1, 600), default=10.0, help="Minutes of game time in all.")
@click.option("--track", "tracks", metavar="LIST", help="Tracks to drive in turn.")
@click.option("--human", metavar="WHO", default="me", help="Your name; demonstrator or lagged play in your place.")
@click.option("--quick", is_flag=True, help="Let a stand-in play as fast as the simulator can.")
@option_group(
    "Lessons",
    click.option("--model", metavar="NAME", default="nvidia", help="Which network."),
    click.option("--exam", metavar="LIST", help="Tracks on which each network is tried before it drives."),
    click.option("--first", "first_s", metavar="S", type=Finite(1), default=90.0, help="Your seconds before a lesson."),
    click.option("--corrections", metavar="W", type=Finite(1, 100), default=2.0, help="How much more they weigh."),
    click.option("--seed", metavar="N", type=click.IntRange(0, 2**31), default=0, help="Of all random choices."),
)
@world_options
@common
def command(app: App, game: str | None, name: str | None, tracks: str | None, exam: str | None, **options: Any) -> None:
    """Play, and watch a network learn to drive beside you.

    You play; after the first minutes training begins beside the game. The pause key hands the wheel to the network, any
    key of the game takes it back for a moment: that is a correction, from which it learns. Stopped at any moment, the
    same command goes on.
    """
    os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")  # a GPU is shared with the lesson
    from autopilot.api.errors import UserError
    from autopilot.api.game import Game
    from autopilot.commands.choices import choose_offered
    from autopilot.sessions.home import write_json

    from autopilot_coach import display
    from autopilot_coach.sitting import CoachOptions, Sitting

    found = Game(app.registry, game or choose_offered(app, "--game", "game"))
    chosen = CoachOptions(
        name=name or f"{found.spec.name}-coach",
        game=found.spec.name,
        tracks=tuple(found.tracks(tracks or _numbers(found, "0-99"))),
        exam=tuple(found.tracks(exam or _numbers(found, "5000-5002") or tracks)),
        **{key: value for key, value in options.items() if key != "devices"},
    )
    if chosen.quick and not chosen.stand_in:
        raise UserError("--quick is for a stand-in: add --human lagged or --human demonstrator")
    with display.Display() as panel:
        sitting = Sitting(app, options["devices"], chosen, panel)
        try:
            state = sitting.go()
        except KeyboardInterrupt as e:
            e.add_note(f"the sitting {chosen.name} is kept: the same command goes on")
            raise
    data = display.report(state)
    write_json(sitting.folder / "report.json", data)
    app.print(data, display.text(chosen.name, data, str(state.mark)))


def _numbers(game: Game, span: str) -> str | None:
    """Return a span of tracks where a game's tracks are numbers, of which there are any number."""
    return span if game.spec.tracks.pattern is not None and not game.spec.tracks.names else None
