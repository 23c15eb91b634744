"""What ten minutes of play come to: the coach on CarRacing, with a stand-in for a person, in the game's time.

    python benchmarks/coach.py [--home FOLDER] [--seeds 0,1,2] [--minutes 2,5,10] [--arms corrections,plain]
                               [--out result.json] [--chart curve.png]

Each seed is a sitting of its own. After each number of minutes it ends as it would for a person, its network races on
the seeds 10,000-10,004, which nothing was chosen by, and it goes on. `corrections` lets the network drive and be
corrected; in `plain` the stand-in plays all the time, so that it is recording and training alone. The stand-in
(`--human lagged`) reacts 0.15 to 0.25 s late and errs; its own score on the same tracks is what networks are compared
with. Started again with a home, it goes on where it was stopped. Prints JSON.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import sys
import tempfile
import time
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import autopilot
from autopilot.api import Game, WorldRequest
from autopilot.commands import ui
from autopilot.desktop.desktop import DEFAULTS
from autopilot.drive.run import Run
from autopilot.drive.timing import Timing
from autopilot.drive.world import Worlds
from autopilot.sessions.home import write_json
from autopilot_coach import display
from autopilot_coach.people import Lagged
from autopilot_coach.sitting import CoachOptions, Sitting
from autopilot_coach.wheel import Wheel

UNSEEN = tuple(str(seed) for seed in range(10_000, 10_005))
PLAY = tuple(str(seed) for seed in range(100))
EXAM = ("5000", "5001", "5002")


class Log:
    """Says what happens on stderr."""

    def say(self, line: str) -> None:
        """Say it."""
        ui.say(line)

    def show(self, sitting: Sitting, step: object) -> None:
        """Show nothing."""


def human_scores(home: autopilot.OpenHome, seed: int) -> list[float]:
    """Let the stand-in drive each unseen track alone, and return its scores."""
    game = Game(home.registry, "carracing")
    spec, scores = game.spec, []
    for track in UNSEEN:
        with Worlds(game, home.folders).open(WorldRequest(track, "N", spec.hz, laps=1)) as world:
            lagged = Lagged(world.demonstrator, game.label_map(), world.referee.reading, spec.hz, seed)
            wheel, timing = Wheel(lagged, sends=True, lockstep=True), Timing(spec.hz, lockstep=True)
            run = Run(world, wheel, timing, spec.frame_size, max_steps=round(spec.race.lap_limit_s * spec.hz))
            run.go()
            scores.append(round(run.reading.score, 1))
    return scores


def sit(home: autopilot.OpenHome, arm: str, seed: int, minutes: list[float], kept: Path) -> list[dict[str, Any]]:
    """Hold a sitting, and return what its network does on unseen tracks after so many minutes each."""
    points = json.loads(kept.read_bytes()) if kept.exists() else []
    plain = arm == "plain"
    options = CoachOptions(
        f"{arm}-{seed}", "carracing", human="lagged", tracks=PLAY, exam=EXAM, seed=seed, quick=True, corrects=not plain
    )
    for much in minutes:
        if much in [point["minutes"] for point in points]:
            continue
        begun, cpu = time.monotonic(), os.times()
        state = Sitting(home, DEFAULTS, replace(options, minutes=much), Log()).go()
        spent = sum(os.times()[:4]) - sum(cpu[:4])
        race = home.race([options.name], "carracing", tracks=",".join(UNSEEN), laps=1, select="argmax")
        report = display.report(state)
        points.append(
            {
                "minutes": much,
                "finished": sum(run.finished for run in race.runs),
                "scores": [round(run.score, 1) for run in race.runs],
                "yours": report["yours"],
                "yours_last": report["yours_last"],
                "first_network": report["first_network"],
                "first_lap_alone": report["first_lap_alone"],
                "lessons": len(report["lessons"]),
                "mark": report["mark"],
                "wall_s": round(time.monotonic() - begun, 1),
                "core_s": round(spent, 1),
            }
        )
        write_json(kept, points)
        print(f"{options.name} after {much:g} minutes: {points[-1]}", file=sys.stderr, flush=True)
    return points


def table(sittings: dict[str, dict[int, list[dict[str, Any]]]], human: float) -> list[dict[str, Any]]:
    """Return the medians over the seeds, for each arm and number of minutes."""
    rows = []
    for arm, seeds in sittings.items():
        for much in sorted({point["minutes"] for points in seeds.values() for point in points}):
            its = [point for points in seeds.values() for point in points if point["minutes"] == much]
            score = statistics.median(statistics.mean(point["scores"]) for point in its)
            finished = statistics.median(point["finished"] for point in its)
            ratio = round(score / human, 3)
            rows.append({"arm": arm, "minutes": much, "seeds": len(its), "finished": finished, "score_ratio": ratio})
    return rows


def chart(rows: list[dict[str, Any]], path: Path) -> None:
    """Draw the curve."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 4), layout="constrained")
    axes = figure.subplots()
    for arm, words in (("corrections", "with corrections"), ("plain", "recorded and trained alone")):
        its = [row for row in rows if row["arm"] == arm]
        if its:
            axes.plot([r["minutes"] for r in its], [r["score_ratio"] for r in its], marker="o", label=words)
    axes.axhline(1.0, color="grey", linewidth=1, linestyle="--", label="the player")
    axes.set(xlabel="minutes of play in all", ylabel="share of the player's score", ylim=(0, 1.2))
    axes.set_title("CarRacing: five tracks never seen, a stand-in for a person", loc="left")
    axes.legend(loc="lower right")
    axes.grid(alpha=0.3)
    figure.savefig(path, dpi=120)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--home", type=Path)
    parser.add_argument("--seeds", default="0,1,2")
    parser.add_argument("--minutes", default="2,5,10")
    parser.add_argument("--arms", default="corrections,plain")
    parser.add_argument("--out", type=Path)
    parser.add_argument("--chart", type=Path)
    given = parser.parse_args()
    seeds, minutes = [int(seed) for seed in given.seeds.split(",")], [float(m) for m in given.minutes.split(",")]
    with tempfile.TemporaryDirectory() as folder:
        root = (given.home or Path(folder)).resolve()
        home = autopilot.open(root)
        human = {seed: human_scores(home, seed) for seed in seeds}
        sittings = {
            arm: {seed: sit(home, arm, seed, minutes, root / f"{arm}-{seed}.json") for seed in seeds}
            for arm in given.arms.split(",")
        }
    mean = statistics.median(statistics.mean(scores) for scores in human.values())
    rows = table(sittings, mean)
    result = {
        "human": {"scores": human, "mean": round(mean, 1)},
        "table": rows,
        "sittings": sittings,
        "options": asdict(CoachOptions("any", "carracing")),
        "cores": os.cpu_count(),
        "load": [round(load, 1) for load in os.getloadavg()],
        "machine": platform.machine(),
    }
    print(json.dumps(result, indent=2))
    if given.out is not None:
        write_json(given.out, result)
    if given.chart is not None:
        chart(rows, given.chart)


if __name__ == "__main__":
    main()
