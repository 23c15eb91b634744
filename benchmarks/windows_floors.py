"""Keys on Windows, under Wine: who dies while keys are held, whose presses are whose, labels, taking the wheel.

A window of a Windows program logs the keys that come to it; a human plays at the X server's keyboard. Wine and what
it runs are set up by `make test-windows`. Times are of the wall clock that both worlds share.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import sys
import tempfile
import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from support import wine
from support.windows import LAMP, LAMPS, Agent, Game, Human, Program

KILLER = """
import ctypes, time
kernel, ntdll = ctypes.windll.kernel32, ctypes.windll.ntdll
kernel.OpenProcess.restype = ctypes.c_void_p
kernel.OpenProcess.argtypes = [ctypes.c_ulong, ctypes.c_int, ctypes.c_ulong]
kernel.TerminateProcess.argtypes = [ctypes.c_void_p, ctypes.c_uint]
for name in ("NtSuspendProcess", "NtResumeProcess"): getattr(ntdll, name).argtypes = [ctypes.c_void_p]
kernel.CloseHandle.argtypes = [ctypes.c_void_p]
def each(pids, do):
    handles = [kernel.OpenProcess(0x1F0FFF, 0, pid) for pid in pids]
    begun = time.time()
    for handle in handles: do(handle)
    for handle in handles: kernel.CloseHandle(handle)
    return begun
def killed(pids): return each(pids, lambda h: kernel.TerminateProcess(h, 1))
def suspended(pids): return each(pids, ntdll.NtSuspendProcess)
def resumed(pids): return each(pids, ntdll.NtResumeProcess)
"""
DRIVER = """
import os
from autopilot.desktop.emitter import Emitter
from autopilot_input_keyboard.reader import open_reader
KEYS = {key: key for key in %r}
emitter = Emitter("autopilot_input_keyboard.backends:open_backend", KEYS, patience_s=300)
def hold(*controls): emitter.hold(frozenset(controls))
"""
DEATHS = {
    "driver killed": ("killed", [0]),
    "driver suspended": ("suspended", [0]),
    "emitter killed": ("killed", [1]),
    "emitter suspended": ("suspended", [1]),
    "guard killed, then driver": ("killed", [2]),
    "guard suspended, then emitter killed": ("suspended", [2]),
    "emitter and guard killed": ("killed", [1, 2]),
    "driver and emitter killed": ("killed", [0, 1]),
}
"""Kind -> how, and whom of driver, emitter and guard."""

AFTERWARDS = {"guard killed, then driver": [0], "guard suspended, then emitter killed": [1]}
"""Who is killed a second later: keys that are in order stay down until then."""


def spread(values: list[float]) -> dict[str, float]:
    values = sorted(values)
    at = {"median": 0.5, "p99": 0.99, "max": 1.0}
    return {name: round(values[min(len(values) - 1, int(len(values) * part))], 2) for name, part in at.items()}


class World:
    """A game with the focus, and one who can kill."""

    def __init__(self, environment: dict[str, str]) -> None:
        self.environment = environment
        self.game = Game(environment)
        self.killer = Agent(environment)
        self.killer.do(KILLER)

    def human(self) -> Human:
        return Human(self.environment["DISPLAY"])


class Driver:
    """Somebody who can hold keys, with an emitter that is good for a few deaths."""

    def __init__(self, world: World) -> None:
        self.agent = Agent(world.environment)
        self.agent.do(DRIVER % (list(LAMPS),))
        self.deaths = 0

    def pids(self) -> list[int]:
        return list(self.agent.do("result = [os.getpid(), *emitter.pids]"))

    def renew(self) -> None:
        self.agent.do("emitter.close()\n" + DRIVER % (list(LAMPS),))
        self.deaths = 0


def deaths(world: World, kind: str, count: int, limit_s: float) -> dict[str, Any]:
    """Let a driver die so often while it holds keys; count how often a key is down `limit_s` later."""
    how, whom = DEATHS[kind]
    game, killer, driver = world.game, world.killer, None
    rng, late, stuck = random.Random(kind), [], 0
    for _ in range(count):
        driver = driver or Driver(world)
        if driver.deaths == 4:
            driver.renew()
        game.forget()
        driver.agent.do("hold('left', 'x', 'k')")
        game.until(lambda: game.down == {"left", "x", "k"}, 10)
        time.sleep(rng.uniform(0, 0.15))
        pids = driver.pids()
        begun = killer.do(f"result = {how}({[pids[i] for i in whom]})")
        suspended = [pids[i] for i in whom] if how == "suspended" else []
        if kind in AFTERWARDS:
            time.sleep(1)
            begun = killer.do(f"result = killed({[pids[i] for i in AFTERWARDS[kind]]})")
        time.sleep(limit_s + 0.3)
        stuck += bool(game.down_at(begun + limit_s))
        game.until(lambda: not game.down, 20)
        late.append((game.messages[-1]["t"] - begun) * 1e3)
        driver.deaths += 1
        if suspended:
            killer.do(f"resumed({suspended})")
        if 0 in whom or 0 in AFTERWARDS.get(kind, []):
            killer.do(f"killed([{pids[0]}])")
            driver = None
    if driver is not None:
        driver.agent.do("emitter.close()")
        killer.do(f"killed([{driver.pids()[0]}])")
    return {"deaths": count, "keys_still_down": stuck, "released_after_ms": spread(late)}


PRESSES = """
import random, threading, time
reader = open_reader(KEYS, {}, emitter.ours)
rng, seen, own, going = random.Random(1), [], 0, True
def watch():
    while going:
        seen.append((time.time(), sorted(reader.held())))
        time.sleep(1 / 60)
