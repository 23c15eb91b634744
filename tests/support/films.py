"""Video files of known pictures and times."""

from __future__ import annotations

import os
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from autopilot_sharing.lerobot import ordinary_threads

os.environ.setdefault("SVT_LOG", "1")  # else that encoder tells of each film it begins

STEP = 8
"""How much brighter each picture is than the one before."""


def picture(number: int, size: tuple[int, int] = (64, 48)) -> np.ndarray:
    return np.full((size[1], size[0], 3), number * STEP % 256, np.uint8)


def film(
    path: Path,
    times: Sequence[Fraction | float],
    codec: str = "libx264",
    pictures: Sequence[np.ndarray] | None = None,
    pix_fmt: str = "yuv420p",
    ticks: int = 3000,
) -> Path:
    """Write pictures, each to be shown from its time (seconds) on, in ticks of so many a second."""
    pictures = [picture(n) for n in range(len(times))] if pictures is None else pictures
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=30, options={"preset": "8"} if codec == "libsvtav1" else {})
        stream.height, stream.width = pictures[0].shape[:2]
        stream.pix_fmt = pix_fmt
        stream.codec_context.time_base = Fraction(1, ticks)
        with ordinary_threads():
            stream.codec_context.open()
        for time, image in zip(times, pictures, strict=True):
            frame = av.VideoFrame.from_ndarray(image, "rgb24")
            frame.pts, frame.time_base = round(time * ticks), Fraction(1, ticks)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def thirty(seconds: float) -> list[Fraction]:
    """Return the times of a film of 30 pictures a second."""
    return [Fraction(n, 30) for n in range(round(30 * seconds))]
