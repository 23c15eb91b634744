"""Sessions: relabelling, verdicts, splitting and undo; the index that is kept."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from autopilot.api.errors import SessionError
from autopilot.cli import cli
from autopilot.sessions.cache import cached
from autopilot.sessions.home import Home
from autopilot.sessions.index import SCHEMA, Index, read_index
from autopilot.sessions.laps import laps_of
from autopilot.sessions.session import Session
from autopilot.sessions.store import SessionStore
from click.testing import CliRunner
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.sessions import SPACE, make_row, plain, record

ROWS = 24
FIXTURES = [HealthCheck.differing_executors, HealthCheck.function_scoped_fixture]
RANGE = st.tuples(st.integers(0, ROWS), st.integers(0, ROWS)).map(sorted).filter(lambda r: r[0] < r[1])
EDIT = st.one_of(
    st.tuples(st.sampled_from(["delete", "restore"]), RANGE),
    st.tuples(st.just("relabel"), RANGE, st.sampled_from([None, "left", "gas"])),
    st.tuples(st.just("review"), st.sampled_from(["new", "approved", "rejected"])),
)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Session:
    return record(tmp_path_factory.mktemp("sessions"), ROWS, segments=4)


@pytest.fixture
def session(whole: Session, tmp_path: Path) -> Session:
    return Session.open(shutil.copytree(whole.path, tmp_path / "sessions" / whole.path.name))


def apply(session: Session, edit: tuple) -> None:
    if edit[0] == "relabel":
        held = None if edit[2] is None else frozenset({edit[2]})
        session.relabel(*edit[1], held, None if edit[2] is None else (0, 1))
    elif edit[0] == "review":
        session.review(edit[1])
    else:
        getattr(session, edit[0])(*edit[1])


def test_relabelled_rows_mean_something_else_to_all_who_read(session: Session, tmp_path: Path) -> None:
    size = (session.info.width, session.info.height)
    cached(session, tmp_path / "cache", "plain", size, lambda image: image)
    session.relabel(3, 9, frozenset({"left"}), (0, 0))
    session.relabel(5, 7, frozenset({"right", "gas"}), (2, 1))
    again = Session.open(session.path)
    rows = list(again.rows())
    assert [sorted(r.held) for r in rows[3:9]] == [["left"]] * 2 + [["gas", "right"]] * 2 + [["left"]] * 2
    assert [r.action for r in rows[3:9]] == [(0, 0)] * 2 + [(2, 1)] * 2 + [(0, 0)] * 2
    assert rows[2].action == make_row(2).action
    assert [r.sent for r in rows] == [make_row(i).sent for i in range(ROWS)], "what was sent stays"
    assert again.row(6).action == (2, 1)
    assert again.labels()[3:9].tolist() == [SPACE.joint(a) for a in [(0, 0)] * 2 + [(2, 1)] * 2 + [(0, 0)] * 2]
    assert again.label_counts()["right+coast"] >= 2
    _, kept = cached(again, tmp_path / "cache", "plain", size, pytest.fail)  # the frames are as they were
    assert [kept.sets[i] for i in kept.held] == [r.held for r in rows]
    assert kept.action.tolist() == again.labels().tolist()
    again.relabel(4, 5, None)
    assert list(again.rows())[4].held == make_row(4).held
    assert [(r.start, r.stop) for r in again.edits().relabelled] == [(3, 4), (5, 7), (7, 9)]


@pytest.mark.parametrize(("held", "action"), [({"jump"}, None), ({"left"}, (0,)), ({"left"}, (0, 2))])
def test_a_label_that_the_session_does_not_know_is_refused(session: Session, held: set, action: tuple | None) -> None:
    with pytest.raises(SessionError):
        session.relabel(0, 1, frozenset(held), action)
    assert not (session.path / "edits.json").exists()


@settings(max_examples=40, deadline=None, suppress_health_check=FIXTURES)
@given(edits=st.lists(EDIT, max_size=8))
def test_whatever_was_changed_can_be_undone_and_redone(session: Session, edits: list[tuple]) -> None:
    (session.path / "edits.json").unlink(missing_ok=True)
    segments = {p: p.read_bytes() for p in session.path.glob("seg-*")}
    states = [session.edits().state()]
    for edit in edits:
        apply(session, edit)
        if session.edits().state() != states[-1]:
            states.append(session.edits().state())
    for state in states[-2::-1]:
        session.undo()
        assert session.edits().state() == state
    with pytest.raises(SessionError, match="nothing to undo"):
        session.undo()
    again = Session.open(session.path)
    assert [plain(row) for row in again.rows()] == [plain(make_row(i)) for i in range(ROWS)]
    for state in states[1:]:
        session.redo()
        assert session.edits().state() == state
    with pytest.raises(SessionError, match="nothing to redo"):
        session.redo()
    assert {p: p.read_bytes() for p in session.path.glob("seg-*")} == segments


def test_a_change_after_an_undo_forgets_what_was_undone(session: Session) -> None:
    session.delete(0, 2)
    assert session.undo() == "delete 0 to 1"
    session.review("approved")
    with pytest.raises(SessionError, match="nothing to redo"):
        session.redo()


def test_a_purge_ends_what_can_be_undone(session: Session) -> None:
    session.review("approved")
    session.delete(0, 2)
    session.purge()
    with pytest.raises(SessionError, match="nothing to undo"):
        session.undo()
    assert session.edits().review == "approved"


def test_older_edits_are_read_and_kept(session: Session) -> None:
    (session.path / "edits.json").write_text(json.dumps({"format": 1, "deleted": [[2, 4]], "purged": []}))
    assert len(session) == ROWS - 2
    session.review("rejected")
    data = json.loads((session.path / "edits.json").read_text())
    assert (data["format"], data["deleted"], data["review"]) == (2, [[2, 4]], "rejected")


def assert_same(one: Index, other: Index) -> None:
    for name in SCHEMA.names:
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name), err_msg=name)
    assert [one.sets, one.files, one.lap_times, one.torn] == [other.sets, other.files, other.lap_times, other.torn]


def indices(session: Session) -> list[int]:
    return [row.index for row in session.rows(include_deleted=True)]


def test_a_split_makes_two_sessions_of_the_same_rows(session: Session) -> None:
    session.delete(8, 12)
    id = session.split(10)
    store = SessionStore(session.path.parent)
    assert store.ids() == [session.path.name, id]
    first, second = store.open(session.path.name), store.open(id)
    assert indices(first) == [*range(10)]
    assert indices(second) == [*range(10, ROWS)]
    assert (len(first), len(second)) == (8, ROWS - 12)
    assert first.health.text == second.health.text == "ok"
    assert second.info.part_of == first.info.id
    third = store.open(second.split(20))
    assert third.path.name == f"{first.info.id}-20"
    assert indices(third) == [*range(20, ROWS)]
    with pytest.raises(SessionError, match="has been changed since"):
        store.open(first.info.id).undo()
    assert store.open(id).undo() == "split at 20"
    assert store.open(first.info.id).undo() == "split at 10"
    assert store.ids() == [session.path.name]
    assert indices(store.open(session.path.name)) == [*range(ROWS)]
    assert [p.name for p in session.path.parent.iterdir()] == [session.path.name], "no leftovers"


def test_an_undo_history_from_elsewhere_removes_no_other_session(session: Session) -> None:
    another = session.path.with_name("another")
    shutil.copytree(session.path, another)
    info = json.loads((another / "session.json").read_text())
    (another / "session.json").write_text(json.dumps({**info, "id": "another"}))
    id = session.split(10)
    edits = (session.path / "edits.json").read_text()
    assert id in edits
    (session.path / "edits.json").write_text(edits.replace(id, "another"))
    with pytest.raises(SessionError, match="was not split off here"):
        Session.open(session.path).undo()
    assert indices(Session.open(another)) == [*range(ROWS)]


def test_a_purge_of_one_part_leaves_the_other(session: Session) -> None:
    id = session.split(7)
    store = SessionStore(session.path.parent)
    store.open(session.path.name).delete(0, 7)
    assert store.open(session.path.name).purge() == 7
    assert [plain(r) for r in store.open(id).rows()] == [plain(make_row(i)) for i in range(7, ROWS)]
    store.open(id).delete(7, 9)
    store.open(id).purge()
    assert indices(store.open(id)) == [*range(9, ROWS)]


@pytest.mark.parametrize("at", [0, ROWS, ROWS + 5, -1])
def test_a_split_needs_rows_on_both_sides(session: Session, at: int) -> None:
    with pytest.raises(SessionError, match=f"choose from 1 to {ROWS - 1}"):
        session.split(at)


def test_a_split_that_a_crash_interrupted_is_finished_by_another(
    session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(Session, "_save", lambda *a, **k: (_ for _ in ()).throw(OSError(5, "power cut")))
        with pytest.raises(SessionError, match="nothing is lost"):
            session.split(10)
    assert indices(Session.open(session.path)) == [*range(ROWS)], "all rows are in both for now"
    id = Session.open(session.path).split(10)
    assert indices(Session.open(session.path)) == [*range(10)]
    assert indices(Session.open(session.path.parent / id)) == [*range(10, ROWS)]


def test_a_split_copies_where_there_are_no_hard_links(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_links(*args: object) -> None:
        raise OSError(1, "not permitted")

    monkeypatch.setattr(os, "link", no_links)
    id = session.split(5)
    assert indices(Session.open(session.path.parent / id)) == [*range(5, ROWS)]


def test_the_kept_index_is_what_a_full_read_finds_and_notices_changes(session: Session, tmp_path: Path) -> None:
    store = SessionStore(session.path.parent, tmp_path / "index")
    name = session.path.name
    first = store.open(name).index
    kept = tmp_path / "index" / f"{name}.arrow"
    written = kept.stat().st_mtime_ns
    second = store.open(name).index
    assert kept.stat().st_mtime_ns == written, "read, not made again"
    assert_same(first, second)
    with pa.ipc.open_file(kept.read_bytes()) as file:
        assert file.read_all().column("t_ns").to_pylist() == [make_row(i).frame.t_ns for i in range(ROWS)]
    for i in (0, 5, ROWS - 1):
        assert plain(store.open(name).row(i)) == plain(make_row(i))
    with pytest.raises(SessionError, match="no intact row"):
        store.open(name).row(ROWS)
    whole, old = kept.read_bytes(), kept.with_suffix(".npz")
    old.touch()
    for damage in (b"", b"PK\3\4 no Arrow", whole[:-200], *(whole[: 8 * n] for n in range(0, len(whole) // 8, 7))):
        kept.unlink()  # it may still be mapped
        kept.write_bytes(damage)
        assert_same(store.open(name).index, first)
    assert not old.exists(), "what an older version kept is removed"
    store.open(name).delete(0, 6)
    store.open(name).purge()
    assert store.open(name).index.index.tolist() == [*range(6, ROWS)]


@settings(max_examples=100, deadline=None, suppress_health_check=FIXTURES)
@given(at=st.integers(0, 10**6), bits=st.integers(1, 255))
def test_a_damaged_index_is_made_anew(whole: Session, tmp_path: Path, at: int, bits: int) -> None:
    kept, space = tmp_path / "index.arrow", whole.action_space
    first = read_index(whole.path, space, None)
    read_index(whole.path, space, kept)
    data = bytearray(kept.read_bytes())
    data[at % len(data)] ^= bits
    kept.unlink()  # it may still be mapped
    kept.write_bytes(data)
    assert_same(read_index(whole.path, space, kept), first)


def test_a_list_is_read_from_what_is_kept_and_not_from_the_segments(tmp_path: Path) -> None:
    home = Home(tmp_path)
    session = record(home.sessions, ROWS)

    def listed() -> str:
        done = CliRunner().invoke(cli, ["sessions", "--json", "--home", str(tmp_path)])
        assert done.exit_code == 0
        return done.output

    before, laps = listed(), laps_of(session)
    for path in session.path.glob("seg-*"):
        stat = path.stat()
        path.write_bytes(bytes(stat.st_size))
        os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert listed() == before
    assert json.loads(before)["sessions"][0]["frames"] == ROWS
    assert laps_of(SessionStore.of(home).open(session.path.name)) == laps


def test_a_row_that_changed_behind_an_open_session_is_refused(session: Session) -> None:
    assert len(session.index) == ROWS
    path = session.path / session.index.files[0]
    data = bytearray(path.read_bytes())
    data[int(session.index.at[0]) + 40 : int(session.index.stop[0])] = bytes(
        int(session.index.stop[0]) - int(session.index.at[0]) - 40
    )
    path.write_bytes(bytes(data))
    with pytest.raises(SessionError, match="has changed on the disk"):
        session.row(0)


def test_the_command_line_reviews_and_undoes(
    session: Session, autopilot: Callable[..., subprocess.CompletedProcess[str]], tmp_path: Path
) -> None:
    home, name = str(tmp_path), session.path.name
    done = autopilot("sessions", name, "--review", "rejected", "--delete", "2-5", "--json", "--home", home)
    row = json.loads(done.stdout)["sessions"][0]
    assert (row["review"], row["deleted"]) == ("rejected", [[2, 6]])
    done = autopilot("sessions", name, "--undo", "--home", home)
    assert done.stderr == "undone: mark as rejected\n"
    assert Session.open(session.path).edits().review == "new"
    done = autopilot("sessions", "--undo", "--home", home)
    assert done.returncode == 2
