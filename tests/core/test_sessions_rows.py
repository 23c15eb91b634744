"""Sessions: what is written comes back equal; names, listings and wrong input."""

from __future__ import annotations

import json
import math
import shutil
import subprocess
import sys
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from autopilot.api.errors import SessionError, UserError
from autopilot.api.types import Frame, Reading
from autopilot.sessions.session import Session
from autopilot.sessions.store import SessionStore, session_name
from autopilot.sessions.writer import SessionWriter
from support.sessions import HEIGHT, SPACE, WIDTH, assert_rows, make_info, make_row, record


def test_rows_come_back_equal(tmp_path: Path) -> None:
    session = record(tmp_path, 60, segments=4)
    assert sorted(p.name for p in session.path.glob("seg-*")) == [f"seg-{n:05d}.arrow" for n in range(4)]
    assert_rows(list(session.rows()), list(range(60)))
    assert session.info.ended == "saved"
    assert session.info.frames == 60
    assert (session.health.frames, session.health.text) == (60, "ok")
    assert len(session) == 60
    assert session.duration_s() == pytest.approx(6.0)


def test_nan_readings_survive(tmp_path: Path) -> None:
    row = make_row(1)
    with SessionWriter(tmp_path, make_info()) as writer:
        writer.append(replace(row, reading=Reading(score=math.nan)))
    (found,) = Session.open(writer.path).rows()
    assert found.reading is not None
    assert math.isnan(found.reading.score or 0.0)


def test_label_counts(tmp_path: Path) -> None:
    session = record(tmp_path, 30)
    counts: dict[str, int] = {}
    for i in range(30):
        action = make_row(i).action
        label = "skipped" if action is None else SPACE.describe(action)
        counts[label] = counts.get(label, 0) + 1
    assert session.label_counts() == counts
    session.delete(0, 1)
    assert session.label_counts()["skipped"] == counts["skipped"] - 1
    assert session.label_counts(include_deleted=True) == counts


def test_any_arrow_reader_can_read_a_sealed_segment(tmp_path: Path) -> None:
    session = record(tmp_path, 10)
    with pa.ipc.open_file(session.path / "seg-00000.arrow") as file:
        table = file.read_all()
    assert table.column("t_ns").to_pylist() == [10**18 + i for i in range(10)]
    assert table.column("frame")[1].as_py() == make_row(1).frame.image.tobytes()
    packed = table.column("frame")[2].as_py()
    size = HEIGHT * WIDTH * 3
    assert len(packed) < size
    unpacked = pa.decompress(packed, decompressed_size=size, codec="zstd", asbytes=True)
    assert unpacked == make_row(2).frame.image.tobytes()


def test_a_part_is_an_arrow_stream(tmp_path: Path) -> None:
    with SessionWriter(tmp_path, make_info()) as writer:
        for i in range(3):
            writer.append(make_row(i))
        with pa.ipc.open_stream(writer.path / "seg-00000.arrow.part") as stream:
            assert stream.read_all().column("index").to_pylist() == [0, 1, 2]


def test_a_live_session_can_be_read(tmp_path: Path) -> None:
    with SessionWriter(tmp_path, make_info()) as writer:
        for i in range(5):
            writer.append(make_row(i))
        live = Session.open(writer.path)
        assert_rows(list(live.rows()), list(range(5)))
        assert live.info.ended == "recording"
        assert (live.health.live, live.health.text) == (True, "being recorded")
        with pytest.raises(SessionError, match="being recorded"):
            live.purge()
        writer.append(make_row(5))
    assert_rows(list(live.rows()), list(range(6)))
    assert not Session.open(writer.path).health.live


