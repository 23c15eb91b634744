"""What to train, and how it goes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from autopilot.api.errors import UserError

BALANCES = ("none", "oversample", "weights")
SCHEDULES = ("cosine", "step", "constant")
PRECISIONS = ("float32", "bfloat16")


@dataclass(frozen=True)
class TrainOptions:
    """What a user may choose. `train` takes sessions of `game`, and of its label maps `actions` (default: its own);
    `tracks`, `drivers` and `modes` name the only ones trained on, `laps` states a `LapRule` of them.
    `learning_rate` is Adam's peak, reached after the warm-up.

    `warmup` is a share of the steps below 1 and a number of steps from 1 on; `patience` how many
    epochs without a smaller validation loss end the training (0: none do), `keep_best` how many of
    the best epochs keep their weights. `brightness` is the largest relative change of brightness
    and contrast, `shift` the largest sideways shift in pixels, `rotate` the largest turn in degrees;
    `label_shift` says how many milliseconds after a frame its label was held; `validation` is the
    share of frames, by whole sessions, held out. `precision` is what the network computes in, while its
    weights stay float32. `devices` share each batch; None takes what suits. `start` names the bundle whose
    weights it begins with, or several, a,b,…: with the mean of theirs; None draws them.
    """

    model: str
    game: str = ""
    sessions: tuple[str, ...] = ()
    tracks: str | None = None
    drivers: str | None = None
    modes: str | None = None
    laps: str | None = None
    actions: str | None = None
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
    rotate: float = 0.0
    label_shift: float = 0.0
    schedule: str = "cosine"
    warmup: float = 0.02
    patience: int = 0
    keep_best: int = 1
    precision: str = "float32"
    devices: int | None = None
    start: str | None = None
    config: Mapping[str, Any] = field(default_factory=dict)

    def check(self) -> None:
        """Raise UserError for a value that makes no sense."""
        for option, known in (("balance", BALANCES), ("schedule", SCHEDULES), ("precision", PRECISIONS)):
            if (value := getattr(self, option)) not in known:
                raise UserError(f"--{option} {value!r}: say {', '.join(known[:-1])} or {known[-1]}")
        steps = 0 <= self.warmup < 1 or (1 <= self.warmup <= 1e9 and self.warmup == int(self.warmup))
        for right, words in (
            (self.epochs >= 1 and self.batch_size >= 1, "--epochs and --batch-size must be 1 or more"),
            (0 <= self.seed < 2**32, f"--seed {self.seed} must be from 0 to {2**32 - 1}"),
            (0 < self.learning_rate < 1, f"--learning-rate {self.learning_rate} must be between 0 and 1"),
            (steps, f"--warmup {self.warmup:g}: say a share of the steps below 1, or a number of steps"),
            (self.patience >= 0 and self.keep_best >= 1, "--patience must be 0 or more, --keep-best 1 or more"),
            (0 <= self.brightness <= 1, f"--brightness {self.brightness} must be from 0 to 1"),
            (self.shift >= 0 and 0 <= self.rotate <= 45, "--shift must be 0 or more, --rotate from 0 to 45 degrees"),
            (abs(self.label_shift) <= 1000, f"--label-shift {self.label_shift:g} must be from -1000 to 1000 ms"),
            (0 < self.validation < 1, f"--validation {self.validation} must be between 0 and 1"),
        ):
            if not right:
                raise UserError(words)

    def recipe(self) -> dict[str, Any]:
        """Return all that decides the weights besides the data: stored in run and bundle."""
        of_the_data = ("sessions", "tracks", "drivers", "modes", "laps", "actions", "game")
        other = ("devices", "name", "model", "config", *of_the_data)
        return {key: value for key, value in asdict(self).items() if key not in other}


@dataclass
class TrainProgress:
    """How a training stands: for the progress bar.

    `left_s` is how long the steps that are left will take, validation apart: None until enough were measured.
    """

    step: int
    steps: int
    epoch: int
    epochs: int
    samples_per_s: float
    left_s: float | None = None
    loss: float | None = None
    validation: dict[str, Any] | None = None


@dataclass(frozen=True)
class Invocation:
    """How `train` is called, which does not change what is learned.

    `restart` throws an earlier run of the name away; `check` lets the sessions be looked through first;
    `average_epochs` is an epoch whose weights are kept, or a first and a last one, whose mean is bundled
    (arXiv:1803.05407), in place of the best; so many `processes` were joined by `jax.distributed`.
    """

    restart: bool = False
    check: bool = True
    average_epochs: Sequence[int] | None = None
    processes: int = 1


class TrainListener:
    """Hears how a training goes; a command, a notebook or another process overrides what it wants to know."""

    def progress(self, progress: TrainProgress) -> None:
        """A step was made."""

    def say(self, line: str) -> None:
        """The user should know this before it goes on."""

    def stop(self) -> bool:
        """Return whether it should end here, with a checkpoint and KeyboardInterrupt."""
        return False
