"""The promises about keys, on X servers of their own (Xvfb) with a real window and real drives; prints JSON.

Deaths: a drive of Crash Team Racing holds keys when it, or what it depends on, dies; the X server is
asked which keys are down. Presses: a person and the emitter press at once while a loop at 60 Hz reads
the person. Delay: from `hold()` to the key event in another process. Takeover: a person presses a key
during a drive.
"""

from __future__ import annotations

import argparse
import functools
import itertools
import json
import multiprocessing
import os
import random
import select
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from bisect import bisect_left
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

FORK = multiprocessing.get_context("forkserver")
BACKEND = "autopilot_input_keyboard.backends:X11Keys"
HUMAN_KEYS = ("a", "s", "d", "f", "g", "h", "j", "k")
OUR_KEYS = ("left", "right", "up", "down", "x", "c")


class Desk:
    """An X server of its own."""

    def __init__(self) -> None:
        from Xlib.display import Display

        read_end, write_end = os.pipe()
        command = ["Xvfb", "-displayfd", str(write_end), "-screen", "0", "320x240x24", "-noreset"]
        self.process = subprocess.Popen(command, pass_fds=[write_end], stderr=subprocess.DEVNULL)
        os.close(write_end)
        with os.fdopen(read_end) as pipe:
            self.name = f":{pipe.readline().strip()}"
        self.display = Display(self.name)

    def down(self) -> set[int]:
        """Return the codes of the keys that are down, whoever pressed them."""
        bits = self.display.query_keymap()
        return {code for code in range(8, 256) if bits[code // 8] >> code % 8 & 1}

    def wait(self, held: bool, seconds: float) -> float | None:
        """Return after how many seconds some key was down (or none was); None if that did not happen."""
        begun = time.monotonic()
        while (passed := time.monotonic() - begun) < seconds:
            if bool(self.down()) is held:
                return passed
            time.sleep(0.002)
        return None


@contextmanager
def desk() -> Iterator[tuple[Desk, Connection]]:
    """Start an X server with a window that has the focus; what is sent to the pipe, it does."""
    one = Desk()
    ours, theirs = FORK.Pipe()
    process = FORK.Process(target=window, args=(one.name, theirs), daemon=True)
    process.start()
    ours.recv()
    try:
        yield one, ours
    finally:
        process.kill()
        process.join()
        one.process.kill()
        one.process.wait()


def window(name: str, pipe: Connection) -> None:
    """Show a picture that moves, and keep when each key event came; `close`, `open` and `events` are orders."""
    from Xlib import X
    from Xlib.display import Display

    display = Display(name)
    display.change_keyboard_control(auto_repeat_mode=X.AutoRepeatModeOff)
    mask = X.KeyPressMask | X.KeyReleaseMask | X.ExposureMask

    def show() -> Any:
        made = display.screen().root.create_window(0, 0, 320, 240, 0, X.CopyFromParent, event_mask=mask)
        made.map()
        while display.next_event().type != X.Expose:
            pass
        made.set_input_focus(X.RevertToParent, X.CurrentTime)
        display.sync()
        return made

    events: list[tuple[float, bool, int]] = []
    shown, drawn, colour = show(), 0.0, 0
    paint = shown.create_gc()
    pipe.send(None)
    while True:
        ready = select.select([display.fileno(), pipe], [], [], 0.01)[0]
        while display.pending_events():
            event = display.next_event()
            if event.type in (X.KeyPress, X.KeyRelease):
                events.append((time.monotonic(), event.type == X.KeyPress, event.detail))
        if pipe in ready:
            match pipe.recv():
                case "close":
                    shown.destroy()
                    display.sync()
                    shown = None
                    pipe.send(None)
                case "open":
                    shown = show()
                    pipe.send(None)
                case "events":
                    pipe.send(events)
                    events = []
        if shown is not None and time.monotonic() - drawn >= 0.01:
            drawn, colour = time.monotonic(), (colour + 0x030507) & 0xFFFFFF
            paint.change(foreground=colour)
            shown.fill_rectangle(paint, 0, 0, 320, 240)
            display.flush()


def order(pipe: Connection, what: str) -> Any:
    """Let the window do something."""
    pipe.send(what)
    return pipe.recv()


def drive_on(display: str, home: str, pipe: Connection, record: bool) -> None:
    """Drive at random until killed; tells the pids of the emitter; SIGUSR1 makes the driver fail."""
    from autopilot.api.game import Game
    from autopilot.api.registry import Registry
    from autopilot.api.types import SourceSettings
    from autopilot.desktop.desktop import DeviceChoice
    from autopilot.drive.drive import Drive, DriveOptions
    from autopilot.drive.drivers import RandomDriver
    from autopilot.drive.lineup import Entrant, Lineup
    from autopilot.drive.run import Observer, Run
    from autopilot.drive.world import Worlds
    from autopilot.sessions.home import Home

    os.environ["DISPLAY"] = display
    os.dup2(os.open(f"{home}/stderr", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), 2)
    failing: list[bool] = []
    signal.signal(signal.SIGINT, signal.default_int_handler)  # which a shell's background jobs ignore
    signal.signal(signal.SIGUSR1, lambda *_: failing.append(True))

    class Failing(RandomDriver):
        def decide(self, frame: Any) -> Any:
            if failing:
                raise RuntimeError("the policy has crashed")
            return super().decide(frame)

    class Teller(Observer):
        """Tells the emitter's pids whenever they change."""

        pids: tuple[int, ...] = ()

        def begin(self, run: Run) -> None:
            self.device: Any = run.world.device
            self.step(None)

        def step(self, step: Any) -> None:
            if self.device.pids != self.pids:
                self.pids = self.device.pids
                pipe.send(self.pids)

    class FailingEntrant(Entrant):
        def driver(self, world: Any, timing: Any, seed: int) -> Any:
            return Failing(self.label_map, seed)

    game = Game(Registry(), "ctr")
    choice = DeviceChoice(device="keyboard", settings=SourceSettings(region=(0, 0, 320, 240)))
    chance = Lineup(game, load=NotImplemented).scripted("random")
    entrant = FailingEntrant(chance.name, chance.label_map_name, chance.label_map, chance.hz)
    Drive(Worlds(game, Home(Path(home)), choice), entrant, DriveOptions(record=record)).go([Teller()])


class Drive:
    """A drive in a process of its own, from when it holds the first key."""

    def __init__(self, one: Desk, home: str, record: bool = False) -> None:
        self._pipe, theirs = FORK.Pipe()
        self.process = FORK.Process(target=drive_on, args=(one.name, home, theirs, record), daemon=True)
        self.process.start()
        theirs.close()
        try:
            self.pids = self._pipe.recv()
        except EOFError as e:
            raise RuntimeError(f"the drive does not begin: {Path(home, 'stderr').read_text()[-2000:]}") from e

    @property
    def emitter(self) -> int:
        """The process that holds the keys now."""
        while self._pipe.poll():
            self.pids = self._pipe.recv()
        return int(self.pids[0])

    def send(self, number: int) -> None:
        """Send a signal to the driver."""
        os.kill(self.process.pid or 0, number)

    def end(self) -> None:
        """Kill it."""
        self.process.kill()
        self.process.join()


def kill_driver(drive: Drive, pipe: Connection) -> None:
    drive.send(signal.SIGKILL)


def stop_driver(drive: Drive, pipe: Connection) -> None:
    drive.send(signal.SIGSTOP)


def kill_emitter(drive: Drive, pipe: Connection) -> None:
    os.kill(drive.emitter, signal.SIGKILL)


def stop_emitter(drive: Drive, pipe: Connection) -> None:
    os.kill(drive.emitter, signal.SIGSTOP)


def kill_both(drive: Drive, pipe: Connection) -> None:
    emitter = drive.emitter
    drive.send(signal.SIGKILL)
    os.kill(emitter, signal.SIGKILL)


def crash(drive: Drive, pipe: Connection) -> None:
    drive.send(signal.SIGUSR1)


def close_window(drive: Drive, pipe: Connection) -> None:
    order(pipe, "close")


DEATHS: dict[str, tuple[Callable[[Drive, Connection], None], int]] = {
    "driver SIGKILL": (kill_driver, 1),
    "driver SIGSTOP": (stop_driver, 50),
    "emitter SIGKILL": (kill_emitter, 5),
    "emitter SIGSTOP": (stop_emitter, 5),
    "driver and emitter SIGKILL": (kill_both, 1),
    "crash in the policy": (crash, 1),
    "window closed": (close_window, 50),
}
"""Kind -> what does it, and how many of them one drive may live through."""


def deaths(kind: str, count: int, limit_s: float) -> dict[str, Any]:
    """Let a drive die so often while it holds keys; count how often a key is down `limit_s` later."""
    kill, lives = DEATHS[kind]
    rng, times, stuck, lived = random.Random(kind), [], 0, 0
    drive: Drive | None = None
    with desk() as (one, pipe), tempfile.TemporaryDirectory() as home:
        for _ in range(count):
            if drive is not None and lived >= lives:
                drive.end()
                drive = None
                one.wait(held=False, seconds=5)
            if drive is None:
                drive, lived = Drive(one, home), 0
            if one.wait(held=True, seconds=30) is None:
                raise RuntimeError(f"{kind}: the drive holds nothing: {Path(home, 'stderr').read_text()[-500:]}")
            time.sleep(rng.uniform(0, 0.15))
            begun = time.monotonic()
            kill(drive, pipe)
            released = one.wait(held=False, seconds=limit_s)
            time.sleep(max(0.0, begun + limit_s - time.monotonic()))
            # A drive whose emitter was replaced goes on and presses again, as it should.
            stuck += released is None or (not kind.startswith("emitter") and bool(one.down()))
            times.append(1000 * (released or limit_s))
            lived += 1
            if kill is stop_driver:
                drive.send(signal.SIGCONT)
            elif kill is close_window:
                order(pipe, "open")
        if drive is not None:
            drive.end()
    return {"deaths": count, "limit_s": limit_s, "keys_still_down": stuck, "released_ms": spread(times)}


def spread(values: list[float]) -> dict[str, float]:
    """Return median, 99th percentile and maximum."""
    ordered = sorted(values)
    p99 = ordered[min(len(ordered) - 1, int(0.99 * len(ordered)))]
    return {"p50": round(statistics.median(ordered), 3), "p99": round(p99, 3), "max": round(ordered[-1], 3)}


def human(display: str, taps: int, seed: int, pipe: Connection) -> None:
    """Tap several keys at once, each for 40 to 120 ms; tells when the server had taken each press and release."""
    from autopilot_input_keyboard.backends import X11Keys

    os.environ["DISPLAY"] = display
    keys, rng = X11Keys(HUMAN_KEYS), random.Random(seed)
    now = time.monotonic()
    due = {key: now + rng.uniform(0.2, 0.4) for key in HUMAN_KEYS}
    down: dict[str, float] = {}
    done: list[tuple[str, float, float]] = []
    while len(done) < taps:
        key = min(due, key=lambda k: due[k])
        time.sleep(max(0.0, due[key] - time.monotonic()))
        if key in down:
            begun = time.monotonic()
            keys.release(key)
            keys.flush()
            done.append((key, down.pop(key), begun))
            due[key] = time.monotonic() + rng.uniform(0.03, 0.12)
        else:
            keys.press(key)
            keys.flush()
            down[key] = time.monotonic()
            due[key] = down[key] + rng.uniform(0.04, 0.12)
    for key in down:
        keys.release(key)
    keys.flush()
    pipe.send(done)


def presses(count: int) -> dict[str, Any]:
    """A person and the emitter press `count` times each while a loop at 60 Hz reads the person."""
    from autopilot.desktop.emitter import Emitter
    from autopilot.drive.world import WallClock
    from autopilot_input_keyboard.reader import open_reader

    rng = random.Random(1)
    with desk() as (one, _):
        os.environ["DISPLAY"] = one.name
        emitter = Emitter(BACKEND, {key: key for key in OUR_KEYS})
        controls = {key: key for key in (*HUMAN_KEYS, *OUR_KEYS[1:])}
        reader = open_reader(controls, {"pause": OUR_KEYS[0]}, emitter.ours)
        ours, theirs = FORK.Pipe()
        person = FORK.Process(target=human, args=(one.name, count, 2, theirs), daemon=True)
        person.start()
        theirs.close()  # so that the end of the person is noticed
        clock = WallClock(60)
        ticks: list[float] = []
        seen: dict[str, list[int]] = {key: [] for key in HUMAN_KEYS}
        held: frozenset[str] = frozenset()
        own = echoes = 0
        while not ours.poll() or own < count:
            ticks.append(time.monotonic())
            read = reader.held()
            echoes += bool(read & {*OUR_KEYS}) + len(reader.hotkeys())
            for key in read & {*HUMAN_KEYS}:
                seen[key].append(len(ticks) - 1)
            fresh = frozenset(key for key in OUR_KEYS if rng.random() < 0.4)
            own += len(fresh - held)
            emitter.hold(fresh)
            held = fresh
            clock.tick()
        taps = ours.recv()
        reader.close()
        emitter.close()
    late = [lateness(seen[key], ticks, down, up) for key, down, up in taps]
    gaps = [1000 * (b - a) for a, b in itertools.pairwise(ticks)]
    return {
        "own_presses": own,
        "own_presses_recorded_as_human": echoes,
        "human_presses": len(taps),
        "human_presses_lost": late.count(None),
        "human_presses_late_by_frames": {n: late.count(n) for n in sorted({n for n in late if n is not None})},
        "frame_ms": spread(gaps),
    }


def lateness(seen: list[int], ticks: list[float], down: float, up: float) -> int | None:
    """Return how many frames after the first one that could show it a press was shown; None: never."""
    first = bisect_left(ticks, down)
    place = bisect_left(seen, first)
    shown = seen[place] if place < len(seen) else len(ticks)
    return shown - first if shown < bisect_left(ticks, up) else None


def delay(count: int) -> dict[str, Any]:
    """Milliseconds from the call of `hold()` to the event in the window's process."""
    from autopilot.desktop.emitter import Emitter

    rng, begun = random.Random(3), []
    with desk() as (one, pipe):
        os.environ["DISPLAY"] = one.name
        emitter = Emitter(BACKEND, {"go": "x"})
        for _ in range(count):
            begun.append(time.monotonic())
            emitter.hold(frozenset({"go"}))
            time.sleep(rng.uniform(0.002, 0.012))
            emitter.hold(frozenset())
            time.sleep(rng.uniform(0.002, 0.006))
        emitter.close()
        time.sleep(0.2)
        came = [t for t, pressed, _ in order(pipe, "events") if pressed]
    if len(came) != count:
        raise RuntimeError(f"{len(came)} events of {count} presses")
    return {"presses": count, "ms": spread([1000 * (b - a) for a, b in zip(begun, came, strict=True)])}


def takeovers(count: int) -> dict[str, Any]:
    """Ticks from the human's key to the policy's last press; whether the frames are the human's; handing back."""
    from autopilot.sessions.home import Home
    from autopilot.sessions.session import Session
    from autopilot_ctr.game import CTR
    from autopilot_input_keyboard.backends import X11Keys

    rng = random.Random(4)
    presses, everything, back, missed = [], [], [], 0
    with desk() as (one, pipe), tempfile.TemporaryDirectory() as home:
        os.environ["DISPLAY"] = one.name
        key = next(iter(CTR.bindings["keyboard"].values()))["brake"]
        person = X11Keys([key])
        theirs = person._codes[key]
        drive = Drive(one, home, record=True)
        taken = []
        for _ in range(count):
            one.wait(held=True, seconds=30)
            time.sleep(rng.uniform(0.3, 0.5))
            order(pipe, "events")
            person.press(key)
            person.flush()
            begun = time.monotonic()
            time.sleep(rng.uniform(0.3, 0.5))
            missed += bool(one.down() - {theirs})
            events = [e for e in order(pipe, "events") if e[2] != theirs]
            ended = time.monotonic()
            person.release(key)
            person.flush()
            taken.append((begun, ended))
            presses.append(max((t - begun for t, pressed, _ in events if pressed and t > begun), default=0.0) * CTR.hz)
            everything.append(max((t - begun for t, _, _ in events if t > begun), default=0.0) * CTR.hz)
            one.wait(held=True, seconds=5)
            back.append(1000 * (time.monotonic() - ended))
        drive.send(signal.SIGINT)
        drive.process.join(20)
        (path,) = Home(Path(home)).sessions.iterdir()
        rows = list(Session.open(path).rows())
        spans = Session.open(path).info.human
    wrong = 0
    for row in rows:
        t, marked = row.frame.t_ns / 1e9, any(a <= row.index < b for a, b in spans)
        # Decided on after it was grabbed: of the frames at either end, the other side may be true.
        inside = any(a + 1 / CTR.hz <= t <= b - 1 / CTR.hz for a, b in taken)
        wrong += inside and (not marked or bool(row.sent) or row.held != {"brake"})
    return {
        "takeovers": count,
        "hz": CTR.hz,
        "policy_holds_something_later": missed,
        "last_press_ticks": spread(presses),
        "last_event_ticks_with_releases": spread(everything),
        "handed_back_after_ms": spread(back),
        "frames": len(rows),
        "human_frames": sum(b - a for a, b in spans),
        "frames_marked_wrongly": wrong,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--deaths", type=int, default=20, help="of each kind")
    parser.add_argument("--limit", type=float, default=0.5, help="seconds after which no key may be down")
    parser.add_argument("--presses", type=int, default=1000)
    parser.add_argument("--delays", type=int, default=500)
    parser.add_argument("--takeovers", type=int, default=10)
    parser.add_argument("--jobs", type=int, default=1, help="kinds of death at a time")
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    FORK.set_forkserver_preload(["autopilot.drive", "autopilot.sessions", "Xlib.display", "mss", "cv2"])
    figures: dict[str, Any] = {"processors": os.cpu_count(), "python": sys.version.split()[0]}

    def keep(name: str, found: dict[str, Any]) -> None:
        figures[name] = found
        print(f"{name}: {json.dumps(found)}", file=sys.stderr)
        if options.out:
            options.out.write_text(json.dumps(figures, indent=2) + "\n")

    if options.presses:
        keep("presses", presses(options.presses))
    if options.delays:
        keep("delay", delay(options.delays))
    if options.takeovers:
        keep("takeover", takeovers(options.takeovers))
    if options.deaths:
        die = functools.partial(deaths, count=options.deaths, limit_s=options.limit)
        with ThreadPoolExecutor(options.jobs) as pool:
            for kind, found in zip(DEATHS, pool.map(die, DEATHS), strict=True):
                keep(kind, found)
    print(json.dumps(figures, indent=2))


if __name__ == "__main__":
    main()
