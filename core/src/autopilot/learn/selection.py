"""Which recorded sessions, and which laps of them, a training learns from."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from autopilot.api.errors import UserError
from autopilot.api.game import Game
from autopilot.learn.options import TrainOptions
from autopilot.sessions.home import Home
from autopilot.sessions.laps import Lap, LapRule, choose_laps
from autopilot.sessions.session import Session
from autopilot.sessions.store import SessionStore

Tests = tuple[tuple[str, Callable[[Session], bool]], ...]


def _rejected(session: Session) -> bool:
    return session.edits().review == "rejected"


FOR_NOW: Tests = (("is being recorded", lambda s: s.info.ended == "recording"), ("was rejected", _rejected))
"""Why a session is left out, where the user did not name it."""

OF_NO_USE: Tests = (
    ("a lap that was not written to its end", lambda s: s.info.auto and s.info.lap_time_s is None),
    ("a policy drove it, and nobody took over", lambda s: s.info.policy and set(s.label_counts()) <= {"skipped"}),
)
"""Why no session of that kind teaches anything."""


@dataclass
class Chosen:
    """The sessions, the laps where a rule chose them, and in words which sessions could not be used, and why."""

    sessions: list[Session]
    laps: list[Lap] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)

    def leave_out(self, tests: Tests) -> None:
        """Leave out what a test finds."""
        for reason, useless in tests:
            out = [session for session in self.sessions if useless(session)]
            self.left_out += [f"{session.info.id}: {reason}" for session in out]
            self.sessions = [session for session in self.sessions if session not in out]


def choose_sessions(games: Sequence[Game], home: Home, options: TrainOptions) -> Chosen:
    """Return what the options name; raises UserError where a game has none, or they are not of one size and rate."""
    rule = None if options.laps is None else LapRule.parse(options.laps, "laps")
    known = [game.spec.name for game in games]
    chosen = _named(known, home, options.sessions) if options.sessions else _all(known, home)
    names = _names(games, options)
    wanted = [s for s in chosen.sessions if all(getattr(s.info, what) in of for what, of in names.items())]
    chosen.sessions = [s for s in wanted if len(s)]
    chosen.leave_out(OF_NO_USE)
    if lacking := set(known) - {session.info.game for session in chosen.sessions}:
        game, of = min(lacking), "".join(f", {what} {' or '.join(of)}" for what, of in names.items())
        record = f"record some with `autopilot record --game {game}`"
        raise UserError(f"no sessions of {game}{of} in {home.sessions}: {record}")
    if rule is not None:
        chosen.laps = choose_laps(chosen.sessions, rule, "laps")
        with_laps = {lap.session for lap in chosen.laps}
        chosen.sessions = [s for s in chosen.sessions if s.info.id in with_laps]
    _check_alike(chosen.sessions)
    return chosen


def _named(games: Sequence[str], home: Home, ids: Sequence[str]) -> Chosen:
    store = SessionStore.of(home)
    chosen = Chosen([store.open(id) for id in ids])
    for session in chosen.sessions:
        if session.info.game not in games:
            raise UserError(f"session {session.info.id} is not of {' or '.join(games)}")
        if _rejected(session):
            advice = f"`autopilot sessions {session.info.id} --review new`"
            raise UserError(f"session {session.info.id} was rejected: {advice}")
    return chosen


def _all(games: Sequence[str], home: Home) -> Chosen:
    every, broken = SessionStore.of(home).all()
    chosen = Chosen([s for s in every if s.info.game in games])
    chosen.left_out = [f"{id}: {what}" for id, what in broken]
    chosen.leave_out(FOR_NOW)
    return chosen


def _names(games: Sequence[Game], options: TrainOptions) -> dict[str, list[str]]:
    """Return of track, driver and mode those that the options name; every game has to know them."""
    names: dict[str, list[str]] = {}
    if options.tracks is not None:
        names["track"] = list(dict.fromkeys(track for game in games for track in game.tracks(options.tracks)))
    if options.drivers is not None:
        names["driver"] = [driver.strip() for driver in options.drivers.split(",")]
    if options.modes is not None:
        modes = [mode.strip() for mode in options.modes.split(",")]
        names["mode"] = list(dict.fromkeys(game.mode(mode) for game in games for mode in modes))
    return names


def _check_alike(sessions: Sequence[Session]) -> None:
    first = sessions[0].info
    for info in (session.info for session in sessions):
        ours, its = (first.width, first.height, first.hz), (info.width, info.height, info.hz)
        if ours != its:
            raise UserError(
                f"session {info.id} has {its[0]}x{its[1]} frames at {its[2]:g} Hz, {first.id} "
                f"{ours[0]}x{ours[1]} at {ours[2]:g} Hz: choose with --session"
            )
