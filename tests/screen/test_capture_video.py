"""Reading real video files, by their own times: what is due, what is walked through, and what is not a video."""

from __future__ import annotations

import re
import subprocess
import sys
import time
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
import pytest
from autopilot.api.errors import DeviceError, UserError
from autopilot.api.types import SourceSettings
from autopilot_screen.video import open_video
from support.films import STEP, film, thirty

COLOURS = [(250, 20, 10), (10, 250, 20), (20, 10, 250), (90, 160, 200)]
"""RGB of each picture of the clip."""


def open_file(path, **settings):
    return open_video(SourceSettings(video=str(path), **settings))


def walk(source, seconds):
    """Return all frames, so many seconds of the film apart."""
    frames = []
    try:
        while True:
            frames.append(source.read())
            source.skip(seconds)
    except EOFError:
        return frames


def numbers(frames):
    """Return which pictures of `films.film` they are."""
    return [round(float(f.image.mean()) / STEP) for f in frames]


@pytest.fixture
def clip(tmp_path):
    """Four pictures in 0.4 s, without loss."""
    pictures = [np.full((48, 64, 3), colour, np.uint8) for colour in COLOURS]
    for image in pictures:
        image[:8, :16] = 255
    return film(tmp_path / "clip.mkv", [0, 0.1, 0.2, 0.3], "ffv1", pictures, "bgr0")


def test_every_picture_in_order_and_in_rgb(clip):
    source = open_file(clip)
    frames = walk(source, 0.1)
    for frame, colour in zip(frames, COLOURS, strict=True):
        assert frame.image.shape == (48, 64, 3)
        assert frame.image.dtype == np.uint8
        assert frame.image.flags.c_contiguous
        np.testing.assert_array_equal(frame.image[0, 0], (255, 255, 255))
        np.testing.assert_array_equal(frame.image[40, 40], colour)
    assert [f.t_ns for f in frames] == [0, 10**8, 2 * 10**8, 3 * 10**8]
    with pytest.raises(EOFError):
        source.read()
    source.close()
    source.close()


@pytest.mark.parametrize(
    ("name", "codec"),
    [
        ("x.mp4", "libx264"),
        ("x.mkv", "libx264"),
        ("x.mp4", "libsvtav1"),
        ("x.ts", "libx264"),
        ("x.avi", "ffv1"),
        ("x.h264", "libx264"),
    ],
)
def test_a_file_of_30_pictures_a_second_is_walked_through_at_10(tmp_path, name, codec):
    pix_fmt = "bgr0" if codec == "ffv1" else "yuv420p"
    frames = walk(open_file(film(tmp_path / name, thirty(1), codec, pix_fmt=pix_fmt, ticks=30)), 0.1)
    assert numbers(frames) == list(range(0, 30, 3))
    np.testing.assert_allclose([f.t_ns / 1e9 for f in frames], np.arange(10) / 10, atol=2e-3)


@pytest.mark.parametrize("suffix", ["mp4", "mkv"])
def test_a_variable_rate_keeps_its_times(tmp_path, suffix):
    path = film(tmp_path / f"x.{suffix}", [Fraction(n, 10) for n in (0, 1, 2, 12, 13)])
    frames = walk(open_file(path), 0.1)
    assert numbers(frames)[:13] == [0, 1, *[2] * 10, 3]
    assert [round(f.t_ns / 1e8) for f in frames] == list(range(14)), "one shown for longer is given with later times"


