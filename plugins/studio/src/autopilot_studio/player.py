"""One session: its frames, its rows, its edits."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
from autopilot.api import Game, SessionError
from autopilot.bundle.frames import rescale
from autopilot.sessions.home import is_scripted
from autopilot.sessions.session import Session
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response

from autopilot_studio.catalogue import lap_times
from autopilot_studio.page import Studio, form, number, page, studio

if TYPE_CHECKING:
    from autopilot.api import Image
    from numpy.typing import NDArray

KEPT = {"Cache-Control": "private, max-age=3600"}
STRIP = 8
"""Pictures of a strip, each 64 pixels wide."""


def show(request: Request) -> Response:
    """Show the player; with `?bundle=` a policy beside the human."""
    s, query = studio(request), request.query_params
    session = s.catalogue.session(request.path_params["id"])
    ids = s.catalogue.store.ids()
    i = ids.index(session.path.name)
    return page(
        request,
        "player.html",
        session=session,
        labels=_labels(session),
        bundle=query.get("bundle", ""),
        bundles=s.beside.names(),
        earlier=ids[i - 1] if i else "",
        later=ids[i + 1] if i + 1 < len(ids) else "",
        laps=lap_times(session),
        human=not (is_scripted(session.info.driver) or session.info.policy),
    )


def _labels(session: Session) -> list[str]:
    space = session.action_space
    return [space.describe(space.split(i)) for i in range(space.joint_size)]


def rows(request: Request) -> Response:
    """Return all rows as columns: what the timeline and the panels show without asking for each frame."""
    session = studio(request).catalogue.session(request.path_params["id"], fresh=True)
    index = session.index
    t0 = int(index.t_ns[0]) if len(index) else 0
    data = {
        "index": index.index.tolist(),
        "t_ms": ((index.t_ns - t0) // 1_000_000).tolist(),
        "label": index.action.tolist(),
        "held": index.held.tolist(),
        "sent": index.sent.tolist(),
        "sets": [sorted(held) for held in index.sets],
        "flags": index.flags.tolist(),
        "lap": index.lap.tolist(),
        **{name: _numbers(getattr(index, name)) for name in ("race_time_s", "score", "confidence")},
        "labels": _labels(session),
        "controls": session.info.controls,
        "hz": session.info.hz,
        "edits": _edits(session),
    }
    return Response(json.dumps(data, allow_nan=False, separators=(",", ":")), media_type="application/json")


def _numbers(values: NDArray[np.float32]) -> list[float | None]:
    return [round(float(v), 3) if np.isfinite(v) else None for v in values]


def _edits(session: Session) -> dict[str, Any]:
    edits, space = session.edits(), session.action_space
    return {
        "deleted": edits.deleted,
        "relabelled": [[r.start, r.stop, -1 if r.action is None else space.joint(r.action)] for r in edits.relabelled],
        "review": edits.review,
        "undo": edits.undo[-1].what if edits.undo else None,
        "redo": edits.redo[-1].what if edits.redo else None,
        "window": edits.window,
    }


async def edit(request: Request) -> Response:
    """Make one change and return how the session stands then."""
    return await run_in_threadpool(_edit, studio(request), request.path_params["id"], await form(request))


def _edit(s: Studio, id: str, asked: dict[str, str]) -> Response:
    session, what = s.catalogue.session(id), asked.get("what", "")
    said = ""
    if what in ("delete", "restore", "relabel"):
        start, stop = (number(asked.get(k, ""), k) for k in ("start", "stop"))
        if what == "relabel":
            session.relabel(start, stop, *_meaning(s, session, asked.get("label", "")))
        else:
            (session.delete if what == "delete" else session.restore)(start, stop)
    elif what == "review" and asked.get("verdict") in ("new", "approved", "rejected"):
        session.review(asked["verdict"])  # type: ignore[arg-type]  # one of them
    elif what == "split":
        said = session.split(number(asked.get("start", ""), "start"))
    elif what in ("undo", "redo"):
        said = session.undo() if what == "undo" else session.redo()
    else:
        raise HTTPException(400, f"nothing is called {what!r}")
    return JSONResponse({**_edits(s.catalogue.session(id)), "said": said, "frames": len(s.catalogue.session(id).index)})


def _meaning(s: Studio, session: Session, label: str) -> tuple[Any, Any]:
    """Return the controls that a label means by the game's label map, and the action; for no label, none."""
    if label == "recorded":
        return None, None
    joint, space, info = number(label, "label"), session.action_space, session.info
    if joint >= space.joint_size:
        raise SessionError(f"no label {joint}: there are {space.joint_size}")
    action = space.split(joint)
    return Game(s.registry, info.game).label_map(info.label_map).held(action), action


def frame(request: Request) -> Response:
    """Return one frame, as PNG (exact) or JPEG (`?quality=`, 90 by default): for looking at, not for training."""
    kind, session = request.path_params["kind"], studio(request).catalogue.session(request.path_params["id"])
    if kind not in ("png", "jpg"):
        raise HTTPException(404, "frames are .png or .jpg")
    image = session.row(request.path_params["n"]).frame.image
    quality = min(100, max(1, number(request.query_params.get("quality", "90"), "quality")))
    return picture(image, kind, quality)


def strip(request: Request) -> Response:
    """Return some frames of the session side by side, evenly spread over what is not deleted."""
    session = studio(request).catalogue.session(request.path_params["id"])
    there = session.index.index[session.there()]
    if not len(there):
        there = session.index.index
    if not len(there):
        raise HTTPException(404, "there is no frame")
    chosen = there[np.linspace(0, len(there) - 1, STRIP + 2).astype(int)[1:-1]]
    size = (64, max(1, round(64 * session.info.height / session.info.width)))
    return picture(np.hstack([rescale(session.row(int(n)).frame.image, size) for n in chosen]), "jpg", 80)


def picture(image: Image, kind: str, quality: int) -> Response:
    """Return an RGB or RGBA image, uint8 (H, W, 3 or 4), as a file that browsers may keep for an hour."""
    swapped = cv2.cvtColor(image, cv2.COLOR_RGBA2BGRA if image.shape[2] == 4 else cv2.COLOR_RGB2BGR)
    how = [cv2.IMWRITE_JPEG_QUALITY, quality] if kind == "jpg" else [cv2.IMWRITE_PNG_COMPRESSION, 1]
    _, data = cv2.imencode(f".{kind}", swapped, how)
    return Response(data.tobytes(), media_type="image/png" if kind == "png" else "image/jpeg", headers=KEPT)


def redirect(id: str, bundle: str) -> Response:
    """Lead to the player with a policy beside the human."""
    return RedirectResponse(f"/sessions/{id}?bundle={bundle}", 303)
