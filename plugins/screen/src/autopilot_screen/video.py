"""Frames from a video file or a camera, read with OpenCV."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import TYPE_CHECKING

from autopilot.errors import DeviceError, UserError
from autopilot.types import Frame, SourceSettings

if TYPE_CHECKING:
    import cv2
    from autopilot.interfaces import FrameSource
    from autopilot.types import Image


class Video:
    """The pictures of a file, each once and in order; of a camera, the newest.

    `region` cuts the same part (x, y, width, height) out of each.
    """

    def __init__(
        self, capture: cv2.VideoCapture, name: str, camera: bool, region: tuple[int, int, int, int] | None
    ) -> None:
        self._capture = capture
        self._name = name
        self._camera = camera
        self._region = region

    def read(self) -> Frame:
        """Return the next picture, uint8 RGB (H, W, 3), contiguous.

        Raises EOFError at the end of the file, DeviceError when the camera gives no more, and
        UserError when the region does not lie in the picture.
        """
        import cv2

        ok, bgr = self._capture.read()
        t_ns = time.monotonic_ns()
        if not ok:
            if self._camera:
                raise DeviceError(f"camera {self._name} gives no more pictures: is it still on?")
            raise EOFError(self._name)
        if self._region is not None:
            x, y, width, height = self._region
            high, wide = bgr.shape[:2]
            if min(x, y) < 0 or min(width, height) <= 0 or x + width > wide or y + height > high:
                raise UserError(
                    f"the region {x},{y},{width},{height} is not in the picture of {self._name}, which is {wide}x{high}"
                )
            bgr = bgr[y : y + height, x : x + width]
        image: Image = cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB)
        return Frame(image, t_ns)

    def close(self) -> None:
        """Close the file or camera."""
        self._capture.release()


def open_video(settings: SourceSettings) -> FrameSource:
    """Open the file, or the camera of the number, that `settings.video` names.

    Raises UserError when no video is named or the file is not one, DeviceError when the camera
    cannot be opened.
    """
    # What FFmpeg and OpenCV print on their own would bury our one line.
    os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")
    import cv2

    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
    name = settings.video
    if not name:
        raise UserError("the frame source `video` needs a file or a camera number, e.g. --video 0")
    camera = name.isdigit()
    if camera:
        capture = cv2.VideoCapture(int(name))
        # One picture of delay instead of the usual four.
        capture.set(cv2.CAP_PROP_BUFFERSIZE, 1)
    elif Path(name).is_file():
        capture = cv2.VideoCapture(name, cv2.CAP_FFMPEG)
    else:
        raise UserError(f"there is no video file {name}")
    if capture.isOpened():
        return Video(capture, name, camera, settings.region)
    if camera:
        raise DeviceError(f"cannot open camera {name}: is it connected, and may this user use it?")
    raise UserError(f"{name} is not a video that OpenCV can read: try an .mp4 or .avi file")
