"""Teacher labels: a bundle drives, a demonstrator says what it would do there (DAgger, arXiv:1011.0686)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from autopilot.api.registry import Registry
from autopilot.api.types import Step
from autopilot.drive.drive import DriveOptions, DriveReport, drive, load_policy
from autopilot.drive.game import Game
from autopilot.sessions.home import Home


def teach(
    name: str,
    game: Game,
    home: Home,
    registry: Registry,
    options: DriveOptions,
    watch: Callable[[str, Step], None] = lambda track, step: None,
) -> list[DriveReport]:
    """Let `name` drive each of the tracks, and keep each drive as a session labelled by the teacher.

    A race that takes too long is ended by the game's `lap_limit_s`, a hotkey ends the remaining
    tracks too. Raises as `load_policy` and `drive` do.
    """
    limit = options.max_s or game.spec.lap_limit_s * options.laps
    options = replace(options, record=True, takeover="off", max_s=limit)
    policy = load_policy(name, game, home, registry, options)
    done: list[DriveReport] = []
    for number, track in enumerate(game.tracks(options.track)):
        one = replace(options, track=track, seed=options.seed + number)
        try:
            done.append(drive(name, game, home, registry, one, lambda step, t=track: watch(t, step), policy=policy))  # type: ignore[misc]
        except KeyboardInterrupt as e:
            if done:
                e.add_note(f"so are {len(done)} before it")
            raise
        if done[-1].ending in ("saved", "quit"):
            break
    return done
