"""What a command line leaves out: the one answer that there is, the newest bundle, or the user's choice."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import click

from autopilot.api.errors import BundleError, UserError
from autopilot.commands import ui
from autopilot.commands.app import App
from autopilot.sessions.home import is_scripted

SHOWN = 20
"""So many of what there is to choose from stand in one line."""


def choose(option: str, what: str, names: Iterable[str]) -> str:
    """Return the only name; of several the one that a person picks, by its number or by itself.

    Raises UserError, which lists them and names the option, where there is nobody to ask.
    """
    offered = list(dict.fromkeys(names))
    if len(offered) == 1:
        return offered[0]
    if not offered:
        raise UserError(f"{option} is missing, and there are no {what} to choose from")
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        more = f" and {len(offered) - SHOWN} more" if len(offered) > SHOWN else ""
        raise UserError(f"there are {what} {', '.join(offered[:SHOWN])}{more}: choose with {option}")
    for number, name in enumerate(offered, 1):
        ui.say(f"  {number}  {name}")
    while True:
        answer: str = click.prompt(f"which one ({option})", err=True).strip()
        if answer in offered:
            return answer
        if answer.isdecimal() and 0 < int(answer) <= len(offered):
            return offered[int(answer) - 1]
        ui.say(f"there is no {answer!r}")


def choose_offered(app: App, option: str, kind: str, fits: Callable[[Any], object] = lambda spec: True) -> str:
    """Return which of the things of a kind that plugins offer is meant, of those that fit."""
    offered = [(plugin.dist, spec.name) for plugin, spec in app.registry.provided(kind) if fits(spec)]
    names = [name for _, name in offered]
    return choose(option, f"{kind}s", (f"{d}:{n}" if names.count(n) > 1 else n for d, n in offered))


def newest_bundle(app: App, game: str | None = None) -> str:
    """Return the name of the newest bundle, of a game if one is named, and say which it is.

    Raises UserError, with what to do, where there is none. One that cannot be read is named and passed over.
    """
    from autopilot.bundle.manifest import read_manifest

    wanted = None if game is None else app.registry.get("game", game).name
    for name in app.home.bundle_names():
        try:
            its = tuple(read_manifest(app.home.bundle(name)).label_maps)
        except BundleError as e:
            ui.say(str(e))
            continue
        if wanted in (None, *its):
            ui.say(f"the newest bundle{'' if wanted is None else f' of {wanted}'}: {name}, for {' and '.join(its)}")
            return name
    record = "autopilot record" + (f" --game {game}" if game else "")
    of = f" of {game}" if game else ""
    raise UserError(f"no bundle{of} in {app.home.bundles}: record with `{record}`, then train with `autopilot train`")


def game_of(app: App, drivers: Sequence[str]) -> str:
    """Return a game of the first bundle among the drivers, or else one that has such scripted drivers."""
    from autopilot.bundle.manifest import read_manifest

    for name in drivers:
        if not is_scripted(name):
            return choose("--game", "games", read_manifest(app.home.bundle(name)).label_maps)
    wanted = {name for name in drivers if name.startswith("demonstrator")}

    def ships(spec: Any) -> bool:
        return wanted <= set(spec.simulator.demonstrators if spec.simulator else ())

    return choose_offered(app, "--game", "game", ships)


def _game_of_sessions(app: App, ids: Sequence[str], likely: str | None) -> str:
    """Return which game's sessions are meant: of those named, or of all; raises UserError where there are none."""
    from autopilot.sessions.store import SessionStore

    store = SessionStore(app.home.sessions)
    sessions = [store.open(id) for id in ids] if ids else store.all()[0]
    if not sessions:
        raise UserError(ui.no_sessions(app.home.sessions, None))
    games = sorted({s.info.game for s in sessions})
    return likely if likely in games else choose("--game", "sessions of", games)


def choose_training(
    app: App, model: str | None, game: str | None, start: str | None, sessions: Sequence[str]
) -> tuple[str, str]:
    """Return which network is to be trained, on which games' sessions: as the bundle to `start` with, if any."""
    likely = None
    if start is not None:
        from autopilot.bundle.manifest import read_manifest

        its = read_manifest(app.home.bundle(start.partition(",")[0].strip()))
        bare = its.model.rpartition(":")[2]
        model = model or choose_offered(app, "--model", "model", lambda spec: spec.name == bare)
        likely = its.game
    return model or choose_offered(app, "--model", "model"), game or _game_of_sessions(app, sessions, likely)
