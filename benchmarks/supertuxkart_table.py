"""SuperTuxKart's race table, from nothing: recordings, networks, races and films; prints JSON.

    python benchmarks/supertuxkart_table.py --home kart                        three actions
    python benchmarks/supertuxkart_table.py --home kart-pro --demonstrator demonstrator-pro
    python benchmarks/supertuxkart_table.py --home kart --held-out sandtrack   after the first

Every step is a command that a user could type, and is printed. What is done already is not done
again, so the script may be stopped and started. All seeds but the races' lie below 10,000.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from autopilot.sessions import SessionStore
from autopilot_supertuxkart.plugin import TRACKS

GAME = ["--game", "supertuxkart"]
NOISY_LAPS, STREWN_S, TAUGHT_LAPS, TAUGHT_S = 3, 120, 2, 150
SELECT = ("weighted", "argmax")
"""How the network of each round drives under its teacher, in turn."""


class Table:
    """Runs commands in one home, each once: what is done is noted in `done.json`."""

    def __init__(self, home: Path, demonstrator: str, label_map: str) -> None:
        self.home, self.demonstrator, self.label_map = home, demonstrator, label_map
        self._note = home / "done.json"
        self._done: dict[str, Any] = json.loads(self._note.read_text()) if self._note.exists() else {}

    def run(self, *arguments: str) -> Any:
        """Return what the command printed, as data."""
        key = " ".join(arguments)
        if key not in self._done:
            print(f"autopilot {key}\n", end="", file=sys.stderr, flush=True)
            command = [sys.executable, "-m", "autopilot", *arguments, "--home", str(self.home), "--json"]
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            if done.returncode:
                raise SystemExit(f"autopilot {key}\nexit status {done.returncode}: {done.stderr[-2000:]}")
            self._done[key] = json.loads(done.stdout)
            self._note.write_text(json.dumps(self._done, indent=1))
        return self._done[key]

    def record(self, *commands: list[str]) -> None:
        """Record by these commands, two at a time: a race keeps one core busy."""
        with ThreadPoolExecutor(min(2, os.cpu_count() or 1)) as pool:
            list(pool.map(lambda arguments: self.run("record", *GAME, *arguments), commands))

    def demonstrations(self) -> None:
        """Record the demonstrator: with disturbed keys, and strewn over the track."""
        driver = ["--driver", self.demonstrator]
        longest_first = TRACKS[::-1]
        noisy = [
            [*driver, "--track", t, "--laps", str(NOISY_LAPS), "--noise", "0.03", "--seed", str(11 + i)]
            for i, t in enumerate(longest_first)
        ]
        strewn = [[*driver, "--track", t, "--mode", "S", "--seconds", str(STREWN_S), "--seed", "21"] for t in TRACKS]
        self.record(*noisy, *strewn)

    def train(self, model: str, name: str, epochs: int, *more: str) -> None:
        """Train from scratch on all that was recorded; keep the last epoch."""
        last = ["--keep-best", str(epochs), "--bundle-from", str(epochs)]
        what = ["--model", model, "--actions", self.label_map, "--name", name, "--epochs", str(epochs)]
        self.run("train", *GAME, *what, *last, "--batch-size", "64", "--validation", "0.05", *more)

    def teach(self, bundle: str, number: int) -> None:
        """Let a bundle drive under its teacher on every track."""
        taught = ["--driver", bundle, "--teacher", self.demonstrator, "--laps", str(TAUGHT_LAPS)]
        how = ["--seconds", str(TAUGHT_S), "--select", SELECT[number % len(SELECT)], "--seed", str(100 + number)]
        self.record(*[[*taught, "--track", t, *how] for t in TRACKS[::-1]])

    def race(
        self, *drivers: str, select: str, races: int = 5, tracks: str = ",".join(TRACKS), seed: int = 10000
    ) -> Any:
        """Race three laps."""
        what = ["--drivers", ",".join(drivers), "--tracks", tracks, "--laps", "3", "--races", str(races)]
        return self.run("race", *GAME, *what, "--select", select, "--seed", str(seed), "--engine", "onnx")

    def minutes(self) -> float:
        """Return how long all recordings of the home are, in minutes of game time."""
        sessions, _ = SessionStore(self.home / "sessions").all()
        return round(sum(len(s) / s.info.hz for s in sessions) / 60, 1)


def main() -> None:
    """Parse, run, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--home", type=Path, required=True)
    parser.add_argument("--demonstrator", default="demonstrator", choices=("demonstrator", "demonstrator-pro"))
    parser.add_argument("--rounds", type=int, default=4, help="of driving under the teacher")
    parser.add_argument("--epochs", type=int, default=8, help="of NVIDIA's network")
    parser.add_argument("--inception-epochs", type=int, default=0, help="0: leave it out, it takes an hour or two")
    parser.add_argument("--held-out", choices=TRACKS, help="train on the other three tracks, and race on this one")
    parser.add_argument("--race", action="store_true", help="race the networks when they are trained")
    asked = parser.parse_args()
    asked.home.mkdir(parents=True, exist_ok=True)
    label_map = "supertuxkart" if asked.demonstrator == "demonstrator" else "supertuxkart-pro"
    table = Table(asked.home, asked.demonstrator, label_map)
    table.demonstrations()
    for number in range(asked.rounds):
        table.train("nvidia", f"round-{number}", asked.epochs)
        table.teach(f"round-{number}", number)
    minutes = table.minutes()
    races = {}
    if asked.held_out:
        name = f"without-{asked.held_out}"
        table.train("nvidia", name, asked.epochs, "--tracks", ",".join(t for t in TRACKS if t != asked.held_out))
        for select in SELECT:
            races[select] = table.race(name, select=select, tracks=asked.held_out)
    else:
        table.train("nvidia", "nvidia", asked.epochs)
        drivers = ["nvidia"]
        if asked.inception_epochs:
            table.train("inception", "inception", asked.inception_epochs)
            drivers.append("inception")
        if asked.race:
            for select in SELECT:
                races[select] = table.race(asked.demonstrator, *drivers, "random", select=select)
    print(json.dumps({"minutes of game time": minutes, "races": races}, indent=2))


if __name__ == "__main__":
    main()
