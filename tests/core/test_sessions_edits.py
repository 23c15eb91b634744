"""Sessions: soft deletion is undone to the byte, a purge removes for good."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from autopilot.api.errors import SessionError
from autopilot.sessions.session import Session
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.sessions import assert_rows, plain, record

ROWS = 24
RANGE = st.tuples(st.integers(0, ROWS), st.integers(0, ROWS)).map(sorted).filter(lambda r: r[0] < r[1])
FIXTURES = [HealthCheck.differing_executors, HealthCheck.function_scoped_fixture]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Session:
    return record(tmp_path_factory.mktemp("sessions"), ROWS, segments=4)


@pytest.fixture
def session(whole: Session, tmp_path: Path) -> Session:
    return Session.open(shutil.copytree(whole.path, tmp_path / "copy"))


@settings(max_examples=50, deadline=None, suppress_health_check=FIXTURES)
@given(steps=st.lists(st.tuples(st.booleans(), RANGE), max_size=6))
def test_deleting_and_restoring_change_no_byte(session: Session, steps: list[tuple[bool, list[int]]]) -> None:
    session.restore(0, ROWS)
    segments = {p: p.read_bytes() for p in session.path.glob("seg-*")}
    before = [plain(row) for row in session.rows()]
    gone: set[int] = set()
    for delete, (start, stop) in steps:
        (session.delete if delete else session.restore)(start, stop)
        gone = gone | {*range(start, stop)} if delete else gone - {*range(start, stop)}
    again = Session.open(session.path)
    assert {i for a, b in again.deleted() for i in range(a, b)} == gone
    assert again.deleted() == sorted(again.deleted())
    assert_rows(list(again.rows()), [i for i in range(ROWS) if i not in gone])
    assert len(again) == ROWS - len(gone)
    assert_rows(list(again.rows(include_deleted=True)), list(range(ROWS)))
    assert again.health.text == "ok"
    again.restore(0, ROWS)
    assert again.deleted() == []
    assert [plain(row) for row in again.rows()] == before
    assert {p: p.read_bytes() for p in session.path.glob("seg-*")} == segments


@settings(max_examples=40, deadline=None, suppress_health_check=FIXTURES)
@given(first=st.lists(RANGE, max_size=3), second=st.lists(RANGE, max_size=3))
def test_a_purge_removes_the_deleted_rows_and_no_other(
    whole: Session, tmp_path: Path, first: list[list[int]], second: list[list[int]]
) -> None:
    shutil.rmtree(tmp_path / "copy", ignore_errors=True)
    session = Session.open(shutil.copytree(whole.path, tmp_path / "copy"))
    left = set(range(ROWS))
    for ranges in (first, second):
        deleted: set[int] = set()
        end = max(left, default=-1) + 1
        for start, stop in ((a, min(b, end)) for a, b in ranges):
            if start < stop:
                session.delete(start, stop)
                deleted |= left & {*range(start, stop)}
        assert session.purge() == len(deleted)
        left -= deleted
        assert session.deleted() == []
        # A row keeps its number, so that ranges noted before a purge mean the same after it.
        assert_rows(list(session.rows(include_deleted=True)), sorted(left))
        assert Session.open(session.path).health.text == "ok"


def test_a_purge_gives_the_space_back(session: Session) -> None:
    before = sum(p.stat().st_size for p in session.path.glob("seg-*"))
    session.delete(0, ROWS - 1)
    session.purge()
    assert [p.name for p in session.path.glob("seg-*")] == ["seg-00003.arrow"]
    assert sum(p.stat().st_size for p in session.path.glob("seg-*")) < before / 4
    assert_rows(list(session.rows()), [ROWS - 1])
    session.delete(ROWS - 1, ROWS)
    assert session.purge() == 1
    assert list(session.path.glob("seg-*")) == []
    assert (len(session), session.label_counts(), session.duration_s()) == (0, {}, 0.0)
    assert Session.open(session.path).health.text == "ok"


@pytest.mark.parametrize("limits", [(-1, 2), (3, 3), (5, 2), (0, ROWS + 1)])
def test_rows_that_do_not_exist_cannot_be_deleted(session: Session, limits: tuple[int, int]) -> None:
    for edit in (session.delete, session.restore):
        with pytest.raises(SessionError, match=f"choose from 0 to {ROWS}"):
            edit(*limits)
    assert not (session.path / "edits.json").exists()


def test_edits_of_a_newer_format_are_refused(session: Session) -> None:
    (session.path / "edits.json").write_text(json.dumps({"format": 3, "deleted": "other"}))
    for action in (session.deleted, session.purge, lambda: list(session.rows())):
        with pytest.raises(SessionError, match=r"edits\.json: made by a newer autopilot"):
            action()


def test_two_editors_at_once_lose_nothing(session: Session) -> None:
    script = (
        "import sys\nfrom pathlib import Path\nfrom autopilot.sessions.session import Session\n"
        "session = Session.open(Path(sys.argv[1]))\n"
        "for i in range(int(sys.argv[2]), 24, 2): session.delete(i, i + 1)\n"
    )
    editors = [subprocess.Popen([sys.executable, "-c", script, str(session.path), str(n)]) for n in (0, 1)]
    assert [editor.wait(60) for editor in editors] == [0, 0]
    assert session.deleted() == [(0, ROWS)]
