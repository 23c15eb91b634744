"""Races: tables, lap times, and films side by side."""

from __future__ import annotations

from itertools import accumulate
from pathlib import Path
from typing import Any

from autopilot.sessions.home import check_name, read_json
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import FileResponse, Response

from autopilot_studio import charts
from autopilot_studio.page import inside, page, studio

MEDIA = {".mp4": "video/mp4", ".webm": "video/webm"}


def listing(request: Request) -> Response:
    """Show all races, the newest first."""
    folder = studio(request).home.races
    files = sorted(folder.glob("*/race.json"), key=lambda p: p.stat().st_mtime, reverse=True) if folder.is_dir() else []
    races: list[dict[str, Any]] = []
    for path in files:
        try:
            races.append({"name": path.parent.name, "race": _read(path), "error": ""})
        except HTTPException as e:
            races.append({"name": path.parent.name, "race": None, "error": e.detail})
    return page(request, "races.html", races=races)


def _read(path: Path) -> dict[str, Any]:
    """Return what `autopilot race` wrote; raises HTTPException when it cannot be read."""
    try:
        race = read_json(path.read_bytes())
        for key in ("title", "drivers", "tracks", "laps", "runs", "summary", "stamp", "game"):
            race[key]
        for run in race["runs"]:
            run["total_s"] = sum(run["laps_s"]) if run["finished"] and race["laps"] else None
            run["cells"] = [(t, i in run["incident_laps"]) for i, t in enumerate(run["laps_s"])]
            run["score"]
    except (OSError, ValueError, KeyError, TypeError) as e:
        raise HTTPException(404, f"race {path.parent.name} cannot be read: {type(e).__name__} {e}") from e
    result: dict[str, Any] = race
    return result


def show(request: Request) -> Response:
    """Show one race: a row for each driver and each run, the lap times, and the films there are."""
    name = check_name(request.path_params["name"], "race")
    folder = studio(request).home.races / name
    race = _read(folder / "race.json")
    laps = [(r["track"], r["driver"], t, star) for r in race["runs"] for t, star in r["cells"]]
    films: dict[str, list[dict[str, Any]]] = {}
    order = sorted(race["drivers"], key=lambda d: (d != "human", race["drivers"].index(d)))
    for run in sorted(race["runs"], key=lambda r: (r["track"], r["race"], order.index(r["driver"]))):
        film = next((f for f in _films(folder) if f.stem == f"{run['driver']}-{run['track']}-{run['race'] + 1}"), None)
        if film is not None:
            starts = [0.0, *accumulate(run["laps_s"])]
            one = {"file": film.name, "run": run, "starts": [round(s, 2) for s in starts]}
            films.setdefault(f"{run['track']}, race {run['race'] + 1}", []).append(one)
    scores = [(r["track"], r["driver"], r["score"], False) for r in race["runs"] if r["score"] is not None]
    what, dots = ("lap times, s", laps) if race["laps"] else ("scores", scores)
    chart = charts.runs(what, race["tracks"], dots)
    return page(request, "race.html", name=name, race=race, chart=chart, films=films)


def _films(folder: Path) -> list[Path]:
    return [p for p in folder.iterdir() if p.suffix in MEDIA] if folder.is_dir() else []


def film(request: Request) -> Response:
    """Return a film, or the part of it that the browser asks for."""
    folder = studio(request).home.races / check_name(request.path_params["name"], "race")
    path = inside(folder, lambda p: p.suffix in MEDIA, request.path_params["film"])
    return FileResponse(path, media_type=MEDIA[path.suffix])
