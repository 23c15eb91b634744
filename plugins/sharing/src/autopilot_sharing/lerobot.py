"""Sessions as a data set of LeRobot, format 3.0: Parquet tables and AV1 films.

https://huggingface.co/docs/lerobot/lerobot-dataset-v3 describes it. An episode is a stretch of a session that
was driven without a break, and has files of its own. A frame's `action` is what was held, a 1 for each control.
"""

from __future__ import annotations

import json
import os
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from fractions import Fraction
from itertools import repeat
from math import ceil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from autopilot.api import SessionError
from autopilot.drive.film import FilmWriter
from autopilot.sessions.home import new_output, write_json
from autopilot.sessions.segments import Row
from autopilot.sessions.session import Session

if TYPE_CHECKING:
    from numpy.typing import NDArray

CAMERA = "observation.images.screen"
CODEC = {"crf": "30", "g": "2", "preset": "8"}
"""LeRobot's own quality and distance of key frames: any frame is found by decoding two."""
BREAK_S = 1.0
"""A longer time without a frame ends an episode."""
_CHUNK = 1000
_DATA = "data/chunk-{chunk_index:03d}/file-{file_index:03d}.parquet"
_VIDEO = "videos/{video_key}/chunk-{chunk_index:03d}/file-{file_index:03d}.mp4"
_NUMBERS = {"timestamp": "float32", "frame_index": "int64", "episode_index": "int64", "index": "int64"}
_NUMBERS |= {"task_index": "int64"}
_QUANTILES = {"q01": 0.01, "q10": 0.1, "q50": 0.5, "q90": 0.9, "q99": 0.99}


@dataclass(frozen=True, slots=True)
class Exported:
    """What a data set holds."""

    folder: Path
    episodes: int
    frames: int
    fps: int


class _Tally:
    """How often each value of a feature occurred, by dimension: of it, all statistics are made exactly."""

    def __init__(self, dimensions: int) -> None:
        self.counts: list[Counter[float]] = [Counter() for _ in range(dimensions)]

    def add(self, values: NDArray[Any]) -> None:
        """Take in values, shape (N, dimensions)."""
        for seen, column in zip(self.counts, values.T, strict=True):
            seen.update(dict(zip(*(a.tolist() for a in np.unique(column, return_counts=True)), strict=True)))

    def update(self, other: _Tally) -> None:
        """Take in what another one has."""
        for seen, new in zip(self.counts, other.counts, strict=True):
            seen.update(new)

    def stats(self, frames: int, scale: float = 1, picture: bool = False) -> dict[str, list[Any]]:
        """Return the statistics that LeRobot keeps, each a list; of a picture, of shape (channels, 1, 1)."""
        out: dict[str, list[Any]] = {}
        for seen in self.counts:
            values = np.array(sorted(seen), float) / scale
            weights = np.array([seen[v] for v in sorted(seen)], float)
            mean = np.average(values, weights=weights)
            reached = np.cumsum(weights) / weights.sum()
            stats = {"min": values[0], "max": values[-1], "mean": mean}
            stats["std"] = np.sqrt(np.average((values - mean) ** 2, weights=weights))
            stats |= {name: values[np.searchsorted(reached, q - 1e-9)] for name, q in _QUANTILES.items()}
            for name, value in stats.items():
                out.setdefault(name, []).append([[float(value)]] if picture else float(value))
        return out | {"count": [frames]}


def export_lerobot(
    sessions: Sequence[Session], folder: Path, tell: Callable[[int], None], force: bool = False
) -> Exported:
    """Write sessions as one data set into `folder`, which appears whole or not at all.

    `tell` is told how many more rows were dealt with. Left out is what a policy drove by itself, as in
    training. Raises UserError as `new_output` does, SessionError when the sessions are not of one
    game, rate, size, controls and label map, or nothing is in them.
    """
    _check_alike(sessions)
    with new_output(folder, force, ("data", "meta", "videos")) as part:
        part.mkdir()
        data = _DataSet(part, sessions[0])
        return Exported(folder, *data.write(sessions, tell), data.fps)


def whole_rate(hz: float) -> int:
    """Return the rate to export at: LeRobot knows whole rates only, so 12.5 Hz become 25, each frame twice.

    Where not even a fourfold rate is whole, it is the nearest one.
    """
    return next((round(n * hz) for n in range(1, 5) if n * hz == round(n * hz)), max(1, round(hz)))


