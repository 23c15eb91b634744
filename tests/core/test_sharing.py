"""Packs: what was sent arrives, whole or not at all, and nothing else does; data sets and views open elsewhere."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from autopilot.api.errors import BundleError, SessionError, UserError
from autopilot.bundle.manifest import read_manifest
from autopilot.sessions.home import Home, new_output
from autopilot.sessions.session import Session
from autopilot.sessions.store import SessionStore
from autopilot_sharing.bundles import pack_bundle
from autopilot_sharing.lerobot import CAMERA, export_lerobot
from autopilot_sharing.pack import pack
from autopilot_sharing.unpack import Unpacked, unpack
from autopilot_sharing.view import view
from support.sessions import HEIGHT, SPACE, WIDTH, plain, record
from support.small_disk import SmallDisk

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))
from pack_attacks import TRAVERSAL, bombs, bundle_bombs, files_of, foreign, honest, honest_bundle, sign

ROOT = Path(__file__).parents[2]

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with two sessions, `one` reviewed; do not change them."""
    root = tmp_path_factory.mktemp("theirs")
    one = record(root, 24, segments=3, id="one")
    one.delete(2, 5)
    one.relabel(6, 8, frozenset({"left"}), (0, 0))
    one.review("approved")
    record(root, 12, segments=2, id="two")
    return root


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return honest(tmp_path_factory.mktemp("honest"))


def rows(session: Session) -> list[tuple[object, ...]]:
    return [(row.index, *plain(row)) for row in session.rows(include_deleted=True)]


def test_what_was_packed_arrives_with_its_review_and_again_is_known(shared: Path, tmp_path: Path) -> None:
    file, home = tmp_path / "x.pack", tmp_path / "mine/sessions"
    one, two = Session.open(shared / "one"), Session.open(shared / "two")
    done = pack([one, two], file)
    assert [(d.session, d.rows, d.deleted) for d in done] == [("one", 24, 3), ("two", 12, 0)]
    assert [(u.id, u.outcome) for u in unpack(file, Home(home.parent))] == [("one", "new"), ("two", "new")]
    for sent in (one, two):
        came = Session.open(home / sent.info.id)
        assert came.info == sent.info
        assert rows(came) == rows(sent)
        assert came.edits().state() == sent.edits().state()
        assert came.edits().undo == []
        assert came.health.text == "ok"
        assert came.label_counts() == sent.label_counts()
    assert [(u.id, u.outcome, u.review) for u in unpack(file, Home(home.parent))] == [
        ("one", "known", False),
        ("two", "known", False),
    ]
    Session.open(home / "one").review("rejected")
    assert [(u.outcome, u.review) for u in unpack(file, Home(home.parent))] == [("known", True), ("known", False)]
    assert Session.open(home / "one").edits().review == "rejected", "their review stays theirs"


def test_the_same_name_with_other_content_gets_a_new_one(shared: Path, tmp_path: Path) -> None:
    file, home = tmp_path / "x.pack", tmp_path / "mine/sessions"
    mine = rows(record(home, 5, id="one"))
    (home / "two").mkdir()  # broken, and still not ours to touch
    pack(SessionStore(shared).all()[0], file)
    assert [(u.id, u.outcome) for u in unpack(file, Home(home.parent))] == [("one.2", "renamed"), ("two.2", "renamed")]
    assert [(u.id, u.outcome) for u in unpack(file, Home(home.parent))] == [("one.2", "known"), ("two.2", "known")]
    assert rows(Session.open(home / "one")) == mine
    assert Session.open(home / "one.2").info.id == "one.2"
    assert rows(Session.open(home / "one.2")) == rows(Session.open(shared / "one"))
    assert list((home / "two").iterdir()) == []


