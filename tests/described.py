"""What the tests say of a session that they make up: all of it, or all but what they change."""

from __future__ import annotations

from autopilot.api.types import ActionSpace, Axis
from autopilot.sessions.info import FORMAT, SessionInfo

WIDTH, HEIGHT = 32, 18
SPACE = ActionSpace((Axis("steer", ("left", "forward", "right"), (2, 1, 0)), Axis("pedal", ("gas", "coast"), (0, 1))))


def make_info(id: str = "a-session", **changes: object) -> SessionInfo:
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
