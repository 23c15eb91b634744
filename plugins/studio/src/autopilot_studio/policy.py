"""A policy beside the human: choosing both, the policy's probabilities, where it looks."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
from autopilot.api import BundleError
from autopilot.sessions.session import Session
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from autopilot_studio.page import page, studio
from autopilot_studio.player import picture, redirect

if TYPE_CHECKING:
    from numpy.typing import NDArray


def choose(request: Request) -> Response:
    """Show the bundles and, for each, sessions that it fits; of one that is named, or the only two, the newest."""
    from autopilot.bundle.manifest import read_manifest

    s, query = studio(request), request.query_params
    bundle, session = query.get("bundle"), query.get("session")
    if bundle and session:
        s.home.bundle(bundle)
        return redirect(s.catalogue.session(session).info.id, bundle)
    cards: list[dict[str, Any]] = []
    pairs: list[tuple[str, str]] = []
    entries = [e for e in reversed(s.catalogue.entries()) if e.info is not None]
    for name in s.beside.names():
        try:
            manifest = read_manifest(s.home.bundle(name))
            source = tuple(manifest.preprocess.get("source", ()))
        except BundleError as e:
            cards.append({"name": name, "manifest": None, "error": str(e), "fits": []})
            continue
        fits = [
            e.info
            for e in entries
            if e.info and (e.info.width, e.info.height) == source and e.info.action_space == manifest.action_space
        ]
        cards.append({"name": name, "manifest": manifest, "error": "", "fits": fits[:200]})
        pairs += [(info.id, name) for info in fits if bundle in (None, "", name) and session in (None, "", info.id)]
    if len(pairs) == 1 or (pairs and (bundle or session)):
        return redirect(*pairs[0])
    return page(request, "policy.html", cards=cards)


def scores(request: Request) -> Response:
    """Return how far the probabilities are and, once they are there, all of them in thousandths."""
    s, path = studio(request), request.path_params
    session = s.catalogue.session(path["id"])
    found = s.beside.scores(path["bundle"], session)
    if found.error:
        raise HTTPException(400, found.error)
    data: dict[str, object] = {"done": found.done, "total": found.total}
    if found.ended.is_set():
        axes = session.action_space.axes
        data["axes"] = [
            {"name": axis.name, "values": axis.values, "p": np.rint(p * 1000).astype(int).tolist()}
            for axis, p in zip(axes, found.axes, strict=True)
        ]
        data["agree"] = agreement(session, found.axes)
    return Response(json.dumps(data, allow_nan=False), media_type="application/json")


def agreement(session: Session, axes: list[NDArray[np.float32]]) -> list[float | None]:
    """Return for each row how probable what was held is to the policy; None for deleted ones and those without label.

    `axes[a]` holds the policy's probabilities, float32 (N, values).
    """
    labels = session.labels()
    chances = np.ones(len(labels))
    for i, p in zip(np.unravel_index(labels.clip(0), session.action_space.sizes), axes, strict=True):
        chances *= p[np.arange(len(p)), i]
    told = (labels >= 0) & session.there()
    return [round(float(c), 3) if t else None for c, t in zip(chances, told, strict=True)]


def saliency(request: Request) -> Response:
    """Return the saliency map of a frame as a transparent PNG."""
    s, path = studio(request), request.path_params
    return picture(s.beside.saliency(path["bundle"], s.catalogue.session(path["id"]), path["n"]), "png", 0)
