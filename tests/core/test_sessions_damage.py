"""Sessions: damaged bytes cost the row they hit, never a wrong row, never the process."""

from __future__ import annotations

import os
import random
import subprocess
import sys
from pathlib import Path

import pytest
from autopilot.api.errors import SessionError
from autopilot.sessions.segments import scan
from autopilot.sessions.session import Session
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from support.sessions import HEIGHT, WIDTH, make_row, plain, record

ROWS = 12


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> Session:
    return record(tmp_path_factory.mktemp("sessions"), ROWS, segments=2)


def survivors(path: Path) -> list[int]:
    """The numbers of the rows that come out, each checked to be what was recorded."""
    rows = list(Session.open(path).rows())
    for row in rows:
        assert plain(row) == plain(make_row(row.index))
    numbers = [row.index for row in rows]
    assert numbers == sorted(set(numbers))
    return numbers


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.differing_executors])
@given(data=st.data())
def test_a_flipped_bit_costs_one_row_at_most(session: Session, data: st.DataObject) -> None:
    path = session.path / data.draw(st.sampled_from(["seg-00000.arrow", "seg-00001.arrow"]))
    whole = path.read_bytes()
    bit = data.draw(st.integers(0, 8 * len(whole) - 1))
    damaged = bytearray(whole)
    damaged[bit // 8] ^= 1 << bit % 8
    path.write_bytes(damaged)
    try:
        left = survivors(session.path)
        health = Session.open(session.path).health
    finally:
        path.write_bytes(whole)
    assert len(left) >= ROWS - 1
    assert health.frames == len(left)
    assert health.damaged == ROWS - len(left)
    assert health.text == "ok" or "damaged frames: 1" in health.text or health.torn


def test_every_bit_of_one_header(tmp_path: Path) -> None:
    whole = (record(tmp_path, 3).path / "seg-00000.arrow").read_bytes()
    mark = b"\xff\xff\xff\xff"
    schema = whole.index(mark)
    first = whole.index(mark, schema + 8)
    start = whole.index(mark, first + 8)
    size = int.from_bytes(whole[start + 4 : start + 8], "little")
    expected = [plain(make_row(i)) for i in range(3)]
    for bit in range(8 * start, 8 * (start + 8 + size)):
        damaged = bytearray(whole)
        damaged[bit // 8] ^= 1 << bit % 8
        rows = [found.row(HEIGHT, WIDTH) for found in scan(bytes(damaged))]
        assert [row.index for row in rows] in ([0, 2], [0, 1, 2])
        assert all(plain(row) == expected[row.index] for row in rows)


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.differing_executors])
@given(size=st.integers(0, 10**9), part=st.booleans())
@example(size=6, part=False)  # the file's first word, which is its last as well
def test_a_truncated_segment_keeps_what_came_before(session: Session, size: int, part: bool) -> None:
    path = session.path / "seg-00001.arrow"
    whole = path.read_bytes()
    size %= len(whole)
    cut = path.with_suffix(".arrow.part") if part else path
    path.unlink()
    cut.write_bytes(whole[:size])
    try:
        left = survivors(session.path)
        health = Session.open(session.path).health
    finally:
        cut.unlink()
        path.write_bytes(whole)
    assert left == list(range(len(left)))
    # The rows of a segment differ in size, so count those that end before the cut.
    assert len(left) >= ROWS // 2
    assert (health.frames, health.damaged, health.torn) == (len(left), ROWS - len(left), 1)


def test_a_hole_of_zeros_costs_what_it_covers(session: Session) -> None:
    path = session.path / "seg-00000.arrow"
    whole = path.read_bytes()
    try:
        path.write_bytes(whole[:4096] + bytes(2048) + whole[6144:])
        left = survivors(session.path)
        assert 0 < ROWS - len(left) <= 4
        assert Session.open(session.path).health.damaged == ROWS - len(left)
        path.write_bytes(b"")
        assert survivors(session.path) == list(range(ROWS // 2, ROWS))
        path.unlink()
        assert Session.open(session.path).health.damaged == ROWS // 2
    finally:
        path.write_bytes(whole)


def test_damaged_edits_are_named(session: Session) -> None:
    path = session.path / "edits.json"
    path.write_text('{"format": 1, "deleted": [[1')
    try:
        with pytest.raises(SessionError, match=r"edits\.json is damaged: delete that file"):
            len(Session.open(session.path))
    finally:
        path.unlink()
    assert len(Session.open(session.path)) == ROWS


FUZZ = """
import random, sys
from pathlib import Path
from autopilot.sessions.segments import scan
from support.sessions import make_row, plain, WIDTH, HEIGHT

if sys.platform != "win32":
    import resource
    resource.setrlimit(resource.RLIMIT_AS, (8 << 30, 8 << 30))
whole = Path(sys.argv[1]).read_bytes()
rng = random.Random(int(sys.argv[2]))
for n in range(int(sys.argv[3])):
    data = bytearray(whole)
    for _ in range(rng.choice([1, 2, 5, 50])):
        at, kind = rng.randrange(len(data) or 1), rng.randrange(6)
        if kind == 0:
            data[at : at + 1] = bytes([rng.choice([0, 1, 127, 128, 255])])
        elif kind == 1 and data:
            data[at] ^= 1 << rng.randrange(8)
        elif kind == 2:
            data[at : at + 4] = rng.randbytes(4)
        elif kind == 3:
            at -= at % 4
            data[at : at + 8] = rng.choice([b"\\xff" * 8, b"\\0" * 8, b"\\xff" * 7 + b"\\x7f"])
        elif kind == 4:
            del data[at : at + rng.choice([1, 4, 8, 64])]
        else:
            del data[max(at, 64) :]
    for record in scan(bytes(data)):
        row = record.row(HEIGHT, WIDTH)
        assert plain(row) == plain(make_row(row.index)), n
print("survived", n + 1)
"""


@pytest.mark.slow
def test_thousands_of_damaged_files_cannot_crash_the_process(session: Session) -> None:
    path = {"PYTHONPATH": str(Path(__file__).parents[1])}
    count, seed = "4000", str(random.Random(4).randrange(1000))
    done = subprocess.run(
        [sys.executable, "-c", FUZZ, str(session.path / "seg-00000.arrow"), seed, count],
        capture_output=True,
        text=True,
        env=os.environ | path,
        timeout=250,
    )
    assert (done.returncode, done.stdout) == (0, f"survived {count}\n"), done.stderr[-2000:]
