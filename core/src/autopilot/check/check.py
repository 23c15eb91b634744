"""All checks over all sessions, and the verdicts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from autopilot.check.alone import check_alone
from autopilot.check.findings import REFUSE, Finding, verdict
from autopilot.check.lag import lag
from autopilot.check.look import look
from autopilot.check.together import check_together
from autopilot.interfaces import LabelMap
from autopilot.sessions import Session


@dataclass(frozen=True)
class Report:
    """What was found in the `sessions`, by their ids, in the order in which they were given."""

    sessions: list[str]
    findings: list[Finding]

    def of(self, session: str | None) -> list[Finding]:
        """Return what was found in a session, the worst first; with None what concerns all of them."""
        mine = [f for f in self.findings if f.session == session]
        return sorted(mine, key=lambda f: f.severity != REFUSE)

    def verdict(self, session: str) -> str:
        """Return OK, LOOK or REFUSE."""
        return verdict(self.of(session))

    @property
    def refused(self) -> list[Finding]:
        """For each session that is refused, the first reason."""
        worst = [self.of(s)[0] for s in self.sessions if self.verdict(s) == REFUSE]
        return worst


def check(
    sessions: Sequence[Session],
    cache: Path,
    label_map: LabelMap | None,
    watch: Callable[[int], None] = lambda done: None,
) -> Report:
    """Look through the sessions, of one game, and return what was found.

    `label_map` is the game's, None where no plugin has it. `cache` is the home's folder of what can be made
    again; `watch` is told how many sessions have been read. Raises SessionError for one that cannot be.
    """
    looks, findings = [], []
    for number, session in enumerate(sessions, 1):
        looks.append(look(session, cache))
        findings += check_alone(looks[-1], label_map)
        watch(number)
    if looks:
        findings += check_together(looks, [lag(k) for k in looks])
    return Report([s.info.id for s in sessions], findings)
