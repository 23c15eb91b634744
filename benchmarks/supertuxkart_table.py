"""SuperTuxKart's race table, from nothing: recordings, networks, races and films; prints JSON.

    python benchmarks/supertuxkart_table.py --home kart --race                 three actions
    python benchmarks/supertuxkart_table.py --home kart-pro --demonstrator demonstrator-pro --race
    python benchmarks/supertuxkart_table.py --home kart --held-out sandtrack   after the first

Every step is a command that a user could type, and is printed. What is done already is not done
again, so the script may be stopped and started; another --further takes another home. All seeds but
the races' lie below 10,000.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
from autopilot.api.game import Game
from autopilot.api.registry import Registry
from autopilot.race.reference import add_reference
from autopilot.race.report import save_reports
from autopilot.race.result import RaceResult, RunResult
from autopilot.sessions.home import write_json
from autopilot.sessions.index import FINISHED
from autopilot.sessions.store import SessionStore
from autopilot_supertuxkart.plugin import TRACKS

GAME = ["--game", "supertuxkart"]
NOISY_LAPS, STREWN_S, TAUGHT_LAPS = 3, 90, 2
LONG = TRACKS[:1:-1]
ROUNDS = (("8", "weighted", 90), ("5", "weighted", 90), ("5", "weighted", 90), ("5", "argmax", 150))
"""The first networks: epochs, how each then drives on all tracks under its teacher, and how long at most."""
GROWN_EPOCHS = "10"
"""Of the network that came of these. It drives in further rounds, and each round's in the next."""
FURTHER_TRACKS = {"demonstrator": (*LONG * 2, TRACKS[1]), "demonstrator-pro": (*LONG * 2, *TRACKS[1::-1])}
"""The long tracks take more; on the short one the plain demonstrator has taught all by then."""
FURTHER_EPOCHS = ("5", "2-5")
"""How many, and of which the mean is taken."""
STAYS = ("--schedule", "constant", "--learning-rate", "0.0003")
"""A rate that keeps what was learned."""
FALLS = STAYS[2:]
"""One that falls from there to nothing."""
UNMOVED = ("--shift", "0")
BANANAS = ("--tracks", "sandtrack", *UNMOVED)
"""To pass between two at one place there, it must see to a pixel where they lie; all else it forgets meanwhile."""
LAST = {
    "nvidia": (("12", "2-12", STAYS),),
    "inception": (
        ("12", "7-12", STAYS),
        ("4", "4", FALLS),
        ("6", "3-6", STAYS),
        ("4", "4", FALLS),
        ("4", "4", (*FALLS, *BANANAS)),
        ("8", "3-8", (*STAYS, *BANANAS)),
        ("4", "4", (*FALLS, *BANANAS)),
        ("2", "2", (*FALLS, *UNMOVED)),
        ("2", "2", FALLS),
    ),
}
"""The trainings after the last round, each from the one before: epochs, of which the mean is taken, and how."""
BUDGET_MINUTES = 60
"""What is trained on, of game time: beyond it the oldest rounds give way."""
SELECT = ("weighted", "argmax")
NETWORKS = {
    "nvidia": ("16", "--shift", "8", "--brightness", "0.3", "--set", "dropout=0.3"),
    "inception": ("6", "--shift", "4", "--brightness", "0.3"),
}
"""What each network is trained with from scratch, the epochs first. It knows its data by heart: so the
pictures are moved and re-lit more than by default. Chosen by races with seeds from 5000 on."""


