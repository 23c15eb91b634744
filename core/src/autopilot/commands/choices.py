"""What a command line leaves out: the one answer that there is, the newest bundle, or the user's choice."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from autopilot.api.errors import BundleError, UserError
from autopilot.commands.opened import OpenHome
from autopilot.sessions.home import is_scripted

SHOWN = 20
"""So many of what there is to choose from stand in one line."""


def choose(home: OpenHome, option: str, what: str, names: Iterable[str]) -> str:
    """Return the only name; of several the one that a person picks.

    Raises UserError, which lists them and names the option, where there is nobody to ask.
    """
    offered = list(dict.fromkeys(names))
    if len(offered) == 1:
        return offered[0]
    if not offered:
        raise UserError(f"{option} is missing, and there are no {what} to choose from")
    if (picked := home.ask(option, offered)) is not None:
        return picked
    more = f" and {len(offered) - SHOWN} more" if len(offered) > SHOWN else ""
    raise UserError(f"there are {what} {', '.join(offered[:SHOWN])}{more}: choose with {option}")


def choose_offered(home: OpenHome, option: str, kind: str, fits: Callable[[Any], object] = lambda spec: True) -> str:
    """Return which of the things of a kind that plugins offer is meant, of those that fit."""
    offered = [(plugin.dist, spec.name) for plugin, spec in home.registry.provided(kind) if fits(spec)]
    names = [name for _, name in offered]
    return choose(home, option, f"{kind}s", (f"{d}:{n}" if names.count(n) > 1 else n for d, n in offered))


def newest_bundle(home: OpenHome, game: str | None = None) -> str:
    """Return the name of the newest bundle, of a game if one is named, and say which it is.

    Where the user has none, it is a ready-trained one. Raises UserError, with what to do, where there is none either.
    One that cannot be read is named and passed over.
    """
    from autopilot.bundle.manifest import CARD
    from autopilot.commands.zoo import ready_trained

    wanted = None if game is None else home.registry.get("game", game).name
    own = {name: home.folders.bundle(name) for name in home.folders.bundle_names()}
    for name, its in _readable(home, own, wanted):
        if not (own[name] / CARD).exists():
            home.say(f"the newest bundle{'' if wanted is None else f' of {wanted}'}: {name}, for {' and '.join(its)}")
            return name
    ready = dict(_readable(home, {**ready_trained(home), **own}, wanted))
    if ready:
        name = choose(home, "--bundle", "ready-trained bundles", ready)
        home.say(f"no bundle of your own: {name} drives, ready-trained (`autopilot models show {name}`)")
        return name
    record = "autopilot record" + (f" --game {game}" if game else "")
    of = f" of {game}" if game else ""
    raise UserError(
        f"no bundle{of} in {home.folders.bundles}: record with `{record}`, then train with `autopilot train`"
    )


def _readable(home: OpenHome, bundles: Mapping[str, Path], game: str | None) -> Iterator[tuple[str, Sequence[str]]]:
    """Yield those that drive the game, or any, each with its games; say which cannot be read."""
    from autopilot.bundle.manifest import read_manifest

    for name, folder in bundles.items():
        try:
            its = tuple(read_manifest(folder).label_maps)
        except BundleError as e:
            home.say(str(e))
            continue
        if game in (None, *its):
            yield name, its


def game_of(home: OpenHome, drivers: Sequence[str]) -> str:
    """Return a game of the first bundle among the drivers, or else one that has such scripted drivers."""
    from autopilot.bundle.manifest import read_manifest

    for name in drivers:
        if not is_scripted(name):
            return choose(home, "--game", "games", read_manifest(home.bundle(name)).label_maps)
    wanted = {name for name in drivers if name.startswith("demonstrator")}

    def ships(spec: Any) -> bool:
        return wanted <= set(spec.simulator.demonstrators if spec.simulator else ())

    return choose_offered(home, "--game", "game", ships)


def _game_of_sessions(home: OpenHome, ids: Sequence[str], likely: str | None) -> str:
    """Return which game's sessions are meant: of those named, or of all; raises UserError where there are none."""
    from autopilot.sessions.store import SessionStore

    store = SessionStore(home.folders.sessions)
    sessions = [store.open(id) for id in ids] if ids else store.all()[0]
    if not sessions:
        from autopilot.commands import ui

        raise UserError(ui.no_sessions(home.folders.sessions, None))
    games = sorted({s.info.game for s in sessions})
    return likely if likely in games else choose(home, "--game", "sessions of", games)


def choose_training(
    home: OpenHome, model: str | None, game: str | None, start: str | None, sessions: Sequence[str]
) -> tuple[str, str]:
    """Return which network is to be trained, on which games' sessions: as the bundle to `start` with, if any."""
    likely = None
    if start is not None:
        from autopilot.bundle.manifest import read_manifest

        its = read_manifest(home.bundle(start.partition(",")[0].strip()))
        bare = its.model.rpartition(":")[2]
        model = model or choose_offered(home, "--model", "model", lambda spec: spec.name == bare)
        likely = its.game
    return model or choose_offered(home, "--model", "model"), game or _game_of_sessions(home, sessions, likely)
