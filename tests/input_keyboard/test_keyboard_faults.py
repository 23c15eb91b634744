"""Back-ends and pipes that fail in the worst ways, on a real X server: nothing stays down, nothing stays alive."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from autopilot.api.errors import DeviceError
from autopilot.desktop.emitter import REPLACEMENTS, Emitter

BACKEND = "faulty:Faulty"
BINDINGS = {"left": "left", "go": "x"}
GO, BOTH = frozenset({"go"}), frozenset({"left", "go"})

FAULTY = """
import ctypes, gc, os, select, subprocess, sys, threading, time
from pathlib import Path
from autopilot_input_keyboard.backends import X11Keys

FAULT, FOLDER = os.environ["FAULT"], Path(__file__).parent
GUARD = sys.argv[1] == "--guard"
(FOLDER / f"pid-{os.getpid()}").touch()


def first(fault):  # whether this is the fault, and it is the first time
    try:
        (FOLDER / fault).touch(exist_ok=False)
    except FileExistsError:
        return False
    return FAULT == fault


def noise():
    print("noise: print")
    os.write(1, b"noise: write\\n")
    ctypes.CDLL(None).puts(b"noise: puts")
    ctypes.CDLL(None).fflush(None)
    subprocess.run(["echo", "noise: echo"])
    if sys.stdin.read() + os.read(0, 100).decode():
        raise RuntimeError("a back-end has read what was not for it")


def hang():
    if FAULT.endswith("alone"):
        ctypes.PyDLL(None).sleep(1000)  # no other thread runs meanwhile
    time.sleep(1000)


def put_epoll_over(descriptor):  # a write to it is EINVAL, as one to a broken pipe is on Windows
    with select.epoll() as epoll:
        os.dup2(epoll.fileno(), descriptor)


def own(kind):
    return next(o for o in gc.get_objects() if (type(o).__module__, type(o).__name__) == ("__main__", kind))


if FAULT == "noise":
    noise()


class Faulty(X11Keys):
    sticky = not FAULT.startswith("pad")

    def __init__(self, names):
        super().__init__(names)
        if FAULT == "noise":
            noise()
        if FAULT.startswith("hang made") or (FAULT == "hang guard" and GUARD):
            hang()
        if FAULT == "stay":
            threading.Thread(target=time.sleep, args=(1000,)).start()

    def press(self, name):
        super().press(name)
        if name != "x":
            return
        self.flush()
        if FAULT == "noise":
            noise()
        if FAULT.startswith(("hang press", "pad press")):
            hang()
        if FAULT == "guards" or first("guard"):
            guard = own("Guard")
            put_epoll_over(guard._process.stdin.fileno())
            guard._process.kill()
        if first("answers"):
            put_epoll_over(own("Parent")._answers)

    def release(self, name):
        if FAULT == "release" and not GUARD and name == "x" and self._down():
            raise KeyError("x")
        super().release(name)

    def _down(self):
        return any(self._display.query_keymap())
"""

DRIVER = """
import sys, time
from autopilot.desktop.emitter import Emitter
emitter = Emitter("faulty:Faulty", {"left": "left", "go": "x"}, 60)
print(*emitter.pids, flush=True)
for held in (["left"], ["left", "go"]):
    emitter.hold(frozenset(held))
print(flush=True)
time.sleep(60)
"""


@pytest.fixture
def fault(tmp_path, monkeypatch):
    """Says what the back-end's fault is; returns the folder in which it leaves its marks."""
    (tmp_path / "faulty.py").write_text(FAULTY)
    path = filter(None, [str(tmp_path), os.environ.get("PYTHONPATH")])
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(path))

    def choose(name):
        monkeypatch.setenv("FAULT", name)
        return tmp_path

    yield choose
    for pid in alive(tmp_path):
        os.kill(pid, signal.SIGKILL)


@pytest.fixture
def driver():
    """Starts drivers in processes of their own, that hold one key, then two."""
    started = []

    def start():
        started.append(subprocess.Popen([sys.executable, "-c", DRIVER], stdout=subprocess.PIPE, text=True))
        return started[-1]

    yield start
    for one in started:
        one.kill()
        one.wait()
        one.stdout.close()


def alive(folder):
    """The processes in which the back-end was loaded, those left out that ended."""
    pids = [int(path.name.removeprefix("pid-")) for path in folder.glob("pid-*")]
    return [pid for pid in pids if Path(f"/proc/{pid}").exists() and "\nState:\tZ" not in status(pid)]


def status(pid):
    try:
        return Path(f"/proc/{pid}/status").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return "\nState:\tZ"


def test_a_guard_whose_pipe_breaks_as_on_windows_is_replaced_while_nothing_is_down(
    fault, desktop, driver, wait_until, capfd
):
    folder = fault("guard")
    process = driver()
    owner, guard = map(int, process.stdout.readline().split())
    wait_until(lambda: guard not in alive(folder), 10)
    wait_until(lambda: desktop.down() == set(), 2)
    wait_until(lambda: desktop.down() == {"Left", "x"}, 10)
    assert capfd.readouterr().err == "autopilot: everything released: the guard of the keys was ended\n"
    os.kill(process.pid, signal.SIGSTOP)  # so that only the new guard can release
    os.kill(owner, signal.SIGKILL)
    wait_until(lambda: desktop.down() == set(), 2)