def test_pictures_that_fell_between_are_told_by_their_own_times(tmp_path):
    frames = walk(open_file(film(tmp_path / "x.mkv", [0, 0.04, 0.17, 0.26])), 0.1)
    assert numbers(frames)[:3] == [0, 1, 2]
    assert [f.t_ns // 10**6 for f in frames][:3] == [0, 40, 170]


def test_a_file_plays_in_real_time(tmp_path):
    source = open_file(film(tmp_path / "x.mp4", thirty(1)))
    begun = time.monotonic()
    first, at_once = source.read(), source.read()
    assert [f.t_ns // 10**7 for f in (first, at_once)] == [0, 0]
    time.sleep(0.4)
    before = time.monotonic() - begun
    frame = source.read()
    after = time.monotonic() - begun
    assert before - 1 / 30 - 0.01 <= frame.t_ns / 1e9 <= after + 0.001, "12 pictures have passed"
    assert numbers([frame]) == [round(frame.t_ns * 30 / 1e9)]
    time.sleep(max(0, 1.1 - (time.monotonic() - begun)))
    for _ in range(2):
        with pytest.raises(EOFError):
            source.read()


def test_a_file_waits_while_nobody_reads_it(tmp_path, monkeypatch):
    monkeypatch.setattr("autopilot_screen.film.SKIPPED_NS", 10**8)
    source = open_file(film(tmp_path / "x.mp4", thirty(1)))
    source.read()
    time.sleep(0.5)
    assert numbers([source.read()]) == [3]


def test_a_film_that_says_how_it_is_to_be_turned_is_turned(tmp_path):
    image = np.zeros((48, 64, 3), np.uint8)
    image[:24, :32] = 255
    path = film(tmp_path / "x.mp4", [0, 0.1], pictures=[image, image])
    data = bytearray(path.read_bytes())
    at = data.index(b"tkhd") + 44
    quarter = (0, 1 << 16, 0, -1 << 16, 0, 0, 0, 0, 1 << 30)
    data[at : at + 36] = b"".join(n.to_bytes(4, "big", signed=True) for n in quarter)
    path.write_bytes(data)
    turned = open_file(path).read().image
    assert turned.shape == (64, 48, 3)
    assert np.unravel_index(cv2.resize(turned[..., 0], (2, 2)).argmax(), (2, 2)) == (0, 1), "clockwise"


def test_a_region_is_cut_out(clip):
    source = open_file(clip, region=(10, 4, 12, 8))
    image = source.read().image
    source.close()
    expected = np.full((8, 12, 3), COLOURS[0], np.uint8)
    expected[:4, :6] = 255
    np.testing.assert_array_equal(image, expected)
    assert image.flags.c_contiguous


@pytest.mark.parametrize("region", [(0, 0, 65, 10), (60, 0, 10, 10), (-1, 0, 4, 4), (0, 0, 0, 4)])
def test_a_region_outside_the_picture_is_named(clip, region):
    source = open_file(clip, region=region)
    with pytest.raises(UserError, match="which is 64x48"):
        source.read()
    source.close()


def test_no_video_named():
    with pytest.raises(UserError, match="needs a file, a stream or a camera"):
        open_video(SourceSettings())


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(UserError, match=r"there is no video file .*nothing\.mp4"):
        open_file(tmp_path / "nothing.mp4")


@pytest.mark.parametrize("what", ["empty", "junk", "cut off", "in an unknown code", "sound alone"])
def test_a_file_without_a_picture_gives_one_line_and_no_noise(tmp_path, what):
    path = tmp_path / "x.mp4"
    whole = film(tmp_path / "whole.mp4", thirty(0.2)).read_bytes()
    path.write_bytes(
        {
            "empty": b"",
            "junk": b"no video" * 500,
            "cut off": whole[: len(whole) // 2],
            "in an unknown code": whole.replace(b"avc1", b"xxxx"),
            "sound alone": whole.replace(b"vide", b"soun"),
        }[what]
    )
    code = (
        "import sys\n"
        "from autopilot_screen.video import open_video\n"
        "from autopilot.api.errors import UserError\n"
        "from autopilot.api.types import SourceSettings\n"
        "try: open_video(SourceSettings(video=sys.argv[1]))\n"
        "except UserError as e: print(e, file=sys.stderr)\n"
    )
    run = subprocess.run([sys.executable, "-c", code, str(path)], capture_output=True, text=True)
    assert re.fullmatch(
        rf"{path} (is not a video that can be read|holds no picture that can be read): .+\n", run.stderr
    ), run.stderr


def test_a_damaged_picture_is_left_out(tmp_path):
    path = film(tmp_path / "x.avi", [n / 30 for n in range(30)], "mjpeg", pix_fmt="yuvj420p")
    data = bytearray(path.read_bytes())
    at = [m.start() for m in re.finditer(rb"00dc....\xff\xd8", data, re.DOTALL)][10] + 8
    data[at : at + 200] = bytes(200)
    path.write_bytes(data)
    seen = numbers(walk(open_file(path), 1 / 30))
    assert set(seen) >= {*range(10), *range(12, 30)}


@pytest.mark.parametrize("name", ["97", "/dev/video97"])
def test_a_camera_that_is_not_there_is_named(name):
    with pytest.raises(DeviceError, match=f"cannot open camera {name}: is it connected"):
        open_video(SourceSettings(video=name))


def test_a_camera_may_be_named_by_a_link(tmp_path):
    link = tmp_path / "usb-cam"
    link.symlink_to("/dev/video97")
    with pytest.raises(DeviceError, match=f"cannot open camera {link}"):
        open_video(SourceSettings(video=str(link)))


def test_a_path_stays_a_path(tmp_path):
    assert Path(film(tmp_path / "97.mp4", thirty(0.1))).exists()
    assert numbers([open_file(tmp_path / "97.mp4").read()]) == [0]
