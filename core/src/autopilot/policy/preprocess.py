"""From a recorded frame to what the network sees: one function for training and for driving."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from autopilot.errors import BundleError
from autopilot.frames import rescale

if TYPE_CHECKING:
    from autopilot.types import Image

LARGEST_SIDE = 8192  # pixels; as in sessions


@dataclass(frozen=True, slots=True)
class Preprocess:
    """Crop, then rescale. `source` and `size` are (width, height), `crop` (x, y, width, height).

    `recipe` names this very procedure; a bundle made by another one is refused. Raises ValueError
    for sizes that no picture has.
    """

    source: tuple[int, int]
    size: tuple[int, int]
    crop: tuple[int, int, int, int] | None = None
    recipe: str = "crop-rescale-1"

    def __post_init__(self) -> None:
        x, y, width, height = self.crop or (0, 0, *self.source)
        sides = (*self.source, *self.size, width, height)
        inside = x + width <= self.source[0] and y + height <= self.source[1]
        if min(x, y) < 0 or not inside or not 1 <= min(sides) <= max(sides) <= LARGEST_SIDE:
            raise ValueError(f"no such preprocessing: {self}")

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
        return rescale(image, self.size)

    @property
    def key(self) -> str:
        """A short name that changes whenever the result would."""
        text = json.dumps(asdict(self), sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:12]

    def to_json(self) -> dict[str, Any]:
        """Return plain data from which `from_json` makes an equal preprocessing."""
        return {k: list(v) if isinstance(v, tuple) else v for k, v in asdict(self).items()}

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Preprocess:
        """Make it from `to_json`'s data; raises BundleError for another procedure."""
        recipe = data.get("recipe")
        if recipe != "crop-rescale-1":
            raise BundleError(
                f"this bundle was made with another preprocessing ({recipe!r}); train it again with this autopilot"
            )
        try:
            crop = data.get("crop")
            source, size = data["source"], data["size"]
            return cls(
                (int(source[0]), int(source[1])),
                (int(size[0]), int(size[1])),
                None if crop is None else (int(crop[0]), int(crop[1]), int(crop[2]), int(crop[3])),
            )
        except (KeyError, TypeError, ValueError, IndexError, OverflowError) as e:
            raise BundleError(f"the bundle's preprocessing cannot be read: {data!r:.100}") from e
