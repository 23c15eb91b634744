"""SuperTuxKart's race table, from nothing: recordings, networks, races and films; prints JSON.

    python benchmarks/supertuxkart_table.py --home kart --race                 three actions
    python benchmarks/supertuxkart_table.py --home kart-pro --demonstrator demonstrator-pro --rounds 4 --polish --race
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
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
from autopilot.game import Game
from autopilot.home import write_json
from autopilot.plugins import Registry
from autopilot.race import RaceResult, Run, save_reports
from autopilot.race.reference import add_reference
from autopilot.sessions import SessionStore
from autopilot.sessions.index import FINISHED
from autopilot_supertuxkart.plugin import TRACKS

GAME = ["--game", "supertuxkart"]
NOISY_LAPS, STREWN_S, TAUGHT_LAPS, TAUGHT_S = 3, 120, 2, 150
LONG = TRACKS[:1:-1]
ROUNDS = (
    ("weighted", TRACKS[::-1]),
    ("argmax", TRACKS[::-1]),
    ("weighted", TRACKS[::-1]),
    ("argmax", LONG * 2),
    ("weighted", TRACKS[::-1]),
    ("argmax", (TRACKS[2],) * 3 + (TRACKS[3],)),
)
"""How the network of each round drives under its teacher, and where: the long tracks take more."""
POLISH = ("weighted", (*LONG * 2, *TRACKS[:2]))
"""The same for a network that was trained as in the end."""
MENDED, MEND_ROUND = ("argmax", (TRACKS[3],) * 3), len(ROUNDS) + 2
"""The same for one that is to be mended; only these seconds of each of its laps are kept, where bananas lie."""
MEND_S = (31, 41)
MEND = ("3", "--learning-rate", "0.0003")
"""Epochs, and a rate that keeps what was learned."""
SELECT = ("weighted", "argmax")
NETWORKS = {
    "nvidia": ("16", "--shift", "8", "--brightness", "0.3", "--set", "dropout=0.3"),
    "inception": ("16", "--shift", "4", "--brightness", "0.3"),
}
"""What each network is trained with in the end, the epochs first. It knows its data by heart: so the
pictures are moved and re-lit more than by default. Chosen by races with seeds from 5000 on."""


class Table:
    """Runs commands in one home, each once: what is done is noted in `done.json`."""

    def __init__(self, home: Path, demonstrator: str, label_map: str) -> None:
        self.home, self.demonstrator, self.label_map = home, demonstrator, label_map
        self._note, self._lock = home / "done.json", threading.Lock()
        self._done = self._noted()

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

    def record(self, *commands: list[str]) -> None:
        """Record by these arguments."""
        self.run_two_at_a_time(*[["record", *GAME, *arguments] for arguments in commands])

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

    def train(self, model: str, name: str, epochs: str, *more: str) -> None:
        """Train from scratch on all that was recorded; keep the last epoch."""
        last = ["--keep-best", epochs, "--bundle-from", epochs]
        what = ["--model", model, "--actions", self.label_map, "--name", name, "--epochs", epochs]
        self.run("train", *GAME, *what, *last, "--batch-size", "64", "--validation", "0.05", *more)

    def teach(self, bundle: str, number: int, select: str, tracks: tuple[str, ...]) -> list[str]:
        """Let a bundle drive under its teacher in round `number`; return the sessions' ids."""
        taught = ["--driver", bundle, "--teacher", self.demonstrator, "--laps", str(TAUGHT_LAPS)]
        how = ["--seconds", str(TAUGHT_S), "--select", select]
        seeds = [str(100 * (1 + tracks[:i].count(t)) + number) for i, t in enumerate(tracks)]
        runs = [[*taught, "--track", t, *how, "--seed", s] for t, s in zip(tracks, seeds, strict=True)]
        self.record(*runs)
        sessions = [str(self.run("record", *GAME, *run)[0]["session"]) for run in runs]
        if select == "argmax":
            self._leave_out_stuck(sessions)
        return sessions

    def _leave_out_stuck(self, sessions: list[str]) -> None:
        """Reject those without a lap: what always does the likeliest repeats its one mistake for minutes."""
        store = SessionStore(self.home / "sessions")
        for id in sessions:
            if not store.open(id).index.lap_times_s:
                self.run("sessions", id, "--review", "rejected")

    def mend(self, model: str, number: int) -> str:
        """Let a network drive under its teacher, train it further where it fails; return the new bundle's name."""
        for id in self.teach(model, number, *MENDED):
            session = SessionStore(self.home / "sessions").open(id)
            lap, (begin, end) = session.index.lap, MEND_S
            since_s = (np.arange(len(lap)) - np.searchsorted(lap, lap)) / session.info.hz
            far = (since_s < begin) | (since_s >= end)
            edges = np.flatnonzero(np.diff(far, prepend=False, append=False))
            for start, stop in edges.reshape(-1, 2).tolist():
                session.delete(start, stop)
        self.train(model, f"{model}-mended", MEND[0], *NETWORKS[model][1:], "--from", model, *MEND[1:])
        return f"{model}-mended"

    def race(self, drivers: list[str], select: str, tracks: str = ",".join(TRACKS)) -> list[dict[str, Any]]:
        """Let each driver race five times three laps; write the table and the chart, return the rows by track."""
        how = ["--laps", "3", "--races", "5", "--select", select, "--seed", "10000", "--engine", "onnx"]
        what = [["race", *GAME, "--drivers", d, "--tracks", tracks, *how, "--name", f"{d}-{select}"] for d in drivers]
        found = self.run_two_at_a_time(*what)
        runs = tuple(Run(**{**run, "laps_s": tuple(run["laps_s"])}) for one in found for run in one["runs"])
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
        off = np.array(rows.lap_times_s) / stopwatch_s - 1
        told = {"laps_s": rows.lap_times_s, "stopwatch_s": stopwatch_s.round(2).tolist()}
        return told | {"largest_difference": round(float(np.abs(off).max()), 4), "timing": drive["timing"]}

    def minutes(self) -> float:
        """Return how much is trained on, in minutes of game time."""
        sessions, _ = SessionStore(self.home / "sessions").all()
        taught = [s for s in sessions if not s.info.policy and s.edits().review != "rejected"]
        return round(sum(len(s) / s.info.hz for s in taught) / 60, 1)


