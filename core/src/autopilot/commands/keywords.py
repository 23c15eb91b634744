"""What may be said by keyword to `OpenHome`'s methods, with the names that the options' dataclasses have.

They are those of the command line, `_` for `-`, but for `max_s` (`--seconds`), `start` (`--init-from`), `config` (each
`--set`), and `drivers`, `modes`, `sessions` of a training (`--driver`, `--mode`, `--session`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, TypedDict

from pydantic import NonNegativeInt, PositiveFloat, PositiveInt


class PolicyKeywords(TypedDict, total=False):
    """How a bundle drives: `autopilot drive --help`."""

    select: Literal["weighted", "argmax"] | None
    temperature: float | None
    engine: str
    seed: NonNegativeInt
    recover: bool


class RecordKeywords(TypedDict, total=False):
    """`autopilot record --help`; `select` is of a bundle that a `teacher` labels."""

    actions: str | None
    teacher: str | None
    select: Literal["weighted", "argmax"] | None
    track: str | None
    mode: str | None
    hz: PositiveFloat | None
    laps: NonNegativeInt
    max_s: PositiveFloat | None
    discard_s: PositiveFloat
    workers: PositiveInt | Literal["ray"]
    resume: bool
    noise: float
    seed: NonNegativeInt
    show: bool


class DriveKeywords(PolicyKeywords, total=False):
    """`autopilot drive --help`."""

    track: str | None
    mode: str | None
    laps: NonNegativeInt
    max_s: PositiveFloat | None
    races: PositiveInt
    show: bool
    film: Path | None
    force: bool
    record: bool
    keep_laps: str | None
    takeover: Literal["handback", "pause", "off"]


class RaceKeywords(PolicyKeywords, total=False):
    """`autopilot race --help`."""

    mode: str | None
    tracks: str | None
    laps: PositiveInt | None
    races: PositiveInt
    films: bool
    reference: str | None
    workers: PositiveInt | Literal["ray"]
    resume: bool
    name: str | None
    force: bool


class TrainKeywords(TypedDict, total=False):
    """`autopilot train --help`: the fields of `TrainOptions`, which checks them, and of `Invocation`."""

    sessions: Sequence[str]
    tracks: str | None
    drivers: str | None
    modes: str | None
    laps: str | None
    actions: str | None
    epochs: int
    batch_size: int
    balance: Literal["none", "oversample", "weights"]
    mirror: bool
    seed: int
    name: str | None
    learning_rate: float | None
    validation: float
    brightness: float
    shift: int
    rotate: float
    label_shift: float
    schedule: Literal["cosine", "step", "constant"]
    warmup: float
    patience: int
    keep_best: int | None
    precision: Literal["float32", "bfloat16"]
    devices: int | None
    start: str | None
    corrections: float
    fast_laps: float
    config: Mapping[str, Any]
    restart: bool
    check: bool
    average_epochs: Sequence[int] | None
    choose_by: Literal["loss", "driving"]
    choose_tracks: str | None
    choose_seed: NonNegativeInt
