"""Films on a disk that fills up: one line, and neither a crash nor anything else lost."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from autopilot.api.errors import UserError
from autopilot.api.types import Image
from autopilot.drive.film import FilmWriter
from autopilot.drive.overlay import Film
from support.small_disk import SmallDisk

RNG = np.random.default_rng(5)


def noise() -> Image:
    return RNG.integers(0, 255, (360, 640, 3), np.uint8)


def film(path: Path, pictures: int, meanwhile: Callable[[int], None] = lambda n: None) -> list[str]:
    """Write a film, and return what was told of its loss."""
    told: list[str] = []
    with closing(Film(path, 10, told.append)) as writer:
        for n in range(pictures):
            meanwhile(n)
            writer.add(noise())
    return told


def pictures(path: Path) -> int:
    with av.open(str(path)) as container:
        return sum(1 for _ in container.decode(video=0))


def test_a_film_is_written(tmp_path: Path) -> None:
    assert film(tmp_path / "films" / "x.mp4", 7) == []
    assert pictures(tmp_path / "films" / "x.mp4") == 7


@pytest.mark.parametrize("when", ["before it begins", "on the way", "at its end"])
def test_a_disk_that_is_full_costs_the_film_alone(disk: SmallDisk, when: str) -> None:
    if not disk.mounted and when != "on the way":
        pytest.skip("missing: the right to mount a file system")
    path, count = disk.path / "x.mp4", {"before it begins": 30, "on the way": 90, "at its end": 5}[when]
    disk.fill()

    def meanwhile(n: int) -> None:
        if n == {"before it begins": 0, "at its end": 4}.get(when):
            disk.choke()

    (told,) = film(path, count, meanwhile)
    assert told.startswith(f"the film {path} is lost (")
    assert told.endswith("): free space, or film elsewhere")
    assert not path.exists(), "and its room is free again"


def test_a_film_that_cannot_be_encoded_is_lost_as_well(tmp_path: Path) -> None:
    told: list[str] = []
    with closing(Film(tmp_path / "x.mp4", 10, told.append)) as writer:
        for _ in range(3):
            writer.add(noise()[:359])  # no encoder takes an odd height
    assert len(told) == 1
    assert not any(tmp_path.iterdir())
    with pytest.raises(OSError, match="nosuch"), FilmWriter(tmp_path / "y.mp4", Fraction(10), "nosuch", {}) as other:
        other.add(noise())
    assert not any(tmp_path.iterdir())


def test_ctrl_c_leaves_a_film_of_what_there_was(tmp_path: Path) -> None:
    def press(n: int) -> None:
        if n == 5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        film(tmp_path / "x.mp4", 9, press)
    assert pictures(tmp_path / "x.mp4") == 5


def test_a_film_that_cannot_be_made_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for path, why in ((tmp_path / "x.gif", "must end in .mp4"), (tmp_path / "file" / "x.mp4", "cannot be written")):
        with pytest.raises(UserError, match=why):
            film(path, 1)
