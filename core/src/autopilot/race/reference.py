"""Published times as further drivers of a race table."""

from __future__ import annotations

from dataclasses import replace

from autopilot.errors import UserError
from autopilot.game import Game
from autopilot.race.result import RaceResult, Run
from autopilot.specs import Reference


def find_reference(game: Game, name: str, tracks: list[str], laps: int) -> Reference:
    """Return a reference of the game; raises UserError where there is none, or it is of another race."""
    known = game.spec.references
    if name not in known:
        there_are = f"there are: {', '.join(known)}" if known else "it has none"
        raise UserError(f"{game.spec.name} has no reference {name!r}: {there_are}")
    found = known[name]
    if found.track not in tracks or found.laps != laps:
        raise UserError(
            f"the reference {name} is of another race: compare it by --tracks {found.track} --laps {found.laps}"
        )
    return found


def add_reference(result: RaceResult, name: str, reference: Reference) -> RaceResult:
    """Return the result with the published runs behind its own; their drivers are called `NAME:DRIVER`."""
    runs = [
        Run(
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
        drivers=(*result.drivers, *dict.fromkeys(run.driver for run in runs)),
        runs=(*result.runs, *runs),
        references=(*result.references, f"{name}: {reference.source}"),
    )
