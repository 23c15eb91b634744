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
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
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
from autopilot_input_keyboard.reader import open_reader  # as every drive does
KEYS = {key: key for key in %r}
emitter = Emitter("autopilot_input_keyboard.backends:open_backend", KEYS, patience_s=300)
def hold(*controls):
    emitter.replaced = 0  # however often: here something does end them on purpose
    emitter.hold(frozenset(controls))
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
"""Who is killed within the second after that: keys that are in order stay down until then."""

LANES = (LAMPS[0:3], LAMPS[3:6], LAMPS[6:9], LAMPS[9:12])
"""The keys of drivers that live and die beside each other: one starts for seconds, mostly waiting for Wine."""


def spread(values: list[float]) -> dict[str, float]:
    values = sorted(values)
    at = {"median": 0.5, "p99": 0.99, "max": 1.0}
    return {name: round(values[min(len(values) - 1, int(len(values) * part))], 2) for name, part in at.items()}


class World:
    """A game with the focus, and one who can kill."""

    def __init__(self, environment: dict[str, str]) -> None:
        self.environment = environment
        self.game = Game(environment)
        self._killer = Agent(environment)
        self._killer.do(KILLER)
        self._lock = threading.Lock()

    def human(self) -> Human:
        return Human(self.environment["DISPLAY"])

    def act(self, how: str, pids: list[int]) -> float:
        """Let processes be killed, suspended or resumed; return when that began."""
        with self._lock:
            return float(self._killer.do(f"result = {how}({pids})"))


class Driver:
    """Somebody who can hold some keys."""

    def __init__(self, world: World, keys: tuple[str, ...]) -> None:
        self.agent = Agent(world.environment)
        self.pid = int(self.agent.do("import os; result = os.getpid()"))
        self.agent.do(DRIVER % (list(keys),))

    def pids(self) -> list[int]:
        return list(self.agent.do("result = [os.getpid(), *emitter.pids]"))


class Lane:
    """Drivers with the same keys, one after the other; `late` and `stuck` are of those that died."""

    def __init__(self, world: World, keys: tuple[str, ...]) -> None:
        self.world, self.keys, self.rng = world, keys, random.Random(keys[0])
        self.driver: Driver | None = None

    def down_at(self, since: int, t: float = float("inf")) -> set[str]:
        """Return which of its keys are down at a time, by the game's messages from one on."""
        down: set[str] = set()
        for event in self.world.game.messages[since:]:
            if event["key"] in self.keys and event["t"] <= t:
                (down.add if event["down"] else down.discard)(event["key"])
        return down

    def die(self, kind: str, limit_s: float) -> tuple[float, bool]:
        """Let one die while it holds keys; return after how many ms the last was up, and if one was down at the limit.

        One that a busy machine had made release before its time dies for nothing, and another one after it.
        """
        for _ in range(20):
            try:
                if (death := self._die(kind, limit_s)) is not None:
                    return death
            except RuntimeError as e:  # an emitter that could not be opened in time, on a busy machine
                print(f"{kind}: {str(e).splitlines()[-1]}", file=sys.stderr, flush=True)
                self.world.act("killed", [self.driver.pid] if self.driver else [])
                self.driver = None
        raise SystemExit(f"{kind}: the machine is too busy")

    def _die(self, kind: str, limit_s: float) -> tuple[float, bool] | None:
        world, game = self.world, self.world.game
        how, whom = DEATHS[kind]
        driver = self.driver = self.driver or Driver(world, self.keys)
        since = len(game.messages)
        driver.agent.do(f"hold{self.keys}")
        game.until(lambda: self.down_at(since) == set(self.keys), 30)
        time.sleep(self.rng.uniform(0, 0.15))
        pids = driver.pids()
        deaths = [world.act(how, [pids[i] for i in whom])]
        if kind in AFTERWARDS:
            time.sleep(self.rng.uniform(0, 1))
            deaths.append(world.act("killed", [pids[i] for i in AFTERWARDS[kind]]))
        time.sleep(limit_s + 0.3)
        stuck = bool(self.down_at(since, deaths[-1] + limit_s))
        game.until(lambda: not self.down_at(since), 60)
        released = max(e["t"] for e in game.messages[since:] if e["key"] in self.keys)
        if kind == "driver suspended":
            world.act("resumed", pids[:1])
        elif how == "suspended" and whom == [2]:
            world.act("killed", pids[2:])
        if (0 in whom and how == "killed") or 0 in AFTERWARDS.get(kind, []):
            driver.agent.process.wait(60)
            self.driver = None
        before = [t for t in deaths if t <= released]
        return ((released - before[-1]) * 1e3, stuck) if before else None

    def close(self) -> None:
        """End the one that lives."""
        if self.driver is not None:
            self.driver.agent.do("emitter.close()")
            self.world.act("killed", self.driver.pids()[:1])
            self.driver = None