def test_of_a_damaged_or_split_session_goes_what_is_its_own_and_intact(tmp_path: Path) -> None:
    session = record(tmp_path / "theirs", 24, segments=3)
    session.split(10)
    torn = session.path / "seg-00000.arrow"
    data = bytearray(torn.read_bytes())
    data[len(data) // 2 : len(data) // 2 + 300] = bytes(300)
    torn.unlink()
    torn.with_suffix(".arrow.part").write_bytes(data)
    again = Session.open(session.path)
    kept = rows(again)
    assert 8 <= len(kept) < 10
    pack([again], tmp_path / "x.pack")
    unpack(tmp_path / "x.pack", Home(tmp_path / "mine"))
    came = Session.open(tmp_path / "mine/sessions" / again.info.id)
    assert rows(came) == kept
    assert came.health.torn == 0
    assert {p.suffix for p in came.path.iterdir()} == {".json", ".arrow"}


def refusal(data: bytes, tmp_path: Path) -> str:
    """Unpack, which must be refused in a line and leave nothing; return the line."""
    file, home = tmp_path / "evil.pack", Home(tmp_path / "mine")
    file.write_bytes(data)
    before = set(tmp_path.rglob("*"))
    with pytest.raises(SessionError) as refused:
        unpack(file, home)
    left = set(tmp_path.rglob("*")) - before - {home.root, home.sessions, home.bundles}
    assert {p.name for p in left} <= {".unpacking.lock"}
    assert "\n" not in str(refused.value)
    return str(refused.value)


def test_damage_cuts_and_newer_formats_are_refused_in_words(good: bytes, tmp_path: Path) -> None:
    files = files_of(good)
    assert refusal(good[:-1], tmp_path).endswith("the pack is damaged or cut short: get it again")
    assert "cut short" in refusal(good + b"\0", tmp_path)
    assert "no pack" in refusal(good[1:], tmp_path)
    flipped = bytearray(good)
    flipped[len(good) // 3] ^= 4
    assert "is damaged: get the pack again" in refusal(bytes(flipped), tmp_path)
    newer = sign(files, lambda m: m.update(format=2, more="unknown"))
    assert "made by a newer autopilot (format 2; this one reads 1): upgrade" in refusal(newer, tmp_path)
    for name, newest in (("session.json", 1), ("edits.json", 2)):
        data = json.loads(files["one", name]) | {"format": newest + 1}
        changed = sign(files | {("one", name): json.dumps(data).encode()})
        assert f"made by a newer autopilot (format {newest + 1}; " in refusal(changed, tmp_path)


def test_an_older_review_is_read(good: bytes, tmp_path: Path) -> None:
    files = files_of(good) | {("one", "edits.json"): b'{"format": 1, "deleted": [[0, 2]], "purged": []}'}
    (tmp_path / "old.pack").write_bytes(sign(files))
    unpack(tmp_path / "old.pack", Home(tmp_path / "mine"))
    assert Session.open(tmp_path / "mine/sessions/one").deleted() == [(0, 2)]


@pytest.mark.parametrize("kind", ["zip", "tar", "pickle", "empty", "magic"])
def test_other_files_are_refused_unopened(kind: str, tmp_path: Path) -> None:
    assert "no pack" in refusal(foreign()[kind], tmp_path) or kind == "magic"


def test_names_that_could_leave_the_folder_are_refused(good: bytes, tmp_path: Path) -> None:
    files = files_of(good)
    for name in TRAVERSAL:
        refusal(sign({(name if s == "two" else s, f): v for (s, f), v in files.items()}), tmp_path)
        refusal(sign(files | {("two", name): b"evil"}), tmp_path)
    for name in ("kept.py", "seg-00000.arrow.part", ".lock", "Session.json", "weights.pickle"):
        assert "is no file of a session" in refusal(sign(files | {("two", name): b"evil"}), tmp_path)


@pytest.mark.parametrize("name", list(bombs()))
def test_bombs_are_refused(name: str, good: bytes, tmp_path: Path) -> None:
    files = files_of(good)
    words, data, changes = bombs()[name]
    info = json.dumps(json.loads(files["two", "session.json"]) | changes).encode()
    started = time.process_time()
    assert words in refusal(sign(files | {("two", "session.json"): info, ("two", "seg-00000.arrow"): data}), tmp_path)
    assert time.process_time() - started < 5


def test_an_undo_from_elsewhere_reaches_no_session_here(good: bytes, tmp_path: Path) -> None:
    files = files_of(good)
    change = {"what": "split at 3", "part": "mine"}
    edits = json.dumps(json.loads(files["one", "edits.json"]) | {"undo": [change]}).encode()
    assert "changes to undo" in refusal(sign(files | {("one", "edits.json"): edits}), tmp_path)


WORDS = {
    "more than is there": "weights.safetensors cannot be read",
    "a shape without end": "weights.safetensors cannot be read",
    "a type that NumPy lacks": "weights.safetensors cannot be read: 'F8_E4M3'",
    "an unknown type": "weights.safetensors cannot be read",
    "deep": "weights.safetensors cannot be read",
    "a header without end": "weights.safetensors cannot be read",
    "a pickle": "weights.safetensors cannot be read",
    "pictures without end": "are too much",
    "labels without end": "are too much",
    "a deep manifest": "manifest.json cannot be read",
    "a terminal's own words": "manifest.json has names that are no words",
    "a session as well": "'session.json' is no file of a bundle",
    "no weights": "net lacks its weights.safetensors",
}


def test_bundles_that_are_bombs_or_none_are_refused(tmp_path: Path) -> None:
    files = files_of(honest_bundle(tmp_path / "from"))
    for name, data in bundle_bombs(files).items():
        assert WORDS[name] in refusal(data, tmp_path), name
    assert set(WORDS) == set(bundle_bombs(files))
    for name in ("human", "demonstrator-fast", "net.", "con", "../net"):
        assert "name" in refusal(sign({(name, f): data for (_, f), data in files.items()}), tmp_path)
    refusal(sign(files | {("net", "kept.py"): b"evil"}), tmp_path)


def test_a_bundle_arrives_and_another_of_its_name_gets_a_new_one(tmp_path: Path) -> None:
    honest_bundle(tmp_path / "from")
    net, file, mine = tmp_path / "from/net", tmp_path / "x.pack", Home(tmp_path / "mine")
    (net / "model.onnx").write_bytes(b"it can be made again")
    pack_bundle(net, file)
    assert unpack(file, mine) == [Unpacked("net", "net", "new", kind="bundle")]
    assert contents(mine.bundle("net")) == {k: v for k, v in contents(net).items() if k != "model.onnx"}
    assert not mine.sessions.exists()
    assert unpack(file, mine) == [Unpacked("net", "net", "known", kind="bundle")]
    net.rename(net.with_name("newer"))
    pack_bundle(net.with_name("newer"), tmp_path / "renamed.pack")
    assert unpack(tmp_path / "renamed.pack", mine) == [Unpacked("newer", "newer", "new", kind="bundle")]
    assert read_manifest(mine.bundle("newer")).name == "newer", "a bundle is called what its folder is"
    before = contents(mine.root)
    other = tmp_path / "another"
    honest_bundle(other, seed=2)
    assert unpack(other / "net.pack", mine) == [Unpacked("net", "net.2", "renamed", kind="bundle")]
    assert before.items() < contents(mine.root).items(), "what was there stays"
    assert read_manifest(mine.bundle("net.2")) == read_manifest(other / "net").model_copy(update={"name": "net.2"})
    assert unpack(other / "net.pack", mine) == [Unpacked("net", "net.2", "known", kind="bundle")]
    (mine.bundle("net") / "weights.safetensors").write_bytes(b"damaged")
    assert unpack(file, mine) == [Unpacked("net", "net.3", "renamed", kind="bundle")]
    with pytest.raises(BundleError, match=r"weights\.safetensors is damaged"):
        pack_bundle(mine.bundle("net"), tmp_path / "y.pack")
    assert not (tmp_path / "y.pack").exists()


def test_a_disk_that_is_full_in_the_midst_of_a_bundle_changes_nothing(tmp_path: Path, disk: SmallDisk) -> None:
    if not disk.mounted:
        pytest.skip("no file system of our own can be mounted here")
    honest_bundle(tmp_path / "from")
    file, mine = tmp_path / "from/net.pack", Home(disk.path / "home")
    with pytest.raises(SessionError, match="No space left on device"):
        unpack(file, mine, lambda n: disk.choke())
    assert [p.name for p in mine.bundles.iterdir()] == [".unpacking.lock"]
    disk.free()
    assert unpack(file, mine) == [Unpacked("net", "net", "new", kind="bundle")]


def test_the_command_line_packs_a_bundle(autopilot: Run, tmp_path: Path) -> None:
    honest_bundle(tmp_path / "home/bundles")
    done = autopilot("pack", "--bundle", "net", "-o", "x.pack", "--json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    told = {"file": "x.pack", "bytes": (tmp_path / "x.pack").stat().st_size, "bundle": "net"}
    assert json.loads(done.stdout) == told
    came = autopilot("unpack", "x.pack", "--home", "other", cwd=tmp_path)
    assert came.stdout.splitlines() == ["net", f"1 of 1 added to {Path('other/bundles')}"], came.stderr
    wrong = autopilot("pack", "one", "--bundle", "net", "-o", "y.pack", cwd=tmp_path)
    assert (wrong.returncode, wrong.stderr.count("\n")) == (2, 1), wrong.stderr
    assert "--bundle packs that bundle alone" in wrong.stderr


def test_hundreds_of_hostile_packs() -> None:
    done = subprocess.run(
        [sys.executable, "benchmarks/pack_attacks.py", "--packs", "300"], capture_output=True, text=True, cwd=ROOT
    )
    figures = json.loads(done.stdout)
    assert (figures["escapes"], figures["crashes"], figures["code_run"]) == (0, 0, 0), figures["wrong"]
    assert figures["packs"] == figures["refused"] + figures["came"] == 300
    assert figures["peak_memory_mb"] < 1000


def test_a_kill_leaves_no_session_and_the_next_one_cleans_up(shared: Path, tmp_path: Path) -> None:
    file, home = tmp_path / "x.pack", tmp_path / "mine/sessions"
    pack(SessionStore(shared).all()[0], file)
    program = (
        "import os, sys\nfrom pathlib import Path\n"
        "from autopilot.sessions.home import Home\nfrom autopilot_sharing.unpack import unpack\n"
        "sys.modules['autopilot_sharing.unpack']._place = lambda *a: os._exit(9)\n"
        "unpack(Path(sys.argv[1]), Home(Path(sys.argv[2])))"
    )
    killed = subprocess.run([sys.executable, "-c", program, file, home.parent], capture_output=True, text=True)
    assert killed.returncode == 9, killed.stderr
    assert (home / ".unpacking/one/session.json").exists(), "it was killed in the midst of it"
    assert SessionStore(home).ids() == []
    assert len(unpack(file, Home(home.parent))) == 2
    assert SessionStore(home).ids() == ["one", "two"]
    assert not (home / ".unpacking").exists()


def test_a_full_disk_leaves_nothing(shared: Path, tmp_path: Path, disk: SmallDisk) -> None:
    file, home = tmp_path / "x.pack", disk.path / "sessions"
    pack(SessionStore(shared).all()[0], file)
    home.mkdir(parents=True)
    if not disk.mounted:
        pytest.skip("no file system of our own can be mounted here")
    disk.fill()
    with pytest.raises(SessionError, match="MB are to spare"):
        unpack(file, Home(home.parent))
    (disk.path / "more").write_bytes(bytes(shutil.disk_usage(disk.path).free))
    target = disk.path / "y.pack"
    with pytest.raises(UserError, match=r"cannot write .*No space left"):
        pack(SessionStore(shared).all()[0], target)
    assert SessionStore(home).ids() == []
    assert sorted(p.name for p in disk.path.iterdir()) == ["ballast", "more", "sessions"]


def contents(folder: Path) -> dict[str, bytes]:
    """All files below a folder but locks, which are empty."""
    files = [p for p in folder.rglob("*") if p.is_file() and p.suffix != ".lock"]
    return {str(p.relative_to(folder)): p.read_bytes() for p in files}


@pytest.mark.parametrize("at", ["the first file", "the last file", "a session is there"])
def test_a_disk_that_is_full_in_the_midst_of_unpacking_changes_nothing(
    at: str, shared: Path, tmp_path: Path, disk: SmallDisk, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not disk.mounted:
        pytest.skip("no file system of our own can be mounted here")
    file, home = tmp_path / "x.pack", disk.path / "sessions"
    pack(SessionStore(shared).all()[0], file)
    record(home, 5, id="kept")
    before = contents(home)
    left = [len(files_of(file.read_bytes())) if at == "the last file" else 1]

    def tell(n: int) -> None:
        left[0] -= 1
        if left[0] == 0 and at != "a session is there":
            disk.choke()

    def sync(folder: Path) -> None:
        assert SessionStore(home).ids() == ["kept", "one"], "whole, until the next one fails"
        disk.choke()

    with monkeypatch.context() as patch:
        if at == "a session is there":
            patch.setattr(sys.modules["autopilot_sharing.unpack"], "sync_folder", sync)
        with pytest.raises(SessionError, match=r"No space left on device\): nothing was added; mend that") as full:
            unpack(file, Home(home.parent), tell)
    assert "\n" not in str(full.value)
    assert contents(home) == before
    assert sorted(p.name for p in home.iterdir()) == [".unpacking.lock", "kept"]
    disk.free()
    assert [(u.id, u.outcome) for u in unpack(file, Home(home.parent))] == [("one", "new"), ("two", "new")]
    assert rows(Session.open(home / "one")) == rows(Session.open(shared / "one"))
    assert contents(home / "kept").items() <= {k.removeprefix("kept/"): v for k, v in before.items()}.items()


@pytest.mark.parametrize("at", ["the second segment", "the last segment"])
def test_a_disk_that_is_full_in_the_midst_of_packing_leaves_no_file(
    at: str, shared: Path, tmp_path: Path, disk: SmallDisk
) -> None:
    if not disk.mounted:
        pytest.skip("no file system of our own can be mounted here")
    file, sessions = disk.path / "x.pack", SessionStore(shared).all()[0]
    left = [1 if at == "the second segment" else 4]

    def tell(n: int) -> None:
        left[0] -= 1
        if left[0] == 0:
            disk.choke()

    with pytest.raises(UserError, match=r"cannot write .*\(No space left on device\): free space"):
        pack(sessions, file, tell)
    assert [p.name for p in disk.path.iterdir()] == ["ballast"]
    disk.free()
    pack(sessions, file)
    assert len(unpack(file, Home(tmp_path / "mine"))) == 2


def test_commands_that_cannot_write_any_more_say_so_in_a_line_and_leave_nothing_half(tmp_path: Path) -> None:
    """A limit on the size of files, which works everywhere: it fails in the midst of a write as a full disk does."""
    theirs, mine = tmp_path / "theirs/sessions", tmp_path / "mine/sessions"
    record(theirs, 6, id="a-small-one")
    record(theirs, 90, id="big")
    record(mine, 5, id="kept")
    pytest.importorskip("resource", reason="Windows limits no size of files")
    limited = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000))"
    program = f"{limited}\nfrom autopilot.cli import main\nmain()"

    def run(code: str, *args: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run([sys.executable, "-c", code, *args], capture_output=True, text=True, cwd=tmp_path)

    packing = ("pack", "a-small-one", "big", "-o", "x.pack", "--home", "theirs")
    unpacking = ("unpack", "x.pack", "--home", "mine")
    before, there = contents(tmp_path), sorted(tmp_path.iterdir())
    done = run(program, *packing)
    assert (done.returncode, done.stdout) == (2, "")
    line = "autopilot: cannot write x.pack (File too large): free space, or take another folder"
    assert done.stderr.splitlines()[-1] == line
    assert "Traceback" not in done.stderr
    assert sorted(tmp_path.iterdir()) == there
    assert contents(tmp_path) == before
    again = run(program.removeprefix(limited), *packing)
    assert again.returncode == 0, again.stderr
    done = run(program, *unpacking)
    assert (done.returncode, done.stdout) == (2, "")
    assert "(File too large): nothing was added; mend that, unpack again" in done.stderr.splitlines()[-1]
    assert "Traceback" not in done.stderr
    assert contents(mine) == {k.removeprefix("mine/sessions/"): v for k, v in before.items() if k.startswith("mine")}
    assert SessionStore(mine).ids() == ["kept"]
    assert not (mine / ".unpacking").exists()
    again = run(program.removeprefix(limited), *unpacking)
    assert again.returncode == 0, again.stderr
    assert SessionStore(mine).ids() == ["a-small-one", "big", "kept"]


def test_a_data_set_is_opened_by_a_reader_of_lerobots_format(shared: Path, tmp_path: Path) -> None:
    experimental = pytest.importorskip("rerun.experimental")
    one, two = Session.open(shared / "one"), Session.open(shared / "two")
    folder = tmp_path / "set"
    done = export_lerobot([one, two], folder, lambda n: None)
    stretches = [[0, 1], list(range(5, 24)), list(range(12))]  # what is deleted ends an episode
    assert (done.episodes, done.frames) == (3, 33)
    reader = experimental.LeRobotReader(folder)
    assert reader.version == "v3"
    assert reader.episodes() == [0, 1, 2]
    sources = [*[{r.index: r for r in one.rows()}] * 2, {r.index: r for r in two.rows()}]
    for episode, (wanted, source) in enumerate(zip(stretches, sources, strict=True)):
        found: dict[str, list[object]] = {}
        for chunk in reader.stream(episode):
            batch = chunk.to_record_batch()
            for name in batch.schema.names:
                if name in ("Scalars:scalars", "VideoStream:sample", "TextDocument:text"):
                    found.setdefault(chunk.entity_path, []).extend(batch.column(name).to_pylist())
        held = [[float(c in source[i].held) for c in one.info.controls] for i in wanted]
        assert found["/action"] == held
        assert found["/label"] == [list(map(float, source[i].action or (-1, -1))) for i in wanted]
        assert len(found[f"/{CAMERA}"]) == len(wanted)
        assert found["/task"][0] == ["Drive toy, track 7, mode N, as anna does"]


def test_a_data_sets_films_and_tables_say_the_same(shared: Path, tmp_path: Path) -> None:
    import av

    session = Session.open(shared / "two")
    folder = tmp_path / "set"
    export_lerobot([session], folder, lambda n: None)
    info = json.loads((folder / "meta/info.json").read_text())
    assert (info["codebase_version"], info["fps"], info["total_frames"]) == ("v3.0", 10, 12)
    with av.open(str(folder / info["video_path"].format(video_key=CAMERA, chunk_index=0, file_index=0))) as film:
        stream = film.streams.video[0]
        frames = [(float(f.pts * stream.time_base), f.to_ndarray(format="rgb24")) for f in film.decode(stream)]
        assert stream.codec_context.name in ("libdav1d", "av1")
    table = pq.read_table(folder / info["data_path"].format(chunk_index=0, file_index=0))
    assert np.allclose(table["timestamp"], [t for t, _ in frames])
    assert frames[0][1].shape == (HEIGHT, WIDTH, 3)
    for row, (_, image) in zip(session.rows(), frames, strict=True):
        assert abs(image.mean() - row.frame.image.mean()) < 12
    stats = json.loads((folder / "meta/stats.json").read_text())
    pixels = np.stack([r.frame.image for r in session.rows()]) / 255
    for name, function in (("mean", np.mean), ("std", np.std), ("min", np.min), ("max", np.max)):
        assert np.allclose(np.ravel(stats[CAMERA][name]), function(pixels, axis=(0, 1, 2)))
        assert np.allclose(stats["action"][name], function(np.stack(table["action"].to_pylist()), axis=0))
    episode = pq.read_table(folder / "meta/episodes/chunk-000/file-000.parquet").to_pylist()[0]
    assert (episode["dataset_from_index"], episode["dataset_to_index"], episode["length"]) == (0, 12, 12)
    tasks = pq.read_table(folder / "meta/tasks.parquet")
    assert json.loads(tasks.schema.metadata[b"pandas"])["index_columns"] == ["task"]
    assert len(SPACE.axes) == info["features"]["label"]["shape"][0]


def test_the_encoder_of_a_data_set_leaves_no_thread_real_time(shared: Path, tmp_path: Path) -> None:
    if not hasattr(os, "sched_getscheduler"):
        pytest.skip("only Linux tells of it")
    export_lerobot([Session.open(shared / "two")], tmp_path / "set", lambda n: None)
    threads = [int(task.name) for task in Path("/proc/self/task").iterdir()]
    assert {os.sched_getscheduler(thread) for thread in threads} == {os.SCHED_OTHER}


def test_what_does_not_fit_into_one_data_set_is_refused(shared: Path, tmp_path: Path) -> None:
    folder = tmp_path / "set"
    for changes, words in (({"hz": 12.5}, "differ in their hz"), ({"game": "other"}, "differ in their game")):
        other = record(tmp_path / str(len(words)), 4, **changes)
        with pytest.raises(SessionError, match=words):
            export_lerobot([Session.open(shared / "one"), other], folder, lambda n: None)
    assert not folder.exists()


@pytest.mark.parametrize(
    ("hz", "fps", "shown"),
    [(12.5, 25, [0, 0, 1, 1, 2, 2, 3, 3]), (2.25, 9, [i // 4 for i in range(16)]), (1.4, 1, [0, 1, 2])],
)
def test_a_broken_rate_is_exported_at_a_whole_one(
    autopilot: Run, tmp_path: Path, hz: float, fps: int, shown: list[int]
) -> None:
    session = record(tmp_path / "home/sessions", 4, hz=hz)
    done = autopilot("export", "a-session", "--format", "lerobot", "--out", "set", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert f"{hz:g} frames a second became {fps}," in done.stderr
    info = json.loads((tmp_path / "set/meta/info.json").read_text())
    assert (info["fps"], info["features"][CAMERA]["info"]["video.fps"]) == (fps, fps)
    table = pq.read_table(tmp_path / "set/data/chunk-000/file-000.parquet")
    rows = list(session.rows())
    assert table["action"].to_pylist() == [[float(c in rows[i].held) for c in session.info.controls] for i in shown]
    assert np.allclose(table["timestamp"], np.arange(len(shown)) / fps)
    if hz == 12.5:
        experimental = pytest.importorskip("rerun.experimental")
        assert experimental.LeRobotReader(tmp_path / "set").episodes() == [0]


def files(folder: Path) -> dict[str, bytes]:
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


OUTPUTS = {
    "pack": ("pack", "one", "--out"),
    "pack --bundle": ("pack", "--bundle", "net", "--out"),
    "lerobot": ("export", "one", "--format", "lerobot", "--out"),
    "view": ("view", "one", "--save"),
    "film": ("drive", "--game", "carracing", "--bundle", "random", "--seconds", "1", "--film"),
}


@pytest.mark.parametrize("what", OUTPUTS)
def test_no_output_replaces_what_is_there_unasked(autopilot: Run, shared: Path, tmp_path: Path, what: str) -> None:
    if what == "view":
        pytest.importorskip("rerun")
    shutil.copytree(shared, tmp_path / "home/sessions")
    honest_bundle(tmp_path / "home/bundles")
    target, words = tmp_path / "out.mp4", OUTPUTS[what]

    def refused(path: str | Path, *more: str) -> str:
        done = autopilot(*words, str(path), *more, cwd=tmp_path)
        assert (done.returncode, done.stdout) == (2, ""), done.stderr
        assert done.stderr.startswith("autopilot: ")
        assert done.stderr.count("\n") == 1
        return done.stderr

    special = [tmp_path / "home"]  # a folder with other things in it
    if hasattr(os, "mkfifo"):  # not on Windows
        os.mkfifo(tmp_path / "pipe.mp4")
        special += [Path("/dev/null"), tmp_path / "pipe.mp4"]
    for force in ([], ["--force"]):
        for path in special:
            assert "take another name" in refused(path, *force)
    assert len(special) == 1 or (special[2].is_fifo() and special[1].is_char_device())
    done = autopilot(*words, str(target), cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    before = files(target) if target.is_dir() else target.read_bytes()
    assert "out.mp4 exists already: take another name, or --force" in refused(target)
    assert before == (files(target) if target.is_dir() else target.read_bytes())
    if target.is_dir():
        (target / "meta/info.json").write_text("old")
    else:
        target.write_text("old")
    link = tmp_path / "link.mp4"
    if target.is_dir() or os.name == "nt":  # where not everybody may make links
        link = target
    else:
        link.symlink_to("out.mp4")
    done = autopilot(*words, str(link), "--force", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert (files(target)["meta/info.json"] if target.is_dir() else target.read_bytes()) != b"old"
    assert link == target or link.is_symlink(), "a link stays one"
    assert not list(tmp_path.glob(".out*")), "nothing is left over"


def test_of_two_that_write_one_file_the_second_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "x"

    def write() -> None:
        with new_output(path) as part:
            part.write_text("mine")
            path.write_text("theirs")  # meanwhile

    with pytest.raises(UserError, match="exists already"):
        write()
    assert path.read_text() == "theirs"
    assert list(tmp_path.iterdir()) == [path]


def test_a_view_on_a_full_disk_is_one_line(autopilot: Run, shared: Path, disk: SmallDisk, tmp_path: Path) -> None:
    pytest.importorskip("rerun")
    if not disk.mounted:
        pytest.skip("no file system can be mounted here")
    shutil.copytree(shared, tmp_path / "home/sessions")
    disk.fill()
    disk.choke()
    done = autopilot("view", "one", "--save", str(disk.path / "x.rrd"))
    assert (done.returncode, done.stdout) == (2, ""), done.stderr
    assert done.stderr.count("\n") == 1
    assert "x.rrd" in done.stderr
    assert "take another folder" in done.stderr
    assert [p.name for p in disk.path.iterdir()] == ["ballast"]


def test_json_that_notepad_saved_is_read(autopilot: Run, shared: Path, tmp_path: Path) -> None:
    home = tmp_path / "home"
    shutil.copytree(shared, home / "sessions")
    honest_bundle(home / "bundles")
    (home / "bindings.toml").write_text("[carracing.window.default]\nleft = 'a'\n")
    for path in (
        home / "sessions/one/session.json",
        home / "sessions/one/edits.json",
        home / "bundles/net/manifest.json",
    ):
        path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    (home / "bindings.toml").write_bytes(b"\xef\xbb\xbf" + (home / "bindings.toml").read_bytes())
    listed = autopilot("sessions", "--json")
    assert json.loads(listed.stdout)["broken"] == [], listed.stderr
    assert Session.open(home / "sessions/one").edits().review == "approved"
    assert read_manifest(home / "bundles/net").name == "net"
    driven = autopilot("drive", "--game", "carracing", "--bundle", "random", "--seconds", "1")
    assert driven.returncode == 0, driven.stderr


def test_a_view_holds_each_frame_to_the_bit(shared: Path, tmp_path: Path) -> None:
    pytest.importorskip("rerun")
    import cv2
    from rerun.chunk import RrdReader

    session = Session.open(shared / "one")
    file = tmp_path / "one.rrd"
    assert view(session, file, lambda n: None) == 21
    found: dict[str, list[object]] = {}
    for chunk in RrdReader(file).stream():
        batch = chunk.to_record_batch()
        for name in batch.schema.names:
            if name in ("Scalars:scalars", "EncodedImage:blob"):
                found.setdefault(chunk.entity_path, []).extend(batch.column(name).to_pylist())
    wanted = list(session.rows())
    assert found["/held/left"] == [[float("left" in row.held)] for row in wanted]
    assert found["/reading/lap"] == [[float(r.reading.lap)] for r in wanted if r.reading]
    for [data], row in zip(found["/frame"], wanted, strict=True):
        image = cv2.imdecode(np.array(data, np.uint8), cv2.IMREAD_COLOR_RGB)
        assert np.array_equal(image, row.frame.image)


def test_the_command_line_packs_and_unpacks(autopilot: Run, shared: Path, tmp_path: Path) -> None:
    home = tmp_path / "home"
    shutil.copytree(shared, home / "sessions")
    done = autopilot("pack", "--game", "toy", "-o", "x.pack", "--json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert [s["session"] for s in json.loads(done.stdout)["sessions"]] == ["one", "two"]
    other = autopilot("unpack", "x.pack", "--home", "other", cwd=tmp_path)
    assert other.stdout.splitlines()[:2] == ["one", "two"], other.stderr
    again = autopilot("unpack", "x.pack", cwd=tmp_path)
    assert "one: you have it already" in again.stdout
    (tmp_path / "cut.pack").write_bytes((tmp_path / "x.pack").read_bytes()[:-5])
    cut = autopilot("unpack", "cut.pack", cwd=tmp_path)
    assert (cut.returncode, cut.stdout) == (2, "")
    assert cut.stderr.splitlines()[-1] == "autopilot: cut.pack: the pack is damaged or cut short: get it again"
    hidden = "import sys; sys.modules['rerun'] = None; from autopilot.cli import main; main()"
    env = {"AUTOPILOT_HOME": str(home)}
    lacks = subprocess.run(
        [sys.executable, "-c", hidden, "view", "one", "--save", "x.rrd"],
        capture_output=True,
        text=True,
        env=env,
        cwd=tmp_path,
    )
    assert lacks.returncode == 2
    assert "autopilot view needs Rerun: in the checkout, pip install" in lacks.stderr.splitlines()[-1]
