"""Sessions: nothing that was acknowledged is lost by a SIGKILL or a full disk."""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from autopilot.api.errors import SessionError
from autopilot.sessions.session import Session
from autopilot.sessions.store import SessionStore
from autopilot.sessions.writer import SessionWriter
from support.sessions import assert_rows, make_info, make_row, record
from support.small_disk import SmallDisk

# Forks a process for each line of its input, so that 50 of them need one start of Python.
SERVER = """
import os, sys
from pathlib import Path
from autopilot.sessions.session import Session
from autopilot.sessions.store import SessionStore
from autopilot.sessions.writer import SessionWriter
from support.sessions import make_info, make_row

def record(root, segment_s):
    with SessionWriter(root, make_info(), segment_s) as writer:
        for i in range(1_000_000):
            writer.append(make_row(i))
            os.write(1, b"%d\\n" % i)

def purge(path):
    os.write(1, b"0\\n")
    Session.open(path).purge()

for line in sys.stdin:
    what, path, segment_s = line.split()
    pid = os.fork()
    if pid == 0:
        os.write(1, b"%d\\n" % os.getpid())
        record(Path(path), float(segment_s)) if what == "record" else purge(Path(path))
        os._exit(0)
    os.waitpid(pid, 0)
    os.write(1, b"gone\\n")
"""


class Server:
    def __init__(self) -> None:
        # One thread, so that forking is safe.
        more = {"PYTHONPATH": str(Path(__file__).parents[1]), "OPENBLAS_NUM_THREADS": "1"}
        self.process = subprocess.Popen(
            [sys.executable, "-c", SERVER],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=os.environ | more,
        )

    def run_and_kill(self, what: str, path: Path, segment_s: float, after_s: float) -> list[int]:
        """Start a process, SIGKILL it that long after its first line; return its lines."""
        process = self.process
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(f"{what} {path} {segment_s}\n")
        process.stdin.flush()
        pid = int(process.stdout.readline())
        lines = [int(process.stdout.readline())]
        time.sleep(after_s)
        with suppress(ProcessLookupError):  # a purge may be over by now
            os.kill(pid, signal.SIGKILL)
        while (line := process.stdout.readline()) != "gone\n":
            lines.append(int(line))
        return lines


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    if not hasattr(os, "fork"):
        pytest.skip("Windows cannot fork; tests/windows ends a recorder there")
    server = Server()
    yield server
    assert server.process.stdin is not None
    server.process.stdin.close()
    assert server.process.wait(30) == 0


@pytest.mark.slow
def test_kill_while_recording_at_50_random_moments(server: Server, tmp_path: Path) -> None:
    rng = random.Random(2)
    sealed = parts = 0
    for run in range(50):
        segment_s = (0.005, 0.05, 10.0)[run % 3]
        root = tmp_path / str(run)
        seen = server.run_and_kill("record", root, segment_s, rng.uniform(0, 0.25))
        session = Session.open(root / "a-session")
        rows = list(session.rows())
        # One more may be on the disk than was acknowledged: killed between write and report.
        assert len(seen) <= len(rows) <= len(seen) + 1
        assert_rows(rows, list(range(len(rows))))
        assert session.info.ended == "interrupted"
        assert session.health.damaged == 0
        files = {path.name for path in session.path.glob("seg-*")}
        alone = [name for name in files if name.endswith(".part") and name[:-5] not in files]
        assert session.health.torn == len(alone)
        sealed += len(list(session.path.glob("*.arrow")))
        parts += len(list(session.path.glob("*.part")))
        session.purge()
        assert_rows(list(session.rows()), list(range(len(rows))))
        assert Session.open(session.path).health.text == "ok"
    assert sealed > 20, "no kill came during or after sealing"
    assert parts > 50, "no kill came before sealing"


