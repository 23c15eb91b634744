"""The leaderboard: all drivers of a game by the races kept."""

from __future__ import annotations

from autopilot.commands.zoo import leaderboard
from autopilot.race.board import games_raced
from starlette.requests import Request
from starlette.responses import Response

from autopilot_studio.page import page, studio


def show(request: Request) -> Response:
    """Show the leaderboard of a game, by default of the first one that has races."""
    home, games = studio(request).home, games_raced(studio(request).home)
    game = request.query_params.get("game") or next(iter(games), None)
    return page(request, "board.html", games=games, board=leaderboard(home, game) if game else None)
