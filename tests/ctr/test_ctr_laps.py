"""Lap times read from a window by the commands that need them: what the game itself said, to the hundredth."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading

import pytest
from autopilot.sessions.home import Home
from autopilot.sessions.store import SessionStore

SHOWN = ("--odd", "--fps", "30", "--draw-every", "6", "--lap-m", "45")
WORLD = ("--window", "Crash Team", "--json")


def listen(game):
    """Return a list that fills with the lap times that the game says, in hundredths."""
    told = []

    def read():
        for line in game.stdout:
            if line.startswith("lap "):
                told.append(int(line.split()[1]))

    threading.Thread(target=read, daemon=True).start()
    return told


def autopilot(home, *args):
    """Run a command to its end; return what it says."""
    line = [sys.executable, "-m", "autopilot", *args, *WORLD, "--home", str(home.root)]
    env = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(line, capture_output=True, text=True, env=env, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.fixture
def home(tmp_path, templates):
    """Return a home in which the HUD was learned."""
    found = Home(tmp_path / "home")
    templates.save(found.hud / "ctr/duckstation.npz")
    return found


@pytest.fixture
def told(desktop):
    """Show the game, and return what it says of its laps."""
    laps = listen(desktop.show(*SHOWN))
    desktop.point(640, 480)
    return laps


def hundredths(times_s):
    return [round(t * 100) for t in times_s]


@pytest.mark.slow
def test_kept_laps_have_the_times_that_the_game_says(home, told):
    # `random` holds the gas and steers anyhow; the walls keep it on the road.
    drive = ("drive", "--game", "ctr", "--bundle", "random", "--track", "coco", "--laps", "3", "--seconds", "150")
    report = autopilot(home, *drive, "--keep-laps", "time < 100 and clean")
    assert report["ending"] == "finished"
    assert len(told) == 3
    assert hundredths(report["reading"]["lap_times_s"]) == told
    kept = {s.info.id: s.info for s in SessionStore(home.sessions).all()[0]}
    assert list(kept) == [lap["session"] for lap in report["laps_kept"]]
    times = hundredths(info.lap_time_s for info in kept.values())
    assert times, "no lap was seen whole: is the machine so busy?"
    assert set(times) <= set(told)
    assert all(info.auto and info.driver == "random" for info in kept.values())


@pytest.mark.slow
def test_a_race_begins_its_second_run_by_itself(home, told):
    what = ("--drivers", "random", "--tracks", "coco", "--laps", "3", "--races", "2", "--name", "twice")
    result = autopilot(home, "race", "--game", "ctr", *what)
    # On a machine so busy that no frame comes for two seconds a finish goes unseen, and there is a race more.
    races = [told[n : n + 3] for n in range(0, len(told), 3)]
    first, second = (races.index(hundredths(run["laps_s"])) for run in result["runs"])
    assert first < second == len(races) - 1 <= 2
    assert [run["finished"] for run in result["runs"]] == [True, True]
