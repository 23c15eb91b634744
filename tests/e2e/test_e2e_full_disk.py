"""A disk that is full while a drive or a race is filmed, or sessions are exported: what matters more is kept."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from support.apart import Result
from support.small_disk import SmallDisk

Run = Callable[..., Result]


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[SmallDisk]:
    (tmp_path / "disk").mkdir()
    disk = SmallDisk(tmp_path / "disk")
    if not disk.mounted:
        pytest.skip("missing: the right to mount a file system")
    yield disk
    disk.close()


def leave(disk: SmallDisk, room: int) -> None:
    """Fill the disk up to so many bytes."""
    disk.choke()
    ballast = disk.path / "ballast"
    with ballast.open("r+b") as file:
        file.truncate(ballast.stat().st_size - room)


@pytest.mark.parametrize("room", [0, 65536])
def test_a_drive_on_a_full_disk_loses_its_film_alone(run: Run, disk: SmallDisk, room: int) -> None:
    leave(disk, room)
    film = disk.path / "x.mp4"
    args = "drive --game ribbon --bundle demonstrator --laps 1 --track 3 --json --film"
    done = run(*args.split(), str(film))
    assert done.code == 1, done.err
    assert json.loads(done.out)["ending"] == "finished"
    assert done.err == f"autopilot: the film {film} is lost (No space left on device): free space, or film elsewhere\n"
    assert not film.exists()


def test_a_race_on_a_full_disk_loses_a_film_alone(run: Run, disk: SmallDisk) -> None:
    """There is room for the demonstrator's film and the results, not for the longer one of chance."""
    home = disk.path / "home"
    args = "race --game ribbon --drivers demonstrator,random --tracks 40 --laps 1 --name cup --films".split()
    leave(disk, 300_000)
    done = run(*args, home=home)
    assert done.code == 1, done.err
    assert done.out.count("demonstrator") >= 2, "the tables"
    (lost,) = [line for line in done.err.splitlines() if "autopilot: " in line]
    film = home / "races/cup/random-40-1.mp4"
    assert lost == f"autopilot: the film {film} is lost (No space left on device): free space, or film elsewhere"
    sizes = {p.name: p.stat().st_size for p in film.parent.iterdir()}
    assert sorted(sizes) == ["demonstrator-40-1.mp4", "race.json", "race.md", "race.png"]
    assert all(sizes.values()), sizes
    assert len(json.loads((film.parent / "race.json").read_text())["runs"]) == 2
    assert f"saved in {film.parent} (race.json, race.md, race.png)" in done.out
    assert sum(sizes.values()) < 250_000, sizes


def test_a_race_that_cannot_be_kept_is_told(run: Run, disk: SmallDisk) -> None:
    (disk.path / "home/races/cup").mkdir(parents=True)
    disk.choke()
    args = "race --game ribbon --drivers demonstrator --tracks 40 --laps 1 --name cup --json"
    done = run(*args.split(), home=disk.path / "home")
    assert done.code == 1, done.err
    assert json.loads(done.out)["runs"][0]["finished"]
    assert done.err.count("the race cannot be kept in") == 1
    assert "No space left on device" in done.err


def test_an_export_on_a_full_disk_says_so_and_leaves_nothing(run: Run, disk: SmallDisk, recorded: Path) -> None:
    home = shutil.copytree(recorded, disk.path.parent / "home")
    leave(disk, 30_000)
    name = next((home / "sessions").iterdir()).name
    done = run("export", name, "--format", "lerobot", "--out", str(disk.path / "set"), home=home)
    assert done.code == 2, done.err
    (line,) = [line for line in done.err.splitlines() if "autopilot: " in line]
    assert f"cannot write {disk.path / 'set'} (No space left on device)" in line
    assert [p.name for p in disk.path.iterdir()] == ["ballast"]