def main() -> None:
    """Parse, run, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--home", type=Path, required=True)
    parser.add_argument("--demonstrator", default="demonstrator", choices=("demonstrator", "demonstrator-pro"))
    parser.add_argument("--rounds", type=int, default=len(ROUNDS), help="of driving under the teacher")
    parser.add_argument("--networks", default="nvidia", help="nvidia,inception; without a GPU the second takes hours")
    parser.add_argument("--held-out", choices=TRACKS, help="train on the other three tracks, and race on this one")
    parser.add_argument("--race", action="store_true", help="race the networks when they are trained, and film them")
    parser.add_argument("--real", metavar="BUNDLE", help="then let this one drive the real game; takes a screen")
    parser.add_argument("--round-epochs", default="8", help="of the networks that are taught")
    parser.add_argument("--polish", action="store_true", help="one round more, with the network that came of them")
    parser.add_argument("--mend", action="store_true", help="train the networks further where they fail")
    asked = parser.parse_args()
    asked.home.mkdir(parents=True, exist_ok=True)
    label_map = "supertuxkart" if asked.demonstrator == "demonstrator" else "supertuxkart-pro"
    table = Table(asked.home, asked.demonstrator, label_map)
    table.demonstrations()
    for number, how in enumerate(ROUNDS[: asked.rounds]):
        table.train("nvidia", f"round-{number}", asked.round_epochs)
        table.teach(f"round-{number}", number, *how)
    if asked.polish:
        table.train("nvidia", "unpolished", *NETWORKS["nvidia"])
        table.teach("unpolished", asked.rounds, *POLISH)
    minutes = table.minutes()
    races = {}
    drivers = asked.networks.split(",")
    if asked.held_out:
        others = ["--tracks", ",".join(t for t in TRACKS if t != asked.held_out)]
        names = [f"{model}-without-{asked.held_out}" for model in drivers]
        for model, name in zip(drivers, names, strict=True):
            table.train(model, name, *NETWORKS[model], *others)
        races = {select: table.race([asked.demonstrator, *names], select, asked.held_out) for select in SELECT}
    else:
        for model in drivers:
            table.train(model, model, *NETWORKS[model])
        if asked.mend:
            drivers = [table.mend(model, MEND_ROUND) for model in drivers]
            minutes = table.minutes()
        if asked.race:
            races = {select: table.race([asked.demonstrator, *drivers, "random"], select) for select in SELECT}
            for driver in drivers:
                table.film(driver)
    real = {"real game": table.real(asked.real)} if asked.real else {}
    print(json.dumps({"minutes of game time": minutes, "races": races, **real}, indent=2))


if __name__ == "__main__":
    main()