class Table:
    """Runs commands in one home, each once: what is done is noted in `done.json`."""

    def __init__(self, home: Path, demonstrator: str, label_map: str) -> None:
        self.home, self.demonstrator, self.label_map = home, demonstrator, label_map
        self._note, self._lock = home / "done.json", threading.Lock()
        self._done = self._noted()
        self._minutes: dict[str, float] = {}  # of game time, by driver
        self.seen: dict[str, set[str]] = {}  # by model, whose sessions it was ever trained on

    def _noted(self) -> dict[str, Any]:
        return json.loads(self._note.read_text()) if self._note.exists() else {}  # type: ignore[no-any-return]

    def run(self, *arguments: str) -> Any:
        """Return what the command printed, as data."""
        key = " ".join(arguments)
        if key not in self._done:
            print(f"autopilot {key}\n", end="", file=sys.stderr, flush=True)
            command = [sys.executable, "-m", "autopilot", *arguments, "--home", str(self.home), "--json"]
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            if done.returncode:
                raise SystemExit(f"autopilot {key}\nexit status {done.returncode}: {done.stderr[-2000:]}")
            with self._lock:
                self._done = self._noted() | {key: json.loads(done.stdout)}  # another may have written meanwhile
                write_json(self._note, self._done)
        return self._done[key]

    def run_two_at_a_time(self, *commands: list[str]) -> list[Any]:
        """Run commands that keep one core busy each."""
        with ThreadPoolExecutor(min(2, os.cpu_count() or 1)) as pool:
            return list(pool.map(lambda arguments: self.run(*arguments), commands))

    def record(self, driver: str, *commands: list[str]) -> None:
        """Record a driver by these arguments."""
        runs = [["record", *GAME, "--driver", driver, *arguments] for arguments in commands]
        found = [drive for [drive] in self.run_two_at_a_time(*runs)]
        self._minutes[driver] = sum(drive["frames"] for drive in found) / found[0]["timing"]["wanted_hz"] / 60

    def demonstrations(self) -> None:
        """Record the demonstrator: with disturbed keys, and strewn over the track."""
        longest_first = TRACKS[::-1]
        noisy = [
            ["--track", t, "--laps", str(NOISY_LAPS), "--noise", "0.03", "--seed", str(11 + i)]
            for i, t in enumerate(longest_first)
        ]
        strewn = [["--track", t, "--mode", "S", "--seconds", str(STREWN_S), "--seed", "21"] for t in TRACKS]
        self.record(self.demonstrator, *noisy, *strewn)

    def train(self, model: str, name: str, taught: list[str], epochs: str, *more: str, bundle_from: str = "") -> str:
        """Train on the demonstrator and the last of those taught; keep the last epoch, or others' mean."""
        drivers = [self.demonstrator, *taught]
        while self.minutes(drivers) > BUDGET_MINUTES:
            del drivers[1]
        self.seen.setdefault(model, set()).update(drivers)
        what = ["--model", model, "--actions", self.label_map, "--name", name, "--driver", ",".join(drivers)]
        last = ["--epochs", epochs, "--keep-best", epochs, "--average-epochs", bundle_from or epochs]
        how = ["--batch-size", "64", "--validation", "0.05", *NETWORKS[model][1:]]
        self.run("train", *GAME, *what, *last, *how, *more)
        return name

    def teach(self, bundle: str, number: int, select: str, tracks: tuple[str, ...], seconds: int) -> None:
        """Let a bundle drive under its teacher in round `number`."""
        taught = ["--teacher", self.demonstrator, "--laps", str(TAUGHT_LAPS)]
        how = ["--seconds", str(seconds), "--select", select]
        seeds = [str(100 * (1 + tracks[:i].count(t)) + number) for i, t in enumerate(tracks)]
        self.record(bundle, *[[*taught, "--track", t, *how, "--seed", s] for t, s in zip(tracks, seeds, strict=True)])

    def grow(self, further: int) -> list[str]:
        """Train PilotNet on demonstrations, then let it drive under its teacher, over and over; return who drove."""
        self.demonstrations()
        taught: list[str] = []
        begin: tuple[str, ...] = ()
        for number, (epochs, select, seconds) in enumerate(ROUNDS):
            taught = [*taught, self.train("nvidia", f"round-{number}", taught, epochs, *begin)]
            self.teach(taught[-1], number, select, TRACKS[::-1], seconds)
            begin = ("--init-from", taught[-1])
        self.train("nvidia", "nvidia-0", taught, GROWN_EPOCHS, *begin)
        return self.further("nvidia", taught, further)

    def further(self, model: str, taught: list[str], rounds: int) -> list[str]:
        """Let the model's first network drive under its teacher and learn from it, so many times; return who drove."""
        for number in range(rounds):
            taught = [*taught, f"{model}-{number}"]
            self.teach(taught[-1], len(ROUNDS) + number, "argmax", FURTHER_TRACKS[self.demonstrator], 120)
            if number + 1 < rounds:
                epochs, mean_of = FURTHER_EPOCHS
                name, begin = f"{model}-{number + 1}", ("--init-from", taught[-1])
                self.train(model, name, taught, epochs, *begin, *STAYS, bundle_from=mean_of)
        network = taught[-1]
        for number, (epochs, mean_of, how) in enumerate(LAST[model], start=1):
            name = model if number == len(LAST[model]) else f"{model}-last-{number}"
            network = self.train(model, name, taught, epochs, "--init-from", network, *how, bundle_from=mean_of)
        return taught

    def minutes(self, drivers: Iterable[str]) -> float:
        """Return how much was recorded of these, in minutes of game time."""
        return round(sum(self._minutes[driver] for driver in drivers), 1)

    def race(self, drivers: list[str], select: str, tracks: str = ",".join(TRACKS)) -> list[dict[str, Any]]:
        """Let each driver race five times three laps; write the table and the chart, return the rows by track."""
        how = ["--laps", "3", "--races", "5", "--select", select, "--seed", "10000", "--engine", "onnx"]
        what = [["race", *GAME, "--drivers", d, "--tracks", tracks, *how, "--name", f"{d}-{select}"] for d in drivers]
        found = self.run_two_at_a_time(*what)
        runs = tuple(RunResult(**{**run, "laps_s": tuple(run["laps_s"])}) for one in found for run in one["runs"])
        whole = {key: tuple(value) if isinstance(value, list) else value for key, value in found[0].items()}
        known = {field.name: whole[field.name] for field in fields(RaceResult)}
        result = RaceResult(**{**known, "drivers": tuple(drivers), "runs": runs})
        game = Game(Registry(), "supertuxkart")
        for reference in filter(None, (game.reference("ghost", track, 3) for track in result.tracks)):
            result = add_reference(result, "ghost", reference)
        save_reports(result, self.home / "table" / f"{'-'.join(drivers)}-{select}")
        rows: list[dict[str, Any]] = result.to_json()["by_track"]
        return rows

    def film(self, driver: str, *where: str) -> Any:
        """Film a race of three laps of olivermath; return what the drive says of itself."""
        path = str(self.home / "table" / f"{driver}{''.join(where)}.mp4")
        what = ["--bundle", driver, "--track", "olivermath", "--laps", "3", "--select", "argmax"]
        return self.run("drive", *GAME, *what, "--engine", "onnx", "--film", path, *where)

    def real(self, driver: str) -> dict[str, Any]:
        """Let a driver race in the real game, and time its laps by a stopwatch on the frames."""
        drive = self.film(driver, "--clock", "wall", "--record")
        rows = SessionStore(self.home / "sessions").open(drive["session"]).index
        begun = rows.t_ns[np.argmax(rows.race_time_s > 0)]
        lines = [rows.t_ns[np.argmax((rows.lap > lap) | (rows.flags & FINISHED > 0))] for lap in range(3)]
        stopwatch_s = np.diff([begun, *lines]) / 1e9
        laps_s = rows.lap_times[rows.times[-1]]
        off = np.array(laps_s) / stopwatch_s - 1
        told = {"laps_s": laps_s, "stopwatch_s": stopwatch_s.round(2).tolist()}
        return told | {"largest_difference": round(float(np.abs(off).max()), 4), "timing": drive["timing"]}


