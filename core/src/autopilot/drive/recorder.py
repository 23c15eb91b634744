"""Recording a run, or its good laps, as sessions: observers of the run."""

from __future__ import annotations

from collections import Counter, deque
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from autopilot.api.errors import SessionError
from autopilot.api.game import Game
from autopilot.api.interfaces import LabelMap
from autopilot.api.registry import versions
from autopilot.api.types import Step, WorldRequest
from autopilot.drive.run import Ending, Observer, Run
from autopilot.sessions.info import SessionInfo
from autopilot.sessions.laps import Lap, LapFinder, LapRule
from autopilot.sessions.segments import Row
from autopilot.sessions.store import session_name
from autopilot.sessions.writer import SessionWriter


def new_info(
    game: Game, request: WorldRequest, driver: str, label_map_name: str, label_map: LabelMap, **more: Any
) -> SessionInfo:
    """Return what is known of a session before its world is open; `more` are further fields, or others."""
    width, height = game.spec.frame_size
    fields = {
        "id": session_name(game.spec.name, request.track, driver),
        "game": game.spec.name,
        "driver": driver,
        "track": request.track,
        "mode": request.mode,
        "hz": request.hz,
        "width": width,
        "height": height,
        "controls": game.spec.controls,
        "label_map": label_map_name,
        "action_space": label_map.action_space.to_json(),
        "lockstep": False,
        "created": _now(),
        "versions": versions([game.plugin]),
        "ended": "recording",
    }
    return SessionInfo.model_validate(fields | more)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


class SessionRecorder(Observer):
    """Writes the steps of one run into a new session in `root`, which `info` describes.

    `label_map` labels them. Where `info.policy` says that it is a drive, the rows that the policy
    drove get no label, so that training skips them; those that the human took over get theirs,
    and `session.json` lists them. After an exception the session is marked as `interrupted`. The last
    `discard_s` seconds are deleted softly when the human says so.

    Raises SessionError as `SessionWriter` does.
    """

    def __init__(self, root: Path, info: SessionInfo, label_map: LabelMap, discard_s: float = 5.0) -> None:
        self._root, self._info, self._label_map, self._discard_s = root, info, label_map, discard_s
        self.human: list[tuple[int, int]] = []
        self.counts: Counter[str] = Counter()
        self.discarded = 0
        self._writer: SessionWriter | None = None

    def begin(self, run: Run) -> None:
        """Make the session."""
        info = self._info
        fresh = {"id": session_name(info.game, info.track, info.driver), "created": _now()}
        self._info = info.model_copy(update=fresh | {"lockstep": run.world.clock.lockstep})
        self._writer = SessionWriter(self._root, self._info)

    def same(self, info: SessionInfo) -> bool:
        """Return whether a session was recorded to its end by this driver, in this way, on this track."""
        what = ("game", "driver", "track", "mode", "noise", "teacher", "label_map", "policy")
        return info.ended == "saved" and all(getattr(info, name) == getattr(self._info, name) for name in what)

    @property
    def writer(self) -> SessionWriter:
        """What writes; the session's folder and its number of frames are there."""
        assert self._writer is not None, "a recorder is asked after its run has begun"
        return self._writer

    @property
    def frames(self) -> int:
        """How many rows were written."""
        return self._writer.frames if self._writer else 0

    def step(self, step: Step) -> None:
        """Write one step."""
        decision, number = step.decision, self.writer.frames
        labelled = decision.by_human or not self._info.policy
        action = self._label_map.action(decision.held) if labelled else None
        self.writer.append(Row(step.frame, decision.held, decision.sent, action, step.reading))
        self.counts["skipped" if action is None else self._label_map.action_space.describe(action)] += 1
        if decision.by_human:
            begun = self.human.pop()[0] if self.human and self.human[-1][1] == number else number
            self.human.append((begun, number + 1))

    def discard(self) -> None:
        """Delete softly what was recorded in the last seconds."""
        self.discarded += self.writer.discard(round(self._discard_s * self._info.hz))

    def close(self, ending: Ending | None, error: BaseException | None) -> None:
        """Seal the session."""
        if self._writer is None:
            return
        if error is None:
            self._writer.close("quit" if ending == "quit" and not self._info.policy else "saved", self.human)
            return
        with suppress(SessionError):  # the error on its way out is the one to report
            self._writer.close("interrupted", self.human)
        error.add_note(f"{self.frames} frames are kept as session {self._writer.path.name}")  # which Ctrl-C tells


class LapRecorder(Observer):
    """Writes each lap that passes `rule` into a session of its own in `root`, marked `auto`, with its time.

    `info` describes them, but for their ids and times; `label_map` labels them.

    The lap that is driven is held in memory; once over and passed, it is written by a thread, so that the
    loop does not wait. A lap with a human's help, or of twice `lap_limit_s`, is not kept. Frames on
    which something else was sent than the driver decided (a recovery) get no label. `kept` are the sessions
    and their laps, `seen` counts all laps that were driven whole. A process that is killed may leave a
    session without a `lap_time_s`, which training leaves out.
    """

    def __init__(self, root: Path, info: SessionInfo, label_map: LabelMap, rule: LapRule, lap_limit_s: float) -> None:
        self._root, self._info, self._label_map, self._rule = root, info, label_map, rule
        self._finder = LapFinder(info.hz)
        self._most = round(2 * lap_limit_s * info.hz)
        self._rows: deque[tuple[int, Row, bool]] = deque()
        self._count = self.seen = 0
        self._pool: ThreadPoolExecutor | None = None
        self._writing: list[Future[None]] = []
        self.kept: list[tuple[str, Lap]] = []

    def begin(self, run: Run) -> None:
        """Note by which clock the laps are driven."""
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="laps")
        self._info = self._info.model_copy(update={"lockstep": run.world.clock.lockstep})

    def step(self, step: Step) -> None:
        """Take in one step; raises SessionError where an earlier lap could not be written."""
        decision = step.decision
        action = self._label_map.action(decision.held) if decision.sent == decision.held else None
        row = Row(step.frame, decision.held, decision.sent, action, step.reading)
        self._rows.append((self._count, row, decision.by_human))
        self._count += 1
        for lap in self._finder.add(step.frame.t_ns, step.reading):
            self.seen += 1
            mine = [(row, by_human) for i, row, by_human in self._rows if lap.start <= i < lap.stop]
            whole = len(mine) == lap.stop - lap.start and not any(by_human for _, by_human in mine)
            if whole and self._rule.passes(lap) and self._pool is not None:
                self._writing.append(self._pool.submit(self._write, lap, [row for row, _ in mine]))
        while self._rows and (self._rows[0][0] < self._finder.start or len(self._rows) > self._most):
            self._rows.popleft()
        while self._writing and self._writing[0].done():
            self._writing.pop(0).result()

    def _write(self, lap: Lap, rows: list[Row]) -> None:
        info = self._info
        new = {"id": session_name(info.game, info.track, info.driver), "created": _now(), "auto": True}
        with SessionWriter(self._root, info.model_copy(update=new)) as writer:
            for row in rows:
                writer.append(row)
            writer.close(lap_time_s=lap.time_s)
        self.kept.append((writer.path.name, lap))

    def close(self, ending: Ending | None, error: BaseException | None) -> None:
        """Wait until the laps are written; raises SessionError where one could not be."""
        if self._pool is None:
            return
        self._pool.shutdown(wait=True)
        if error is not None:
            error.add_note(f"{len(self.kept)} of {self.seen} laps are kept as sessions")  # which Ctrl-C tells
            return
        for task in self._writing:
            task.result()
