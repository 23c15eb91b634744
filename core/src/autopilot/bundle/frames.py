"""Rescaling pictures: the one way that recording, training and driving share."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from autopilot.api.types import Image


def rescale(image: Image, size: tuple[int, int]) -> Image:
    """Return the picture at `size` (width, height): uint8 RGB (height, width, 3), contiguous.

    Shrinking averages over the area of each new pixel, so thin lines stay visible.
    """
    import cv2
    import numpy as np

    if (image.shape[1], image.shape[0]) == size:
        return np.ascontiguousarray(image)
    shrinks = image.shape[1] >= size[0] and image.shape[0] >= size[1]
    how = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(image, size, interpolation=how), np.uint8)