def deaths(lanes: list[Lane], kind: str, count: int, limit_s: float) -> dict[str, Any]:
    """Let drivers die so often, one in each lane at a time; count how often a key is down `limit_s` later."""

    def several(number: int) -> list[tuple[float, bool]]:
        return [lanes[number].die(kind, limit_s) for _ in range(number, count, len(lanes))]

    with ThreadPoolExecutor(len(lanes)) as side_by_side:
        died = [one for some in side_by_side.map(several, range(len(lanes))) for one in some]
    return {
        "deaths": len(died),
        "keys_still_down": sum(stuck for _, stuck in died),
        "released_after_ms": spread([ms for ms, _ in died]),
    }


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

FINGERS = (("left", "x"), ("e", "down"))
"""Whose keys the human presses, one of each at a time; two of them the policy presses too."""


def presses(world: World, count: int) -> dict[str, Any]:
    """Press ours and a human's keys at once, partly the same ones, until each was pressed `count` times."""
    driver, spans, own = Driver(world, LAMPS), list[Span](), 0
    driver.agent.do(PRESSES)
    while own < count or len(spans) < count:
        driver.agent.begin("result = press(time.time() + 5)")
        with ThreadPoolExecutor(len(FINGERS)) as hand:
            for some in hand.map(lambda keys: tap(world, keys, 5), FINGERS):
                spans += some
        own = driver.agent.answer()
        world.game.forget()
    time.sleep(0.5)
    seen = driver.agent.do("going = False; watcher.join(); reader.close(); emitter.close(); result = seen")
    world.act("killed", [driver.agent.do("result = os.getpid()")])
    return {"own_presses": own, "human_presses": len(spans)} | compare(sorted(spans, key=lambda s: s[1]), seen)


Span = tuple[str, float, float]
"""A key, and from when to when the human pressed it."""


def tap(world: World, keys: tuple[str, ...], seconds: float) -> list[Span]:
    """Let a finger tap on keys at random, each for as short as a human can; return when."""
    human, rng, spans = world.human(), random.Random(), []
    until = time.time() + seconds
    while time.time() < until:
        key, begun = rng.choice(keys), time.time()
        human.tap(key, rng.uniform(0.02, 0.06))
        spans.append((key, begun, time.time()))
        time.sleep(rng.uniform(0.005, 0.02))
    human.close()
    return spans


def compare(spans: list[Span], seen: list[tuple[float, list[str]]]) -> dict[str, Any]:
    """Say which of the human's presses were never read, and which reads were of nobody's.

    A read tells of all since the one before, however long a busy machine has kept it waiting.
    """
    slack, lost, start = 0.25, list[Span](), 0
    for key, begun, ended in spans:
        while start < len(seen) and seen[start][0] < begun:
            start += 1
        stop = start
        while stop < len(seen) - 1 and seen[stop][0] < ended + slack:
            stop += 1
        if not any(key in held for _, held in seen[start : stop + 1]):
            lost.append((key, begun, ended))
    foreign, at = 0, 0
    for (before, _), (t, held) in pairwise(seen):
        while at < len(spans) and spans[at][2] < before - slack:
            at += 1
        theirs = {key for key, begun, _ in spans[at : at + 200] if begun < t}
        foreign += bool(set(held) - theirs)
    gaps = [b[0] - a[0] for a, b in pairwise(seen)]
    figures = {"human_presses_lost": len(lost), "reads": len(seen), "reads_of_nobodys_key": foreign}
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
    parser.add_argument("--lanes", type=int, default=len(LANES), help="how many drivers live and die side by side")
    parser.add_argument("--limit", type=float, default=0.5, help="seconds after which no key may be down")
    parser.add_argument("--presses", type=int, default=500)
    parser.add_argument("--labels", type=float, default=20, help="seconds at each of 10 and 30 Hz")
    parser.add_argument("--takeovers", type=int, default=5)
    options = parser.parse_args()
    if missing := wine.missing():
        raise SystemExit(f"missing: {', '.join(missing)} (Debian packages)")
    wine.prepare()
    figures: dict[str, Any] = {"cores": os.cpu_count()}
    begun = time.monotonic()
    with wine.display() as environment:
        try:
            world = World(environment)
            if options.presses:
                figures["presses"] = presses(world, options.presses)
                print(figures["presses"], file=sys.stderr, flush=True)
            for hz in (10, 30) if options.labels else ():
                figures[f"labels at {hz} Hz"] = labels(world, hz, options.labels)
                print(figures[f"labels at {hz} Hz"], file=sys.stderr, flush=True)
            if options.takeovers:
                figures["takeover"] = takeovers(world, options.takeovers)
                print(figures["takeover"], file=sys.stderr, flush=True)
            lanes = [Lane(world, keys) for keys in LANES[: options.lanes]]
            for kind in DEATHS if options.deaths else ():
                figures[kind] = deaths(lanes, kind, options.deaths, options.limit)
                print(f"{time.monotonic() - begun:.0f} s: {kind} {figures[kind]}", file=sys.stderr, flush=True)
            for lane in lanes:
                lane.close()
        finally:
            figures["seconds"], figures["load_at_the_end"] = round(time.monotonic() - begun), os.getloadavg()[0]
            print(json.dumps(figures, indent=2), flush=True)
            wine.stop()
    if broken := list(below(figures)):
        raise SystemExit(f"below the floors: {'; '.join(broken)}")


if __name__ == "__main__":
    main()
