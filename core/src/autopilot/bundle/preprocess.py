"""From a recorded frame to what the network sees: one function for training and for driving."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from autopilot.api.errors import BundleError
from autopilot.bundle.frames import rescale

if TYPE_CHECKING:
    from autopilot.api.types import Image, Rectangle

LARGEST_SIDE = 8192  # pixels; as in sessions
PLAIN, MASKED = "crop-rescale-1", "crop-rescale-mask-2"

Box = tuple[int, int, int, int]
"""x, y, width, height in pixels."""


@dataclass(frozen=True, slots=True)
class Preprocess:
    """Crop, rescale, then blacken what the network must not see.

    `source` and `size` are (width, height); `crop` is a box of the source, `masks` are boxes of the
    result. `recipe` names this very procedure; a bundle made by another one is refused. Raises
    ValueError for sizes that no picture has.
    """

    source: tuple[int, int]
    size: tuple[int, int]
    crop: Box | None = None
    masks: tuple[Box, ...] = ()

    def __post_init__(self) -> None:
        x, y, width, height = self.crop or (0, 0, *self.source)
        sides = (*self.source, *self.size, width, height)
        inside = x + width <= self.source[0] and y + height <= self.source[1]
        if min(x, y) < 0 or not inside or not 1 <= min(sides) <= max(sides) <= LARGEST_SIDE:
            raise ValueError(f"no such preprocessing: {self}")
        for left, top, wide, high in self.masks:
            if not (0 <= left <= left + wide <= self.size[0] and 0 <= top <= top + high <= self.size[1]):
                raise ValueError(f"a mask lies outside of the picture: {self}")

    @property
    def recipe(self) -> str:
        """The name of the procedure: an autopilot that knows no masks refuses a bundle that has some."""
        return MASKED if self.masks else PLAIN

    def __call__(self, image: Image) -> Image:
        """Return uint8 RGB (height, width, 3) of `size`.

        Raises BundleError when the frame is not of the size that was recorded.
        """
        if (image.shape[1], image.shape[0]) != self.source:
            raise BundleError(
                f"frames are {image.shape[1]}x{image.shape[0]}, but this preprocessing was made "
                f"for {self.source[0]}x{self.source[1]}"
            )
        if self.crop is not None:
            x, y, width, height = self.crop
            image = image[y : y + height, x : x + width]
        result = rescale(image, self.size)
        if self.masks:
            result = result.copy() if result is image else result  # what is recorded stays whole
            for x, y, width, height in self.masks:
                result[y : y + height, x : x + width] = 0
        return result

    @property
    def key(self) -> str:
        """A short name that changes whenever the result would."""
        text = json.dumps(self.to_json(), sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:12]

    def to_json(self) -> dict[str, Any]:
        """Return plain data from which `from_json` makes an equal preprocessing."""
        plain = json.loads(json.dumps(asdict(self)))
        if not self.masks:
            del plain["masks"]
        return {**plain, "recipe": self.recipe}

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Preprocess:
        """Make it from `to_json`'s data; raises BundleError for another procedure."""
        recipe = data.get("recipe")
        if recipe not in (PLAIN, MASKED):
            raise BundleError(
                f"this bundle was made with another preprocessing ({recipe!r}); train it again with this autopilot"
            )
        try:
            crop = data.get("crop")
            source, size = data["source"], data["size"]
            return cls(
                (int(source[0]), int(source[1])),
                (int(size[0]), int(size[1])),
                None if crop is None else _box(crop),
                tuple(map(_box, data["masks"])) if recipe == MASKED else (),
            )
        except (KeyError, TypeError, ValueError, IndexError, OverflowError) as e:
            raise BundleError(f"the bundle's preprocessing cannot be read: {data!r:.100}") from e


def _box(data: Any) -> Box:
    x, y, width, height = map(int, data)
    return x, y, width, height


def boxes(rectangles: Iterable[Rectangle], size: tuple[int, int]) -> tuple[Box, ...]:
    """Return the pixels that rectangles touch in a picture of `size` (width, height)."""
    touched = []
    for x, y, width, height in rectangles:
        left, top = math.floor(x * size[0] + 1e-6), math.floor(y * size[1] + 1e-6)
        right, bottom = math.ceil((x + width) * size[0] - 1e-6), math.ceil((y + height) * size[1] - 1e-6)
        touched.append((left, top, right - left, bottom - top))
    return tuple(touched)
