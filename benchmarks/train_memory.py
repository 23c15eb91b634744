"""Memory and waiting of a training: on N frames and on 4 N, each in a process of its own.

    python benchmarks/train_memory.py [--frames 3000] [--out benchmarks/results/train_memory.json]

Records made-up sessions, trains PilotNet (batch 256) on a quarter of them and on all of them, for the
same number of steps, and GoogLeNet (batch 32) for a few. Prints JSON: the peak of the memory that is
the process's own (anonymous and shared, which a system cannot take back) and of all that is resident,
pages of mapped files included; their growth, whose floor is +5 %; and the share of a step in which the
device waited for its batch, whose floor is 3 %. The caches are built first, in another process: memory
is that of training. Linux only: it reads /proc/self/status.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import threading
from datetime import UTC, datetime
from pathlib import Path

GROWTH, WAITING = 0.05, 0.03
PER_SESSION = 500
HELD = (("accelerate",), ("accelerate", "left"), ("accelerate", "right"), ("brake",))


def record(root: Path, name: str, seed: int) -> None:
    """Record a session of made-up frames and controls."""
    import numpy as np
    from autopilot.api.types import Frame
    from autopilot.sessions.info import SessionInfo
    from autopilot.sessions.segments import Row
    from autopilot.sessions.writer import SessionWriter
    from autopilot_carracing.labels import make_label_map
    from read_speed import picture

    labels, rng = make_label_map(), np.random.default_rng(seed)
    info = SessionInfo(
        id=name,
        game="carracing",
        driver="nobody",
        track=str(seed),
        mode="N",
        hz=12.5,
        width=160,
        height=90,
        controls=("left", "right", "accelerate", "brake"),
        label_map="carracing",
        action_space=labels.action_space.to_json(),
        lockstep=True,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        versions={},
        ended="saved",
    )
    with SessionWriter(root, info) as writer:
        for i in range(PER_SESSION):
            held = frozenset(HELD[int(rng.integers(len(HELD)))])
            writer.append(Row(Frame(picture(rng), i * 80_000_000), held, held, labels.action(held), None))


class Peak:
    """The largest resident memory seen, looked at every 20 ms: own and all, in MiB."""

    def __init__(self) -> None:
        self.own = self.all = 0.0
        self._end = threading.Event()
        threading.Thread(target=self._watch, daemon=True).start()

    def _watch(self) -> None:
        while not self._end.wait(0.02):
            lines = Path("/proc/self/status").read_text().splitlines()
            kib = {k: int(v.split()[0]) for k, _, v in (line.partition(":") for line in lines) if k.startswith("Rss")}
            self.own = max(self.own, (kib["RssAnon"] + kib["RssShmem"]) / 1024)
            self.all = max(self.all, sum(kib.values()) / 1024)


def child(home: str, model: str, batch: int, epochs: int, sessions: int, only_cache: bool) -> None:
    """Train, and print what it took."""
    from autopilot.learn import memory

    memory.keep_freed()  # as `autopilot train` does first
    from autopilot.api.game import Game
    from autopilot.api.registry import Registry
    from autopilot.learn.data import load_dataset
    from autopilot.learn.options import Invocation, TrainOptions
    from autopilot.learn.train import train
    from autopilot.sessions.home import Home

    chosen = tuple(f"session-{n:03d}" for n in range(sessions))
    options = TrainOptions(
        model, "carracing", sessions=chosen, epochs=epochs, batch_size=batch, name=f"{model}-{sessions}"
    )
    registry = Registry()
    if only_cache:
        load_dataset(Game(registry, "carracing"), Home(Path(home)), options)
        return
    peak = Peak()
    result = train(registry, Home(Path(home)), options, Invocation(restart=True))
    print(json.dumps({
        "model": model,
        "batch": batch,
        "frames": sessions * PER_SESSION,
        "epochs": epochs,
        "own_mib": round(peak.own, 1),
        "resident_mib": round(peak.all, 1),
        "waiting": round(result.waiting, 5),
        "samples_per_s": round(result.samples_per_s, 1),
    }))  # fmt: skip


def measure(frames: int) -> dict[str, object]:
    """Record, train in processes of their own, compare."""
    few = max(2, round(frames / PER_SESSION))

    def run(*args: object) -> dict[str, float]:
        command = [sys.executable, __file__, "--child", json.dumps([home, *args])]
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
        return dict(json.loads(done.stdout)) if done.stdout else {}

    with tempfile.TemporaryDirectory() as home:
        for n in range(4 * few):
            record(Path(home) / "sessions", f"session-{n:03d}", n)
        run("nvidia", 256, 1, 4 * few, True)
        small, large = run("nvidia", 256, 4, few, False), run("nvidia", 256, 1, 4 * few, False)
        google = run("inception", 32, 1, 2, False)
    growth = {key: round(large[key] / small[key] - 1, 4) for key in ("own_mib", "resident_mib")}
    waiting = {"nvidia": large["waiting"], "inception": google["waiting"]}
    return {
        "benchmark": "train_memory",
        "runs": [small, large, google],
        "growth": growth,
        "floor_growth": GROWTH,
        "waiting": waiting,
        "floor_waiting": WAITING,
        "ok": max(growth.values()) <= GROWTH and max(waiting.values()) < WAITING,
        "machine": f"{platform.machine()}, {os.cpu_count()} cores",
        "load": os.getloadavg()[0],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--frames", type=int, default=3000, help="of the small training; the large has 4 times as many")
    parser.add_argument("--out", type=Path, help="also write the JSON here")
    parser.add_argument("--child", type=json.loads, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.child:
        child(*args.child)
        return
    text = json.dumps(measure(args.frames), indent=2)
    if args.out:
        args.out.write_text(text + "\n", encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
