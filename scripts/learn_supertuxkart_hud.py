"""Learns the glyphs of SuperTuxKart's clock and lap counter and writes them for its HUD reader.

From the lock-step engine, which knows the time that it shows:
    learn_supertuxkart_hud.py 480x270 lockstep
From screenshots of the game, PNG files named by what they show, e.g. `00-21.542_1-3.png`:
    learn_supertuxkart_hud.py 480x270 game --shots FOLDER
From screenshots that all show `WRONG WAY!` (drive backwards), whatever their names:
    learn_supertuxkart_hud.py 480x270 game --wrong-way FOLDER
"""

from __future__ import annotations

import argparse
import json
from collections import defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path

import cv2
import numpy as np
from autopilot_supertuxkart.hud import Font, orange_and_black

OUT = Path(__file__).parent.parent / "plugins/supertuxkart/src/autopilot_supertuxkart/hud_glyphs.json"

# Where the first glyphs' cells are and how wide each glyph is, in 1/phases of a pixel: found by
# trying all widths for those with which equal glyphs have equal pixels.
LAYOUT = {
    ("480x270", "lockstep"): {
        "phases": 2,
        "clock": (401, 6),
        "laps": (410, 33),
        "height": 11,
        "advances": dict(zip("0123456789:.", (17, 12, 14, 14, 17, 14, 17, 14, 17, 17, 9, 9), strict=True)),
    },
    ("480x270", "game"): {
        "phases": 1,
        "clock": (406, 7),
        "laps": (410, 34),
        "height": 10,
        "advances": dict(zip("0123456789:.", (8, 6, 7, 7, 8, 6, 8, 7, 8, 8, 4, 4), strict=True)),
    },
}
STEADY = 14.0
"""A pixel within this grey value of its median in 95 % of the pictures belongs to the glyph."""

type Example = tuple[np.ndarray, str, str]
"""RGB picture (H, W, 3), the clock's text, the lap counter's text ("" when it is not shown)."""


def lockstep(width: int, height: int, steps: int = 900) -> Iterator[Example]:
    """Let the engine's own driver race and give each frame with the time that it shows."""
    import pystk2

    graphics = pystk2.GraphicsConfig.ld()
    graphics.render, graphics.display = True, False
    graphics.screen_width, graphics.screen_height = width, height
    pystk2.init(graphics)
    config = pystk2.RaceConfig()
    config.track, config.laps, config.num_kart, config.step_size = "olivermath", 9, 1, 0.1
    config.mode = pystk2.RaceConfig.RaceMode.TIME_TRIAL
    config.players[0].controller = pystk2.PlayerConfig.Controller.AI_CONTROL
    config.players[0].camera_mode = pystk2.PlayerConfig.CameraMode.ON
    race, world = pystk2.Race(config), pystk2.WorldState()
    race.start()
    for _ in range(steps):
        race.step()
        world.update()
        if world.players[0].kart.has_finished_race:
            return
        if world.time > 0.2:
            ms = round(world.time * 1000)
            lap = world.players[0].kart.finished_laps
            clock = f"{ms // 60000:02d}:{ms // 1000 % 60:02d}.{ms % 1000:03d}"
            yield np.array(race.render_data[0].image), clock, f"{lap + 1}/9" if lap >= 0 else ""


def screenshots(folder: Path) -> Iterator[Example]:
    """Give each screenshot with the texts in its name."""
    for path in sorted(folder.glob("*.png")):
        clock, _, laps = path.stem.partition("_")
        picture = cv2.imread(str(path))
        if picture is None:
            raise SystemExit(f"{path} is no picture")
        yield picture[:, :, ::-1], clock.replace("-", ":"), laps.replace("-", "/")


def hexes(samples: list[np.ndarray]) -> list[str]:
    """Return the pixels that all samples (n, height, width) share; `..` for those of the background."""
    stack = np.stack(samples).astype(float)
    middle = np.median(stack, 0)
    keep = np.quantile(np.abs(stack - middle), 0.95, axis=0) < STEADY
    return [
        "".join(f"{int(v):02x}" if k else ".." for v, k in zip(*row, strict=True))
        for row in zip(middle, keep, strict=True)
    ]


