"""The learned HUD of one emulator's window: kept in the user's home as an .npz file without code."""

from __future__ import annotations

import io
import json
import zipfile
import zlib
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from autopilot.api import UserError, patiently

from autopilot_ctr.hud_glyphs import Box, Glyphs, Patches

FORMAT = 1


@dataclass(frozen=True)
class Templates:
    """What `learn` found, at `size` (width, height) of the picture.

    `boxes` are the clock's five digits; `laps` reads the first of the counter `n/3` at `lap`, `of` the
    last at `total`; `rows` the five
    of each lap's time and `banner` WRONG WAY, where these were learned.
    """

    size: tuple[int, int]
    clock: Glyphs
    boxes: tuple[Box, ...]
    laps: Glyphs
    of: Glyphs
    lap: Box
    total: Box
    small: Glyphs | None = None
    rows: tuple[tuple[Box, ...], ...] = ()
    wrong: Glyphs | None = None
    banner: Box | None = None

    def save(self, path: Path) -> None:
        """Write the file, as a whole or not at all."""
        fonts = {"clock": self.clock, "laps": self.laps, "of": self.of, "small": self.small, "wrong": self.wrong}
        arrays: dict[str, Any] = {}
        about: dict[str, Any] = {"format": FORMAT, "size": self.size, "fonts": {}}
        for name, glyphs in fonts.items():
            if glyphs is not None:
                arrays |= {f"{name}_mean": glyphs.mean, f"{name}_sigma": glyphs.sigma}
                about["fonts"][name] = [glyphs.characters, glyphs.fit, glyphs.margin]
        about["boxes"] = [asdict(b) for b in self.boxes]
        about["rows"] = [[asdict(b) for b in row] for row in self.rows]
        about |= {name: box and asdict(box) for name, box in self._places().items()}
        data = io.BytesIO()
        np.savez_compressed(data, about=np.frombuffer(json.dumps(about).encode(), np.uint8), **arrays)
        path.parent.mkdir(parents=True, exist_ok=True)
        new = path.with_suffix(".tmp")
        new.write_bytes(data.getvalue())
        patiently(lambda: new.replace(path))

    def _places(self) -> dict[str, Box | None]:
        return {"lap": self.lap, "total": self.total, "banner": self.banner}

    @classmethod
    def load(cls, path: Path) -> Templates:
        """Read the file; raises UserError when it is not one of these."""
        try:
            with np.load(path, allow_pickle=False) as data:
                about = json.loads(data["about"].tobytes())
                if about["format"] != FORMAT:
                    raise ValueError(f"format {about['format']}")
                fonts = {}
                for name, (characters, fit, margin) in about["fonts"].items():
                    mean, sigma = (np.asarray(data[f"{name}_{part}"], np.float32) for part in ("mean", "sigma"))
                    if mean.ndim != 4 or mean.shape != sigma.shape or len(mean) != len(characters):
                        raise ValueError(f"{name} has another shape")
                    fonts[name] = Glyphs(str(characters), mean, sigma, float(fit), float(margin))
            width, height = about["size"]
            places = {k: about[k] and Box(**about[k]) for k in ("lap", "total", "banner")}
            return cls(
                (int(width), int(height)),
                fonts["clock"],
                tuple(Box(**b) for b in about["boxes"]),
                fonts["laps"],
                fonts["of"],
                places["lap"],
                places["total"],
                fonts.get("small"),
                tuple(tuple(Box(**b) for b in row) for row in about["rows"]),
                fonts.get("wrong"),
                places["banner"],
            )
        except (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile, zlib.error) as e:
            raise UserError(
                f"{path} holds no templates that can be used ({' '.join(str(e).split())}):"
                " learn them anew with `autopilot learn-hud --game ctr`"
            ) from e


def path_of(folder: Path, profile: str) -> Path:
    """Return where a profile's templates are kept."""
    return folder / f"{profile}.npz"


def clock_hundredths(glyphs: Glyphs, boxes: Sequence[Box], strip: Patches) -> int | None:
    """Read five digits `M:SS:CC` in a region: hundredths of a second, or None."""
    clock = read_clock(glyphs, boxes, strip)
    return None if clock is None else clock[0]


def read_clock(glyphs: Glyphs, boxes: Sequence[Box], strip: Patches) -> tuple[int, float] | None:
    """Read five digits `M:SS:CC` in a region: hundredths of a second and a confidence, or None."""
    patches = [box.of(strip) for box in boxes]
    if any(patch.shape != patches[0].shape for patch in patches):
        return None
    characters = glyphs.read(np.stack(patches))
    if characters is None or not characters[0].isdecimal() or characters[0][1] > "5":
        return None
    minutes, seconds, hundredths = int(characters[0][0]), int(characters[0][1:3]), int(characters[0][3:])
    return (minutes * 60 + seconds) * 100 + hundredths, characters[1]
