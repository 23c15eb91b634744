"""`autopilot plugins check`: what it prints, what programs read, how it ends; and Ctrl-C."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from autopilot_kit.new import write
from support.plugins import install_written


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """A game that forgets its mirror, a command that is fine."""
    write("half", ["game", "command"], tmp_path / "half")
    file = tmp_path / "half/src/autopilot_half/game.py"
    file.write_text(file.read_text().replace(', mirror={"left": "right"}', ""))
    return install_written(tmp_path / "half", "half")


def start(site: Path, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "autopilot", "plugins", "check", *arguments],
        env={**os.environ, "PYTHONPATH": str(site)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_a_fault_is_a_line_and_the_status_1(site: Path) -> None:
    process = start(site, "autopilot-half")
    out, err = process.communicate()
    assert process.returncode == 1
    assert err == ""
    assert out.splitlines()[1:3] == [
        "label map 'half': round_trip, axes, anything_held fine",
        "  mirror: axis steer: 'left' mirrored is 'left'; say mirror={'left': 'right'}",
    ]
    assert out.splitlines()[-1].endswith(" s, 0 left out: 1 fault")


def test_programs_read_each_check(site: Path) -> None:
    process = start(site, "half", "--json")
    found = json.loads(process.communicate()[0])
    assert process.returncode == 1
    assert not found["ok"]
    faulty = [row for row in found["checks"] if row["faults"]]
    assert [(row["kind"], row["check"]) for row in faulty] == [("label map", "mirror")]
    assert {row["kind"] for row in found["checks"]} == {"label map", "game"}


def test_a_name_that_nothing_has_is_the_user_s_mistake(site: Path) -> None:
    process = start(site, "hlaf")
    out, err = process.communicate()
    assert (process.returncode, out) == (2, "")
    assert err.startswith("autopilot: nothing that is installed is called 'hlaf'; did you mean half")
    assert err.count("\n") == 1


def test_ctrl_c_ends_it_in_a_line(tmp_path: Path) -> None:
    write("slow", ["game"], tmp_path / "slow")
    file, begun = tmp_path / "slow/src/autopilot_slow/game.py", tmp_path / "begun"
    sleeps = f"__import__('pathlib').Path({str(begun)!r}).touch()\n        __import__('time').sleep(60)"
    file.write_text(file.read_text().replace("self.steps += 1", sleeps))
    process = start(install_written(tmp_path / "slow", "slow"), "slow")
    until = time.monotonic() + 60
    while not begun.exists():
        assert time.monotonic() < until
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=30)
    assert process.returncode == 130
    assert err.strip() == "autopilot: stopped"
    assert "label map 'slow'" in out
