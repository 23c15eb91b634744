"""Frames from a video file, a stream or a camera: which of them is meant."""

from __future__ import annotations

import re
import time
from pathlib import Path
from typing import TYPE_CHECKING

from autopilot.api import Box, DeviceError, Frame, SourceSettings, UserError

from autopilot_screen.film import Film
from autopilot_screen.picture import cut
from autopilot_screen.stream import Stream

if TYPE_CHECKING:
    import cv2
    from autopilot.api import FrameSource

OPEN_S, SILENT_S = 10.0, 5.0
"""How long a stream may take to begin, and to go on."""


class Camera:
    """What a camera shows now, read with OpenCV, which knows those of all systems.

    `region` (x, y, width, height) is cut out of each picture.
    """

    def __init__(self, capture: cv2.VideoCapture, name: str, region: Box | None) -> None:
        self._capture, self._name, self._region = capture, name, region

    def read(self) -> Frame:
        """Return the newest picture, uint8 RGB (H, W, 3), contiguous.

        Raises DeviceError when the camera gives no more, UserError when the region does not lie in the picture.
        """
        import cv2

        ok, bgr = self._capture.read()
        t_ns = time.monotonic_ns()
        if not ok:
            raise DeviceError(f"camera {self._name} gives no more pictures: is it still on?")
        return Frame(cut(cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB), self._region, self._name), t_ns)

    def close(self) -> None:
        """Close the camera."""
        self._capture.release()


def open_video(settings: SourceSettings) -> FrameSource:
    """Open the file, stream (`rtsp://…`) or camera (a number, `/dev/video0`) that `settings.video` names.

    Raises UserError when no video is named or the file is not one, DeviceError when a camera or stream gives none.
    """
    name = settings.video
    if not name:
        raise UserError("the frame source `video` needs a file, a stream or a camera, e.g. --video 0")
    if (number := _camera(name)) is not None:
        return _open_camera(number, name, settings.region)
    if "://" in name:
        return _open(name, settings.region, stream=True)
    if not Path(name).is_file():
        raise UserError(f"there is no video file {name}; a camera is its number or /dev/video0, a stream udp://…")
    return _open(name, settings.region, stream=False)


def _camera(name: str) -> int | None:
    """Return the number of a camera that is named by it, or by a path, such as /dev/v4l/by-id/…, on Linux."""
    found = re.fullmatch(r"(?:/dev/video)?(\d+)", name if name.isdigit() else str(Path(name).resolve()))
    return int(found[1]) if found else None


def _open_camera(number: int, name: str, region: Box | None) -> Camera:
    import cv2

    # What OpenCV prints on its own would bury our one line.
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
    capture = cv2.VideoCapture(number)
    if not capture.isOpened():
        raise DeviceError(f"cannot open camera {name}: is it connected, and may this user use it?")
    capture.set(cv2.CAP_PROP_BUFFERSIZE, 1)  # one picture of delay instead of the usual four
    return Camera(capture, name, region)


def _open(name: str, region: Box | None, stream: bool) -> Film | Stream:
    """Open what PyAV reads; behind an address may be a file, too: it has a length."""
    import av

    try:
        container = av.open(name, timeout=(OPEN_S, SILENT_S) if stream else None)
    except av.error.InvalidDataError as e:
        raise UserError(f"{name} is not a video that can be read: try an .mp4 or .mkv file") from e
    except av.error.FFmpegError as e:
        why = f"nothing comes within {OPEN_S:g} s" if isinstance(e, av.error.ExitError) else e.strerror
        raise DeviceError(f"cannot open {name}: {why}; is it right, and there?") from e
    if stream and not container.duration:
        return Stream(container, name, region, OPEN_S)
    for video in container.streams.video:
        video.thread_type = "AUTO"
    return Film(container, name, region)
