"""The list of sessions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from autopilot.api import ActionSpace, SessionError
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from autopilot_studio.catalogue import Catalogue, Entry
from autopilot_studio.page import form, number, page, studio

PER_PAGE = 25
VERDICTS = ("new", "approved", "rejected")
SORTS: dict[str, tuple[str, Callable[[Entry], Any], bool]] = {
    "newest": ("newest first", lambda e: e.id, True),
    "oldest": ("oldest first", lambda e: e.id, False),
    "track": ("track", lambda e: (e.info.track if e.info else "", e.id), False),
    "driver": ("driver", lambda e: (e.info.driver if e.info else "", e.id), False),
    "longest": ("longest first", lambda e: e.frames, True),
    "lap": ("best lap", lambda e: min(e.summary.laps_s, default=1e9) if e.summary else 1e9, False),
    "health": ("health", lambda e: (not e.error, bool(e.summary) and e.summary.health == "ok"), False),  # type: ignore[union-attr]
}


def listing(request: Request) -> Response:
    """Show a page of the list, filtered and sorted as the query says."""
    catalogue, query = studio(request).catalogue, request.query_params
    every = catalogue.entries()
    matches = [e for e in every if _matches(e, query.get("q", "").lower(), query.get("review", ""))]
    _, key, backwards = SORTS.get(query.get("sort", ""), SORTS["newest"])
    matches.sort(key=key, reverse=backwards)
    pages = max(1, -(-len(matches) // PER_PAGE))
    at = min(max(1, number(query.get("page", "1"), "page")), pages)
    shown = matches[(at - 1) * PER_PAGE : at * PER_PAGE]
    values: dict[str, Any] = {
        "rows": [_row(catalogue, entry) for entry in shown],
        "found": len(matches),
        "total": len(every),
        "frames": sum(entry.frames for entry in every),
        "verdicts": {v: sum(e.review == v for e in every) for v in VERDICTS},
        "at": at,
        "pages": pages,
        "sorts": {name: title for name, (title, _, _) in SORTS.items()},
    }
    part = request.headers.get("hx-target") == "list"
    return page(request, "_list.html" if part else "sessions.html", **values)


def _matches(entry: Entry, text: str, review: str) -> bool:
    info = entry.info
    told = f"{info.game} {info.track} {info.driver} {info.mode}" if info else entry.error
    said = f"{entry.id} {told}".lower()
    return all(word in said for word in text.split()) and review in ("", entry.review)


def _row(catalogue: Catalogue, entry: Entry) -> dict[str, Any]:
    summary = catalogue.count(entry)
    space = ActionSpace.from_json(entry.info.action_space) if entry.info else None
    labels = [space.describe(space.split(i)) for i in range(space.joint_size)] if space else []
    return {"entry": entry, "info": entry.info, "summary": summary, "order": labels}


async def review(request: Request) -> Response:
    """Approve or reject a session and show its line of the list again."""
    verdict = (await form(request)).get("verdict", "")
    return await run_in_threadpool(_review, request, verdict)


def _review(request: Request, verdict: str) -> Response:
    catalogue, id = studio(request).catalogue, request.path_params["id"]
    if verdict not in VERDICTS:
        raise SessionError(f"no verdict {verdict!r}: say {', '.join(VERDICTS)}")
    catalogue.session(id).review(verdict)  # type: ignore[arg-type]  # one of them
    entry = next(e for e in catalogue.entries() if e.id == id)
    return page(request, "_row.html", row=_row(catalogue, entry))