def test_frames_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    row = make_row(1)
    with SessionWriter(tmp_path, make_info()) as writer:
        for image in (np.zeros((WIDTH, HEIGHT, 3), np.uint8), np.zeros((HEIGHT, WIDTH, 3), "f4")):
            with pytest.raises(ValueError, match="a frame is"):
                writer.append(replace(row, frame=Frame(image, 1)))
        for action in ((0,), (3, 0), (0, -1)):
            with pytest.raises(ValueError, match="action"):
                writer.append(replace(row, action=action))
        image = np.asfortranarray(row.frame.image)[:, ::-1]
        writer.append(replace(row, frame=Frame(image, 1)))
    (found,) = Session.open(writer.path).rows()
    np.testing.assert_array_equal(found.frame.image, image)
    with pytest.raises(ValueError, match="closed"):
        writer.append(row)


def test_closing_twice_is_harmless_and_an_exception_means_interrupted(tmp_path: Path) -> None:
    with SessionWriter(tmp_path, make_info("one")) as writer:
        writer.append(make_row(0))
        writer.close("quit")
        writer.close()
    assert Session.open(tmp_path / "one").info.ended == "quit"

    def fail() -> None:
        with SessionWriter(tmp_path, make_info("two")) as writer:
            writer.append(make_row(0))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    session = Session.open(tmp_path / "two")
    assert session.info.ended == "interrupted"
    assert session.health.text == "ok"
    assert_rows(list(session.rows()), [0])


def test_what_is_interrupted_before_its_first_row_leaves_nothing(tmp_path: Path) -> None:
    def fail() -> None:
        with SessionWriter(tmp_path, make_info("one")):
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert not list(tmp_path.iterdir())


def test_recorders_that_begin_at_once_get_a_folder_each(tmp_path: Path) -> None:
    script = (
        "import sys, pathlib\n"
        "from autopilot.sessions.info import SessionInfo; from autopilot.sessions.writer import SessionWriter\n"
        "info = SessionInfo.model_validate_json(sys.argv[2])\n"
        "print('ready', flush=True)\n"
        "sys.stdin.readline()\n"
        "SessionWriter(pathlib.Path(sys.argv[1]), info).close()\n"
    )
    command = [sys.executable, "-c", script, str(tmp_path), make_info().model_dump_json()]
    streams = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with SessionWriter(tmp_path, make_info()) as writer, ExitStack() as stack:
        writer.append(make_row(0))
        others = [stack.enter_context(subprocess.Popen(command, **streams)) for _ in range(5)]
        for other in others:
            assert other.stdout.readline() == "ready\n"
        for other in others:
            other.stdin.write("go\n")
            other.stdin.flush()
        assert [other.wait() for other in others] == [0] * 5
        writer.append(make_row(1))
    assert_rows(list(Session.open(writer.path).rows()), [0, 1])
    names = ["a-session", *(f"a-session-{n}" for n in range(2, 7))]
    assert SessionStore(tmp_path).ids() == names
    stored = [json.loads((tmp_path / name / "session.json").read_text()) for name in names]
    assert [(info["id"], info["ended"]) for info in stored] == [(name, "saved") for name in names]
    with pytest.raises(SessionError, match=r"cannot record into .*a-session: File (already )?exists"):
        SessionWriter(tmp_path, make_info(), exact=True)
    assert not Session.open(writer.path).health.live


@pytest.mark.parametrize("how", ["renamed", "copied"])
def test_a_session_is_called_what_its_folder_is(tmp_path: Path, how: str) -> None:
    old = record(tmp_path, 24).path
    if how == "renamed":
        old.rename(tmp_path / "b")
    else:
        shutil.copytree(old, tmp_path / "b")
    store = SessionStore(tmp_path, tmp_path / ".index")
    ids = ["b"] if how == "renamed" else ["a-session", "b"]
    sessions, broken = store.all()
    assert [s.info.id for s in sessions] == store.ids() == ids
    assert broken == []
    for id in ids:
        assert store.open(id).info.id == id
    store.open("b").review("rejected")
    assert [s.edits().review for s in store.all()[0]] == ["new", "rejected"][-len(ids) :]
    assert store.open("b").split(10) == "b-10"
    assert store.open("b-10").info.part_of == "b"