watcher = threading.Thread(target=watch); watcher.start()
def press(until):
    global own
    last = frozenset()
    while time.time() < until:
        fresh = frozenset(key for key in ("left", "right", "x", "k") if rng.random() < 0.4)
        emitter.hold(fresh); own += len(fresh - last); last = fresh
        time.sleep(rng.uniform(0, 0.02))
    return own
"""
LABELS = 0.995
"""How many rows off key changes must have the keys of their own picture."""

HUMAN_KEYS = ("left", "x", "e", "down")


def presses(world: World, count: int) -> dict[str, Any]:
    """Press ours and a human's keys at once, partly the same ones, until each was pressed `count` times."""
    driver, human, rng = Driver(world), world.human(), random.Random(2)
    driver.agent.do(PRESSES)
    spans: list[tuple[str, float, float]] = []
    own = 0
    while own < count or len(spans) < count:
        driver.agent.begin("result = press(time.time() + 5)")
        until = time.time() + 5
        while time.time() < until:
            key, begun = rng.choice(HUMAN_KEYS), time.time()
            human.tap(key, rng.uniform(0.02, 0.06))
            spans.append((key, begun, time.time()))
            time.sleep(rng.uniform(0.005, 0.02))
        own = driver.agent.answer()
        world.game.forget()
    time.sleep(0.5)
    seen = driver.agent.do("going = False; watcher.join(); reader.close(); emitter.close(); result = seen")
    human.close()
    world.killer.do(f"killed([{driver.agent.do('result = os.getpid()')}])")
    return {"own_presses": own, "human_presses": len(spans)} | compare(spans, seen)


def compare(spans: list[tuple[str, float, float]], seen: list[tuple[float, list[str]]]) -> dict[str, Any]:
    """Say which of the human's presses were never read, and which reads were of nobody's.

    A read tells of all since the one before, however long a busy machine has kept it waiting.
    """
    slack, lost, start = 0.25, 0, 0
    for key, begun, ended in spans:
        while start < len(seen) and seen[start][0] < begun:
            start += 1
        stop = start
        while stop < len(seen) - 1 and seen[stop][0] < ended + slack:
            stop += 1
        lost += not any(key in held for _, held in seen[start : stop + 1])
    foreign, at = 0, 0
    for (before, _), (t, held) in pairwise(seen):
        while at < len(spans) and spans[at][2] < before - slack:
            at += 1
        theirs = {key for key, begun, _ in spans[at : at + 200] if begun < t}
        foreign += bool(set(held) - theirs)
    gaps = [b[0] - a[0] for a, b in pairwise(seen)]
    figures = {"human_presses_lost": lost, "reads": len(seen), "reads_of_nobodys_key": foreign}
    return figures | {"longest_wait_for_a_read_ms": round(max(gaps) * 1e3)}


