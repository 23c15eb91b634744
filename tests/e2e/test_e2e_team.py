"""Several processes with two virtual devices each train as one with all of the devices would."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file
from support.apart import Result, Running

pytestmark = pytest.mark.slow

Run = Callable[..., Result]
Begin = Callable[..., Running]
TRAIN = "train --model tiny --name tiny --batch-size 64 --set width=8".split()


def files(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def weights(home: Path) -> dict[str, Any]:
    return load_file(home / "bundles/tiny/weights.safetensors")


def checkpoints(home: Path) -> list[Path]:
    return list((home / "runs/tiny/checkpoints").glob("*.safetensors"))


def members(running: Running) -> list[int]:
    """The processes that a command has started."""
    pid = running.process.pid
    path = Path(f"/proc/{pid}/task/{pid}/children")
    if not path.exists():
        pytest.skip("missing: /proc/PID/task/PID/children (Linux)")
    return [int(p) for p in path.read_text().split() if "spawn_main" in Path(f"/proc/{p}/cmdline").read_text()]


@pytest.fixture
def team(begin: Begin, shared: Path, recorded: Path, tmp_path: Path) -> Callable[..., tuple[list[Running], list[Path]]]:
    """Start a team, each process with a home of its own, as on machines that share no disk."""

    def team(*args: str, size: int = 2, each: Callable[[int], list[str]] = lambda i: []) -> Any:
        with socket.create_server(("127.0.0.1", 0)) as server:
            port = server.getsockname()[1]
        homes = [tmp_path / f"home-{i}" for i in range(size)]
        started = []
        for i, home in enumerate(homes):
            if not home.exists():
                shutil.copytree(recorded, home)
            place = f"--devices 2 --coordinator 127.0.0.1:{port} --process {i} --processes {size}".split()
            env = {"JAX_COMPILATION_CACHE_DIR": str(shared / f"jax-{i}"), "OMP_NUM_THREADS": "1"}
            started.append(begin(*TRAIN, *args, *place, *each(i), home=home, **env))
        return started, homes

    return team


def test_a_team_reaches_the_weights_of_one_process_and_only_its_first_writes(
    team: Any, run: Run, recorded: Path, tmp_path: Path
) -> None:
    (first, second), (home, other) = team("--epochs", "4", "--json")
    done, silent = first.wait(), second.wait()
    assert (done.code, silent.code) == (0, 0), done.err + silent.err
    assert json.loads(done.out)["best"] == json.loads(silent.out)["best"]
    assert all("frames to train on" in process.err for process in (done, silent))
    assert json.loads(done.out)["bundle"] == str(home / "bundles/tiny")
    assert json.loads(silent.out)["bundle"] is None
    assert sorted(p.name for p in other.iterdir()) == ["cache", "sessions"]
    assert json.loads((home / "runs/tiny/run.json").read_text())["devices"] == 4
    found = weights(home)
    done = run(*TRAIN, "--epochs", "4", "--devices", "2", home=home)
    assert done.code == 2
    assert "was made with other devices (4 of them) and processes (2 of them)" in done.err
    for devices in "41":
        alone = Path(shutil.copytree(recorded, tmp_path / f"alone-{devices}"))
        done = run(*TRAIN, "--epochs", "4", "--devices", devices, home=alone)
        assert done.code == 0, done.err
        expected = weights(alone)
        assert expected.keys() == found.keys()
        for name in expected:  # sums are taken in another order; Adam divides small sums by small ones
            np.testing.assert_allclose(found[name], expected[name], rtol=1e-4, atol=2e-6, err_msg=name)


def test_ctrl_c_in_one_process_stops_all_and_the_same_commands_go_on(team: Any, tmp_path: Path) -> None:
    (first, second), (home, _) = team("--epochs", "4")
    assert (first.wait().code, second.wait().code) == (0, 0)
    expected = files(home / "bundles") | files(home / "runs/tiny/checkpoints")
    shutil.rmtree(home / "bundles")
    shutil.rmtree(home / "runs")
    (first, second), _ = team("--epochs", "4")
    assert second.until(lambda: checkpoints(home))
    second.interrupt()
    stopped = [first.wait(), second.wait()]
    assert [r.code for r in stopped] == [130, 130], [r.err for r in stopped]
    assert not (home / "bundles").exists()
    (first, second), _ = team("--epochs", "4", "--json")
    done = first.wait()
    assert (done.code, second.wait().code) == (0, 0), done.err
    assert json.loads(done.out)["resumed_at"] > 0
    assert files(home / "bundles") | files(home / "runs/tiny/checkpoints") == expected


@pytest.mark.parametrize("victim", [0, 1])
def test_a_dead_process_ends_the_rest_in_bounded_time(team: Any, victim: int) -> None:
    """With its parent (the second one), or without: then that says what happened."""
    running, (home, _) = team("--epochs", "2000")
    assert running[1].until(lambda: checkpoints(home))
    dead, left = running[victim], running[1 - victim]
    (member,) = members(dead)
    if victim == 1:
        dead.process.kill()
    os.kill(member, signal.SIGKILL)
    begun = time.monotonic()
    done = left.wait(120)
    assert time.monotonic() - begun < 60
    assert done.code == 1
    last = done.err.strip().splitlines()[-1]
    assert last.startswith("autopilot: another process of this training ended")
    assert "Traceback" not in done.err
    assert checkpoints(home)
    if victim == 0:
        killed = dead.wait(120)
        assert killed.code == 1
        assert "this process was killed" in killed.err


def test_machines_with_other_data_or_options_are_told_so(team: Any, run: Run, recorded: Path, tmp_path: Path) -> None:
    other = Path(shutil.copytree(recorded, tmp_path / "home-1"))
    one = min(p.name for p in (other / "sessions").iterdir())
    assert run("sessions", one, "--delete", "10-19", home=other).code == 0
    running, homes = team(each=lambda i: ["--seed", str(i)])
    for ended in [r.wait() for r in running]:
        assert ended.code == 2
        assert "the machines differ in frames and seed" in ended.err
        assert "Traceback" not in ended.err
    assert not any((home / "runs").exists() for home in homes)


def test_a_coordinator_that_is_not_there(begin: Begin, home: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    begun = time.monotonic()
    place = f"--coordinator 127.0.0.1:{port} --process 1 --processes 2 --join-wait 3".split()
    done = begin(*TRAIN, *place, home=home).wait()
    assert done.code == 2
    assert time.monotonic() - begun < 60
    assert done.err.count("\n") == 1
    assert "could not join 127.0.0.1" in done.err


def test_a_port_that_another_has(begin: Begin, home: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        place = f"--coordinator 127.0.0.1:{server.getsockname()[1]} --process 0 --processes 2".split()
        done = begin(*TRAIN, *place, home=home).wait()
    assert done.code == 2
    assert done.err.count("\n") == 1
    assert "a port that is free" in done.err


@pytest.mark.parametrize(
    ("place", "word"),
    [
        ("--coordinator 127.0.0.1:9 --process 2 --processes 2", "--process 2 of --processes 2"),
        ("--coordinator 127.0.0.1 --process 0 --processes 2", "give HOST:PORT"),
        ("--coordinator 127.0.0.1:99999 --process 0 --processes 2", "give HOST:PORT"),
        ("--coordinator nowhere.invalid:9100 --process 1 --processes 2", "--coordinator nowhere.invalid:9100: "),
        ("--coordinator no..where:9100 --process 1 --processes 2", "--coordinator no..where:9100: "),
        ("--coordinator 127.0.0.1:9 --processes 2", "go together"),
        ("--process 1", "go together"),
        ("--devices 3", "cannot share --batch-size 64 evenly"),
        ("--devices 0", "--devices"),
        ("--devices some", "--devices"),
    ],
)
def test_places_that_cannot_be(run: Run, home: Path, place: str, word: str) -> None:
    done = run(*TRAIN, *place.split(), home=home)
    assert done.code == 2
    assert word in done.err
    assert done.err.count("\n") == 1
    assert not (home / "runs").exists()
