"""Published times as further drivers of a race table."""

from __future__ import annotations

from dataclasses import replace

from autopilot.api.errors import UserError
from autopilot.api.game import Game
from autopilot.api.specs import Reference
from autopilot.race.result import RaceResult, RunResult

USUAL_LAPS = 3


def find_references(game: Game, name: str, tracks: list[str], laps: int) -> list[Reference]:
    """Return a game's published races of that name on these tracks.

    Raises UserError where the game has none of that name, or none is of so many laps on any of them.
    """
    known = game.spec.race.references
    if name not in known:
        there_are = f"there are: {', '.join(known)}" if known else "it has none"
        raise UserError(f"{game.spec.name} has no reference {name!r}: {there_are}")
    published = [reference for track in tracks if (reference := game.reference(name, track, laps)) is not None]
    if not published:
        for n in (laps, USUAL_LAPS):
            on = [track for track in game.spec.tracks.names if game.reference(name, track, n) is not None]
            if on:
                where = f"--tracks {','.join(on)} --laps {n}"
                raise UserError(f"the reference {name} is of another race: compare it by {where}")
        raise UserError(f"the reference {name} has no race of {laps} laps there: leave it out")
    return published


def add_reference(result: RaceResult, name: str, reference: Reference) -> RaceResult:
    """Return the result with the published runs behind its own; their drivers are called `NAME:DRIVER`."""
    runs = [
        RunResult(
            driver=f"{name}:{driver}",
            track=reference.track,
            race=number,
            laps_s=tuple(float(lap.rstrip("*")) for lap in race.split()),
            incident_laps=tuple(i for i, lap in enumerate(race.split()) if lap.endswith("*")),
            incidents=race.count("*"),
            finished=len(race.split()) == reference.laps,
            score=None,
        )
        for driver, races in reference.drivers.items()
        for number, race in enumerate(races)
    ]
    return replace(
        result,
        drivers=tuple(dict.fromkeys([*result.drivers, *(run.driver for run in runs)])),
        runs=(*result.runs, *runs),
        references=tuple(dict.fromkeys([*result.references, f"{name}: {reference.source}"])),
    )
