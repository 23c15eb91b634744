"""Reading video files that OpenCV wrote: order, colours, the end, and what is not a video."""

from __future__ import annotations

import subprocess
import sys

import cv2
import numpy as np
import pytest
from autopilot.errors import DeviceError, UserError
from autopilot.types import SourceSettings
from autopilot_screen.video import open_video

COLOURS = [(250, 20, 10), (10, 250, 20), (20, 10, 250), (90, 160, 200)]
"""RGB of each picture of the clip."""


@pytest.fixture
def clip(tmp_path):
    path = tmp_path / "clip.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"FFV1"), 10, (64, 48))
    assert writer.isOpened()
    for red, green, blue in COLOURS:
        image = np.full((48, 64, 3), (blue, green, red), np.uint8)
        image[:8, :16] = 255
        writer.write(image)
    writer.release()
    return path


def test_every_picture_once_in_order_and_in_rgb(clip):
    source = open_video(SourceSettings(video=str(clip)))
    frames = [source.read() for _ in COLOURS]
    for frame, colour in zip(frames, COLOURS, strict=True):
        assert frame.image.shape == (48, 64, 3)
        assert frame.image.dtype == np.uint8
        assert frame.image.flags.c_contiguous
        np.testing.assert_array_equal(frame.image[0, 0], (255, 255, 255))
        np.testing.assert_array_equal(frame.image[40, 40], colour)
    assert [f.t_ns for f in frames] == sorted(f.t_ns for f in frames)
    for _ in range(2):
        with pytest.raises(EOFError):
            source.read()
    source.close()
    source.close()


def test_a_region_is_cut_out(clip):
    source = open_video(SourceSettings(video=str(clip), region=(10, 4, 12, 8)))
    image = source.read().image
    source.close()
    expected = np.full((8, 12, 3), COLOURS[0], np.uint8)
    expected[:4, :6] = 255
    np.testing.assert_array_equal(image, expected)
    assert image.flags.c_contiguous


@pytest.mark.parametrize("region", [(0, 0, 65, 10), (60, 0, 10, 10), (-1, 0, 4, 4), (0, 0, 0, 4)])
def test_a_region_outside_the_picture_is_named(clip, region):
    source = open_video(SourceSettings(video=str(clip), region=region))
    with pytest.raises(UserError, match="which is 64x48"):
        source.read()
    source.close()


def test_no_video_named():
    with pytest.raises(UserError, match="needs a file or a camera number"):
        open_video(SourceSettings())


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(UserError, match=r"there is no video file .*nothing\.mp4"):
        open_video(SourceSettings(video=str(tmp_path / "nothing.mp4")))


def test_a_file_that_is_no_video_gives_one_line_and_no_noise(tmp_path):
    junk = tmp_path / "junk.mp4"
    junk.write_bytes(b"no video" * 500)
    code = (
        "import sys\n"
        "from autopilot_screen.video import open_video\n"
        "from autopilot.errors import UserError\n"
        "from autopilot.types import SourceSettings\n"
        "try: open_video(SourceSettings(video=sys.argv[1]))\n"
        "except UserError as e: print(e, file=sys.stderr)\n"
    )
    run = subprocess.run([sys.executable, "-c", code, str(junk)], capture_output=True, text=True)
    assert run.stderr.strip() == (f"{junk} is not a video that OpenCV can read: try an .mp4 or .avi file")


def test_a_camera_that_is_not_there_is_named():
    with pytest.raises(DeviceError, match="cannot open camera 97"):
        open_video(SourceSettings(video="97"))
