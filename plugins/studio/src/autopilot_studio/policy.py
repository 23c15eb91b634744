"""A policy beside the human: choosing both, the policy's probabilities, where it looks."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from autopilot.api import BundleError
from autopilot.sessions.session import Session
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from autopilot_studio.page import Studio, page, studio
from autopilot_studio.player import picture, redirect

if TYPE_CHECKING:
    from autopilot.bundle.manifest import Manifest
    from autopilot.sessions.info import SessionInfo
    from numpy.typing import NDArray


def choose(request: Request) -> Response:
    """Show the bundles and, for each, sessions that it fits; of one that is named, or the only two, the newest."""
    s, query = studio(request), request.query_params
    bundle, session = query.get("bundle"), query.get("session")
    if bundle and session:
        s.home.bundle(bundle)
        return redirect(s.catalogue.session(session).info.id, bundle)
    infos = [e.info for e in reversed(s.catalogue.entries()) if e.info is not None]
    cards = [_card(s, name, infos) for name in s.beside.names()]
    meant = [card for card in cards if bundle in (None, "", card["name"])]
    pairs = [(info.id, card["name"]) for card in meant for info in card["fits"] if session in (None, "", info.id)]
    if len(pairs) == 1 or (pairs and (bundle or session)):
        return redirect(*pairs[0])
    return page(request, "policy.html", cards=[card | {"fits": card["fits"][:200]} for card in cards])


def _card(s: Studio, name: str, infos: Sequence[SessionInfo]) -> dict[str, Any]:
    """Return what is shown of a bundle: its manifest or what is wrong with it, and the sessions that it fits."""
    from autopilot.bundle.manifest import read_manifest

    try:
        manifest = read_manifest(s.home.bundle(name))
    except BundleError as e:
        return {"name": name, "manifest": None, "error": str(e), "fits": []}
    return {"name": name, "manifest": manifest, "error": "", "fits": [i for i in infos if _fits(manifest, i)]}


def _fits(manifest: Manifest, info: SessionInfo) -> bool:
    source = tuple(manifest.preprocess.get("source", ()))
    return (info.width, info.height) == source and info.action_space == manifest.action_space


def scores(request: Request) -> Response:
    """Return how far the probabilities are and, once they are there, all of them in thousandths."""
    s, path = studio(request), request.path_params
    session = s.catalogue.session(path["id"])
    scores = s.beside.scores(path["bundle"], session)
    if scores.error:
        raise HTTPException(400, scores.error)
    data: dict[str, object] = {"done": scores.done, "total": scores.total}
    if scores.ended.is_set():
        axes = session.action_space.axes
        data["axes"] = [
            {"name": axis.name, "values": axis.values, "p": np.rint(p * 1000).astype(int).tolist()}
            for axis, p in zip(axes, scores.axes, strict=True)
        ]
        data["agree"] = agreement(session, scores.axes)
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
