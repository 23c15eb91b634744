"""The main job on an embedded game: record a demonstrator, train, film, race on unseen tracks."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from autopilot.drive import DriveOptions, drive
from autopilot.game import Game
from autopilot.home import Home, write_json
from autopilot.plugins import Registry
from autopilot.race import RaceOptions, RaceResult, race, save_reports
from autopilot.record import RecordOptions, RecordProgress, record
from autopilot.sessions import SessionStore
from autopilot.train import TrainOptions, TrainProgress, train

RACE_TRACKS = "10000-10004"
"""Never recorded, and nothing was chosen by how anything drives on them."""

NOISE = 0.06


class Bar(Protocol):
    """A progress bar with tasks: rich's `Progress`."""

    def add_task(self, description: str, *, total: float | None, **fields: Any) -> Any:
        """Add a line."""
        ...

    def update(self, task_id: Any, **fields: Any) -> None:
        """Move a line."""
        ...


@dataclass(frozen=True)
class DemoResult:
    """What the demo made and how long each part took, in seconds."""

    race: RaceResult
    folder: Path
    film: Path
    seconds: dict[str, float]

    def to_json(self) -> dict[str, Any]:
        """Return plain data."""
        return {
            "race": self.race.to_json(),
            "folder": str(self.folder),
            "film": str(self.film),
            "seconds": self.seconds,
        }


def demo(
    registry: Registry, home: Home, bar: Bar, model: str, tracks: int, epochs: int
) -> DemoResult:
    """Run it; what an earlier, interrupted demo in the same home has done is kept."""
    game = Game(registry, "carracing")
    seconds: dict[str, float] = {}
    begun = time.monotonic()

    def lap(name: str) -> None:
        nonlocal begun
        seconds[name] = round(time.monotonic() - begun, 1)
        begun = time.monotonic()

    _record(game, home, bar, tracks)
    lap("record")
    bundle = _train(registry, home, bar, model, epochs)
    lap("train")
    folder = home.races / "demo"
    film = folder / "film.mp4"
    task = bar.add_task("film", total=1, news="")
    first = game.tracks(RACE_TRACKS)[0]
    options = DriveOptions(track=first, laps=1, max_s=game.spec.lap_limit_s, film=film)
    drive(bundle, game, home, registry, options)
    bar.update(task, completed=1, news=str(film))
    lap("film")
    result = _race(game, home, registry, bar, bundle)
    lap("race")
    save_reports(result, folder)
    write_json(folder / "seconds.json", seconds)
    return DemoResult(result, folder, film, seconds)


def _record(game: Game, home: Home, bar: Bar, tracks: int) -> None:
    """Record the demonstrator, disturbed so that it shows how to recover, on each track once."""
    task = bar.add_task("record demonstrator", total=tracks, news="")
    have = {
        s.info.track
        for s in SessionStore(home.sessions).all()[0]
        if s.info.game == game.spec.name and s.info.ended == "saved"
    }

    def watch(p: RecordProgress) -> None:
        if p.frames % 25 == 0:
            bar.update(task, news=f"track {p.track}, {p.frames} frames")

    for track in range(tracks):
        if str(track) not in have:
            options = RecordOptions(
                driver="demonstrator",
                track=str(track),
                laps=1,
                noise=NOISE,
                seed=track,
                max_s=game.spec.lap_limit_s,
            )
            record(game, home, options, watch=watch)
        bar.update(task, completed=track + 1)


def _train(registry: Registry, home: Home, bar: Bar, model: str, epochs: int) -> str:
    task = bar.add_task(f"train {model}", total=None, news="")

    def watch(p: TrainProgress) -> None:
        found = "" if p.validation is None else f", accuracy {100 * p.validation['accuracy']:.0f} %"
        news = f"epoch {p.epoch}/{p.epochs}, {p.samples_per_s:.0f} samples/s{found}"
        bar.update(task, completed=p.step, total=p.steps, news=news)

    options = TrainOptions(model=model, game="carracing", epochs=epochs, name=model)
    return train(registry, home, options, watch).name


def _race(game: Game, home: Home, registry: Registry, bar: Bar, bundle: str) -> RaceResult:
    drivers = ("demonstrator", bundle, "random")
    total = len(drivers) * len(game.tracks(RACE_TRACKS))
    task = bar.add_task("race", total=total, news="")
    seen: list[tuple[str, str]] = []

    def watch(driver: str, track: str, number: int, step: object) -> None:
        if (driver, track) not in seen:
            seen.append((driver, track))
            bar.update(task, completed=len(seen) - 1, news=f"{driver} on {track}")

    options = RaceOptions(drivers=drivers, tracks=RACE_TRACKS, laps=1)
    result = race(game, home, registry, options, watch)
    bar.update(task, completed=total, news="")
    return result
