"""Keeping a run as a session: an observer of the loop that writes every step."""

from __future__ import annotations

from collections import Counter
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Self

from autopilot.errors import SessionError
from autopilot.game import Game
from autopilot.interfaces import LabelMap
from autopilot.sessions import Row, SessionInfo, SessionStore, SessionWriter
from autopilot.types import Step, WorldRequest
from autopilot.versions import versions


class Keeper:
    """Writes the steps of one run into a new session in `root`.

    `label_map` and its name label them. With `policy` it is a drive: the rows that the policy
    drove get no label, so that training skips them; those that the human took over get theirs,
    and `session.json` lists them. Left through an exception, the session ends as `interrupted`.

    Raises SessionError as `SessionWriter` does.
    """

    def __init__(
        self,
        root: Path,
        game: Game,
        request: WorldRequest,
        driver: str,
        label_map: LabelMap,
        label_map_name: str,
        *,
        lockstep: bool,
        noise: float = 0.0,
        policy: bool = False,
        teacher: str | None = None,
    ) -> None:
        self._label_map, self._policy = label_map, policy
        self.human: list[tuple[int, int]] = []
        self.counts: Counter[str] = Counter()
        width, height = game.spec.frame_size
        info = SessionInfo(
            format=1,
            id=SessionStore(root).new_id(game.spec.name, request.track, driver),
            game=game.spec.name,
            driver=driver,
            track=request.track,
            mode=request.mode,
            hz=request.hz,
            width=width,
            height=height,
            controls=game.spec.controls,
            label_map=label_map_name,
            action_space=label_map.action_space.to_json(),
            lockstep=lockstep,
            noise=noise,
            policy=policy,
            teacher=teacher,
            created=datetime.now(UTC).isoformat(timespec="seconds"),
            versions=versions([game.plugin]),
            ended="recording",
        )
        self._writer = SessionWriter(root, info)

    @property
    def path(self) -> Path:
        """The session's folder."""
        return self._writer.path

    @property
    def frames(self) -> int:
        """How many rows were written."""
        return self._writer.frames

    def __call__(self, step: Step) -> None:
        """Write one step."""
        decision, number = step.decision, self._writer.frames
        labelled = decision.by_human or not self._policy
        action = self._label_map.action(decision.held) if labelled else None
        self._writer.append(Row(step.frame, decision.held, decision.sent, action, step.reading))
        self.counts["skipped" if action is None else self._label_map.action_space.describe(action)] += 1
        if decision.by_human:
            begun = self.human.pop()[0] if self.human and self.human[-1][1] == number else number
            self.human.append((begun, number + 1))

    def close(self, ended: str = "saved") -> None:
        """Seal the session. Calling it twice is harmless."""
        self._writer.close(ended, self.human)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None:
            self.close()
            return
        with suppress(SessionError):  # the error on its way out is the one to report
            self.close("interrupted")
