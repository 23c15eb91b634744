"""What is found: a code, how bad it is, and a line that says what to do next."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from autopilot.sessions.info import Ranges
from numpy.typing import NDArray

OK, LOOK, REFUSE, REJECTED = "ok", "look", "refuse", "rejected"
"""Verdicts; a finding is LOOK or REFUSE. What a reviewer rejected is not looked at."""


@dataclass(frozen=True)
class Finding:
    """Something that is wrong with a session, or, where `session` is None, with all of them together.

    `severity` is LOOK or REFUSE, `figure` the number that decided, in the unit that `text` gives it, and
    `rows` the rows that it is about, as ranges [start, stop) of the session's numbers, where it is about some.
    """

    session: str | None
    code: str
    severity: str
    text: str
    figure: float
    rows: Ranges


def verdict(found: Iterable[Finding]) -> str:
    """Return the worst severity, OK without any finding."""
    severities = {f.severity for f in found}
    return next((s for s in (REFUSE, LOOK) if s in severities), OK)


def ranges(index: NDArray[np.int64], flags: NDArray[np.bool_]) -> Ranges:
    """Return the row numbers of the flagged frames as ranges [start, stop); both are (N,).

    Flagged neighbours make one range, also where rows between them were deleted.
    """
    edges = np.flatnonzero(np.diff(np.concatenate([[0], flags.astype(np.int8), [0]])))
    return [(int(index[a]), int(index[b - 1]) + 1) for a, b in edges.reshape(-1, 2)]


def in_words(rows: Ranges) -> str:
    """Return the longest range as `frames 120-180`, and how many more there are."""
    start, stop = max(rows, key=lambda r: r[1] - r[0])
    more = f" and {len(rows) - 1} more stretches" if len(rows) > 1 else ""
    return f"frames {start}-{stop - 1}{more}"
