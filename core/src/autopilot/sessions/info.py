"""The JSON files of a session: `session.json`, what it is, and `edits.json`, how it was reviewed."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, PositiveFloat, field_validator

from autopilot.api.errors import SessionError, UserError
from autopilot.api.files import patiently
from autopilot.api.types import ActionSpace
from autopilot.sessions.home import check_name, read_json, write_atomic

FORMAT = 1
Side = Annotated[int, Field(gt=0, le=8192)]
Ranges = list[tuple[int, int]]
"""Ranges [start, stop) of row indices."""


class _Versioned(BaseModel):
    model_config = ConfigDict(frozen=True, allow_inf_nan=False)

    newest: ClassVar[int] = FORMAT
    format: int = FORMAT

    @field_validator("format")
    @classmethod
    def _known(cls, value: int) -> int:
        if value > cls.newest:
            raise SessionError(f"made by a newer autopilot (format {value}; this one reads {cls.newest}): upgrade")
        return value

    @classmethod
    def load(cls, path: Path, advice: str) -> Self:
        """Read and check the file; raises SessionError that names it and ends with `advice`."""
        try:
            return cls.model_validate(read_json(patiently(path.read_bytes)))
        except UserError as e:
            raise SessionError(f"{path}: {e}") from None
        except OSError as e:
            raise SessionError(f"cannot read {path} ({e.strerror}): {advice}") from e
        except ValueError as e:
            raise SessionError(f"{path} is damaged: {advice}") from e

    def save(self, path: Path) -> None:
        """Write the file atomically; raises OSError."""
        write_atomic(path, self.model_dump_json(indent=2).encode() + b"\n")


def _action_space(data: list[dict[str, Any]]) -> list[dict[str, Any]]:
    ActionSpace.from_json(data)
    return data


class SessionInfo(_Versioned):
    """What is known of a session as a whole: `session.json`.

    `action_space` has the form of `ActionSpace.to_json`; `created` is ISO 8601 in UTC; `frames`
    is how many rows were recorded, known once the session is closed. `policy` says that a policy
    drove: then only the rows of a human who took over have labels, and `human` lists their ranges
    once the session is closed. A `teacher` is the demonstrator whose decisions are the labels while
    `driver` drove. `auto` is a lap that a drive kept because it was good: the session is exactly that
    lap, driven in `lap_time_s`, which is known once all of it is written. `part_of` is the session that
    this one was split off from. Raises UserError for an `id` that is unsafe as a folder's name.
    """

    id: Annotated[str, AfterValidator(partial(check_name, what="session"))]
    game: str
    driver: str
    track: str
    mode: str
    hz: PositiveFloat
    width: Side
    height: Side
    controls: tuple[str, ...]
    label_map: str
    action_space: Annotated[list[dict[str, Any]], AfterValidator(_action_space)]
    lockstep: bool
    noise: float = 0.0
    policy: bool = False
    teacher: str | None = None
    human: Ranges = []
    auto: bool = False
    lap_time_s: PositiveFloat | None = None
    created: str
    versions: dict[str, str]
    ended: Literal["recording", "saved", "quit", "interrupted"]
    frames: int | None = None
    part_of: str | None = None


Review = Literal["new", "approved", "rejected"]


class Relabel(BaseModel):
    """The rows [start, stop) mean something else than was recorded: `held`, hence `action`."""

    model_config = ConfigDict(frozen=True)

    start: int
    stop: int
    held: tuple[str, ...]
    action: tuple[int, ...] | None


class EditState(BaseModel):
    """What can be undone: deleted rows, new labels (in order, never overlapping), the verdict, the window.

    Where there is a `window`, the session consists of the rows [start, stop); others are another's.
    """

    model_config = ConfigDict(frozen=True)

    deleted: Ranges = []
    relabelled: list[Relabel] = []
    review: Review = "new"
    window: tuple[int, int] | None = None

    def state(self) -> dict[str, Any]:
        """Return these fields alone, of whatever has them."""
        return {name: getattr(self, name) for name in EditState.model_fields}


class Change(EditState):
    """The state before (or, to be redone, after) a change, which `what` describes; `part` was split off by it."""

    what: str
    part: str | None = None


class Edits(_Versioned, EditState):
    """How a session was reviewed: the state, rows that a purge removed for good, and what can be undone."""

    newest: ClassVar[int] = 2
    format: int = 2
    purged: Ranges = []
    undo: list[Change] = []
    redo: list[Change] = []


def contains(ranges: Ranges, index: int) -> bool:
    """Return whether one of the ranges holds the index."""
    return any(start <= index < stop for start, stop in ranges)


def merged(ranges: Ranges) -> Ranges:
    """Return the same rows as the fewest ranges, in order; empty ranges vanish."""
    out: Ranges = []
    for start, stop in sorted((a, b) for a, b in ranges if a < b):
        if out and start <= out[-1][1]:
            out[-1] = (out[-1][0], max(stop, out[-1][1]))
        else:
            out.append((start, stop))
    return out


def without(ranges: Ranges, start: int, stop: int) -> Ranges:
    """Return the ranges less the rows [start, stop)."""
    left = [(a, min(b, start)) for a, b in ranges]
    right = [(max(a, stop), b) for a, b in ranges]
    return merged(left + right)
