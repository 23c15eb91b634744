"""Whether a network learns to play Gymnasium environments from a scripted driver: Enduro and discrete CarRacing.

    python benchmarks/gymnasium_games.py [--home FOLDER] [--games enduro,racing] [--races 10] [--out result.json]

Installs the outside plugin tests/third_party/autopilot-arcade into a folder, records its demonstrators, trains
PilotNet on that, lets it drive while the demonstrator says what it should do (DAgger), trains on all, and races
it by score on the seeds 10,000 and following, which nothing was chosen by. Started again with a home, it goes on where
it was stopped. Prints JSON: minutes of data, scores, their ratio, seconds spent.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "tests"))
from support.plugins import install  # noqa: E402


@dataclass(frozen=True)
class Plan:
    """What is recorded and how it is learned: options of `autopilot`, a line for each command."""

    hz: float
    record: str
    train: str
    correct: str = ""
    train_again: str = ""


PLANS = {
    "enduro": Plan(15, "--noise 0.02 --track 0-11", "--epochs 6", "--track 20-31", "--epochs 4"),
    "racing": Plan(50 / 3, "--noise 0.03 --track 0-19", "--epochs 6"),
}


class Games:
    """Runs `autopilot` in a home where the plugin is installed."""

    def __init__(self, home: Path) -> None:
        self.home, self.seconds = home, dict[str, float]()
        site = home / "site"
        if not site.exists():
            home.mkdir(parents=True, exist_ok=True)
            install("autopilot-arcade", site)
        self._env = {**os.environ, "AUTOPILOT_HOME": str(home), "PYTHONPATH": str(site)}

    def run(self, line: str) -> Any:
        """Run a command and return what it prints as JSON."""
        print(f"$ autopilot {line}", file=sys.stderr)
        begun = time.monotonic()
        command = [sys.executable, "-m", "autopilot", *line.split(), "--json"]
        out = subprocess.run(command, env=self._env, stdout=subprocess.PIPE, check=True).stdout
        self.seconds[line.split()[0]] = self.seconds.get(line.split()[0], 0) + round(time.monotonic() - begun, 1)
        return json.loads(out)

    def play(self, game: str, plan: Plan, races: int) -> dict[str, Any]:
        """Record, train and race one game, and return the figures."""
        first, last = f"{game}-1", f"{game}-2" if plan.correct else f"{game}-1"
        learn = f"train --game {game} --model nvidia --batch-size 32 --no-check"
        if not self.trained(first):
            self.run(f"record --game {game} --driver demonstrator {plan.record}")
            self.run(f"{learn} {plan.train} --name {first}")
        if not self.trained(last):
            self.run(f"record --game {game} --driver {first} --teacher demonstrator {plan.correct}")
            self.run(f"{learn} {plan.train_again} --init-from {first} --name {last}")
        tracks = f"10000-{10000 + races - 1}"
        who = f"--drivers demonstrator,{last},random --select argmax"  # chosen by how it drove on the seeds 200-203
        race = self.run(f"race --game {game} {who} --tracks {tracks} --name {game} --force")
        sessions = [s for s in self.run("sessions")["sessions"] if s["game"] == game]
        keys = ("driver", "runs", "mean_score", "median_score", "best_score", "score_ratio")
        rows = [{key: row[key] for key in keys} for row in race["summary"]]
        return {"minutes": round(sum(s["frames"] for s in sessions) / plan.hz / 60, 1), "drivers": rows}

    def trained(self, name: str) -> bool:
        """Return whether there is a bundle of that name."""
        return (self.home / "bundles" / name / "manifest.json").exists()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--home", type=Path)
    parser.add_argument("--games", default="enduro,racing")
    parser.add_argument("--races", type=int, default=10)
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        games = Games((given.home or Path(folder)).resolve())
        found = {game: games.play(game, PLANS[game], given.races) for game in given.games.split(",")}
        result = {"games": found, "seconds": games.seconds, "cores": os.cpu_count(), "machine": platform.machine()}
    text = json.dumps(result, indent=2)
    print(text)
    if given.out is not None:
        given.out.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
