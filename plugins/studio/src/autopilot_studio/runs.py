"""Training runs: their curves, their confusion, what went into them; several side by side."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

from autopilot.api import UserError
from autopilot.sessions.home import check_name, read_json
from starlette.requests import Request
from starlette.responses import FileResponse, Response

from autopilot_studio import charts
from autopilot_studio.page import inside, page, studio

BOOKS = "file:books.json"
"""Where a checkpoint keeps step, options and progress, as JSON."""


def show(request: Request) -> Response:
    """Show all runs and, for those that `?run=` names, everything side by side."""
    home = studio(request).home
    names = sorted(p.parent.name for p in home.runs.glob("*/run.json")) if home.runs.is_dir() else []
    every = [read(home.runs / check_name(name, "run"), home.bundles / name) for name in names]
    chosen = [run for run in every if run["name"] in request.query_params.getlist("run")]
    curves = []
    for key, title in (
        ("train_loss", "training loss"),
        ("loss", "validation loss"),
        ("accuracy", "validation accuracy"),
    ):
        series = [
            (r["name"], [h["epoch"] for h in r["history"]], [_number(h.get(key)) for h in r["history"]]) for r in chosen
        ]
        curves.append(charts.lines(title, series))
    keys = sorted({key for run in chosen for key in run["options"]})
    options = [(key, [run["options"].get(key, "–") for run in chosen]) for key in keys]
    values: dict[str, Any] = {"runs": every, "chosen": chosen, "curves": curves, "options": options}
    return page(request, "runs.html", **values)


def _number(value: Any) -> float:
    return float(value) if isinstance(value, int | float) else math.nan


def read(folder: Path, bundle: Path) -> dict[str, Any]:
    """Return what is known of a run: options, sessions, and the history as far as its last checkpoint."""
    run: dict[str, Any] = {"name": folder.name, "options": {}, "sessions": [], "history": [], "best": None, "error": ""}
    try:
        what = read_json((folder / "run.json").read_bytes())
        run["sessions"] = [str(id) for id in what.pop("sessions", [])]
        what.pop("frames", None)
        config = what.pop("config", None) or {}
        run["options"] = {**what, **{f"set {k}": v for k, v in config.items()}}
        run["history"] = _history(folder / "checkpoints")
        if not run["history"] and (bundle / "manifest.json").exists():
            run["history"] = [read_json((bundle / "manifest.json").read_bytes())["metrics"]]
        run["best"] = min(run["history"], key=lambda h: h["loss"], default=None)
        run["confusion"] = {} if run["best"] is None else _confusion(run["best"], bundle)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, UserError) as e:
        run["error"] = f"cannot be read: {e}"
    return run


def _history(folder: Path) -> list[dict[str, Any]]:
    from safetensors import SafetensorError, safe_open

    for path in sorted(folder.glob("*-*.safetensors"), reverse=True):
        try:
            with safe_open(path, "numpy") as weights:
                _, _, progress = json.loads(weights.get_tensor(BOOKS).tobytes())
        except (OSError, ValueError, SafetensorError):  # damaged: the one before
            continue
        return [h for h in progress["history"] if isinstance(h, dict)]
    return []


def _confusion(best: dict[str, Any], bundle: Path) -> dict[str, Any]:
    """Return for each axis the names of its values and a row for each that was held: (count, share of the row)."""
    names: dict[str, list[str]] = {}
    if (bundle / "manifest.json").exists():
        axes = read_json((bundle / "manifest.json").read_bytes())["action_space"]
        names = {axis["name"]: axis["values"] for axis in axes}
    tables = {}
    for axis, counts in best.get("confusion", {}).items():
        values = names.get(axis, [])
        values = values if len(values) == len(counts) else [str(i) for i in range(len(counts))]
        rows = [[(n, n / max(sum(row), 1)) for n in row] for row in counts]
        tables[axis] = {"values": values, "rows": list(zip(values, rows, strict=True))}
    return tables


def labels(request: Request) -> Response:
    """Return the picture of the labels that a run was trained on."""
    folder = studio(request).home.runs / check_name(request.path_params["name"], "run")
    return FileResponse(inside(folder, lambda path: path.name == "labels.png", "labels.png"))
