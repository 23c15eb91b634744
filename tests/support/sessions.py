"""Sessions that the tests make up: what is said of one, and rows that are the same for the same number."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
from autopilot.api.types import ActionSpace, Axis, Frame, Reading
from autopilot.sessions.info import FORMAT, SessionInfo
from autopilot.sessions.segments import Row
from autopilot.sessions.session import Session
from autopilot.sessions.writer import SessionWriter

WIDTH, HEIGHT = 32, 18
SPACE = ActionSpace((Axis("steer", ("left", "forward", "right"), (2, 1, 0)), Axis("pedal", ("gas", "coast"), (0, 1))))


def make_info(id: str = "a-session", **changes: object) -> SessionInfo:
    """What is said of a session: all of it, or all but what is changed."""
    values = {
        "format": FORMAT,
        "id": id,
        "game": "toy",
        "driver": "anna",
        "track": "7",
        "mode": "N",
        "hz": 10.0,
        "width": WIDTH,
        "height": HEIGHT,
        "controls": ("left", "right", "gas"),
        "label_map": "toy",
        "action_space": SPACE.to_json(),
        "lockstep": False,
        "created": "2026-01-31T14:25:01+00:00",
        "versions": {"autopilot-core": "0.1.0"},
        "ended": "recording",
    }
    return SessionInfo.model_validate(values | changes)


def make_row(i: int, width: int = WIDTH, height: int = HEIGHT) -> Row:
    """The same row for the same number: noise, which is stored as it is, or few colours."""
    rng = np.random.default_rng(i)
    image = rng.integers(0, 256 if i % 2 else 3, (height, width, 3), np.uint8)
    reading = Reading(
        lap=i,
        lap_times_s=(31, 32.5)[: i % 3],  # an int where a float is due
        race_time_s=None if i % 3 else i / 7,
        incident=i % 8 == 0,
        score=math.inf if i % 6 == 0 else None,
    )
    held = frozenset(("left", "right", "gas")[: i % 4])
    return Row(
        frame=Frame(image, 10**18 + i),
        held=held,
        sent=held ^ {"gas"},
        action=None if i % 5 == 0 else SPACE.split(i % SPACE.joint_size),
        reading=None if i % 4 == 0 else reading,
    )


def plain(row: Row) -> tuple[object, ...]:
    """Everything but the index, as something that compares."""
    image = row.frame.image
    return image.shape, image.tobytes(), row.frame.t_ns, row.held, row.sent, row.action, row.reading


def assert_rows(found: list[Row], indices: list[int]) -> None:
    """The rows are those that `make_row` makes for these numbers."""
    assert [row.index for row in found] == indices
    for row in found:
        assert plain(row) == plain(make_row(row.index))


def record(root: Path, count: int, segments: int = 1, **changes: object) -> Session:
    """Record rows 0 to `count`, in that many segments of the same size."""
    info = make_info(**changes)
    with SessionWriter(root, info, segment_s=1e9) as writer:
        for i in range(count):
            if i and i % (count // segments) == 0:
                writer._segment_s = 0.0
            writer.append(make_row(i))
            writer._segment_s = 1e9
    return Session.open(writer.path)
