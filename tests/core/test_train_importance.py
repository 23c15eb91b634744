"""What frames count: corrections and the second before them, fast laps and slow ones, from sessions on disk."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from autopilot.api.errors import UserError
from autopilot.api.types import Frame, Reading
from autopilot.bundle.preprocess import Preprocess
from autopilot.learn.data import Dataset
from autopilot.learn.importance import importance
from autopilot.learn.options import TrainOptions
from autopilot.sessions.cache import Cached
from autopilot.sessions.session import Session
from autopilot.sessions.writer import SessionWriter
from support.sessions import SPACE, make_info, make_row


def counts(*sessions: Session, **options: Any) -> list[float] | None:
    """What each frame counts, where the last frame of all counts 1."""
    rows = [s.remaining() for s in sessions]
    train = np.arange(sum(map(len, rows)))
    found = importance(sessions, rows, train, TrainOptions("m", **options))
    if found is None:
        return None
    assert found.mean() == pytest.approx(1, abs=1e-5)
    return (found / found[-1]).round(5).tolist()


def drive(root: Path, human: list[tuple[int, int]], id: str = "drive") -> Session:
    """Forty frames of a session at 10 Hz, of which a human drove some."""
    with SessionWriter(root, make_info(id)) as writer:
        for i in range(40):
            writer.append(make_row(i))
        writer.close(human=human)
    return Session.open(writer.path)


def laps(root: Path, id: str, times_s: list[float], incident: int | None = None) -> Session:
    """A race at 10 Hz whose laps take so long; on one there is an incident."""
    done: tuple[float, ...] = ()
    row, index = make_row(1), 0
    with SessionWriter(root, make_info(id)) as writer:
        for lap, time_s in enumerate(times_s):
            for i in range(round(time_s * 10)):
                reading = Reading(
                    lap=lap, lap_times_s=done, race_time_s=index / 10 + 0.1, incident=lap == incident and i == 5
                )
                writer.append(replace(row, frame=Frame(row.frame.image, index * 10**8), reading=reading))
                index += 1
            done += (time_s,)
        end = Reading(lap=len(times_s), lap_times_s=done, race_time_s=index / 10 + 0.1, finished=True)
        writer.append(replace(row, frame=Frame(row.frame.image, index * 10**8), reading=end))
        writer.close()
    return Session.open(writer.path)


def test_a_correction_counts_more_and_so_does_the_second_before_it(tmp_path: Path) -> None:
    session = drive(tmp_path, [(0, 4), (15, 20), (37, 39)])
    wanted = np.ones(40)
    wanted[5:20] = wanted[27:39] = 3
    assert counts(session, corrections=3) == wanted.tolist(), "what a human drove first corrects nobody"
    assert counts(session) is None


def test_deleted_frames_move_no_correction(tmp_path: Path) -> None:
    session = drive(tmp_path, [(30, 35)])
    session.delete(10, 12)
    session.delete(31, 33)
    wanted = np.delete([1.0] * 20 + [2.0] * 15 + [1.0] * 5, [10, 11, 31, 32])
    assert counts(session, corrections=2) == wanted.tolist()


def test_fast_clean_laps_count_more_and_slow_ones_less(tmp_path: Path) -> None:
    one = laps(tmp_path, "one", [4, 3, 6], incident=1)
    two = laps(tmp_path, "two", [5, 5.5])
    # Of 3*, 4, 5, 5.5 and 6 s the median is 5: 4 is faster and clean, 3 is faster, 5.5 and 6 are slower.
    wanted = [2.0] * 40 + [1.0] * 30 + [0.5] * 60 + [1.0] + [1.0] * 50 + [0.5] * 55 + [1.0]
    assert counts(one, two, fast_laps=2) == wanted


def test_both_multiply(tmp_path: Path) -> None:
    session = laps(tmp_path, "one", [4, 3, 6])
    info = session.info.model_copy(update={"human": [(50, 60)]})
    info.save(session.path / "session.json")
    found = counts(Session.open(session.path), fast_laps=2, corrections=4)
    assert found is not None
    assert [found[i] for i in (0, 39, 40, 59, 60, 69, 70)] == [1, 1, 8, 8, 2, 2, 0.5]


def test_without_a_lap_there_is_none_to_be_faster_than(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="--fast-laps 2: no laps were recorded whole"):
        counts(drive(tmp_path, []), fast_laps=2)


def test_a_batch_weighs_what_it_counts_and_validation_does_not() -> None:
    images, rows = np.zeros((4, 8, 16, 3), np.uint8), np.arange(4)
    labels = np.zeros((4, 2), np.int32)
    data = Dataset(SPACE, 10, Preprocess((16, 8), (16, 8)), ["s"], [Cached(images)], labels, rows, rows, "")
    weights = (np.array([0.5, 1, 1], np.float32), np.ones(2, np.float32))
    plain = data.batch(rows, weights).weights
    data.importance = np.array([1, 1, 1, 1], np.float32)
    assert np.array_equal(data.batch(rows, weights).weights, plain)
    data.importance = np.array([0.5, 2, 1, 0.5], np.float32)
    assert data.batch(rows, weights).weights.tolist() == [[0.25, 0.5], [1, 2], [0.5, 1], [0.25, 0.5]]
    assert data.batch(rows).weights.tolist() == [[1, 1]] * 4