def _check_alike(sessions: Sequence[Session]) -> None:
    if not sessions:
        raise SessionError("name the sessions to export: autopilot sessions lists them")
    first = sessions[0].info
    for s in sessions:
        for name in ("game", "hz", "width", "height", "controls", "action_space"):
            if getattr(s.info, name) != getattr(first, name):
                raise SessionError(f"{first.id} and {s.info.id} differ in their {name}: export them apart")


def _episodes(session: Session, tell: Callable[[int], None]) -> Iterator[Iterator[Row]]:
    """Yield each stretch without a break; it must be used up before the next."""
    rows = (r for r in session.rows() if r.action is not None or not session.info.policy)
    ahead = next(rows, None)

    def stretch() -> Iterator[Row]:
        nonlocal ahead
        while (row := ahead) is not None:
            ahead = next(rows, None)
            tell(1)
            yield row
            if ahead is None or ahead.index != row.index + 1 or ahead.frame.t_ns - row.frame.t_ns > BREAK_S * 1e9:
                return

    while ahead is not None:
        yield stretch()


class _DataSet:
    """A data set that is being written."""

    def __init__(self, root: Path, like: Session) -> None:
        self._root = root
        self._info = like.info
        self.fps = whole_rate(like.info.hz)
        self._axes = len(like.action_space.axes)
        size = [self._info.height, self._info.width, 3]
        self._features: dict[str, dict[str, Any]] = {
            CAMERA: {"dtype": "video", "shape": size, "names": ["height", "width", "channels"]},
            "action": {"dtype": "float32", "shape": [len(self._info.controls)], "names": list(self._info.controls)},
            "label": {"dtype": "float32", "shape": [self._axes], "names": [a.name for a in like.action_space.axes]},
        }
        self._features |= {n: {"dtype": dtype, "shape": [1], "names": None} for n, dtype in _NUMBERS.items()}
        self._features[CAMERA]["info"] = {
            "video.height": size[0],
            "video.width": size[1],
            "video.channels": 3,
            "video.codec": "av1",
            "video.pix_fmt": "yuv420p",
            "video.fps": self.fps,
            "video.is_depth_map": False,
            "has_audio": False,
        }
        self._tasks: dict[str, int] = {}
        self._episodes: list[dict[str, Any]] = []
        self._tallies = {name: _Tally(feature["shape"][-1]) for name, feature in self._features.items()}
        self._frames = 0

    def write(self, sessions: Sequence[Session], tell: Callable[[int], None]) -> tuple[int, int]:
        """Write everything; return how many episodes and frames it is."""
        for session in sessions:
            info = session.info
            task = f"Drive {info.game}, track {info.track}, mode {info.mode}, as {info.driver} does"
            for rows in _episodes(session, tell):
                self._episode(rows, task)
        if not self._episodes:
            raise SessionError("there is nothing to export: all is deleted, or was driven by a policy alone")
        self._write_meta()
        return len(self._episodes), self._frames

    def _resampled(self, rows: Iterator[Row]) -> Iterator[Row]:
        """Yield rows at the data set's rate: at each of its instants the one that was seen last."""
        step = Fraction(self.fps) / Fraction(self._info.hz)
        for i, row in enumerate(rows):
            yield from repeat(row, ceil((i + 1) * step) - ceil(i * step))

    def _episode(self, rows: Iterator[Row], task: str) -> None:
        number = len(self._episodes)
        chunk, file = divmod(number, _CHUNK)
        held: list[list[float]] = []
        labels: list[tuple[int, ...]] = []
        pictures = np.zeros((3, 256), np.int64)

        def frames() -> Iterator[NDArray[np.uint8]]:
            for row in self._resampled(rows):
                held.append([float(c in row.held) for c in self._info.controls])
                labels.append((-1,) * self._axes if row.action is None else row.action)
                for channel in range(3):
                    pictures[channel] += np.bincount(row.frame.image[..., channel].ravel(), minlength=256)
                yield row.frame.image

        video = self._root / _VIDEO.format(video_key=CAMERA, chunk_index=chunk, file_index=file)
        _film(video, frames(), self.fps)
        n = len(held)
        columns: dict[str, Any] = {
            "action": np.array(held, np.float32),
            "label": np.array(labels, np.float32),
            "timestamp": (np.arange(n) / self.fps).astype(np.float32),
            "frame_index": np.arange(n),
            "episode_index": np.full(n, number),
            "index": np.arange(self._frames, self._frames + n),
            "task_index": np.full(n, self._tasks.setdefault(task, len(self._tasks))),
        }
        _write_table(self._root / _DATA.format(chunk_index=chunk, file_index=file), _table(columns, self._features))
        stats = self._count(columns, pictures, n)
        self._episodes.append(
            {
                "episode_index": number,
                "tasks": [task],
                "length": n,
                "data/chunk_index": chunk,
                "data/file_index": file,
                "dataset_from_index": self._frames,
                "dataset_to_index": self._frames + n,
                f"videos/{CAMERA}/chunk_index": chunk,
                f"videos/{CAMERA}/file_index": file,
                f"videos/{CAMERA}/from_timestamp": 0.0,
                f"videos/{CAMERA}/to_timestamp": n / self.fps,
                **{f"stats/{name}/{what}": v for name, found in stats.items() for what, v in found.items()},
                "meta/episodes/chunk_index": 0,
                "meta/episodes/file_index": 0,
            }
        )
        self._frames += n

    def _count(self, columns: dict[str, Any], pictures: NDArray[np.int64], n: int) -> dict[str, dict[str, list[Any]]]:
        """Return the statistics of an episode, and add to those of all."""
        stats = {}
        for name, whole in self._tallies.items():
            tally = _Tally(len(whole.counts))
            if name == CAMERA:
                tally.counts = [Counter({float(v): int(c) for v, c in enumerate(seen) if c}) for seen in pictures]
            else:
                tally.add(columns[name].reshape(n, -1))
            stats[name] = _stats(name, tally, n)
            whole.update(tally)
        return stats

    def _write_meta(self) -> None:
        info = {
            "codebase_version": "v3.0",
            "robot_type": self._info.game,
            "total_episodes": len(self._episodes),
            "total_frames": self._frames,
            "total_tasks": len(self._tasks),
            "chunks_size": _CHUNK,
            "data_files_size_in_mb": 100,
            "video_files_size_in_mb": 200,
            "fps": self.fps,
            "splits": {"train": f"0:{len(self._episodes)}"},
            "data_path": _DATA,
            "video_path": _VIDEO,
            "features": self._features,
        }
        write_json(self._root / "meta/info.json", info)
        write_json(self._root / "meta/stats.json", {n: _stats(n, t, self._frames) for n, t in self._tallies.items()})
        names = pa.table({"task_index": pa.array(self._tasks.values(), pa.int64()), "task": list(self._tasks)})
        # LeRobot looks a task up by pandas' index, which a table names in its metadata.
        columns = [
            {"name": n, "field_name": n, "pandas_type": p, "numpy_type": t, "metadata": None}
            for n, p, t in (("task_index", "int64", "int64"), ("task", "unicode", "object"))
        ]
        pandas = {"index_columns": ["task"], "column_indexes": [], "columns": columns}
        tasks = names.replace_schema_metadata({"pandas": json.dumps(pandas)})
        _write_table(self._root / "meta/tasks.parquet", tasks)
        _write_table(self._root / "meta/episodes/chunk-000/file-000.parquet", pa.Table.from_pylist(self._episodes))


