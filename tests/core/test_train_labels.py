"""The label shift: a frame's label is what was held so many milliseconds later, within one stretch."""

from __future__ import annotations

import numpy as np
import pytest
from autopilot.learn.data import _later

HZ, MS = 10.0, 1_000_000


def later(t_ms: list[float], shift_ms: float) -> list[int]:
    """The number of the frame whose label each frame gets, -1 for none."""
    n = len(t_ms)
    t_ns = (np.array(t_ms) * MS).astype(np.int64)
    found = _later(np.stack([np.arange(n), np.arange(n)], 1).astype(np.int32), t_ns, HZ, shift_ms)
    assert found.dtype == np.int32
    assert np.array_equal(found[:, 0], found[:, 1]), "all axes move together"
    return found[:, 0].tolist()


def test_no_shift_changes_nothing() -> None:
    assert later([0, 100, 200], 0) == [0, 1, 2]


@pytest.mark.parametrize(
    ("shift", "wanted"),
    [(100, [1, 2, 3, -1]), (200, [2, 3, -1, -1]), (-100, [-1, 0, 1, 2]), (40, [0, 1, 2, 3]), (60, [1, 2, 3, 3])],
)
def test_it_takes_the_nearest_frame(shift: float, wanted: list[int]) -> None:
    assert later([0, 100, 200, 300], shift) == wanted


def test_it_goes_by_the_timestamps_not_by_the_number_of_frames() -> None:
    assert later([0, 130, 200, 290, 400], 100) == [1, 2, 3, 4, -1]


def test_it_never_reaches_over_a_gap() -> None:
    # 300 and 400 are missing: a pause, or deleted frames; 1.4 periods are none.
    assert later([0, 100, 200, 500, 640, 740], 100) == [1, 2, -1, 4, 5, -1]
    assert later([0, 100, 200, 500, 640, 740], 300) == [-1, -1, -1, 5, -1, -1]


def test_a_frame_alone_has_no_later_one() -> None:
    assert later([0, 1000, 2000], 100) == [-1, -1, -1]
    assert later([], 100) == []
    assert later([0], 100) == [-1]
