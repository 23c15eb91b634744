"""What the checks look at: a session's frames made small, what was held, and how one frame follows another."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from autopilot.api import ActionSpace, Axis, Held
from autopilot.bundle.frames import rescale
from autopilot.sessions.cache import Cached, cached
from autopilot.sessions.index import INCIDENT, WRONG_WAY, Index
from autopilot.sessions.info import SessionInfo
from autopilot.sessions.session import Health, Session
from numpy.typing import NDArray

SIZE = (80, 45)
"""Frames are looked at in this size (width, height)."""
GRID = (8, 5)
"""And told from each other by their mean colours on such a grid."""
CHUNK = 256
SAMPLE = 64
"""Frames, spread over the session, of which its median picture is made."""
STILL = 8.0
"""Grey levels by which a pixel that stands still differs from its median, on the average."""
EDGE = 15.0
"""Grey levels a pixel from which on a slope in the median picture is an edge."""

BLANK = 16
"""Grey levels between the darkest and the brightest pixel of a frame that shows nothing."""

type Flags = NDArray[np.bool_]
type Floats = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Template:
    """What stands still in a session: the HUD, the car, the frame around the picture.

    `colour` uint8 (45, 80, 3) is the median picture, `grey` float32 (45, 80) its brightness, and `edges` (45, 80)
    says where that has an edge and stands still. What moves has no edges in a median.
    """

    colour: NDArray[np.uint8]
    grey: Floats
    edges: Flags


@dataclass(frozen=True, eq=False)
class Look:
    """A session as the checks see it: the N rows that are intact and not deleted.

    `frames` are they, made small; `rows` is what else was recorded of them, relabelled where a reviewer says so. Of
    the pictures: `step` float32 (N,) is the mean difference to the frame before, 0 for the first one,
    and `same` (N,) where there is none at all; `blank` (N,) says that nothing is on the picture, `grid` uint8
    (N, 120) holds its mean colours, and `agreement` float32 (N,) says how well the
    template's edges are in place: their `likeness`, or the share of them that is as bright, if that is less.
    """

    info: SessionInfo
    health: Health
    frames: Cached
    rows: Index
    template: Template
    step: Floats
    same: Flags
    blank: Flags
    grid: NDArray[np.uint8]
    agreement: Floats

    def __len__(self) -> int:
        return len(self.frames)

    @property
    def images(self) -> NDArray[np.uint8]:
        """The small frames, uint8 (N, 45, 80, 3)."""
        return self.frames.images

    @property
    def index(self) -> NDArray[np.int64]:
        """The numbers of the rows as they were recorded, int64 (N,)."""
        return self.rows.index

    @property
    def t_ns(self) -> NDArray[np.int64]:
        """When each frame was taken, int64 (N,)."""
        return self.rows.t_ns

    @cached_property
    def held(self) -> list[Held]:
        """What was held at each frame, (N,)."""
        return [self.rows.sets[i] for i in self.rows.held]

    @cached_property
    def actions(self) -> NDArray[np.int64]:
        """The labels as they were stored, int64 (N, axes); -1 where there is none."""
        sizes, labels = ActionSpace.from_json(self.info.action_space).sizes, self.rows.action
        return np.where(labels < 0, -1, np.unravel_index(labels.clip(0), sizes)).T

    @property
    def wrong_way(self) -> Flags:
        """Where the referee said that the car goes the wrong way, (N,)."""
        return (self.rows.flags & WRONG_WAY) > 0

    @property
    def incident(self) -> Flags:
        """Where the referee saw an incident, (N,)."""
        return (self.rows.flags & INCIDENT) > 0

    @cached_property
    def follows(self) -> Flags:
        """Where a row is the one after the row before: no deletion, pause or gap lies between, (N,)."""
        gap = np.diff(self.t_ns) * self.info.hz / 1e9
        return np.concatenate([[False], (np.diff(self.index) == 1) & (gap > 0) & (gap < 1.5)])

    @cached_property
    def steer(self) -> tuple[int, Axis] | None:
        """The axis that turns the car, by its number: the one whose values swap in a mirror."""
        axes = [Axis(a["name"], tuple(a["values"]), tuple(a["mirror"])) for a in self.info.action_space]
        return next(((i, a) for i, a in enumerate(axes) if any(m != v for v, m in enumerate(a.mirror))), None)

    @property
    def turn(self) -> NDArray[np.float64]:
        """How far each value of `steer` turns the car to the right, -1 to 1, by its level or its name, (values,)."""
        values = self.steer[1].values if self.steer else ()
        try:
            return np.array([float(value) for value in values])
        except ValueError:
            return np.array([("right" in value) - float("left" in value) for value in values])

    @cached_property
    def foreign(self) -> Flags:
        """The frames of something else, a desktop or a menu; filled in by the check that knows, (N,)."""
        return np.zeros(len(self), np.bool_)


def measure_session(session: Session, cache: Path) -> Look:
    """Return what the checks need of a session; small frames are kept in the folder `cache`.

    Raises SessionError as `cached` does.
    """
    frames, rows = cached(session, cache, "check-1", SIZE, lambda image: rescale(image, SIZE))
    template = _template(frames.images)
    step, same, blank, grid, agreement = _measure(frames, template)
    return Look(
        info=session.info,
        health=session.health,
        frames=frames,
        rows=rows,
        template=template,
        step=step,
        same=same,
        blank=blank,
        grid=grid,
        agreement=agreement,
    )


def likeness(greys: NDArray[Any], usual: Floats, edges: Flags) -> Floats:
    """Return how well pictures (N, H, W) have edges (H, W) in place, from -1 to 1: float32 (N,).

    It is the correlation of their brightness with the usual one, over the pixels of the edges, which are bright
    on one side and dark on the other. So the light does not matter.
    """
    its, wanted = greys[:, edges].astype(np.float32), usual[edges] - usual[edges].mean()
    its -= its.mean(1, keepdims=True)
    correlation: Floats = its @ wanted / (np.linalg.norm(its, axis=1) * np.linalg.norm(wanted) + 1)
    return correlation


def greys(images: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return the brightness of pictures uint8 (N, H, W, 3): uint8 (N, H, W)."""
    n, height, width, _ = images.shape
    flat = cv2.cvtColor(images.reshape(n * height, width, 3), cv2.COLOR_RGB2GRAY) if n else images[..., 0]
    return flat.reshape(n, height, width)


