"""The studio with many sessions: how long the list and a frame take, and what memory it needs.

    python benchmarks/studio_speed.py [--sessions 1000] [--frames 1000] [--out benchmarks/results/studio_speed.json]

Makes one session of made-up 32x18 frames and, from it, as many as are asked: each with its own session.json, the
segments being hard links to the same files, so that a million frames take seconds to make and little disk; the studio
reads each as if it were another. Counting a million rows for the first time takes minutes, so it is measured on
`--count` sessions, whose index then serves all, as they share their segments. Then the real `autopilot studio` runs
in a process of its own and is asked as a browser does. Prints JSON: seconds for the first and for later lists (floor:
1 s), milliseconds for single frames of sessions and rows drawn at random (floor: 100 ms), and the process's memory
before and after: it must not grow with what was looked at. On a busy machine the processor time that an answer took
says more than how long it took. Linux only: it reads /proc/PID.
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import random
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.request import urlopen

HELD = (("accelerate",), ("accelerate", "left"), ("accelerate", "right"), ("brake",))
LIST_S, SEEK_MS, GROWTH = 1.0, 100.0, 0.10


def make(root: Path, sessions: int, frames: int) -> None:
    """Record one session and multiply it."""
    import numpy as np
    from autopilot.api.types import Frame, Reading
    from autopilot.sessions.info import SessionInfo
    from autopilot.sessions.segments import Row
    from autopilot.sessions.writer import SessionWriter
    from autopilot_carracing.labels import make_label_map

    labels, rng = make_label_map(), np.random.default_rng(0)
    info = SessionInfo(
        id="20260101-000000-0000",
        game="carracing",
        driver="nobody",
        track="0",
        mode="N",
        hz=10.0,
        width=32,
        height=18,
        controls=("left", "right", "accelerate", "brake"),
        label_map="carracing",
        action_space=labels.action_space.to_json(),
        lockstep=True,
        created="2026-01-01T00:00:00+00:00",
        versions={},
        ended="saved",
    )
    with SessionWriter(root, info) as writer:
        for i in range(frames):
            held = frozenset(HELD[int(rng.integers(len(HELD)))])
            image = np.repeat(rng.integers(0, 256, (18, 1, 3), np.uint8), 32, 1)
            reading = Reading(i // 400, (40.0, 39.5, 39.0)[: i // 400], i / 10)
            writer.append(Row(Frame(image, i * 100_000_000), held, held, labels.action(held), reading))
    first = root / info.id
    for n in range(1, sessions):
        folder = root / f"20260101-000000-{n:04d}"
        folder.mkdir()
        for segment in first.glob("seg-*"):
            os.link(segment, folder / segment.name)
        (folder / ".lock").touch()
        data = json.loads((first / "session.json").read_text())
        data |= {"id": folder.name, "track": str(n % 20), "driver": f"driver{n % 7}"}
        (folder / "session.json").write_text(json.dumps(data))


def count(home: Path, sessions: int, frames: int) -> float:
    """Count some sessions as the studio does when it first sees them, and let the rest share the index.

    Returns the processor time for a frame in microseconds.
    """
    from autopilot.sessions.store import SessionStore

    store = SessionStore(home / "sessions", home / "cache/index")
    ids = store.ids()
    begun = time.process_time()
    for id in ids[:sessions]:
        assert len(store.open(id).index) == frames
    used = time.process_time() - begun
    for id in ids[sessions:]:
        os.link(home / f"cache/index/{ids[0]}.arrow", home / f"cache/index/{id}.arrow")
    return 1e6 * used / (sessions * frames)


@contextmanager
def studio(home: Path) -> Iterator[tuple[int, http.client.HTTPConnection, dict[str, str]]]:
    """Run the studio; give its process, a connection and the headers of its page."""
    command = [sys.executable, "-m", "autopilot", "studio", "--no-browser", "--json", "--home", str(home)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        url = json.loads("".join(process.stdout.readline() for _ in range(4)))["url"]
        with urlopen(url) as answer:  # noqa: S310 - our own address
            cookie = answer.headers["Set-Cookie"].partition(";")[0]
        port = int(url.split(":")[2].partition("/")[0])
        try:
            yield process.pid, http.client.HTTPConnection("127.0.0.1", port, timeout=600), {"Cookie": cookie}
        finally:
            process.send_signal(signal.SIGINT)
            process.wait(60)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--sessions", type=int, default=1000)
    parser.add_argument("--frames", type=int, default=1000, help="of each session")
    parser.add_argument("--count", type=int, default=20)
    parser.add_argument("--seeks", type=int, default=400)
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        print("making sessions", file=sys.stderr)
        make(home / "sessions", args.sessions, args.frames)
        print(f"counting {args.count} of them", file=sys.stderr)
        count_us = count(home, args.count, args.frames)
        print("asking", file=sys.stderr)
        with studio(home) as (pid, connection, headers):
            figures = measure(pid, connection, headers, args.sessions, args.frames, args.seeks)
    figures = {
        "sessions": args.sessions,
        "frames": args.sessions * args.frames,
        "first_count_cpu_us_per_frame": round(count_us, 1),
        **figures,
    }
    text = json.dumps(figures, indent=2)
    print(text)
    if args.out:
        args.out.write_text(text + "\n")


def measure(
    pid: int, connection: http.client.HTTPConnection, headers: dict[str, str], sessions: int, frames: int, seeks: int
) -> dict[str, object]:
    """Return the figures of a studio that has just started."""
    draw = random.Random(0)
    used = cpu_s(pid)
    first = ask(connection, headers, "/")
    first_cpu = cpu_s(pid) - used
    queries = ["/", "/?page=7", "/?q=driver3&sort=track", "/?sort=longest", "/?sort=lap", "/?review=approved"]
    later = [ask(connection, headers, q) for _ in range(4) for q in queries]

    def seek() -> float:
        path = f"/sessions/20260101-000000-{draw.randrange(sessions):04d}/frames/{draw.randrange(frames)}.jpg"
        return 1000 * ask(connection, headers, path)

    for _ in range(20):
        seek()
    time.sleep(8)  # the list is counted again from the kept indices meanwhile
    before, used = memory_mb(pid), cpu_s(pid)
    times = sorted(seek() for _ in range(seeks))
    per_seek = 1000 * (cpu_s(pid) - used) / seeks
    used = cpu_s(pid)
    again = [ask(connection, headers, q) for _ in range(3) for q in queries]
    per_list = (cpu_s(pid) - used) / len(again)
    after = memory_mb(pid)
    return {
        "list_first_s": round(first, 3),
        "list_first_cpu_s": round(first_cpu, 3),
        "list_later_median_s": round(statistics.median(later), 3),
        "list_later_max_s": round(max(later + again), 3),
        "seek_median_ms": round(statistics.median(times), 1),
        "seek_p99_ms": round(times[int(len(times) * 0.99)], 1),
        "list_cpu_s": round(per_list, 3),
        "seek_cpu_ms": round(per_seek, 1),
        "memory_before_mb": before,
        "memory_after_mb": after,
        "floors": {
            "list": max(first, *later) < LIST_S,
            "seek": times[int(len(times) * 0.99)] < SEEK_MS,
            "memory": after < before * (1 + GROWTH),
        },
    }


def ask(connection: http.client.HTTPConnection, headers: dict[str, str], path: str) -> float:
    """Return the seconds that an answer took."""
    connection.close()  # else one that the server closed after some quiet seconds would be used
    begun = time.monotonic()
    connection.request("GET", path, headers=headers)
    answer = connection.getresponse()
    body = answer.read()
    if answer.status != 200:
        raise RuntimeError(f"{path}: {answer.status} {body[:200]!r}")
    return time.monotonic() - begun


def memory_mb(pid: int) -> float:
    """Return the resident memory of a process."""
    status = Path(f"/proc/{pid}/status").read_text()
    return round(int(status.partition("VmRSS:")[2].split()[0]) / 1024, 1)


def cpu_s(pid: int) -> float:
    """Return the processor time that a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


if __name__ == "__main__":
    main()
