"""Recordings of the original CTR-AI: pieces of 500 rows of [frame, keys], saved by `numpy.save`.

Its collecting script names a piece `2018-08-05_17-10-50_N_coco-park_N_0.npy`: time, driver, track, mode,
number. It turns each frame from BGRA to RGB and then once more, so that the files hold blue, green, red.
The keys are left, forward, right, one of them 1; what was taken with no key held was dropped.
https://github.com/Odiurd/CTR-AI
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
from autopilot.api import NOTHING, Held, Image, UserError
from numpy.typing import NDArray

from autopilot_ctr.pickled import PickledArray, read_pickled

HZ = 10.0
HEIGHT, WIDTH = 90, 160
NAME = re.compile(
    r"(?P<day>\d{4}-\d\d-\d\d)_(?P<time>\d\d-\d\d-\d\d)_(?P<driver>[^_]+)_(?P<track>[^_]+)_(?P<mode>[^_]+)_(?P<piece>\d+)"
)
HELD = tuple(frozenset({"accelerate", *steer}) for steer in ({"left"}, (), {"right"}))
"""What was held for each of the three keys: in a time trial, the gas always."""
CONVERT = (
    'python -c "import numpy as np, sys; a = np.load(sys.argv[1], allow_pickle=True); '
    'np.savez(sys.argv[1][:-4], frames=np.array([r[0] for r in a]), keys=np.array([r[1] for r in a]))"'
)
"""What a user may run who trusts a file: it leaves an .npz of plain numbers, which is read as well."""
SAMPLE = 25
CLEARLY = 1.15
"""Read the wrong way, neighbouring pixels must differ so much more than read the right way."""


@dataclass(frozen=True, slots=True)
class ImportRequest:
    """What is to be imported: `folder` holds the recordings.

    `driver`, `track` and `mode` are the user's word where the files say none. `channels` is the order of their
    colours, `rgb` or `bgr`, where the user knows it.
    """

    folder: Path
    driver: str | None = None
    track: str | None = None
    mode: str | None = None
    channels: str | None = None


@dataclass(frozen=True, slots=True)
class Recording:
    """One recording as it was read; `name` is its own and fit for a folder.

    `frames` gives a picture, uint8 RGB (H, W, 3), with what was held, `hz` times a second; `created` is
    ISO 8601; `remarks` are told to the user. Reading a frame may raise UserError.
    """

    name: str
    driver: str
    track: str
    mode: str
    hz: float
    created: str
    frames: Iterable[tuple[Image, Held]]
    remarks: tuple[str, ...] = ()


@dataclass
class _Group:
    """The pieces of one recording, in order."""

    name: str
    said: dict[str, str]
    paths: list[Path]


def recordings(request: ImportRequest) -> Iterator[Recording]:
    """Yield the recordings in a folder: pieces with the same time, driver, track and mode are one.

    A file of another name needs the request's driver, track and mode. Raises UserError for a file that
    holds something else, or whose frames lie in no order that can be made out.
    """
    for group in _groups(request.folder):
        about = {key: getattr(request, key) or group.said.get(key) for key in ("driver", "track", "mode")}
        missing = [f"--{key}" for key, value in about.items() if value is None]
        if missing:
            raise UserError(f"{group.paths[0].name} does not say who drove where: add {' '.join(missing)}")
        turned, changed = _layout(group.paths[0])
        channels = request.channels or "bgr"
        remarks = [f"colours read as {channels.upper()}"]
        if not request.channels:
            remarks[0] += ", as the original's script left them; if they are wrong, delete it, add --channels rgb"
        if changed:
            remarks.append("its pictures had been reshaped or turned: put right")
        yield Recording(
            name=group.name,
            hz=HZ,
            created=group.said.get("created", "1970-01-01T00:00:00+00:00"),
            frames=_frames(group.paths, turned, channels == "bgr"),
            remarks=tuple(remarks),
            **{key: str(value) for key, value in about.items()},
        )


def _groups(folder: Path) -> Iterator[_Group]:
    files = {path.stem: path for ending in ("npy", "npz") for path in sorted(folder.glob(f"*.{ending}"))}
    named = {stem: match for stem in files if (match := NAME.fullmatch(stem))}
    ordered = sorted(named, key=lambda stem: (stem.rpartition("_")[0], int(named[stem]["piece"])))
    for name, stems in groupby(ordered, key=lambda stem: stem.rpartition("_")[0]):
        pieces = list(stems)
        said = named[pieces[0]].groupdict()
        said["created"] = f"{said['day']}T{said['time'].replace('-', ':')}+00:00"
        yield _Group(re.sub(r"[^A-Za-z0-9_-]", "-", name), said, [files[p] for p in pieces])
    for stem in sorted(files.keys() - named.keys()):
        yield _Group(re.sub(r"[^A-Za-z0-9_-]", "-", stem), {}, [files[stem]])


def _rows(path: Path) -> Iterator[tuple[NDArray[np.uint8], Any]]:
    """Yield the pictures, uint8 (90, 160, 3) or (160, 90, 3), and the keys of a piece."""
    try:
        rows = _converted(path) if path.suffix == ".npz" else _pairs(read_pickled(path))
    except (OSError, ValueError, KeyError) as e:
        reason = " ".join(str(e).split())
        raise UserError(
            f"{path} cannot be used: {reason}. Nothing of it was run; if you trust it, run where the original ran: "
            f"{CONVERT} {shlex.quote(path.name)}"
        ) from e
    for number, (frame, keys) in enumerate(rows):
        if getattr(frame, "dtype", None) != np.uint8 or frame.shape not in ((HEIGHT, WIDTH, 3), (WIDTH, HEIGHT, 3)):
            shape = getattr(frame, "shape", type(frame).__name__)
            raise UserError(f"{path}, row {number}: a frame of 160x90 colours was expected, not {shape}")
        yield frame, keys


def _pairs(array: PickledArray) -> list[tuple[Any, Any]]:
    count, items = array.shape[0], array.items
    if len(array.shape) == 2 and array.shape[1] == 2 and len(items) == 2 * count:
        halves = (items[:count], items[count:]) if array.by_column else (items[::2], items[1::2])
        return list(zip(*halves, strict=True))
    if len(array.shape) == 1 and len(items) == count:
        return [tuple(item.items if isinstance(item, PickledArray) else item) for item in items]
    raise ValueError(f"its rows are not [frame, keys]: the array's shape is {array.shape}")


def _converted(path: Path) -> list[tuple[Any, Any]]:
    with np.load(path, allow_pickle=False) as arrays:
        return list(zip(arrays["frames"], arrays["keys"].tolist(), strict=True))


def _frames(paths: list[Path], turned: bool, swap: bool) -> Iterator[tuple[Image, Held]]:
    for path in paths:
        for number, (frame, keys) in enumerate(_rows(path)):
            picture = _turn(frame) if turned else frame.reshape(HEIGHT, WIDTH, 3)
            yield np.ascontiguousarray(picture[:, :, ::-1] if swap else picture), _held(keys, path, number)


def _held(keys: Any, path: Path, number: int) -> Held:
    keys = np.asarray(keys).tolist()
    if keys == [0, 0, 0]:
        return NOTHING
    for held, one in zip(HELD, ([1, 0, 0], [0, 1, 0], [0, 0, 1]), strict=True):
        if keys == one:
            return held
    raise UserError(f"{path}, row {number}: the keys must be [left, forward, right] with a single 1, not {keys!r:.60}")


def _turn(frame: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return a picture whose bytes lie column by column."""
    return frame.reshape(WIDTH, HEIGHT, 3).transpose(1, 0, 2)


def _layout(path: Path) -> tuple[bool, bool]:
    """Return whether the pictures' bytes lie column by column, and whether that is not what their shape says.

    `reshape(160, 90, 3)` on a 90x160 picture changes its shape and leaves its bytes: rows of 160 pixels.
    A picture that was really turned has columns of 90. Neighbours are alike only where it is read right.
    """
    frames = [frame for frame, _ in _rows(path)]
    if not frames:
        raise UserError(f"{path} holds no frames: leave it out")
    tall = frames[0].shape[0] == WIDTH
    sample = frames[:: max(1, len(frames) // SAMPLE)]
    by_row = sum(_roughness(frame.reshape(HEIGHT, WIDTH, 3)) for frame in sample)
    by_column = sum(_roughness(_turn(frame)) for frame in sample)
    if by_column > CLEARLY * by_row:
        return False, tall
    if by_row > CLEARLY * by_column:
        return True, True
    raise UserError(f"{path} cannot be used: whether its pictures lie by rows or by columns cannot be made out")


def _roughness(picture: NDArray[np.uint8]) -> float:
    values = picture.astype(np.int16)
    return float(np.abs(np.diff(values, axis=0)).mean() + np.abs(np.diff(values, axis=1)).mean())
