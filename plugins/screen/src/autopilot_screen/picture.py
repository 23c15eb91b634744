"""Pictures out of what PyAV opened, and the part of them that is wanted."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from autopilot.api import Box, DeviceError, UserError

if TYPE_CHECKING:
    import av
    from autopilot.api import Image
    from av.container import InputContainer


def decoded(container: InputContainer, name: str) -> Iterator[av.VideoFrame]:
    """Yield the pictures of the first video stream until it ends or is cut off; damaged ones are left out.

    Raises DeviceError when it can no longer be read.
    """
    import av

    streams = [s for s in container.streams.video if s.codec_context is not None]
    try:
        for packet in container.demux(streams[0]) if streams else ():
            try:
                yield from packet.decode()
            except av.error.InvalidDataError:
                continue
    except (av.error.InvalidDataError, av.error.EOFError):
        return
    except av.error.FFmpegError as e:
        raise DeviceError(f"{name} gives no more pictures ({e.strerror}): is it still there?") from e


def rgb(frame: av.VideoFrame, region: Box | None, name: str) -> Image:
    """Return a picture, turned as its file says, or a part of it, as uint8 RGB (H, W, 3), contiguous."""
    import numpy as np

    return cut(np.rot90(frame.to_ndarray(format="rgb24"), frame.rotation // 90), region, name)


def cut(image: Image, region: Box | None, name: str) -> Image:
    """Return the region (x, y, width, height) of a picture, contiguous; raises UserError when it is not in there."""
    import numpy as np

    if region is not None:
        x, y, width, height = region
        high, wide = image.shape[:2]
        if min(x, y) < 0 or min(width, height) <= 0 or x + width > wide or y + height > high:
            where = f"in the picture of {name}, which is {wide}x{high}"
            raise UserError(f"the region {x},{y},{width},{height} is not {where}")
        image = image[y : y + height, x : x + width]
    return np.ascontiguousarray(image)
