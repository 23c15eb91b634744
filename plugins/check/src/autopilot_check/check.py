"""All checks over all sessions, and the verdicts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from autopilot.api import Game, LabelMap, Registry, UserError
from autopilot.sessions.home import Home
from autopilot.sessions.session import Session
from autopilot.sessions.store import SessionStore

from autopilot_check.alone import check_alone
from autopilot_check.findings import REFUSE, REJECTED, Finding, verdict
from autopilot_check.lag import lag
from autopilot_check.look import Look, measure_session
from autopilot_check.together import check_together

LINES = 10
"""No more lines are said before a training."""


@dataclass(frozen=True)
class Report:
    """What was found in the `sessions`, by their ids; `rejected` and `left_out` were not looked at.

    `rejected` are those of the `sessions` that a reviewer rejected; `left_out` are others, in words.
    """

    sessions: list[str]
    findings: list[Finding]
    left_out: list[str] = field(default_factory=list)
    rejected: list[str] = field(default_factory=list)

    def of(self, session: str | None) -> list[Finding]:
        """Return what was found in a session, the worst first; with None what concerns all of them."""
        mine = [f for f in self.findings if f.session == session]
        return sorted(mine, key=lambda f: f.severity != REFUSE)

    def verdict(self, session: str) -> str:
        """Return OK, LOOK, REFUSE or REJECTED."""
        return REJECTED if session in self.rejected else verdict(self.of(session))

    @property
    def refused(self) -> list[Finding]:
        """The first reason for each session that is refused."""
        return [self.of(session)[0] for session in self.sessions if self.verdict(session) == REFUSE]


def check(
    registry: Registry,
    sessions: Sequence[Session],
    folder: Path,
    watch: Callable[[int, int], None] = lambda done, of: None,
) -> Report:
    """Look through sessions and return what was found; those of one game are compared with each other.

    `folder` is the home's, of what can be made again; `watch` is told how many sessions have been read, of how
    many. Raises SessionError for a session that cannot be read.
    """

    @cache
    def label_map(game: str, name: str) -> LabelMap | None:
        try:
            return Game(registry, game).label_map(name)
        except UserError:  # no plugin has it: what needs it is not asked
            return None

    looks: list[Look] = []
    findings: list[Finding] = []
    for number, session in enumerate(sessions, 1):
        looks.append(measure_session(session, folder))
        findings += check_alone(looks[-1], label_map(session.info.game, session.info.label_map))
        watch(number, len(sessions))
    for game in sorted({k.info.game for k in looks}):
        mine = [k for k in looks if k.info.game == game]
        findings += check_together(mine, [lag(k) for k in mine])
    return Report([s.info.id for s in sessions], findings)


def check_home(
    registry: Registry,
    home: Home,
    ids: Sequence[str] = (),
    game: str | None = None,
    watch: Callable[[int, int], None] = lambda done, of: None,
) -> Report:
    """Look through all sessions of a home, or those named by `ids`, or of one game.

    One that cannot be opened is refused. One that was rejected is left out, as `train` does: no other is
    compared with it. Raises SessionError for an id that is none.
    """
    store = SessionStore.of(home)
    sessions, broken = ([store.open(i) for i in ids], []) if ids else store.all()
    sessions = [s for s in sessions if game in (None, s.info.game)]
    live = [s.info.id for s in sessions if s.info.ended == "recording"]
    rejected = [s.info.id for s in sessions if s.info.id not in live and s.edits().review == "rejected"]
    report = check(registry, [s for s in sessions if s.info.id not in live + rejected], home.cache, watch)
    unread = [Finding(i, "broken", REFUSE, text, 1, []) for i, text in broken]
    return Report(
        sorted(report.sessions + rejected + [i for i, _ in broken]),
        unread + report.findings,
        [f"{i} is being recorded: not looked at" for i in live],
        rejected,
    )


def check_before_training(
    registry: Registry, sessions: Sequence[Session], folder: Path, say: Callable[[str], None]
) -> None:
    """Look through the sessions of a training, and say what is worth a look, a line each.

    Raises UserError when one of them is refused, else as `check`.
    """
    report = check(registry, sessions, folder)
    if report.refused:
        first, *rest = report.refused
        more = f" ({len(rest)} more are refused: `autopilot check`)" if rest else ""
        raise UserError(f"session {first.session}: {first.text}; --no-check trains on it all the same{more}")
    for finding in report.findings[:LINES]:
        say(f"check: {finding.session or 'all sessions'}: {finding.text}")
    if (more_lines := len(report.findings) - LINES) > 0:
        say(f"check: {more_lines} more lines by `autopilot check`")
