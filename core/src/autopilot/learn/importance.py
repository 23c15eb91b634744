"""How much each frame counts in the loss: corrections and fast laps more, slow laps less."""

from __future__ import annotations

import statistics
from collections import defaultdict
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from autopilot.api.errors import UserError
from autopilot.learn.options import TrainOptions
from autopilot.sessions.index import Index
from autopilot.sessions.info import SessionInfo
from autopilot.sessions.laps import laps_of
from autopilot.sessions.session import Session

BEFORE_S = 1.0
"""So much of what led to a correction counts as part of it."""


def importance(
    sessions: Sequence[Session], rows: Sequence[Index], train: NDArray[np.int64], options: TrainOptions
) -> NDArray[np.float32] | None:
    """Return what the frames of all sessions count, float32 (N,), 1 on the average over `train`; None: all the same.

    `rows` are those of each session that are not deleted. Raises UserError where there is no lap to be faster than.
    """
    corrections, fast_laps = options.corrections, options.fast_laps
    if corrections == fast_laps == 1:
        return None
    counts = [np.where(corrected(s.info, its), corrections, 1.0) for s, its in zip(sessions, rows, strict=True)]
    if fast_laps != 1:
        counts = [of * pace for of, pace in zip(counts, _paces(sessions, rows, fast_laps), strict=True)]
    every = np.concatenate(counts)
    return (every / every[train].mean()).astype(np.float32)


def corrected(info: SessionInfo, rows: Index) -> NDArray[np.bool_]:
    """Return which rows of a session belong to a correction: a human drove after something else had, or was about to.

    What a human drove first corrects nobody (arXiv:2012.06733 weighs interventions so).
    """
    before = round(BEFORE_S * info.hz)
    inside = np.zeros(len(rows), bool)
    for start, stop in info.human:
        if start > 0:
            inside |= (rows.index >= start - before) & (rows.index < stop)
    return inside


def _paces(sessions: Sequence[Session], rows: Sequence[Index], factor: float) -> list[NDArray[np.float64]]:
    """Return for each row `factor` on clean laps faster than the median of their track, its inverse on slower laps."""
    laps = [laps_of(session) for session in sessions]
    times = defaultdict[tuple[str, str], list[float]](list)
    for session, its in zip(sessions, laps, strict=True):
        times[session.info.game, session.info.track] += [lap.time_s for lap in its]
    medians = {where: statistics.median(of) for where, of in times.items() if of}
    if not medians:
        raise UserError(f"--fast-laps {factor:g}: no laps were recorded whole")
    paces = [np.ones(len(its)) for its in rows]
    for session, its, pace in zip(sessions, laps, paces, strict=True):
        for lap in its:
            median = medians[session.info.game, session.info.track]
            if lap.time_s > median:
                pace[lap.start : lap.stop] = 1 / factor
            elif lap.time_s < median and lap.clean:
                pace[lap.start : lap.stop] = factor
    return paces
