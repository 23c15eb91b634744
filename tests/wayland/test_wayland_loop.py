"""Record, train, drive and take over on a game's window under Xwayland, each by its command, inside sway."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
import tomllib
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from autopilot.sessions.store import SessionStore
from support.plugins import install_ribbon
from support.portal import Portal
from support.sway import HumanKeyboard, Sway, wait

TESTS = Path(__file__).parents[1]
LEFT, GAS = 105, 37
"""The kernel's numbers of the arrow and of K, DuckStation's keys for them."""
GAME = [
    sys.executable,
    "-m",
    "support.ctr.shown",
    "--auto",
    "--fps",
    "15",
    "--width",
    "640",
    "--height",
    "480",
    "--lap-m",
    "9000",
]


class Place:
    """A sway, the drawn game in a window of its Xwayland, a human's keyboard; `keys` are what came to the game."""

    def __init__(self, home: Path) -> None:
        self.sway = Sway()
        self.human = HumanKeyboard(self.sway)
        self.env = {**os.environ, **self.sway.env, "AUTOPILOT_HOME": str(home), "SDL_VIDEODRIVER": "x11"}
        self.env |= {"PYTHONPATH": str(TESTS), "PYGAME_HIDE_SUPPORT_PROMPT": "1"}
        self.game = subprocess.Popen(GAME, env=self.env, stdout=subprocess.PIPE, text=True)
        assert self.game.stdout is not None
        assert self.game.stdout.readline() == "drawn\n"
        self.keys: list[str] = []
        threading.Thread(target=lambda: self.keys.extend(self.game.stdout or ()), daemon=True).start()
        wait(lambda: any(w["focused"] for w in self.sway.windows()))
        wait(lambda: self.human.key(44, True) or self.human.key(44, False) or "press z\n" in self.keys)

    def run(self, *args: str, at_go: Callable[[], None] = lambda: None) -> Any:
        """Run a command to its end and return its JSON; `at_go` is called after its countdown."""
        program = [sys.executable, "-m", "autopilot", *args, "--json"]
        with subprocess.Popen(
            program, env=self.env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        ) as process:
            assert process.stdout is not None
            assert process.stderr is not None
            limit = threading.Timer(240, process.kill)
            limit.start()
            said = ""
            for line in process.stderr:
                said += line
                if line == "go\n":
                    at_go()
            out = process.stdout.read()
            limit.cancel()
        assert process.returncode == 0, said
        return json.loads(out)

    def hold(self, seconds: float, *codes: int) -> None:
        """Let the human hold keys for some seconds."""
        for code in codes:
            self.human.key(code, True)
        time.sleep(seconds)
        for code in codes:
            self.human.key(code, False)

    def stop(self) -> None:
        self.human.close()
        self.game.kill()
        self.game.wait()
        self.sway.stop()


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    place = Place(tmp_path)
    yield place
    place.stop()


def test_the_whole_loop_on_a_window_under_xwayland(place: Place, tmp_path: Path) -> None:
    place.env["PYTHONPATH"] += f":{install_ribbon(tmp_path / 'site')}"  # whose network is small

    def play() -> None:
        for _ in range(4):
            place.hold(1, GAS, LEFT)
            place.hold(1, GAS)

    where = ("--game", "ctr", "--window", "crash team")
    place.run("record", *where, "--track", "coco", "--seconds", "7", at_go=play)
    (session,) = SessionStore(tmp_path / "sessions").all()[0]
    rows = list(session.rows())
    assert len(rows) > 40
    assert 0.2 < np.mean(["left" in row.held for row in rows]) < 0.8
    assert set().union(*(row.held for row in rows)) == {"accelerate", "left"}, "the human's keys, no others"
    pictures = [row.frame.image for row in rows]
    assert min(int(p.max()) for p in pictures) > 100, "no picture is black"
    assert len({p.tobytes() for p in pictures}) > len(pictures) / 2, "the game moves"

    place.run("train", "--game", "ctr", "--model", "tiny", "--epochs", "2", "--batch-size", "16", "--name", "tiny")
    before = len(place.keys)
    watched = threading.Timer(2.5, place.hold, (1.5, LEFT))
    report = place.run("drive", "--bundle", "tiny", *where[2:], "--seconds", "6", at_go=watched.start)
    (drive,) = report if isinstance(report, list) else [report]
    assert "press k\n" in place.keys[before:], "the policy's keys come to the game"
    assert drive["human_frames"] >= 10, "the human's keys take the wheel"
    assert drive["timing"]["steps"] - drive["human_frames"] >= 20, "and gives it back"
    place.hold(0, GAS)
    wait(lambda: place.keys[-1] == "release k\n")


