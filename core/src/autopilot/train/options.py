"""What to train, and how it goes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from autopilot.errors import UserError

Balance = Literal["none", "oversample", "weights"]


@dataclass(frozen=True)
class TrainOptions:
    """What a user may choose. `learning_rate` is Adam's peak, reached after a short warm-up.

    `brightness` is the largest relative change of brightness and contrast, `shift` the largest
    sideways shift in pixels; `validation` the share of frames, by whole sessions, held out. `devices` share
    each batch; None takes what suits.
    """

    model: str
    game: str | None = None
    sessions: tuple[str, ...] = ()
    epochs: int = 20
    batch_size: int = 256
    balance: str = "none"
    mirror: bool = True
    seed: int = 0
    name: str | None = None
    learning_rate: float = 1e-3
    validation: float = 0.1
    brightness: float = 0.2
    shift: int = 0
    devices: int | None = None
    config: Mapping[str, Any] = field(default_factory=dict)

    def check(self) -> None:
        """Raise UserError for a value that makes no sense."""
        if self.epochs < 1 or self.batch_size < 1:
            raise UserError("--epochs and --batch-size must be 1 or more")
        if not 0 <= self.seed < 2**32:
            raise UserError(f"--seed {self.seed} must be from 0 to {2**32 - 1}")
        if self.balance not in ("none", "oversample", "weights"):
            raise UserError(f"--balance {self.balance!r}: say none, oversample or weights")
        if not 0 < self.learning_rate < 1:
            raise UserError(f"--learning-rate {self.learning_rate} must be between 0 and 1")
        if not 0 < self.validation < 1:
            raise UserError(f"--validation {self.validation} must be between 0 and 1")

    def recipe(self) -> dict[str, Any]:
        """Return all that decides the weights besides the data: stored in run and bundle."""
        data = asdict(self)
        for other in ("devices", "name", "sessions", "game", "model", "config"):
            del data[other]
        return data


@dataclass
class TrainProgress:
    """How a training stands: for the progress bar."""

    step: int
    steps: int
    epoch: int
    epochs: int
    samples_per_s: float
    loss: float | None = None
    validation: dict[str, Any] | None = None