def _template(images: NDArray[np.uint8]) -> Template:
    if not len(images):
        images = np.zeros((1, SIZE[1], SIZE[0], 3), np.uint8)
    sample = images[np.unique(np.linspace(0, len(images) - 1, SAMPLE).astype(int))]
    bright = greys(sample)
    grey = np.median(bright, 0).astype(np.float32)
    slope = np.hypot(cv2.Sobel(grey, cv2.CV_32F, 1, 0), cv2.Sobel(grey, cv2.CV_32F, 0, 1)) / 4
    spread = np.abs(bright - grey).mean(0)
    return Template(np.median(sample, 0).astype(np.uint8), grey, (slope > EDGE) & (spread < STILL))


def _measure(found: Cached, template: Template) -> tuple[Floats, Flags, Flags, NDArray[np.uint8], Floats]:
    """Return `step`, `same`, `blank`, `grid` and `agreement`; the frames are read once and not kept in memory."""
    images, n = found.images, len(found)
    step, agreement = np.zeros(n, np.float32), np.ones(n, np.float32)
    same, blank = np.zeros(n, np.bool_), np.zeros(n, np.bool_)
    grid = np.zeros((n, GRID[0] * GRID[1] * 3), np.uint8)
    edges = template.edges
    for start in range(0, n, CHUNK):
        part = images[start : start + CHUNK]
        mine = slice(start, start + len(part))
        before = images[max(start - 1, 0) : start + len(part) - 1]
        change = cv2.absdiff(part[len(part) - len(before) :], before).reshape(len(before), -1)
        step[start + len(part) - len(before) : mine.stop] = change.mean(1)
        same[start + len(part) - len(before) : mine.stop] = ~change.any(1)
        flat = part.reshape(len(part), -1)
        blank[mine] = flat.max(1) - flat.min(1) < BLANK
        grid[mine] = [cv2.resize(image, GRID, interpolation=cv2.INTER_AREA).ravel() for image in part]
        if edges.any():
            bright = greys(part)
            in_place = (np.abs(bright[:, edges] - template.grey[edges]) < 25).mean(1)
            agreement[mine] = np.minimum(in_place, likeness(bright, template.grey, edges))
        found.forget()
    return step, same, blank, grid, agreement
