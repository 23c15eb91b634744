"""A recorded session as NumPy arrays."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from autopilot.api.errors import SessionError
from autopilot.api.types import ActionSpace
from autopilot.bundle.preprocess import Preprocess
from autopilot.sessions.cache import cached
from autopilot.sessions.info import SessionInfo
from autopilot.sessions.laps import Lap, laps_of
from autopilot.sessions.session import Session

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from autopilot.sessions.index import Index


class SessionArrays:
    """The N rows of a session that are not deleted, as a reviewer relabelled them: what training learns from.

    `info` is what is known of the whole; `session` is what to edit it with; after that, ask the home for it again.
    Each array is read at the first use, and read once.
    """

    def __init__(self, session: Session, cache: Path) -> None:
        self.session, self._cache = session, cache
        self.info: SessionInfo = session.info
        self.id, self.controls = session.info.id, session.info.controls
        self.space: ActionSpace = session.action_space

    def __len__(self) -> int:
        return len(self.rows)

    def __repr__(self) -> str:
        return f"<session {self.id}: {len(self)} frames of {self.info.game}, {self.space}>"

    @cached_property
    def rows(self) -> Index:
        """What is known of each row but its picture, as columns: `score`, `race_time_s`, `lap`, `flags` and more."""
        return self.session.remaining()

    @cached_property
    def images(self) -> NDArray[np.uint8]:
        """The frames as they were recorded: uint8 RGB (N, H, W, 3), read-only.

        They lie in a file of the home's cache, unpacked, which is made at the first use and is mapped into memory: of
        any length, they cost only what is looked at. Raises SessionError where the disk is full.
        """
        size = (self.info.width, self.info.height)
        as_recorded = Preprocess(size, size)
        frames, rows = cached(self.session, self._cache, as_recorded.key, size, as_recorded)
        if not np.array_equal(rows.index, self.rows.index):
            raise SessionError(f"session {self.id} was changed after it was opened: open it again")
        return frames.images

    @property
    def labels(self) -> NDArray[np.int32]:
        """What each row teaches, int32 (N, axes): an index into the `values` of each of `space.axes`; -1: skipped."""
        joint = self.rows.action
        split = np.stack(np.unravel_index(joint.clip(0), self.space.sizes), axis=1).astype(np.int32)
        return np.where(joint[:, None] < 0, np.int32(-1), split)

    @property
    def held(self) -> NDArray[np.bool_]:
        """Which of `controls` should have been held on each row, bool (N, controls): what the labels are made of."""
        return self._sets()[self.rows.held]

    @property
    def sent(self) -> NDArray[np.bool_]:
        """Which were in fact, bool (N, controls): the same but for noise, recoveries, and what a teacher labels."""
        return self._sets()[self.rows.sent]

    def _sets(self) -> NDArray[np.bool_]:
        sets = [[control in held for control in self.controls] for held in self.rows.sets]
        return np.array(sets, bool).reshape(-1, len(self.controls))

    @property
    def times_s(self) -> NDArray[np.float64]:
        """When each frame was taken, seconds since the first one, float64 (N,)."""
        t_ns = self.rows.t_ns
        return (t_ns - t_ns[:1]) / 1e9

    @cached_property
    def laps(self) -> list[Lap]:
        """The laps recorded whole; `start` and `stop` of each number the rows of these arrays."""
        return laps_of(self.session)
