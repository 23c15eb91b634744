"""Whatever is done to a training, the same command ends in the same bundle, bit for bit."""

from __future__ import annotations

import json
import random
import shutil
import signal
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from support.apart import Result, Running

Run = Callable[..., Result]
Begin = Callable[..., Running]
TRAIN = "train --model tiny --name tiny --epochs 8 --batch-size 64 --set width=8".split()
STOPS = 3
"""How often to stop a training at random; 200 take a few minutes."""
DAMAGE: dict[str, Callable[[bytes], bytes]] = {
    "emptied": lambda data: b"",
    "a bit flipped at the end": lambda data: data[:-1] + bytes([data[-1] ^ 1]),
    "a bit flipped in the header": lambda data: data[:99] + bytes([data[99] ^ 1]) + data[100:],
}


def outcome(home: Path) -> dict[str, bytes]:
    """The bundle, the checkpoints and the weights that were kept, by path."""
    every = [*(home / "bundles").rglob("*"), *(home / "runs/tiny").rglob("*.safetensors")]
    return {str(p.relative_to(home)): p.read_bytes() for p in every if p.is_file()}


def checkpoints(home: Path) -> list[Path]:
    return sorted((home / "runs/tiny/checkpoints").glob("*.safetensors"))


@pytest.fixture
def cut_short(trained: Path, tmp_path: Path) -> Path:
    """A home whose training is all there but for the bundle: its last checkpoint is the last step."""
    home = Path(shutil.copytree(trained, tmp_path / "cut-short"))
    shutil.rmtree(home / "bundles")
    return home


@pytest.mark.slow
@pytest.mark.timeout(300 + 10 * STOPS)
@pytest.mark.parametrize("which", ["trained", "patient"])
def test_stopped_at_random_moments(
    which: str, request: pytest.FixtureRequest, patience: list[str], home: Path, begin: Begin
) -> None:
    uninterrupted: Path = request.getfixturevalue(which)
    train = patience if which == "patient" else TRAIN  # patience ends it early, and several epochs are kept
    draw, codes, reached = random.Random(STOPS), Counter[int](), set()
    begun = time.monotonic()
    assert begin(*train, home=home).wait().code == 0
    whole = time.monotonic() - begun
    stops = STOPS if which == "trained" else STOPS - 1
    for left in reversed(range(stops + 1)):
        if (home / "bundles/tiny").exists():  # else a stop may have left a part of it
            assert outcome(home) == outcome(uninterrupted)
            for place in ("bundles", "runs"):
                shutil.rmtree(home / place)
        running, begun = begin(*train, home=home), time.monotonic()
        if left:
            running.process.join(draw.uniform(0.15, 0.8) * whole)
            if running.process.is_alive():
                running.interrupt() if left > 1 and draw.random() < 0.2 else running.process.kill()
            else:  # it was quicker this time
                whole = min(whole, time.monotonic() - begun)
        done = running.wait()
        codes[done.code] += 1
        assert done.code in (0, 130, -signal.SIGINT, -signal.SIGKILL), done.err
        reached.update(int(p.name.split("-")[0]) for p in checkpoints(home))
    print(f"\n{stops} stops, by exit code {dict(codes)}; checkpoints seen at {len(reached)} steps")
    assert codes[-signal.SIGKILL] >= 1
    assert outcome(home) == outcome(uninterrupted)


@pytest.mark.parametrize("how", DAMAGE)
def test_a_damaged_checkpoint_costs_the_way_from_the_one_before(
    trained: Path, cut_short: Path, run: Run, how: str
) -> None:
    before, newest = checkpoints(cut_short)
    newest.write_bytes(DAMAGE[how](newest.read_bytes()))
    (cut_short / "runs/tiny/best.safetensors").write_bytes(b"not weights")
    done = run(*TRAIN, "--json", home=cut_short)
    assert done.code == 0, done.err
    assert json.loads(done.out)["resumed_at"] == int(before.name.split("-")[0])
    said = [line for line in done.err.splitlines() if "damaged" in line]
    assert len(said) == 1
    assert newest.name in said[0]
    assert "Traceback" not in done.err
    assert outcome(cut_short) == outcome(trained)


@pytest.mark.parametrize("name", ["checkpoint", "best.safetensors", "run.json", "tensorboard", "labels.png"])
def test_a_deleted_file_of_the_run_is_made_again(trained: Path, cut_short: Path, run: Run, name: str) -> None:
    path = checkpoints(cut_short)[-1] if name == "checkpoint" else cut_short / "runs/tiny" / name
    shutil.rmtree(path) if path.is_dir() else path.unlink()
    done = run(*TRAIN, home=cut_short)
    assert done.code == 0, done.err
    assert outcome(cut_short) == outcome(trained)


def test_all_checkpoints_damaged_is_one_line_until_the_user_decides(trained: Path, cut_short: Path, run: Run) -> None:
    for path in checkpoints(cut_short):
        path.write_bytes(path.read_bytes()[:-1])
    left = {p.name: p.read_bytes() for p in checkpoints(cut_short)}
    for _ in range(2):
        done = run(*TRAIN, home=cut_short)
        assert done.code == 2
        assert done.err.count("\n") == 1
        assert "--restart" in done.err
        assert {p.name: p.read_bytes() for p in checkpoints(cut_short)} == left
    done = run(*TRAIN, "--restart", home=cut_short)
    assert done.code == 0, done.err
    assert outcome(cut_short) == outcome(trained)


def test_what_a_crash_leaves_lying_about_is_swept_up(trained: Path, home: Path, run: Run) -> None:
    folder = home / "runs/tiny/checkpoints"
    folder.mkdir(parents=True)
    (folder / "0000000009-0123456789abcdef.safetensors.tmp").write_bytes(b"half of one")
    (home / "runs/tiny/run.json").write_text("{")
    part = home / "bundles/.tiny.part"
    part.mkdir(parents=True)
    (part / "weights.safetensors").write_bytes(b"half of them")
    done = run(*TRAIN, home=home)
    assert done.code == 0, done.err
    assert outcome(home) == outcome(trained)
    assert json.loads((home / "runs/tiny/run.json").read_text()) == json.loads(
        (trained / "runs/tiny/run.json").read_text()
    )


def test_a_second_training_of_the_name_is_refused_while_one_runs(trained: Path, home: Path, begin: Begin) -> None:
    first = begin(*TRAIN, home=home)
    assert first.until(lambda: checkpoints(home))
    first.suspend()
    try:
        second = begin(*TRAIN, "--restart", home=home).wait()
    finally:
        first.suspend(False)
    assert second.code == 2
    assert second.err.count("\n") == 1
    assert "is running" in second.err
    assert first.wait().code == 0
    assert outcome(home) == outcome(trained)


def test_other_frames_of_the_same_number_are_refused(cut_short: Path, run: Run) -> None:
    one = sorted(p.name for p in (cut_short / "sessions").iterdir())[0]
    before = run("sessions", one, "--delete", "10-19", home=cut_short)
    assert before.code == 0, before.err
    done = run(*TRAIN, home=cut_short)
    assert done.code == 2
    assert "was made with other frames" in done.err
    assert run("sessions", one, "--restore", "10-19", home=cut_short).code == 0
    assert run(*TRAIN, home=cut_short).code == 0
