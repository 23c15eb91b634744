"""The pages by their addresses, and how errors are shown."""

from __future__ import annotations

from pathlib import Path

from autopilot.api import AutopilotError, Registry
from autopilot.sessions.home import Home
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from autopilot_studio import board, data, player, policy, races, runs, sessions
from autopilot_studio.beside import Beside
from autopilot_studio.catalogue import Catalogue
from autopilot_studio.page import Studio, page


def make_app(home: Home, registry: Registry, catalogue: Catalogue) -> Starlette:
    """Return the application, to be put behind a `Guard`."""
    routes = [
        Route("/", sessions.listing),
        Route("/sessions/{id}", player.show),
        Route("/sessions/{id}/rows.json", player.rows),
        Route("/sessions/{id}/edit", player.edit, methods=["POST"]),
        Route("/sessions/{id}/review", sessions.review, methods=["POST"]),
        Route("/sessions/{id}/strip.jpg", player.strip),
        Route("/sessions/{id}/frames/{n:int}.{kind}", player.frame),
        Route("/policy", policy.choose),
        Route("/policy/{bundle}/{id}/scores.json", policy.scores),
        Route("/policy/{bundle}/{id}/saliency/{n:int}.png", policy.saliency),
        Route("/data", data.show),
        Route("/data/content", data.content),
        Route("/runs", runs.show),
        Route("/runs/{name}/labels.png", runs.labels),
        Route("/races", races.listing),
        Route("/races/{name}", races.show),
        Route("/races/{name}/films/{film}", races.film),
        Route("/board", board.show),
        Mount("/static", StaticFiles(directory=Path(__file__).parent / "static")),
    ]
    handlers = {AutopilotError: refused, OSError: refused, HTTPException: refused}
    app = Starlette(routes=routes, exception_handlers=handlers)
    app.state.studio = Studio(home, registry, catalogue, Beside(home, registry))
    return app


def refused(request: Request, error: Exception) -> Response:
    """Show an error in a line: as a page, or as text to scripts."""
    status = error.status_code if isinstance(error, HTTPException) else 400
    text = error.detail if isinstance(error, HTTPException) else str(error)
    wants_page = "text/html" in request.headers.get("accept", "") and "hx-request" not in request.headers
    return page(request, "message.html", status, text=text) if wants_page else PlainTextResponse(text, status)
