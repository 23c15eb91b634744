"""Draws the pictures of docs/ctr.md: no frame of the real game is in them.

PYTHONPATH=tests python -m support.ctr.pictures docs/images
"""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
from autopilot_ctr.emulators import ASPECTS
from autopilot_setup.crop import find_picture
from PIL import Image

from support.ctr import drawn
from support.ctr.shown import DARK, Shown

RED = (230, 0, 0)


def framed(shown: Shown, images: list[np.ndarray]) -> np.ndarray:
    """Return the window with what setup finds in it framed in red, as setup shows it."""
    windows = [shown.window(image) for image in images]
    x, y, width, height = find_picture(windows, ASPECTS).box
    out = windows[-1]
    for part in (np.s_[y : y + 3], np.s_[y + height - 3 : y + height]):
        out[part, x : x + width] = RED
    for part in (np.s_[x : x + 3], np.s_[x + width - 3 : x + width]):
        out[y : y + height, part] = RED
    return out


def save(picture: np.ndarray, path: Path) -> None:
    """Write a small PNG of 64 colours."""
    Image.fromarray(picture).quantize(64, dither=Image.Dither.NONE).save(path, optimize=True)
    print(f"{path}: {path.stat().st_size / 1000:.0f} kB")


def main() -> None:
    """Write all pictures into a folder."""
    folder = Path(sys.argv[1])
    race = drawn.Race(look=drawn.Look(sky="hilly"))
    images = []
    for _ in range(4):
        for _ in range(110):
            race.step(race.drive())
        images.append(drawn.frame(race.view, race.look))
    save(framed(Shown((480, 412), 28, 24), images), folder / "ctr-setup.png")
    kinds = [Shown((360, 270), 0, 0), Shown((480, 270), 0, 0), Shown((300, 270), 24, 0, border=DARK, theme=DARK)]
    gap = np.full((270, 8, 3), 255, np.uint8)
    row = [part for shown in kinds for part in (framed(shown, images), gap)][:-1]
    save(np.concatenate(row, axis=1), folder / "ctr-windows.png")
    wrong = drawn.frame(
        replace(race.view, wrong_way=True, clock=race.view.clock | 0x80), replace(race.look, hud="speed")
    )
    save(np.concatenate([images[-1], np.full((8, drawn.WIDTH, 3), 255, np.uint8), wrong]), folder / "ctr-hud.png")


if __name__ == "__main__":
    main()
