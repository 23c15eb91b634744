"""Turn a part of a film into a small looping GIF, as docs/images/demo.gif was made.

.venv/bin/python scripts/film_to_gif.py demo/races/demo/film.mp4 docs/images/demo.gif
"""

from __future__ import annotations

import argparse
from pathlib import Path

import av
from PIL import Image


def main() -> None:
    """Convert."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("film", type=Path)
    parser.add_argument("gif", type=Path)
    parser.add_argument("--start", type=float, default=3.0, help="seconds into the film")
    parser.add_argument("--seconds", type=float, default=8.0)
    parser.add_argument("--width", type=int, default=400, help="pixels")
    parser.add_argument("--every", type=int, default=2, help="keep one frame of so many")
    given = parser.parse_args()
    with av.open(str(given.film)) as film:
        rate = float(film.streams.video[0].average_rate or 10)
        first, last = int(given.start * rate), int((given.start + given.seconds) * rate)
        frames = [f.to_image() for i, f in enumerate(film.decode(video=0)) if first <= i < last]
    height = round(frames[0].height * given.width / frames[0].width)
    small = [f.resize((given.width, height), Image.Resampling.LANCZOS) for f in frames[:: given.every]]
    palette = small[len(small) // 2].quantize(64, method=Image.Quantize.MAXCOVERAGE)  # rare colours too
    pictures = [f.quantize(palette=palette, dither=Image.Dither.NONE) for f in small]
    pause = round(1000 * given.every / rate)
    pictures[0].save(given.gif, save_all=True, append_images=pictures[1:], duration=pause, loop=0, optimize=True)


if __name__ == "__main__":
    main()