def labels(world: World, hz: int, seconds: float) -> dict[str, Any]:
    """Record a human by `autopilot record`; compare each row's keys with the lamps in its own picture."""
    from autopilot.sessions.session import Session

    human, rng, home = world.human(), random.Random(hz), tempfile.mkdtemp()
    options = f"--game ctr --track coco --driver anna --mode N --hz {hz} --profile duckstation"
    window = ["--window", "Windows Racing", "--home", wine.windows_path(Path(home))]
    recorder = Program(world.environment, "-m", "autopilot", "record", *options.split(), *window)
    folder = Path(home, "sessions")
    recorder.until(lambda: list(folder.glob("*/seg-*")), 300)
    until = time.time() + seconds
    while time.time() < until:
        key = rng.choice(("left", "right", "k", "j", "q", "e"))
        human.touch(key, key not in human.held)
        time.sleep(rng.uniform(0.05, 0.6))
    human.let_go()
    human.tap("o", 0.2)
    status = recorder.wait(120)
    human.close()
    (path,) = folder.iterdir()
    session = Session.open(path)
    keys = {"left": "left", "right": "right", "accelerate": "k", "brake": "j", "slide_left": "q", "slide_right": "e"}
    rows = []
    for row in session.rows():
        scale = row.frame.image.shape[1] / (len(LAMPS) * LAMP)
        x = [int((i + 0.5) * LAMP * scale) for i in range(len(LAMPS))]
        lit = {name for name, at in zip(LAMPS, x, strict=True) if row.frame.image[int(LAMP * scale), at].min() > 150}
        rows.append((lit & set(keys.values()), {keys[c] for c in row.held}, row.frame.t_ns / 1e9))
    steady = [i for i in range(1, len(rows) - 1) if rows[i - 1][0] == rows[i][0] == rows[i + 1][0]]
    right = sum(rows[i][0] == rows[i][1] for i in steady)
    return {
        "status": status,
        "ended": session.info.ended,
        "rows": len(rows),
        "rate_hz": round((len(rows) - 1) / (rows[-1][2] - rows[0][2]), 2),
        "rows_off_key_changes": len(steady),
        "of_them_right": right,
        "right_in_all_rows": sum(lit == held for lit, held, _ in rows),
    }


def takeovers(world: World, count: int) -> dict[str, Any]:
    """Ticks from the human's press of a key that the policy holds to the policy's last event."""
    game, human, rng = world.game, world.human(), random.Random(4)
    home = wine.windows_path(Path(tempfile.mkdtemp()))
    drive = Program(world.environment, str(wine.ROOT / "tests/windows/drive.py"), home, "Windows Racing")
    drive.until(lambda: drive.messages, 300)
    last, again, kept = [], [], 0
    for _ in range(count):
        game.until(lambda: "k" in game.down, 30)
        time.sleep(rng.uniform(0.3, 0.5))
        begun = time.time()
        human.touch("k", True)
        time.sleep(rng.uniform(0.5, 0.8))
        kept += game.down == {"k"}
        ended = time.time()
        last.append(max((e["t"] - begun for e in game.messages[1:] if begun < e["t"] < ended), default=0.0) * 10)
        human.touch("k", False)
        game.until(lambda since=ended: any(e["t"] > since and e["down"] for e in game.messages[1:]), 30)
        again.append((next(e["t"] for e in game.messages[1:] if e["t"] > ended and e["down"]) - ended) * 1e3)
    human.tap("p", 0.2)
    drive.wait(60)
    human.close()
    figures = {"last_event_ticks_of_100_ms": spread(last), "handed_back_after_ms": spread(again)}
    return {"takeovers": count, "only_the_humans_key_down": kept} | figures


def below(figures: dict[str, Any]) -> Iterator[str]:
    """Yield what is not as it has to be."""
    for what, its in figures.items():
        if not isinstance(its, dict):
            continue
        for name in ("keys_still_down", "human_presses_lost", "reads_of_nobodys_key"):
            if its.get(name):
                yield f"{what}: {name} {its[name]}"
        if its.get("of_them_right", 0) < LABELS * its.get("rows_off_key_changes", 0):
            yield f"{what}: {its['of_them_right']} of {its['rows_off_key_changes']} right"
        if its.get("only_the_humans_key_down", 0) < its.get("takeovers", 0):
            yield f"{what}: the policy held something in {its['takeovers'] - its['only_the_humans_key_down']} takeovers"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--deaths", type=int, default=5, help="of each kind")
    parser.add_argument("--limit", type=float, default=0.5, help="seconds after which no key may be down")
    parser.add_argument("--presses", type=int, default=500)
    parser.add_argument("--labels", type=float, default=20, help="seconds at each of 10 and 30 Hz")
    parser.add_argument("--takeovers", type=int, default=5)
    options = parser.parse_args()
    if missing := wine.missing():
        raise SystemExit(f"missing: {', '.join(missing)} (Debian packages)")
    wine.prepare()
    figures: dict[str, Any] = {"cores": os.cpu_count()}
    with wine.display() as environment:
        try:
            world = World(environment)
            for kind in DEATHS if options.deaths else ():
                figures[kind] = deaths(world, kind, options.deaths, options.limit)
                print(kind, figures[kind], file=sys.stderr, flush=True)
            if options.presses:
                figures["presses"] = presses(world, options.presses)
            for hz in (10, 30) if options.labels else ():
                figures[f"labels at {hz} Hz"] = labels(world, hz, options.labels)
            if options.takeovers:
                figures["takeover"] = takeovers(world, options.takeovers)
        finally:
            figures["load"] = round(os.getloadavg()[0], 1)
            print(json.dumps(figures, indent=2), flush=True)
            wine.stop()
    if broken := list(below(figures)):
        raise SystemExit(f"below the floors: {'; '.join(broken)}")


if __name__ == "__main__":
    main()
