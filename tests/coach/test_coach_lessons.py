"""A lesson's process: what it tells when it fails, is killed, or is not wanted any more; and how networks compare."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pytest
from autopilot.sessions.home import Home
from autopilot_coach.lessons import Classroom, Mark, Task

TASK = Task("ribbon", "tiny", "a-lesson", ("no-such-session",), samples=10)


@pytest.fixture
def classroom(site: Path, tmp_path: Path) -> Classroom:
    return Classroom(Home(tmp_path), tmp_path / "lesson", beside=True)


def test_one_that_cannot_be_given_says_why(classroom: Classroom) -> None:
    classroom.begin(TASK)
    assert classroom.busy == TASK
    lesson = classroom.over(60)
    assert lesson is not None
    assert "no-such-session" in lesson.fault
    assert lesson.mark is None
    assert classroom.busy is None


@pytest.mark.skipif(os.name == "nt", reason="signals of POSIX")
def test_one_that_is_killed_is_noticed(classroom: Classroom, tmp_path: Path) -> None:
    classroom.begin(TASK)
    assert classroom._process is not None
    os.kill(classroom._process.pid, signal.SIGKILL)
    lesson = classroom.over(60)
    assert lesson is not None
    assert lesson.fault.startswith("it ended with -9: ")
    assert str(tmp_path / "lesson/lesson.log") in lesson.fault


def test_what_it_printed_last_says_why_it_died(classroom: Classroom, tmp_path: Path) -> None:
    (tmp_path / "lesson").mkdir()
    said = "Traceback:\n  File x\njaxlib.XlaRuntimeError: RESOURCE_EXHAUSTED: Out of memory\n\n"
    (tmp_path / "lesson/lesson.log").write_text(said)
    assert classroom._why(1).startswith("it ended with 1: jaxlib.XlaRuntimeError: RESOURCE_EXHAUSTED: Out of memory")


def test_it_ends_when_it_is_not_wanted_any_more(classroom: Classroom) -> None:
    classroom.begin(TASK)
    process = classroom._process
    assert process is not None
    begun = time.monotonic()
    classroom.close()
    assert process.returncode is not None
    assert time.monotonic() - begun < 60
    assert classroom.over() is None


def test_finishing_counts_more_than_pace_and_accuracy_breaks_ties() -> None:
    slow = Mark(1.0, 700.0, 0.8, raced=True)
    assert slow.better(None)
    assert slow.better(Mark(0.9, 900.0, 0.9, raced=True))
    assert slow.better(Mark(1.0, 700.0, 0.7, raced=True))
    assert not slow.better(Mark(1.0, 700.0, 0.9, raced=True))
    assert not slow.better(Mark(1.0, 710.0, 0.5, raced=True))
    assert Mark(1.0, -20.0, raced=True).better(Mark(1.0, -21.0, raced=True)), "less time is better"
    assert Mark(accuracy=0.1).better(Mark(accuracy=0.9)), "without an exam it is tried at the wheel"
    assert str(slow) == "100 % of its races finished, score 700, accuracy 80.0 %"
    assert str(Mark(1.0, -20.0, 0.8, raced=True)) == "100 % of its races finished, race 20.0 s, accuracy 80.0 %"
