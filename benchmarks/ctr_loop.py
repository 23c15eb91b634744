"""Crash Team Racing's whole loop on the drawn window: setup, learn, record, train, drive, race; prints JSON.

Every step is a documented command. A scripted human plays by real key presses, the network by the virtual
keyboard; lap times are read from the picture and compared with the game's own. Of the real game nothing
is known by this.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
from autopilot.sessions.laps import laps_of
from autopilot.sessions.store import SessionStore
from support.ctr.desktop import Desktop
from support.ctr.drawn import SKIES
from support.ctr.player import Player

WINDOW = ("--width", "640", "--height", "534", "--fps", "30", "--draw-every", "3", "--lap-m", "260", "--tell")
LAST = ("--seconds", "7200")
"""Longer than all of it: the window ends by itself after ten minutes else."""
LEARN_S, LIMIT_S, ATTEMPTS = 55.0, 900.0, 3


class Loop:
    """The desktop, a home, and what each command came to."""

    def __init__(self, home: Path, display: int | None, sky: str) -> None:
        self.desktop = Desktop(number=display)
        self.sky = sky
        self.home = home
        self.steps: list[dict[str, Any]] = []
        names = ("WAYLAND_DISPLAY", "XDG_SESSION_TYPE")
        keep = {k: v for k, v in os.environ.items() if k not in names}
        self._env = {**keep, "DISPLAY": self.desktop.name, "AUTOPILOT_HOME": str(home)}

    def window(self) -> Player:
        """Start the game anew, the mouse on it."""
        for one in self.desktop.started:
            one.kill()
            one.wait()
        game = self.desktop.play(*WINDOW, *LAST, "--sky", self.sky)
        assert game.stdout is not None
        while game.stdout.readline() != "drawn\n":
            pass
        self.desktop.point(640, 480)
        player = Player(self.desktop, game)
        player.wait_until_heard()
        return player

    def run(self, line: str, *args: str, at_go: Callable[[], None] = lambda: None, may_fail: bool = False) -> Any:
        """Run a command and return its JSON; `at_go` is called when it counts 3-2-1, else at once."""
        command = [*line.split(), *args]
        print("autopilot", *command, file=sys.stderr)
        begun, counted = time.monotonic(), False
        program = [sys.executable, "-m", "autopilot", *command, "--json"]
        with (self.home / "stderr").open("w+") as err, (self.home / "stdout").open("w+") as out:
            with subprocess.Popen(program, env=self._env, stdout=out, stderr=err) as process:
                go = {"learn-hud": "looking on", "setup": "", "train": ""}.get(command[0], "3…")
                while process.poll() is None:
                    if not counted and (go in (self.home / "stderr").read_text()):
                        counted = True
                        at_go()
                    if time.monotonic() - begun > LIMIT_S:
                        process.terminate()
                    time.sleep(0.1)
            err.seek(0)
            out.seek(0)
            said, text = err.read(), out.read()
        seconds = round(time.monotonic() - begun, 1)
        step = {"command": "autopilot " + " ".join(f'"{a}"' if " " in a else a for a in command), "seconds": seconds}
        self.steps.append(step)
        if process.returncode and may_fail:
            self.note(failed=said[-300:])
            return None
        if process.returncode:
            raise SystemExit(json.dumps({"failed": step, "code": process.returncode, "said": said[-2000:]}, indent=2))
        print(f"  {seconds} s", file=sys.stderr)
        return json.loads(text)

    def note(self, **facts: Any) -> None:
        """Add facts to the last step."""
        self.steps[-1] |= facts
        print(" ", facts, file=sys.stderr)


def finish(player: Player, laps: int) -> None:
    """Let the human drive until the game has given so many lap times."""
    for n in count():
        if len(player.laps) >= laps:
            break
        assert n < 3000, "the race does not end"
        time.sleep(0.1)
    player.to_the_menu()


def mistakes(player: Player) -> None:
    """Pause, steer off the road, go on and recover: three times."""
    player.tap("k")
    player.play(True)
    for side in ("left", "right", "left"):
        time.sleep(9)
        player.tap("t")
        player.play(True, frozenset({"accelerate", side}))
        time.sleep(1.5)
        player.tap("t")
        player.play(True)


def set_up(it: Loop) -> None:
    """Set the window up, and learn to read its clock; which a home that is kept needs but once."""
    player = it.window()
    player.play(True)
    found = it.run("setup --game ctr --emulator duckstation --yes --window", "Crash Team")
    it.note(region=found["screen"]["region"], profile=found["profile"])

    def learn() -> None:
        time.sleep(4)
        player.play(True)
        time.sleep(12)
        player.play(True, frozenset({"brake"}))  # turn round: WRONG WAY
        time.sleep(7)
        player.play(True)

    for attempt in range(ATTEMPTS):  # a window that is drawn too late is refused: the machine may be busy
        player = it.window()
        said = it.run(f"learn-hud --game ctr --seconds {LEARN_S:g}", at_go=learn, may_fail=attempt < ATTEMPTS - 1)
        if said is not None:
            break
    it.note(learned=said["learned"])


def record(it: Loop, hz: float) -> None:
    """Let the human race twice, and once with mistakes to recover from."""
    player = it.window()
    player.play(True)
    finish(player, 3)

    def start() -> None:
        player.tap("k")
        player.play(True)

    for mode, begin in (("N", start), ("N", start), ("A", lambda: mistakes(player))):
        before = len(player.laps)
        (done,) = it.run(f"record --game ctr --driver anna --track coco --mode {mode} --hz {hz:g}", at_go=begin)
        player.play(False)
        session = next(s for s in SessionStore(it.home / "sessions").all()[0] if s.info.id == done["session"])
        readings = [reading for reading in session.remaining().readings() if reading]
        read = [round(t * 100) for t in readings[-1].lap_times_s]
        whole = [round(lap.time_s * 100) for lap in laps_of(session)]
        facts = {"frames": done["frames"], "ending": done["ending"], "labels": done["labels"]}
        it.note(**facts, laps_read=read, laps_true=player.laps[before:], laps_whole=whole)
        finish(player, before + 3)


def train_and_race(it: Loop, epochs: int, races: int) -> None:
    """Train, drive, train on the best laps of that, race."""
    player = it.window()
    player.play(True)
    finish(player, 3)
    small = f"--model nvidia --game ctr --epochs {epochs} --batch-size 64 --balance oversample"
    it.run(f"train {small} --name coco")
    before = len(player.laps)
    kept = ("--keep-laps", "time < 60 and clean")
    reports = it.run(
        f"drive --game ctr --bundle coco --track coco --laps 3 --races {races}", *kept, at_go=lambda: player.tap("k")
    )
    reports = reports if races > 1 else [reports]
    laps = [round(lap["lap_time_s"] * 100) for report in reports for lap in report["laps_kept"]]
    read = [[round(t * 100) for t in report["reading"]["lap_times_s"]] for report in reports]
    autos = [s.info for s in SessionStore(it.home / "sessions").all()[0] if s.info.auto]
    same = sorted(round((info.lap_time_s or 0) * 100) for info in autos)
    it.note(endings=[r["ending"] for r in reports], laps_kept=laps, laps_of_auto_sessions=same)
    it.note(laps_read=read, laps_true=player.laps[before:])
    player.to_the_menu()

    # A machine that was too busy to see a lap whole has kept none.
    again = it.run(f"train {small} --driver coco --name coco2 --laps", "best 50%", may_fail=not laps)
    drivers = "coco" if again is None else "coco,coco2"
    before = len(player.laps)
    options = f"--tracks coco --laps 3 --races {races} --reference ctr-ai"
    result = it.run(f"race --game ctr --drivers {drivers} {options}", at_go=lambda: player.tap("k"))
    runs = [run for run in result["runs"] if not run["driver"].startswith("ctr-ai")]
    read = [[round(t * 100) for t in run["laps_s"]] for run in runs]
    it.note(finished=[run["finished"] for run in runs], laps_read=read, laps_true=player.laps[before:])
    (table,) = it.home.glob("races/*/race.md")
    it.note(table=table.read_text())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--epochs", type=int, default=12)
    parser.add_argument("--races", type=int, default=2)
    parser.add_argument("--hz", type=float, default=10.0, help="to record and drive at; less on a busy machine")
    parser.add_argument("--sky", choices=SKIES, default="busy", help="what is behind the HUD")
    parser.add_argument("--display", type=int, help="number of the X display (default: a free one)")
    parser.add_argument(
        "--home", type=Path, help="keep everything here, and what is there (default: a folder that is removed)"
    )
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        home = args.home or Path(folder)
        home.mkdir(parents=True, exist_ok=True)
        it = Loop(home, args.display, args.sky)
        try:
            if not (home / "hud").exists():
                set_up(it)
            if not (home / "sessions").exists():
                record(it, args.hz)
            train_and_race(it, args.epochs, args.races)
        finally:
            it.desktop.stop()
        print(json.dumps(it.steps, indent=2))


if __name__ == "__main__":
    main()