def test_a_crash_between_rename_and_removal_of_the_part(tmp_path: Path) -> None:
    session = record(tmp_path, 30, segments=3)
    whole = {p.name: p.read_bytes() for p in session.path.glob("seg-*")}
    with SessionWriter(tmp_path, make_info("other"), 1e9) as writer:
        for i in range(10):
            writer.append(make_row(i))
        part = (writer.path / "seg-00000.arrow.part").read_bytes()
    (session.path / "seg-00000.arrow.part").write_bytes(part)
    (session.path / "seg-00002.arrow.tmp").write_bytes(whole["seg-00002.arrow"][:500])
    (session.path / "session.json.tmp").write_text("{")
    (session.path / ".lock").unlink(missing_ok=True)  # as in a copy
    before = {p.name: (p.read_bytes(), p.stat().st_mtime_ns) for p in session.path.iterdir()}
    session = Session.open(session.path)
    assert_rows(list(session.rows()), list(range(30)))
    assert session.health.text == "ok"
    after = {p.name: (p.read_bytes(), p.stat().st_mtime_ns) for p in session.path.iterdir()}
    assert after == before, "reading must not write"
    assert session.purge() == 0
    assert {p.name: p.read_bytes() for p in session.path.glob("seg-*")} == whole
    assert not list(session.path.glob("*.tmp"))


@pytest.mark.slow
def test_kill_while_purging_at_20_random_moments(server: Server, tmp_path: Path) -> None:
    rng = random.Random(3)
    unfinished = 0
    deleted = [(3, 60), (100, 101), (150, 180), (280, 300)]
    left = [i for i in range(300) if not any(a <= i < b for a, b in deleted)]
    template = record(tmp_path / "template", 300, segments=10)
    for start, stop in deleted:
        template.delete(start, stop)
    for run in range(20):
        session = Session.open(shutil.copytree(template.path, tmp_path / str(run)))
        server.run_and_kill("purge", session.path, 0, rng.uniform(0, 0.08))
        session = Session.open(session.path)
        assert_rows(list(session.rows()), left)
        assert session.health.damaged == session.health.torn == 0
        unfinished += session.deleted() == deleted
        session.purge()
        assert_rows(list(session.rows(include_deleted=True)), left)
        assert session.deleted() == []
        assert Session.open(session.path).health.text == "ok"
    assert unfinished > 0, "every purge was over before it was killed"


def append_noise(writer: SessionWriter, count: int) -> None:
    """Append the next rows of a kind that does not shrink, 786 kB each."""
    for _ in range(count):
        writer.append(make_row(2 * writer.frames + 1, 1024, 256))


@pytest.mark.parametrize("segment_s", [0.02, 1e9])
def test_a_full_disk_loses_nothing(disk: SmallDisk, segment_s: float) -> None:
    writer = SessionWriter(disk.path, make_info(width=1024, height=256), segment_s)
    append_noise(writer, 1)
    disk.fill()
    with pytest.raises(SessionError, match="disk full") as failure:
        append_noise(writer, 100)
    full_at = writer.frames
    assert full_at > 1
    message = f"disk full: {full_at} frames are safe in {writer.path}; free some space"
    assert str(failure.value) == message
    assert Session.open(writer.path).health.frames == full_at
    disk.free()
    append_noise(writer, 3)
    writer.close()
    session = Session.open(writer.path)
    assert session.health.frames == writer.frames == full_at + 3
    assert session.health.damaged == 0
    assert session.info.ended == "saved"
    for n, row in enumerate(session.rows()):
        assert row.frame.image.tobytes() == make_row(2 * n + 1, 1024, 256).frame.image.tobytes()


def test_closing_on_a_full_disk_loses_nothing(disk: SmallDisk) -> None:
    def play() -> None:
        with SessionWriter(disk.path, make_info(width=1024, height=256), 1e9) as writer:
            append_noise(writer, 1)
            disk.fill()
            append_noise(writer, 100)

    with pytest.raises(SessionError, match=r"disk full: \d+ frames are safe") as failure:
        play()
    session = SessionStore(disk.path).open("a-session")
    assert (session.health.live, session.health.damaged) == (False, 0)
    assert session.info.ended == "interrupted"
    assert f"disk full: {len(list(session.rows()))} frames" in str(failure.value)


def test_a_nearly_full_disk_is_refused_at_the_start(disk: SmallDisk) -> None:
    if not disk.mounted:
        pytest.skip("no file system can be mounted here")
    disk.fill()
    with pytest.raises(SessionError, match=r"only \d+ MB are free in .*: recording needs 50 MB"):
        SessionWriter(disk.path, make_info())
    assert [p.name for p in disk.path.iterdir()] == ["ballast"]
