"""A session in Rerun, a viewer of recordings: https://rerun.io."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from autopilot.api import UserError
from autopilot.sessions.home import new_output
from autopilot.sessions.segments import Row
from autopilot.sessions.session import Session

HINT = "autopilot view needs Rerun: in the checkout, pip install -c constraints.txt -e 'plugins/sharing[rerun]'"


def view(session: Session, save: Path | None, tell: Callable[[int], None], force: bool = False) -> int:
    """Show a session in Rerun's window, or write it to the file `save` without one; return how many rows.

    There are frames, as PNG, the held controls, labels and what the referee said, over the number of the row
    and over the time since the first. `tell` is told how many more rows were dealt with. Raises UserError
    where Rerun is not installed or does not start, and as `new_output` does.
    """
    if save is not None:
        os.environ.setdefault("RUST_LOG", "off")  # else Rerun tells of a full disk in lines of its own
    try:
        import rerun as rr
    except ImportError:
        raise UserError(HINT) from None
    recording = rr.RecordingStream("autopilot", recording_id=session.info.id)
    try:
        if save is None:
            try:
                recording.spawn()
            except (OSError, RuntimeError) as e:
                raise UserError(f"Rerun's viewer does not start ({e}): try --save FILE.rrd") from None
            return _log(rr, recording, session, tell)
        with new_output(save, force) as part:
            try:
                recording.save(part)
                rows = _log(rr, recording, session, tell)
                recording.flush()
            except RuntimeError as e:  # it does not say what the disk said
                raise UserError(f"cannot write {save} ({e}): is the disk full? take another folder") from e
            recording.disconnect()
        return rows
    finally:
        recording.disconnect()


def _log(rr: Any, to: Any, session: Session, tell: Callable[[int], None]) -> int:
    info = session.info
    to.log("info", rr.TextDocument(info.model_dump_json(indent=2), media_type="text/plain"), static=True)
    axes = session.action_space.axes
    for name in info.controls:
        to.log(f"held/{name}", rr.SeriesLines(names=name), static=True)
    for axis in axes:
        to.log(f"label/{axis.name}", rr.SeriesPoints(names=f"{axis.name}: {' '.join(axis.values)}"), static=True)
    rows, first = 0, 0
    for row in session.rows():
        first = first or row.frame.t_ns
        to.set_time("frame", sequence=row.index)
        to.set_time("time", duration=(row.frame.t_ns - first) / 1e9)
        to.log("frame", rr.EncodedImage(contents=_png(row), media_type="image/png"))
        for name in info.controls:
            to.log(f"held/{name}", rr.Scalars(float(name in row.held)))
        for axis, value in zip(axes, row.action or (), strict=False):
            to.log(f"label/{axis.name}", rr.Scalars(float(value)))
        if row.reading is not None:
            _log_reading(rr, to, row)
        rows += 1
        tell(1)
    return rows


def _log_reading(rr: Any, to: Any, row: Row) -> None:
    said = row.reading
    assert said is not None
    values = {"lap": said.lap, "race_time_s": said.race_time_s, "score": said.score, "confidence": said.confidence}
    values |= {"incident": said.incident, "wrong_way": said.wrong_way, "finished": said.finished}
    values["last_lap_s"] = said.lap_times_s[-1] if said.lap_times_s else None
    for name, value in values.items():
        if value is not None:
            to.log(f"reading/{name}", rr.Scalars(float(value)))


def _png(row: Row) -> bytes:
    import cv2

    _, data = cv2.imencode(".png", cv2.cvtColor(row.frame.image, cv2.COLOR_RGB2BGR))
    return data.tobytes()
