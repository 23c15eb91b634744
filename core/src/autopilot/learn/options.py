"""What to train, and how it goes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, FiniteFloat, PositiveInt, TypeAdapter, ValidationError

from autopilot.api.errors import UserError, suggest
from autopilot.sessions.info import SessionInfo


def _warmup(value: float) -> float:
    if not (0 <= value < 1 or (1 <= value <= 1e9 and value == int(value))):
        raise ValueError("say a share of the steps below 1, or a number of steps")
    return value


def check_values(kind: Any, values: Mapping[str, Any]) -> Any:
    """Return values as a dataclass or a TypedDict says they must be; raises UserError, which names the first fault."""
    for name in values.keys() - kind.__annotations__.keys():
        raise UserError(f"there is no option {name!r}: {suggest(name, kind.__annotations__)}")
    try:
        return TypeAdapter(kind).validate_python(values)
    except ValidationError as e:
        first = e.errors()[0]
        option = str(first["loc"][0]).replace("_", "-")
        raise UserError(f"--{option} {first['input']!r}: {first['msg'].removeprefix('Value error, ')}") from e


Importance = Annotated[FiniteFloat, Field(ge=1, le=100)]
Share = Annotated[FiniteFloat, Field(gt=0, lt=1)]


@dataclass(frozen=True)
class TrainOptions:
    """What a user may choose. `train` takes sessions of `game`, or of several, a,b,…, and of their label maps `actions`
    (default: each its own); `tracks`, `drivers` and `modes` name the only ones trained on, `laps` states a `LapRule`
    of them. `learning_rate` is Adam's peak, reached after the warm-up.

    `warmup` is a share of the steps below 1 and a number of steps from 1 on; `patience` how many
    epochs without a smaller validation loss end the training (0: none do), `keep_best` how many of
    the best epochs keep their weights. `brightness` is the largest relative change of brightness
    and contrast, `shift` the largest sideways shift in pixels, `rotate` the largest turn in degrees;
    `label_shift` says how many milliseconds after a frame its label was held; `validation` is the
    share of frames, by whole sessions, held out. `precision` is what the network computes in, while its
    weights stay float32. `devices` share each batch; None takes what suits. `start` names the bundle whose
    weights it begins with, or several, a,b,…: with the mean of theirs; None draws them. `corrections` times as much as
    other frames count those where a human corrected a policy, `fast_laps` times as much those of clean laps faster than
    the median of their track, and so many times less those of slower laps.
    """

    model: str
    game: str = ""
    sessions: tuple[str, ...] = ()
    tracks: str | None = None
    drivers: str | None = None
    modes: str | None = None
    laps: str | None = None
    actions: str | None = None
    epochs: PositiveInt = 20
    batch_size: PositiveInt = 256
    balance: Literal["none", "oversample", "weights"] = "none"
    mirror: bool = True
    seed: Annotated[int, Field(ge=0, lt=2**32)] = 0
    name: str | None = None
    learning_rate: Share = 1e-3
    validation: Share = 0.1
    brightness: Annotated[FiniteFloat, Field(ge=0, le=1)] = 0.2
    shift: Annotated[int, Field(ge=0)] = 0
    rotate: Annotated[FiniteFloat, Field(ge=0, le=45)] = 0.0
    label_shift: Annotated[FiniteFloat, Field(ge=-1000, le=1000)] = 0.0
    schedule: Literal["cosine", "step", "constant"] = "cosine"
    warmup: Annotated[FiniteFloat, AfterValidator(_warmup)] = 0.02
    patience: Annotated[int, Field(ge=0)] = 0
    keep_best: PositiveInt = 1
    precision: Literal["float32", "bfloat16"] = "float32"
    devices: PositiveInt | None = None
    start: str | None = None
    corrections: Importance = 1.0
    fast_laps: Importance = 1.0
    config: Mapping[str, Any] = field(default_factory=dict)

    @property
    def games(self) -> tuple[str, ...]:
        """The games, by name."""
        return tuple(dict.fromkeys(name.strip() for name in self.game.split(",")))

    @property
    def bundle(self) -> str:
        """What the bundle is called: as the user says, or after its games and network."""
        return self.name or "-".join(name.rpartition(":")[2] for name in (*self.games, self.model))

    def check(self) -> None:
        """Raise UserError for a value that makes no sense."""
        check_values(TrainOptions, vars(self))

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


Choose = Callable[[Sequence[Path], Sequence[SessionInfo]], tuple[int, dict[str, Any]]]
"""Is given bundles, the most accurate first, and the sessions that they learned from; returns which is best, and what
its manifest is to say of how it drives: `select`, `temperature`, and as one of its metrics `driving`."""


@dataclass(frozen=True)
class Invocation:
    """How `train` is called, which does not change what is learned.

    `restart` throws an earlier run of the name away; `check` lets the sessions be looked through first;
    `average_epochs` is an epoch whose weights are kept, or a first and a last one, whose mean is bundled
    (arXiv:1803.05407), in place of the best; `choose` chooses among the kept epochs instead; so many `processes` were
    joined by `jax.distributed`.
    """

    restart: bool = False
    check: bool = True
    average_epochs: Sequence[int] | None = None
    choose: Choose | None = None
    processes: int = 1


@dataclass(frozen=True)
class TrainListener:
    """Hears how a training goes: `progress` after each step, `say` what the user should know before it goes on.

    `stop` is asked before each step whether it should end here, with a checkpoint and KeyboardInterrupt.
    """

    progress: Callable[[TrainProgress], object] = lambda progress: None
    say: Callable[[str], None] = lambda line: None
    stop: Callable[[], bool] = lambda: False