def test_a_part_that_was_renamed_is_still_the_part(tmp_path: Path) -> None:
    whole = record(tmp_path, 24)
    part = whole.path.with_name(whole.split(10))
    part.rename(tmp_path / "the-end")
    whole.undo()
    assert len(whole) == 24
    assert SessionStore(tmp_path).ids() == ["a-session"], "the rows are in one session only"
    part = whole.path.with_name(whole.split(10))
    whole.path.rename(tmp_path / "b")
    with pytest.raises(SessionError, match="a-session-10 was not split off here: if b was renamed, rename it back"):
        Session.open(tmp_path / "b").undo()
    assert (len(Session.open(tmp_path / "b")), len(Session.open(part))) == (10, 14)


def test_a_newer_format_is_refused(tmp_path: Path) -> None:
    session = record(tmp_path, 2)
    path = session.path / "session.json"
    # A later format may have other fields: the number alone must decide.
    path.write_text(json.dumps({"format": 2, "id": {"new": "shape"}}))
    with pytest.raises(SessionError, match=r"newer autopilot \(format 2; this one reads 1\)"):
        Session.open(session.path)
    _, broken = SessionStore(tmp_path).all()
    assert [id for id, _ in broken] == ["a-session"]


@pytest.mark.parametrize("text", ["", "{", "[]", "null", "\xff", "[" * 100_000, '{"format": 1}', '{"format": "one"}'])
def test_a_broken_session_json_is_named(tmp_path: Path, text: str) -> None:
    session = record(tmp_path, 2)
    path = session.path / "session.json"
    path.write_text(text, encoding="latin-1")
    with pytest.raises(SessionError, match=r"session\.json is damaged"):
        Session.open(session.path)
    path.unlink()
    with pytest.raises(SessionError, match=r"cannot read .*session\.json"):
        Session.open(session.path)


def test_a_frame_size_that_was_edited_is_one_line(tmp_path: Path) -> None:
    session = record(tmp_path, 3)
    path = session.path / "session.json"
    path.write_text(path.read_text().replace('"width": 32', '"width": 33'))
    with pytest.raises(SessionError, match="is not 33x18"):
        list(Session.open(session.path).rows())


@pytest.mark.parametrize("name", ["../evil", "a/b", "a\\b", "..", ".", "", "a b", "a\0b", "ä"])
def test_names_that_are_paths_are_refused(tmp_path: Path, name: str) -> None:
    root = tmp_path / "sessions"
    record(root, 1)
    with pytest.raises(UserError):
        SessionStore(root).open(name)
    with pytest.raises(UserError):
        make_info(name)
    path = root / "a-session" / "session.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"id": name}))
    with pytest.raises(SessionError, match=r"session\.json"):
        SessionStore(root).open("a-session")
    if "/" in name or "\\" in name or ".." in name:
        with pytest.raises(UserError, match="cannot be part of a name"):
            session_name("toy", "7", name)


def test_new_ids_are_readable_and_unique(tmp_path: Path) -> None:
    ids = []
    for _ in range(3):
        name = session_name("CTR", "Coco Park", "Änna Müller: the 1st!")
        ids.append(record(tmp_path, 1, id=name).info.id)
    assert len(set(ids)) == 3
    assert all("-ctr-coco-park-anna-muller-the-1st" in id for id in ids)
    assert session_name("g", "t", "雪").endswith("-g-t-unnamed")
    assert len(session_name("g" * 99, "t" * 99, "d" * 99)) <= 95, "and room for -2 and so on"


def test_a_listing_names_what_is_broken(tmp_path: Path) -> None:
    store = SessionStore(tmp_path / "none-yet")
    assert store.all() == ([], [])
    store = SessionStore(tmp_path)
    for id in ("b", "a"):
        record(tmp_path, 2, id=id)
    (tmp_path / "empty").mkdir()
    (tmp_path / "a file").touch()
    assert store.ids() == ["a", "b", "empty"]
    sessions, broken = store.all()
    assert [s.info.id for s in sessions] == ["a", "b"]
    assert [id for id, _ in broken] == ["empty"]
    assert all("\n" not in message for _, message in broken)
    with pytest.raises(SessionError, match="did you mean empty"):
        store.open("empt")
