"""The labels of all sessions, and what exactly a training would see."""

from __future__ import annotations

from typing import Any

import numpy as np
from autopilot.api import Game, UserError
from autopilot.sessions.store import SessionStore
from starlette.requests import Request
from starlette.responses import Response

from autopilot_studio.catalogue import Entry, tally
from autopilot_studio.page import Studio, page, studio

GROUPS = {"": "All", "track": "Tracks", "mode": "Modes", "driver": "Drivers"}


def show(request: Request) -> Response:
    """Show how often each label occurs, over all and by track, mode and driver; and the form for a training set."""
    s = studio(request)
    entries = s.catalogue.entries()
    s.catalogue.count_some(entries)
    by_game: dict[str, list[Entry]] = {}
    for entry in entries:
        if entry.info is not None and entry.review != "rejected":
            by_game.setdefault(entry.info.game, []).append(entry)
    games = [_labels(name, mine) for name, mine in sorted(by_game.items())]
    left = sum(game["left"] for game in games)
    template = "_labels.html" if request.headers.get("hx-target") == "labels" else "data.html"
    return page(request, template, games=games, left=left, tracks=sorted({e.info.track for e in entries if e.info}))


def _labels(game: str, entries: list[Entry]) -> dict[str, Any]:
    """Return what the page shows of one game; `left` sessions are still to be counted."""
    counted = [e for e in entries if e.summary is not None]
    broken = [e for e in entries if e.error or (e.info and e.info.ended == "recording")]
    seen = {label for e in counted if e.summary for label in e.summary.labels}
    order = [label for label in _order(entries) if label in seen]
    groups = [(title, tally(entries, of)) for of, title in GROUPS.items()]
    return {"name": game, "order": order, "groups": groups, "left": len(entries) - len(counted) - len(broken)}


def _order(entries: list[Entry]) -> list[str]:
    """Return the labels of a game in the order of its action space, which gives them their colours."""
    from autopilot.api import ActionSpace

    names: list[str] = []
    for data in {repr(e.info.action_space): e.info.action_space for e in entries if e.info}.values():
        space = ActionSpace.from_json(data)
        names += [space.describe(space.split(i)) for i in range(space.joint_size)]
    return list(dict.fromkeys(names))


def content(request: Request) -> Response:
    """Show the exact training set that the options give: by the very functions that `autopilot train` calls."""
    try:
        values = _content(studio(request), dict(request.query_params))
    except UserError as e:
        return page(request, "_content.html", error=str(e))
    return page(request, "_content.html", error="", **values)


def _content(s: Studio, asked: dict[str, str]) -> dict[str, Any]:
    from autopilot.learn.data import balanced, load_dataset
    from autopilot.learn.options import TrainOptions

    options = TrainOptions(
        model="",
        game=asked.get("game", ""),
        tracks=asked.get("tracks") or None,
        actions=asked.get("actions") or None,
        batch_size=1,
        balance=asked.get("balance", "none"),  # type: ignore[arg-type]  # checked below
        mirror="mirror" in asked,
        validation=_real(asked.get("validation") or "0.1"),
        label_shift=_real(asked.get("label_shift") or "0"),
        seed=int(_real(asked.get("seed") or "0")),
    )
    options.check()
    data = load_dataset(Game(s.registry, options.game or ""), s.home, options)
    rows, weights = balanced(data, options)
    starts = np.concatenate([[0], np.cumsum([len(c) for c in data.caches])])
    store = SessionStore.of(s.home)
    sessions = []
    for i, id in enumerate(data.sessions):
        part = [int(np.sum((r >= starts[i]) & (r < starts[i + 1]))) for r in (data.train, data.validation, rows)]
        frames = int(starts[i + 1] - starts[i])
        used = part[0] + part[1]
        sessions.append(
            {"id": id, "info": store.open(id).info, "frames": frames, "train": part[0], "validation": part[1]}
            | {"shown": part[2], "unused": frames - used}
        )
    order = [data.space.describe(data.space.split(i)) for i in range(data.space.joint_size)]
    return {
        "data": data,
        "order": order,
        "before": data.counts(data.train),
        "after": data.counts(rows),
        "validation": data.counts(data.validation),
        "weights": [
            (axis.name, [(v, round(float(w), 2)) for v, w in zip(axis.values, of, strict=True)])
            for axis, of in zip(data.space.axes, weights, strict=True)
        ]
        if options.balance == "weights"
        else [],
        "sessions": sessions,
        "mirror": options.mirror,
    }


def _real(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise UserError(f"{text!r} is no number") from None
