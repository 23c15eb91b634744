"""How often the game's picture is found in drawn windows; prints JSON.

The windows are of random sizes, with bars and borders, in light and dark themes, over random moments of
drawn races: see tests/support/ctr/shown.py. `found` are boxes at most 2 pixels off on each side; `unsure` says how
many were left to the user, `wrong` how many were neither.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path

import numpy as np
from autopilot_ctr.emulators import ASPECTS
from autopilot_setup.crop import find_picture

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
from support.ctr import drawn
from support.ctr.shown import DARK, LIGHT, Shown


def window(rng: np.random.Generator) -> Shown:
    """Return a random window."""
    whole, theme = bool(rng.random() < 0.25), DARK if rng.random() < 0.5 else LIGHT
    size = (int(rng.integers(480, 1600)), int(rng.integers(400, 1000)))
    bars = (int(rng.integers(18, 40)) * int(rng.random() < 0.7), int(rng.integers(18, 34)) * int(rng.random() < 0.5))
    border = theme if rng.random() < 0.2 else (0, 0, 0)
    return Shown(size, *bars, whole, bool(rng.random() < 0.3), theme, border)


def main() -> None:
    """Look for the picture in many windows."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--windows", type=int, default=500)
    parser.add_argument("--moments", type=int, default=4, help="frames that are looked at together")
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    rng = np.random.default_rng(args.seed)
    counts = {"found": 0, "unsure": 0, "wrong": 0}
    took, wrong = 0.0, []
    for _ in range(args.windows):
        shown = window(rng)
        race = drawn.Race(look=drawn.Look(track=int(rng.integers(0, 30)), hud=str(rng.choice(["map", "speed"]))))
        frames = []
        for _ in range(args.moments):
            for _ in range(int(rng.integers(30, 150))):
                race.step(race.drive())
            frames.append(shown.window(drawn.frame(race.view, race.look)))
        begun = time.perf_counter()
        picture = find_picture(frames, ASPECTS)
        took += time.perf_counter() - begun
        close = max(abs(a - b) for a, b in zip(picture.box, shown.box(), strict=True)) <= 2
        counts["found" if close and not picture.doubt else "unsure" if picture.doubt else "wrong"] += 1
        if not close and not picture.doubt:
            wrong.append({"window": repr(shown), "box": picture.box, "true": shown.box()})
    figures = {"windows": args.windows, **counts, "ms": round(took / args.windows * 1e3, 1), "examples": wrong[:5]}
    print(json.dumps(figures, indent=2))


if __name__ == "__main__":
    main()