def test_on_another_workspace_nothing_is_recorded(place: Place, tmp_path: Path) -> None:
    """X11's focus is nowhere then, as it is when a window of Wayland's own has the keyboard."""
    program = [
        sys.executable,
        "-m",
        "autopilot",
        "record",
        "--game",
        "ctr",
        "--track",
        "coco",
        "--window",
        "crash team",
    ]
    store, said = SessionStore(tmp_path / "sessions"), tmp_path / "said"
    with said.open("w") as file, subprocess.Popen(program, env=place.env, stderr=file) as recorder:
        wait(lambda: sum(len(s) for s in store.all()[0]) > 5 or recorder.poll() is not None)
        place.sway.tell("workspace 2")
        wait(lambda: "has not the focus" in said.read_text())
        recorder.terminate()
    (session,) = store.all()[0]
    assert all(row.frame.image.max() > 100 for row in session.rows())


def test_the_loop_on_a_picture_that_the_desktop_shares(
    place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From the stand-in portal comes the picture, from and to the game's window the keys, by X11."""
    (tmp_path / "bus").mkdir()
    portal = Portal(tmp_path / "bus", monkeypatch)
    portal.answer("yes")
    place.env |= portal.env
    for name in ("WAYLAND_DISPLAY", "XDG_SESSION_TYPE"):  # where it wants the kernel's keys, which there are none of
        del place.env[name]
    place.env["PYTHONPATH"] += f":{install_ribbon(tmp_path / 'site')}"
    where = ("--game", "ctr", "--source", "portal")
    steer = partial(place.hold, 3, GAS, LEFT)
    place.run("record", *where, "--track", "coco", "--seconds", "5", at_go=lambda: (time.sleep(1), steer()))
    (session,) = SessionStore(tmp_path / "sessions").all()[0]
    rows = list(session.rows())
    assert {frozenset(), frozenset({"accelerate", "left"})} <= {row.held for row in rows}
    assert len({row.frame.image.tobytes() for row in rows}) > len(rows) / 2, "the ball flies"
    place.run("train", "--game", "ctr", "--model", "tiny", "--epochs", "1", "--batch-size", "8", "--name", "tiny")
    before = len(place.keys)
    portal.answer("yes")
    report = place.run("drive", "--bundle", "tiny", *where[2:], "--seconds", "3")
    portal.stop()
    (drive,) = report if isinstance(report, list) else [report]
    assert drive["timing"]["steps"] >= 10
    assert "press k\n" in place.keys[before:]
    wait(lambda: place.keys[-1].startswith("release "))


def test_setup_and_doctor_say_what_this_desktop_allows(place: Place, tmp_path: Path) -> None:
    where = ("--game", "ctr", "--window", "crash team")
    program = [sys.executable, "-m", "autopilot", "setup", *where, "--emulator", "duckstation", "--yes"]
    done = subprocess.run(
        program, env=place.env | {"XDG_CURRENT_DESKTOP": "ubuntu:GNOME"}, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert "a Wayland session: of X11 programs the windows can be seen" in done.stderr
    assert "GNOME may ask whether autopilot may press keys" in done.stderr
    kept = tomllib.loads((tmp_path / "bindings.toml").read_text())["ctr"]["screen"]
    assert kept["profile"] == "duckstation"
    report = place.run("doctor", *where, "--patience", "60")
    part = {p["name"]: p for p in report["probes"]}
    assert "through XTest; only X11 windows see it in Wayland" in part["keyboard"]["detail"]
    assert "told from the human's" in part["keyboard, there and back"]["detail"]
    assert part["screen picture"]["ok"]
    assert part["windows"]["fix"] == "for a game that is not listed, --source portal"


def test_the_screen_itself_is_refused_in_a_line(place: Place) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "autopilot", "record", "--game", "ctr", "--track", "coco", "--monitor", "1"],
        env=place.env,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 2
    assert "Wayland" in done.stderr.splitlines()[-1]
    assert not list(Path(place.env["AUTOPILOT_HOME"]).glob("sessions/*"))
    listed = subprocess.run(
        [sys.executable, "-m", "autopilot", "windows"], env=place.env, capture_output=True, text=True, check=True
    )
    assert "Crash Team Racing" in listed.stdout
    assert "X11 programs" in listed.stdout
