"""How fast training reads frames: shuffled batches from cached sessions, and from PNG files.

    python benchmarks/read_speed.py [--seconds 10] [--out result.json]

Prints JSON: frames/s of each, their ratio, and whether the floor of 50,000 frames/s is met; the
rates in processor time tell what a busy machine took away. Both are warm: every file is in the
page cache. The frames are of the kind that a game shows: large areas, edges, a little noise.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import cv2
import numpy as np
from autopilot.api.types import ActionSpace, Axis, Frame
from autopilot.sessions.cache import Cached, cached, gather
from autopilot.sessions.info import SessionInfo
from autopilot.sessions.segments import Row
from autopilot.sessions.session import Session
from autopilot.sessions.writer import SessionWriter

FLOOR = 50_000
WIDTH, HEIGHT, BATCH = 160, 90, 256
SESSIONS, FRAMES = 4, 1500
STEER = ActionSpace((Axis("steer", ("left", "forward", "right"), (2, 1, 0)),))


def picture(rng: np.random.Generator) -> np.ndarray:
    """Return a made-up frame, uint8 (HEIGHT, WIDTH, 3)."""
    image = np.empty((HEIGHT, WIDTH, 3), np.uint8)
    image[:] = rng.integers(0, 256, 3)
    for _ in range(12):
        corners = rng.integers(-20, WIDTH + 20, (4, 2)).astype(np.int32)
        cv2.fillPoly(image, [corners], rng.integers(0, 256, 3).tolist(), cv2.LINE_AA)
    image[: HEIGHT // 2] ^= rng.integers(0, 4, (HEIGHT // 2, WIDTH, 3), np.uint8)
    return image


def record(root: Path, name: str, rng: np.random.Generator) -> Session:
    """Record a session of made-up frames."""
    info = SessionInfo(
        id=name,
        game="benchmark",
        driver="nobody",
        track="none",
        mode="N",
        hz=10,
        width=WIDTH,
        height=HEIGHT,
        controls=("left", "right"),
        label_map="steer",
        action_space=STEER.to_json(),
        lockstep=True,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        versions={},
        ended="recording",
    )
    with SessionWriter(root, info) as writer:
        for i in range(FRAMES):
            frame = Frame(picture(rng), i * 100_000_000)
            writer.append(Row(frame, frozenset(), frozenset(), (1,), None))
    return Session.open(writer.path)


def rate(read: Callable[[np.ndarray], None], count: int, seconds: float) -> tuple[float, float]:
    """Read shuffled batches, epoch after epoch; return frames/s of wall and of processor time.

    The first second warms up and does not count.
    """
    rng = np.random.default_rng(1)
    for limit in (1.0, seconds):
        frames, start, cpu = 0, time.perf_counter(), time.process_time()
        while (spent := time.perf_counter() - start) < limit:
            order = rng.permutation(count)
            for at in range(0, count - BATCH + 1, BATCH):
                read(order[at : at + BATCH])
                frames += BATCH
                if time.perf_counter() - start >= limit:
                    break
    return frames / spent, frames / (time.process_time() - cpu)


def write_pngs(folder: Path, caches: list[Cached]) -> list[str]:
    """Write every frame as a PNG file; return the paths, in the order of the caches."""
    folder.mkdir()
    paths = []
    for image in (image for cache in caches for image in cache.images):
        paths.append(str(folder / f"{len(paths):06d}.png"))
        cv2.imwrite(paths[-1], cv2.cvtColor(image, cv2.COLOR_RGB2BGR))
    return paths


def measure(seconds: float) -> dict[str, object]:
    """Record, cache, and read both ways; return the result as plain data."""
    rng = np.random.default_rng(0)
    out = np.empty((BATCH, HEIGHT, WIDTH, 3), np.uint8)
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        sessions = [record(root / "sessions", f"session-{n}", rng) for n in range(SESSIONS)]
        size = (WIDTH, HEIGHT)
        caches = [cached(s, root / "cache", "as it is", size, lambda image: image)[0] for s in sessions]
        pngs = write_pngs(root / "png", caches)

        def from_png(indices: np.ndarray) -> None:
            for to, index in zip(out, indices.tolist(), strict=True):
                cv2.cvtColor(cv2.imread(pngs[index]), cv2.COLOR_BGR2RGB, dst=to)

        def from_cache(indices: np.ndarray) -> None:
            gather(caches, indices, out)

        fast, fast_cpu = rate(from_cache, len(pngs), seconds)
        png, png_cpu = rate(from_png, len(pngs), seconds)
        check = rng.integers(0, len(pngs), BATCH)
        from_cache(check)
        same = out.copy()
        from_png(check)
        assert np.array_equal(same, out), "both ways must give the same frames"
    return {
        "benchmark": "read_speed",
        "frames": len(pngs),
        "frame": f"{WIDTH}x{HEIGHT} RGB",
        "batch": BATCH,
        "sessions": SESSIONS,
        "cache_frames_per_s": round(fast),
        "png_frames_per_s": round(png),
        "ratio": round(fast / png, 1),
        "cache_frames_per_cpu_s": round(fast_cpu),
        "png_frames_per_cpu_s": round(png_cpu),
        "floor_frames_per_s": FLOOR,
        "ok": fast >= FLOOR,
        "machine": f"{platform.machine()}, {os.cpu_count()} cores",
        "load": os.getloadavg()[0] if hasattr(os, "getloadavg") else None,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--seconds", type=float, default=10.0, help="of each measurement")
    parser.add_argument("--out", type=Path, help="also write the JSON here")
    args = parser.parse_args()
    text = json.dumps(measure(args.seconds), indent=2)
    if args.out:
        args.out.write_text(text + "\n", encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
