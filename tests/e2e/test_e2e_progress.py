"""What a training says while it runs: before its first step, as soon as it was measured, and every so often."""

from __future__ import annotations

import os
import pty
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from autopilot.commands import ui
from support.apart import Running

Begin = Callable[..., Running]
LONG = "train --model tiny --game ribbon --name tiny --epochs 20000 --batch-size 64 --set width=8".split()
SLOW = "train --model brittle --game ribbon --name b --epochs 2 --batch-size 64 --set fault=slow".split()
PLAN = r"(\d+) frames to train on, (\d+) to validate on: (\d+) steps of 64 frames in (\d+) epochs\n"
MEASURED = (
    r"measured ([\d.e-]+) s a step: about (.+) for the (\d+) left, validation not counted; "
    r"quicker: fewer --epochs \(about \d+ s each\), a GPU\n"
)


def test_the_steps_are_told_first_and_a_measured_time_before_the_long_run(home: Path, begin: Begin) -> None:
    running = begin(*LONG, home=home)
    assert running.until(lambda: re.search(MEASURED, running.err.read_text()))
    running.interrupt()
    said = running.wait().err
    plan, measured = re.search(PLAN, said), re.search(MEASURED, said)
    assert plan, said
    assert measured, said
    assert plan.start() < measured.start()
    train, _, steps, epochs = map(int, plan.groups())
    assert steps == train * epochs // 64
    step_s, left = float(measured[1]), int(measured[3])
    assert steps - 200 < left <= steps - 5, "after some steps, not after the run"
    hours, minutes = re.fullmatch(r"(?:(\d+) h )?(\d+) min", measured[2]).groups("0")  # type: ignore[union-attr]
    assert 60 * (60 * int(hours) + int(minutes)) == pytest.approx(step_s * left, rel=0.06, abs=40)


def slow(home: Path, path: str, beat_s: float, stderr: int) -> subprocess.Popen[bytes]:
    """Start a training that takes seconds to trace, whose heartbeat is quicker than usual."""
    code = f"from autopilot.cli import main; from autopilot.commands import ui; ui.BEAT_S = {beat_s}; main()"
    env = {**os.environ, "AUTOPILOT_HOME": str(home), "PYTHONPATH": path, "TERM": "xterm", "COLUMNS": "160"}
    return subprocess.Popen([sys.executable, "-c", code, *SLOW], env=env, stdout=subprocess.PIPE, stderr=stderr)


def test_without_a_terminal_lines_come_while_it_prepares_and_compiles(home: Path, brittle: str, tmp_path: Path) -> None:
    assert ui.BEAT_S <= 30
    with (tmp_path / "err").open("wb") as err:
        running = slow(home, brittle, 0.5, err.fileno())
        assert running.wait(300) == 0
    lines = (tmp_path / "err").read_text().splitlines()
    beats = [line for line in lines if line.startswith("train brittle: ")]
    assert re.fullmatch(r"train brittle: preparing  \(\d+ s so far\)", beats[0])
    compiling = [b for b in beats if re.match(r"train brittle: step 0 of \d+, compiling, measuring  epoch 1/2", b)]
    assert len(compiling) >= 2, lines


def test_in_a_terminal_the_bar_says_that_it_compiles_and_for_how_long(home: Path, brittle: str) -> None:
    ours, its = pty.openpty()
    running = slow(home, brittle, 0.5, its)
    os.close(its)
    said = b""
    while True:
        try:
            said += os.read(ours, 65536)
        except OSError:  # the other end was closed
            break
    os.close(ours)
    assert running.wait(60) == 0
    text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", said.decode())
    assert "frames to train on" in text
    seconds = [int(s) for s in re.findall(r"compiling, measuring epoch 1/2 +(\d+) s", text)]
    assert len(set(seconds)) >= 2, "it counts while it compiles"
    assert "step 0 of" not in text, "no lines beside the bar"