def main() -> None:
    """Parse, run, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--home", type=Path, required=True)
    parser.add_argument("--demonstrator", default="demonstrator", choices=tuple(FURTHER_TRACKS))
    parser.add_argument("--further", type=int, default=2, help="rounds at the end; past 2 the first give way")
    parser.add_argument("--networks", default="nvidia", help="nvidia,inception; without a GPU the second takes hours")
    parser.add_argument("--held-out", choices=TRACKS, help="train on the other three tracks, and race on this one")
    parser.add_argument("--race", action="store_true", help="race the networks when they are trained, and film them")
    parser.add_argument("--real", metavar="BUNDLE", help="then let this one drive the real game; takes a screen")
    asked = parser.parse_args()
    if asked.further < 1:
        parser.error("--further must be 1 or more")
    asked.home.mkdir(parents=True, exist_ok=True)
    label_map = "supertuxkart" if asked.demonstrator == "demonstrator" else "supertuxkart-pro"
    table = Table(asked.home, asked.demonstrator, label_map)
    taught = table.grow(asked.further)
    races = {}
    drivers = asked.networks.split(",")
    if asked.held_out:
        others = ["--tracks", ",".join(t for t in TRACKS if t != asked.held_out)]
        names = [f"{model}-without-{asked.held_out}" for model in drivers]
        for model, name in zip(drivers, names, strict=True):
            table.train(model, name, taught, NETWORKS[model][0], *others)
        races = {select: table.race([asked.demonstrator, *names], select, asked.held_out) for select in SELECT}
    else:
        if "inception" in drivers:  # it drives the last round itself
            table.train("inception", "inception-0", taught[:-1], NETWORKS["inception"][0])
            table.further("inception", taught[:-1], 1)
        if asked.race:
            races = {select: table.race([asked.demonstrator, *drivers], select) for select in SELECT}
            races["random"] = table.race([asked.demonstrator, "random"], "argmax")  # a chart of its own: it is slow
            for driver in drivers:
                table.film(driver)
    real = {"real game": table.real(asked.real)} if asked.real else {}
    minutes = {model: table.minutes(seen) for model, seen in table.seen.items()}
    print(json.dumps({"minutes of game time, in all": minutes, "races": races, **real}, indent=2))


if __name__ == "__main__":
    main()