def _stats(name: str, tally: _Tally, frames: int) -> dict[str, list[Any]]:
    return tally.stats(frames, *((255, True) if name == CAMERA else ()))


def _table(columns: dict[str, Any], features: dict[str, dict[str, Any]]) -> pa.Table:
    arrays = {}
    for name, values in columns.items():
        flat = pa.array(values.ravel(), features[name]["dtype"])
        arrays[name] = flat if values.ndim == 1 else pa.FixedSizeListArray.from_arrays(flat, values.shape[1])
    return pa.table(arrays)


def _write_table(path: Path, table: pa.Table) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(table, path)


def _film(path: Path, frames: Iterator[NDArray[np.uint8]], fps: int) -> None:
    """Encode frames, uint8 RGB (H, W, 3), as AV1."""
    os.environ.setdefault("SVT_LOG", "1")  # else the encoder tells of each film it begins
    with FilmWriter(path, Fraction(fps), "libsvtav1", CODEC) as film:
        for image in frames:
            with ordinary_threads():
                film.add(image)


@contextmanager
def ordinary_threads() -> Iterator[None]:
    """Keep SVT-AV1 from making this thread real-time, and all that it starts later, as it does where root runs it."""
    tasks = Path("/proc/self/task")
    if sys.platform != "linux":
        yield
        return
    policy = os.sched_getscheduler(0)
    yield
    for task in tasks.iterdir() if os.sched_getscheduler(0) != policy else ():
        with suppress(ProcessLookupError):
            os.sched_setscheduler(int(task.name), policy, os.sched_param(0))