def test_guards_that_are_ended_again_and_again_are_given_up_with_nothing_down(fault, desktop, wait_until, caplog):
    folder = fault("guards")
    emitter = Emitter(BACKEND, BINDINGS, 60)
    emitter.hold(BOTH)
    wait_until(lambda: emitter._process.ended, 20)
    with pytest.raises(DeviceError, match="the guard of the keys was ended 6 times: what ends it"):
        emitter.hold(BOTH)
    assert desktop.down() == set()
    assert emitter.replaced == 0
    emitter.close()
    wait_until(lambda: alive(folder) == [], 2)
    assert len(list(folder.glob("pid-*"))) == 2 + REPLACEMENTS


def test_an_owner_whose_answers_cannot_be_sent_is_replaced(fault, desktop, wait_until):
    folder = fault("answers")
    emitter = Emitter(BACKEND, BINDINGS)
    emitter.hold(BOTH)
    assert emitter.replaced == 1
    assert desktop.down() == {"Left", "x"}
    emitter.close()
    assert desktop.down() == set()
    wait_until(lambda: alive(folder) == [], 2)


@pytest.mark.parametrize("then", ["hold", "beat", "close"])
def test_a_driver_whose_pipe_breaks_as_on_windows_gets_a_new_owner(fault, desktop, wait_until, caplog, then):
    folder = fault("none")
    emitter = Emitter(BACKEND, BINDINGS, 60)
    emitter.hold(BOTH)
    pipe = emitter._process._popen.stdin.fileno()
    kept = os.dup(pipe)  # so that the owner sees no end of its input
    with select.epoll() as epoll:
        os.dup2(epoll.fileno(), pipe)
    if then == "hold":
        emitter.hold(GO)
        assert desktop.down() == {"x"}
        assert "was ended, a new one took over" in caplog.text
    elif then == "beat":  # which is silent, so that the owner lets go
        wait_until(lambda: desktop.down() == set(), 2)
        emitter.hold(GO)
        emitter._last_hold -= 60
        wait_until(lambda: "no decision for " in caplog.text, 2)
    os.close(kept)
    emitter.close()
    assert desktop.down() == set()
    wait_until(lambda: alive(folder) == [], 2)


def test_a_key_whose_release_fails_keeps_no_other_one_down(fault, desktop, wait_until):
    folder = fault("release")
    emitter = Emitter(BACKEND, BINDINGS, 60, "evil: device 'wheel'")
    emitter.hold(BOTH)
    with pytest.raises(DeviceError, match=r"^evil: device 'wheel': release: KeyError: 'x'$"):
        emitter.hold(frozenset())
    wait_until(lambda: desktop.down() == set(), 2)
    emitter.close()
    wait_until(lambda: alive(folder) == [], 2)


def test_a_backend_that_prints_and_reads_meets_none_of_the_protocol(fault, desktop, wait_until, capfd):
    folder = fault("noise")
    (folder / "sitecustomize.py").write_text("print('before all', '3', '[', '{}}', sep='\\n', flush=True)")
    emitter = Emitter(BACKEND, BINDINGS)
    emitter.hold(BOTH)
    assert desktop.down() == {"Left", "x"}
    emitter.close()
    wait_until(lambda: alive(folder) == [], 2)
    out, err = capfd.readouterr()
    assert out == ""
    for how in ("print", "write", "puts", "echo"):
        assert err.count(f"noise: {how}\n") >= 5, "imported and made twice, pressed once"


@pytest.mark.parametrize("name", ["hang made", "hang made alone", "hang guard"])
def test_a_device_that_hangs_while_it_is_opened_has_a_deadline(fault, desktop, wait_until, monkeypatch, name):
    folder = fault(name)
    monkeypatch.setattr("autopilot.desktop.emitter.START_S", 2)
    begun = time.monotonic()
    with pytest.raises(DeviceError, match=r"^evil: device 'wheel' gives no answer for 2 s while it is opened"):
        Emitter(BACKEND, BINDINGS, who="evil: device 'wheel'")
    assert time.monotonic() - begun < 6
    # The guard's time to release is longer: what it opens may just be slow.
    wait_until(lambda: alive(folder) == [], 14)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "seconds"), [("hang made", 2), ("hang made alone", 40), ("hang press", 2), ("pad press", 2), ("stay", 2)]
)
def test_an_owner_that_hangs_ends_with_its_driver(fault, desktop, driver, wait_until, name, seconds):
    folder = fault(name)
    process = driver()
    wait_until(lambda: len(alive(folder)) >= 1, 10)
    if "made" not in name:
        wait_until(lambda: desktop.down() == {"Left", "x"}, 10)
    process.kill()
    wait_until(lambda: alive(folder) == [], seconds)
    if name == "pad press":  # the server is no kernel, which takes the keys back
        desktop.release("Left")
        desktop.release("x")


@pytest.mark.parametrize("name", ["hang press alone", "pad press", "pad press alone"])
def test_an_owner_that_hangs_in_a_press_ends_also_when_its_driver_is_stopped(fault, desktop, driver, wait_until, name):
    folder = fault(name)
    process = driver()
    owner = int(process.stdout.readline().split()[0])
    wait_until(lambda: desktop.down() == {"Left", "x"}, 10)
    os.kill(process.pid, signal.SIGSTOP)
    wait_until(lambda: owner not in alive(folder), 2.5)
    if name.startswith("pad"):
        desktop.release("Left")
        desktop.release("x")
    wait_until(lambda: desktop.down() == set(), 1)
