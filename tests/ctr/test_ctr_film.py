"""The HUD learned from a film of a race: by the film's own time, however soon it is read."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import av
from support.ctr.drawn import ODD, ODD_LOOK, Race, play

SECONDS = 48


def film(path: Path) -> Path:
    """Film a race at 30 frames a second; after 30 s every other one is missing, in pairs."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=30, options={"preset": "ultrafast", "crf": "12"})
        stream.width, stream.height = ODD.size
        stream.codec_context.time_base = Fraction(1, 30)
        race = play(Race(3, 300.0, 30, ODD_LOOK), ODD, SECONDS, 1, wrong=((24.0, 4.0),), hz=30.0)
        for n, (frame, _) in enumerate(race):
            if n < 900 or n % 4 < 2:
                picture = av.VideoFrame.from_ndarray(frame.image, "rgb24")
                picture.pts, picture.time_base = n, Fraction(1, 30)
                container.mux(stream.encode(picture))
        container.mux(stream.encode())
    return path


def test_a_display_is_learned_from_a_film(tmp_path: Path) -> None:
    path = film(tmp_path / "race.mkv")
    args = ["learn-hud", "--game", "ctr", "--video", str(path), "--json"]
    env = {**os.environ, "AUTOPILOT_HOME": str(tmp_path / "home")}
    done = subprocess.run(
        [sys.executable, "-m", "autopilot", *args], capture_output=True, text=True, env=env, timeout=280
    )
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)["learned"]
    assert re.match(r"learned the clock, laps 123, lap times, WRONG WAY from 48\d frames", said), said
