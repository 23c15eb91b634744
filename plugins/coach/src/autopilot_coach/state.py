"""What a sitting has come to: enough to go on with it, and to report on it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from autopilot.api.errors import UserError
from autopilot.sessions.home import read_json, write_json

from autopilot_coach.lessons import Mark

RECENT = 3
"""So many laps are the last ones."""


@dataclass
class Stint:
    """A piece of the sitting that was recorded: one race, or a minute of a game that has no end.

    `by_human` frames were driven by the person; of `trusted` frames the network had the wheel unless it was corrected,
    which it was in `corrected`. `alone` counts laps without any help. `late` decisions took longer than a period.
    """

    session: str
    track: str
    frames: int
    by_human: int
    network: str | None = None
    trusted: int = 0
    corrected: int = 0
    laps_s: list[float] = field(default_factory=list)
    alone: int = 0
    incidents: int = 0
    late: int = 0


@dataclass
class State:
    """A sitting; times in seconds, `game_s` of the game and `wall_s` of the person.

    `networks` are the last two that passed their exam, the last one drives; `taken_back` those that drove worse than
    the one before. `open` is the session that is being recorded: after SIGKILL it counts as well. `over` says that
    the last lessons were given.
    """

    game: str
    human: str
    hz: float
    model: str
    format: int = 1
    stints: list[Stint] = field(default_factory=list)
    lessons: list[dict[str, Any]] = field(default_factory=list)
    networks: list[tuple[str, Mark]] = field(default_factory=list)
    taken_back: list[str] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)
    first_network: dict[str, float] | None = None
    first_lap_alone: dict[str, float] | None = None
    open: tuple[str, str] | None = None
    wall_s: float = 0.0
    over: bool = False

    @property
    def game_s(self) -> float:
        """Game time so far."""
        return sum(stint.frames for stint in self.stints) / self.hz

    @property
    def human_frames(self) -> int:
        """Frames that the person drove."""
        return sum(stint.by_human for stint in self.stints)

    @property
    def champion(self) -> str | None:
        """The network that drives."""
        return self.networks[-1][0] if self.networks else None

    @property
    def mark(self) -> Mark | None:
        """How it drove in its exam."""
        return self.networks[-1][1] if self.networks else None

    def yours(self, last: int = RECENT) -> float | None:
        """Return which share of the last stints' frames the person drove, None before the first."""
        recent = self.stints[-last:]
        frames = sum(stint.frames for stint in recent)
        return sum(stint.by_human for stint in recent) / frames if frames else None

    def corrected(self, network: str) -> tuple[float, float]:
        """Return for how many seconds a network had the wheel, and the share of them in which it was corrected."""
        its = [stint for stint in self.stints if stint.network == network]
        trusted = sum(stint.trusted for stint in its)
        return trusted / self.hz, sum(stint.corrected for stint in its) / max(trusted, 1)

    def taught(self) -> tuple[str, ...]:
        """Return the sessions in which the person drove, but for those that lessons could not use."""
        return tuple(s.session for s in self.stints if s.by_human and s.session not in self.left_out)

    def save(self, path: Path) -> None:
        """Write it; raises OSError."""
        write_json(path, asdict(self))

    @classmethod
    def load(cls, path: Path) -> State | None:
        """Return what was kept of a sitting, None where there is none; raises UserError for a file that is damaged."""
        try:
            data = read_json(path.read_bytes())
            data["stints"] = [Stint(**stint) for stint in data["stints"]]
            data["networks"] = [(str(name), Mark(**mark)) for name, mark in data["networks"]]
            if data["format"] != cls.format or data.keys() - {f.name for f in fields(cls)}:
                raise ValueError
            return cls(**data)
        except FileNotFoundError:
            return None
        except (ValueError, TypeError, KeyError, OSError) as e:
            advice = "choose another --name, or delete the file to begin anew; its sessions stay"
            raise UserError(f"{path} cannot be read: {advice}") from e


def laps_text(laps_s: Sequence[float]) -> str:
    """Return the last lap times in words."""
    return ", ".join(f"{t:.1f} s" for t in laps_s[-RECENT:])