def learn(layout: dict, examples: Iterable[Example]) -> dict:  # type: ignore[type-arg]
    """Return a font as `Font.from_json` reads it: the clock's glyphs first, then the `/`."""
    phases, height = layout["phases"], layout["height"]
    advances = dict(layout["advances"])
    cells: dict[tuple[str, int], list[np.ndarray]] = defaultdict(list)

    def font() -> dict:  # type: ignore[type-arg]
        blank = {c: [[".." * -(-a // phases)] * height] * phases for c, a in advances.items()}
        for (c, phase), samples in cells.items():
            if len(samples) > 2:
                blank[c] = [*blank[c][:phase], hexes(samples), *blank[c][phase + 1 :]]
        return {**layout, "advances": advances, "glyphs": blank}

    def cut(gray: np.ndarray, c: str, at: int, row: int) -> None:
        column, phase = divmod(at, phases)
        cells[c, phase].append(gray[row : row + height, column : column + -(-advances[c] // phases)])

    lines = []
    for picture, clock, laps in examples:
        gray = picture.min(2).astype(np.int16)
        at, row = layout["clock"][0] * phases, layout["clock"][1]
        for c in clock:
            cut(gray, c, at, row)
            at += advances[c]
        lines.append((gray, laps))
    digits = Font.from_json(font())
    column, row = layout["laps"]
    found = defaultdict(list)
    for gray, laps in lines:
        if laps:
            first, last = (digits.characters.index(c) for c in (laps[0], laps[-1]))
            at = min(
                range(column * phases, (gray.shape[1] - 30) * phases),
                key=lambda at: digits.distances(gray, at, row)[first],
            )
            after = at + advances[laps[0]]
            width = min(range(3 * phases, 12 * phases), key=lambda w: digits.distances(gray, after + w, row)[last])
            found[width].append((gray, after))
    advances["/"] = max(found, key=lambda width: len(found[width]))
    for gray, after in found[advances["/"]]:
        cut(gray, "/", after, row)
    return font()


def words(folder: Path) -> dict:  # type: ignore[type-arg]
    """Return the place and the pixels of the orange words that all screenshots show near their middle."""
    pictures = np.stack([cv2.imread(str(path))[..., ::-1] for path in sorted(folder.glob("*.png"))])
    height, width = pictures.shape[1:3]
    top, left = height // 4, width * 3 // 10
    both = [orange_and_black(p[top : height * 2 // 5, left : width * 7 // 10]) for p in pictures]
    orange, black = (np.mean([pair[i] for pair in both], 0) > 0.95 for i in (0, 1))
    black &= cv2.dilate(orange.astype(np.uint8), np.ones((5, 5), np.uint8)) > 0
    rows, columns = (np.flatnonzero((orange | black).any(axis)) for axis in (1, 0))
    text = [
        "".join("#" if o else "." if b else " " for o, b in zip(*r, strict=True))
        for r in zip(orange, black, strict=True)
    ]
    part = [line[columns[0] : columns[-1] + 1] for line in text[rows[0] : rows[-1] + 1]]
    return {"at": [int(left + columns[0]), int(top + rows[0])], "rows": part}


def main() -> None:
    """Learn one engine's font at one size and write it beside the others."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("size")
    parser.add_argument("engine", choices=("lockstep", "game"))
    parser.add_argument("--shots", type=Path)
    parser.add_argument("--wrong-way", type=Path)
    args = parser.parse_args()
    width, height = map(int, args.size.split("x"))
    written = json.loads(OUT.read_text()) if OUT.exists() else {}
    font = written.setdefault(args.size, {}).setdefault(args.engine, {})
    if args.wrong_way:
        font["wrong_way"] = words(args.wrong_way)
    else:
        examples = screenshots(args.shots) if args.shots else lockstep(width, height)
        font |= learn(LAYOUT[args.size, args.engine], examples)
    OUT.write_text(json.dumps(written, indent=0) + "\n")


if __name__ == "__main__":
    main()
