"""What all pages share: the state of the studio, templates, forms."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlencode

from autopilot.api import Registry
from autopilot.sessions.home import Home
from jinja2 import Environment, PackageLoader, StrictUndefined
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse

from autopilot_studio import charts
from autopilot_studio.beside import Beside
from autopilot_studio.catalogue import Catalogue

FORM_LIMIT = 1 << 16  # bytes


@dataclass(frozen=True)
class Studio:
    """What the pages are about."""

    home: Home
    registry: Registry
    catalogue: Catalogue
    beside: Beside


def studio(request: Request) -> Studio:
    """Return the studio that a request is for."""
    studio: Studio = request.app.state.studio
    return studio


def page(request: Request, template: str, status: int = 200, **values: Any) -> HTMLResponse:
    """Return a page; values are escaped."""
    return HTMLResponse(_templates.get_template(template).render(request=request, **values), status)


async def form(request: Request) -> dict[str, str]:
    """Return the fields of a POST; raises HTTPException for one that is too large or no form."""
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > FORM_LIMIT:
            raise HTTPException(413, "too much was sent")
    try:
        return dict(parse_qsl(body.decode(), keep_blank_values=True, max_num_fields=50))
    except ValueError as e:
        raise HTTPException(400, f"no form: {e}") from e


def number(text: str, what: str) -> int:
    """Return the number; raises HTTPException where there is none."""
    if not text.isascii() or not text.isdigit() or len(text) > 12:
        raise HTTPException(400, f"{what}: give a number")
    return int(text)


def inside(folder: Path, names: Callable[[Path], bool], name: str) -> Path:
    """Return the file of that name in the folder; raises HTTPException unless it is one that `names` accepts there."""
    files = {path.name: path for path in folder.iterdir() if names(path)} if folder.is_dir() else {}
    if name not in files or not files[name].is_file() or not files[name].resolve().is_relative_to(folder.resolve()):
        raise HTTPException(404, f"no file {name!r} here")
    return files[name]


def link(request: Request, **changed: Any) -> str:
    """Return the address of this page with other values in its query."""
    query = {k: v for k, v in {**request.query_params, **changed}.items() if v not in ("", None)}
    return f"{request.url.path}?{urlencode(query)}"


def seconds(value: float | None) -> str:
    """Return a time as a person reads it: 83.42 -> 1:23.42."""
    if value is None:
        return "–"
    minutes, rest = divmod(value, 60)
    return f"{int(minutes)}:{rest:05.2f}" if minutes else f"{rest:.2f}"


_templates = Environment(
    loader=PackageLoader("autopilot_studio"), autoescape=True, undefined=StrictUndefined, trim_blocks=True
)
_templates.globals.update(link=link, mix=charts.mix, shade=charts.shade)
_templates.filters["seconds"] = seconds
