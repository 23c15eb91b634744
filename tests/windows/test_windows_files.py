"""Files that somebody has open or mapped, on Windows: written, replaced and removed all the same."""

from __future__ import annotations

import time

import pytest
from support.windows import Agent
from support.wine import ROOT, windows_path

READER = """
import threading, time
going = True
def read(path, has_s, has_not_s):
    while going:
        try:
            with open(path, "rb") as f:
                f.read(); time.sleep(has_s)
        except OSError:
            pass
        time.sleep(has_not_s)
# One as ours read, often; one that looks at what it has, such as a virus scanner.
for has_s, has_not_s in ((0, 0.01), (0.1, 0.2)):
    threading.Thread(target=read, args=({!r}, has_s, has_not_s), daemon=True).start()
"""


@pytest.fixture(scope="module")
def other(environment):
    return Agent(environment)


@pytest.fixture
def folder(agent, tmp_path):
    """A folder as Windows knows it, with a session of 60 rows."""
    path = windows_path(tmp_path)
    code = f"""
import sys
from pathlib import Path
sys.path.insert(0, {windows_path(ROOT / "tests")!r})
from support.sessions import record
from autopilot.sessions.session import Session
folder = Path({path!r})
record(folder / "sessions", 60)
(at,) = (folder / "sessions").iterdir()
result = str(at)
"""
    agent.do(code)
    return path


def test_a_file_is_replaced_again_and_again_beside_readers_that_have_it_open(agent, other, tmp_path):
    path = windows_path(tmp_path / "session.json")
    writes = f"""
from pathlib import Path
from autopilot.sessions.home import write_json
failed = 0
for i in range(268):
    try: write_json(Path({path!r}), {{"i": i}})
    except OSError: failed += 1
result = failed
"""
    agent.do(f"open({path!r}, 'w').close()")
    other.do(READER.format(path))
    assert agent.do(writes) == 0
    other.do("going = False")


def test_edits_are_saved_and_rows_purged_while_another_program_reads_the_session(agent, other, folder):
    other.do(READER.format(agent.do("result = str(at / 'edits.json')")))
    done = """
session = Session.open(at, folder / "cache/index/one.arrow")
for i in range(10): session.delete(i, i + 1)
before = len(session)
removed = session.purge()
result = [before, removed, Session.open(at, folder / "cache/index/one.arrow").health.text]
"""
    assert agent.do(done) == [50, 10, "ok"]
    other.do("going = False")


def test_an_index_and_a_cache_that_another_program_has_mapped_are_made_anew(agent, other, folder):
    read = f"""
from pathlib import Path
from autopilot.bundle.preprocess import Preprocess
from autopilot.sessions.cache import cached
from autopilot.sessions.session import Session
folder = Path({folder!r})
(at,) = (folder / "sessions").iterdir()
session = Session.open(at, folder / "cache/index/one.arrow")
size = (session.info.width, session.info.height)
frames, rows = cached(session, folder / "cache", "as it is", size, lambda image: image)
result = [len(frames), len(rows), int(frames.images.sum())]
"""
    first = other.do(read)
    assert first[0] == 60
    agent.do("Session.open(at).delete(0, 20)")
    begun = time.monotonic()
    assert agent.do(read)[:2] == [40, 40]
    assert time.monotonic() - begun < 20
    assert other.do("result = [len(frames), len(rows), int(frames.images.sum())]") == first, "what is mapped stays"


def test_a_bundle_is_replaced_while_another_program_reads_its_weights_for_a_moment(agent, other, tmp_path):
    target = windows_path(tmp_path / "bundles" / "coco")
    save = f"""
import numpy as np
from autopilot.sessions.home import put_in_place
from pathlib import Path
def save(text):
    part = Path({target!r}).with_name(".coco.part"); part.mkdir(parents=True)
    (part / "weights").write_text(text)
    put_in_place(part, Path({target!r}), Path({target!r}).with_name(".coco.old"))
save("1")
"""
    agent.do(save)
    hold = "import threading, time\nf = open({!r}, 'rb')\nthreading.Timer(0.7, f.close).start()"
    other.do(hold.format(target + "\\weights"))
    assert agent.do(f"save('2'); result = Path({target!r}, 'weights').read_text()") == "2"


def test_a_recorder_that_is_ended_leaves_every_row_that_it_had_taken(environment, agent, tmp_path):
    home = windows_path(tmp_path)
    code = f"""
import sys
sys.path.insert(0, {windows_path(ROOT / "tests")!r})
from pathlib import Path
from autopilot.sessions.writer import SessionWriter
from support.sessions import make_info, make_row
writer = SessionWriter(Path({home!r}) / "sessions", make_info(), 0.2)
for i in range(500): writer.append(make_row(i))
"""
    victim = Agent(environment)
    victim.do(code)
    victim.begin("import ctypes; ctypes.windll.kernel32.TerminateProcess(ctypes.c_void_p(-1), 1)")
    assert victim.wait(120) != 0
    check = f"""
from pathlib import Path
from autopilot.sessions.session import Session
(at,) = (Path({home!r}) / "sessions").iterdir()
session = Session.open(at)
result = [len(session), session.info.ended, session.health.damaged]
"""
    assert agent.do(check) == [500, "interrupted", 0]
