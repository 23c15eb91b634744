"""Sessions: the cache holds what the transform makes of the rows, and is made anew in time."""

from __future__ import annotations

import json
import multiprocessing
import os
import zlib
from pathlib import Path

import numpy as np
import pytest
from autopilot.api.errors import SessionError
from autopilot.api.types import Image
from autopilot.sessions.cache import Cached, cached, gather
from autopilot.sessions.index import Index
from autopilot.sessions.laps import laps_of
from autopilot.sessions.session import Session
from autopilot.sessions.writer import SessionWriter
from support.sessions import HEIGHT, WIDTH, make_info, make_row, record

SIZE = (WIDTH // 2, HEIGHT)
ROWS = 20


def halve(image: Image) -> Image:
    return image[:, ::2]


def build(session: Session, root: Path, key: str = "half") -> tuple[tuple[Cached, Index], int]:
    """The cache and its rows, and how many times the transform was called for it."""
    calls = 0

    def counted(image: Image) -> Image:
        nonlocal calls
        calls += 1
        return halve(image)

    return cached(session, root, key, SIZE, counted), calls


def assert_cache(found: tuple[Cached, Index], indices: list[int]) -> None:
    (cache, index), rows = found, [make_row(i) for i in indices]
    assert cache.images.shape == (len(rows), SIZE[1], SIZE[0], 3)
    assert not cache.images.flags.writeable
    np.testing.assert_array_equal(cache.images, [halve(row.frame.image) for row in rows])
    assert index.index.tolist() == indices
    assert [index.sets[i] for i in index.held] == [row.held for row in rows]
    assert index.t_ns.dtype == np.int64
    assert index.t_ns.tolist() == [row.frame.t_ns for row in rows]
    told = json.dumps([[sorted(row.held) for row in rows], [row.frame.t_ns for row in rows]])
    frames = zlib.crc32(cache.images.tobytes())
    assert cache.crc32 == zlib.crc32(told.encode(), frames), "of a run that is resumed: no version may change it"


@pytest.fixture
def session(tmp_path: Path) -> Session:
    return record(tmp_path / "sessions", ROWS, segments=2)


def test_a_cache_is_built_once(session: Session, tmp_path: Path) -> None:
    root = tmp_path / "cache"
    cache, calls = build(session, root)
    assert_cache(cache, list(range(ROWS)))
    assert cache[0].mapping is not None
    assert calls == ROWS
    cache, calls = build(Session.open(session.path), root)
    assert_cache(cache, list(range(ROWS)))
    assert calls == 0


def test_a_cache_follows_the_rows_and_the_key(session: Session, tmp_path: Path) -> None:
    root = tmp_path / "cache"
    old, _ = build(session, root)
    session.delete(3, 8)
    left = [*range(3), *range(8, ROWS)]
    cache, calls = build(session, root)
    assert_cache(cache, left)
    assert calls == len(left)
    session.purge()
    cache, calls = build(session, root)
    assert_cache(cache, left)
    assert calls == len(left)
    if os.name != "nt":  # which keeps what is mapped
        assert len([p for p in root.iterdir() if p.is_dir()]) == 1, "what is stale is removed"
    assert build(session, root, key="other")[1] == len(left)
    assert build(session, root)[1] == 0, "two keys live side by side"
    size = (WIDTH, HEIGHT)
    whole, _ = cached(session, root, "half", size, lambda image: image)
    assert whole.images.shape[1:] == (HEIGHT, WIDTH, 3)
    assert_cache(old, list(range(ROWS)))  # still mapped, though its file is gone


@pytest.mark.parametrize("file", ["frames.raw", "crc32"])
@pytest.mark.parametrize("damage", ["flip", "cut", "empty", "gone"])
def test_a_damaged_cache_is_made_anew(session: Session, tmp_path: Path, file: str, damage: str) -> None:
    root = tmp_path / "cache"
    build(session, root)
    (path,) = root.glob(f"*/{file}")
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.unlink()  # the file may still be mapped
    if damage != "gone":
        path.write_bytes({"flip": data, "cut": data[: len(data) // 2], "empty": b""}[damage])
    cache, calls = build(session, root)
    assert_cache(cache, list(range(ROWS)))
    assert calls == ROWS


def test_what_a_killed_builder_left_is_cleared(session: Session, tmp_path: Path) -> None:
    root = tmp_path / "cache"

    def stop(image: Image) -> Image:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        cached(session, root, "half", SIZE, stop)
    assert [p.suffix for p in root.iterdir() if p.is_dir()] == [".tmp"]
    assert_cache(build(session, root)[0], list(range(ROWS)))
    assert [p.suffix for p in root.iterdir() if p.is_dir()] == [""]


def build_elsewhere(path: Path, root: Path) -> int:
    cache, calls = build(Session.open(path), root)
    assert_cache(cache, list(range(ROWS)))
    return calls


def test_builders_at_once_build_one_cache(session: Session, tmp_path: Path) -> None:
    with multiprocessing.get_context("spawn").Pool(3) as pool:
        jobs = [(session.path, tmp_path / "cache")] * 6
        assert sorted(pool.starmap(build_elsewhere, jobs)) == [0] * 5 + [ROWS]


def test_a_session_without_rows(session: Session, tmp_path: Path) -> None:
    session.delete(0, ROWS)
    (cache, rows), _ = build(session, tmp_path / "cache")
    assert cache.images.shape == (0, SIZE[1], SIZE[0], 3)
    assert len(cache) == len(rows) == 0
    assert not len(laps_of(session))


def test_a_session_that_is_being_recorded(tmp_path: Path) -> None:
    root = tmp_path / "cache"
    with SessionWriter(tmp_path, make_info()) as writer:
        for i in range(3):
            writer.append(make_row(i))
        live = Session.open(writer.path)
        assert len(live) == 3
        writer.append(make_row(3))
        assert_cache(build(live, root)[0], [0, 1, 2])
        assert_cache(build(Session.open(writer.path), root)[0], [0, 1, 2, 3])


def test_rows_that_are_purged_meanwhile_are_an_error(session: Session, tmp_path: Path) -> None:
    def purge(image: Image) -> Image:
        other = Session.open(session.path)
        if len(other) == ROWS:
            other.delete(ROWS - 3, ROWS)
            other.purge()
        return halve(image)

    with pytest.raises(SessionError, match="was changed while its frames were read"):
        cached(session, tmp_path / "cache", "half", SIZE, purge)
    assert_cache(build(Session.open(session.path), tmp_path / "cache")[0], list(range(ROWS - 3)))


def test_a_transform_of_another_shape(session: Session, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="transform made uint8"):
        cached(session, tmp_path / "cache", "key", SIZE, lambda image: image)


def test_a_cache_that_cannot_be_written(session: Session, tmp_path: Path) -> None:
    (tmp_path / "cache").touch()
    with pytest.raises(SessionError, match=r"cannot keep a-session-\w+ in .*cache"):
        build(session, tmp_path / "cache")


def test_gather_copies_the_frames_that_were_asked_for(tmp_path: Path) -> None:
    counts = [7, 1, 12]
    caches = []
    for n, count in enumerate(counts):
        session = record(tmp_path / "sessions", count, id=f"s{n}")
        if n == 2:
            session.delete(0, 5)
        caches.append(build(session, tmp_path / "cache")[0][0])
    everything = np.concatenate([cache.images for cache in caches])
    rng = np.random.default_rng(0)
    for size in (0, 1, 64):
        indices = rng.integers(0, len(everything), size)
        out = np.zeros((size, *everything.shape[1:]), np.uint8)
        gather(caches, indices, out)
        np.testing.assert_array_equal(out, everything[indices])
    out = np.zeros((1, *everything.shape[1:]), np.uint8)
    for index in (-1, len(everything)):
        with pytest.raises(IndexError):
            gather(caches, np.array([index]), out)
    with pytest.raises(ValueError, match="do not fit"):
        gather(caches, np.array([0, 1]), out)
    with pytest.raises(ValueError, match="do not fit"):
        gather(caches, np.array([0]), out[:, :1])
