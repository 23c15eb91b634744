"""Glyphs of the HUD: where they are in a picture of any size, and which one a patch of pixels shows.

The game's framebuffer is 512x216. Whatever the window's size, the parts that matter are resampled to
`Region.scale` pixels for each of the framebuffer's, so that what was learned fits.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import cv2
import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from autopilot.api import Image

WIDTH, HEIGHT = 512, 216
"""The framebuffer's, in pixels."""
FLOOR = 5.0
"""No pixel is trusted to be steadier than this grey value: a sigma's least."""
FAR = 16.0
"""The largest squared distance, in sigmas, that one pixel may bring: a few odd ones decide nothing."""
ANY, STRAY = 128.0, 70.0
"""What another track may show behind a glyph: a grey value's mean and sigma."""
APART = 24.0
"""A pixel nearer than this to what is behind, in grey values, is not a glyph's own for sure."""
PLAIN, RUN = 8.0, 31
"""A line is plain where its grey values stray less than this along so many pixels: longer than a letter's bars."""

type Patches = NDArray[np.uint8]
"""(n, height, width, 3)."""
type Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Region:
    """A part of the framebuffer, in its pixels, and how many pixels it is resampled to for each."""

    x: int
    y: int
    width: int
    height: int
    scale: int

    def cut(self, image: Image) -> Image:
        """Return the part of a picture of the whole game: uint8 (height*scale, width*scale, 3)."""
        sx, sy = image.shape[1] / WIDTH, image.shape[0] / HEIGHT
        left, top = round(self.x * sx), round(self.y * sy)
        part = image[top : round((self.y + self.height) * sy), left : round((self.x + self.width) * sx)]
        how = cv2.INTER_AREA if min(sx, sy) >= self.scale else cv2.INTER_LINEAR
        size = self.width * self.scale, self.height * self.scale
        return np.asarray(cv2.resize(part, size, interpolation=how), np.uint8)


# Overscan and borders may move everything by 8 % and stretch it by as much.
CLOCK = Region(0, 0, 216, 80, 2)
LAPS = Region(344, 0, 168, 60, 2)
BANNER = Region(96, 40, 320, 72, 1)


@dataclass(frozen=True)
class Box:
    """A glyph's place in a resampled region, in its pixels; x counts quarters of one."""

    x: float
    y: int
    width: int
    height: int

    def moved(self, x: float, y: int = 0) -> Box:
        """Return a box as large elsewhere."""
        return Box(round(4 * (self.x + x)) / 4, self.y + y, self.width, self.height)

    def at(self, picture: Floats) -> Floats:
        """Cut it out of one region of floats (H, W, 3), to the whole pixel."""
        left = int(self.x)
        return picture[self.y : self.y + self.height, left : left + self.width]

    def of(self, strips: NDArray[np.uint8]) -> Patches:
        """Cut it out of one region (H, W, 3) or many (n, H, W, 3); empty where it is not inside."""
        left, part = int(self.x // 1), round(self.x % 1 * 4)
        if left < 0 or self.y < 0 or left + self.width + 1 > strips.shape[-2]:
            return strips[..., :0, :0, :]
        rows = strips[..., self.y : self.y + self.height, :, :]
        here, next_ = rows[..., left : left + self.width, :], rows[..., left + 1 : left + 1 + self.width, :]
        if part == 0:
            return here
        mixed = here.astype(np.uint16) * (4 - part) + next_.astype(np.uint16) * part + 2
        return np.asarray(mixed >> 2, np.uint8)


@dataclass(frozen=True)
class Glyphs:
    """A font, learned: what each pixel of each glyph is and how far it strays.

    `mean` and `sigma` are float32 (glyphs, height, width, 3). A glyph's own pixels are steady and stand out
    from what is behind; those of the background, which shows around it, have a large sigma, so that they
    count for little. A character may have several glyphs. `fit` is how badly a glyph's own pixels may fit and
    `margin` by how much the likeliest must win over those of other characters.
    """

    characters: str
    mean: Floats
    sigma: Floats
    fit: float
    margin: float

    def judge(self, patches: Patches) -> tuple[NDArray[np.intp], Floats, Floats]:
        """Return for each patch the likeliest glyph, how badly it fits and by how much it wins.

        The likelihood is that of a normal distribution for each pixel, cut off at `FAR`; the fit is the
        mean squared distance, in sigmas, over the steadiest pixels; the margin is in nats for a pixel.
        """
        n, others = len(self.characters), self._others
        mean, sigma, (logs, weights) = self.mean.reshape(n, -1), self.sigma.reshape(n, -1), self._weights
        best = np.zeros(len(patches), np.intp)
        fits, margins = np.full(len(patches), np.inf, np.float32), np.zeros(len(patches), np.float32)
        for i, patch in enumerate(patches.reshape(len(patches), -1).astype(np.float32)):
            if patch.size != mean.shape[1]:
                continue
            far = np.minimum(np.square((patch - mean) / sigma), FAR)
            likely = -far.mean(1) / 2 - logs
            best[i] = likely.argmax()
            fits[i] = float((far[best[i]] * weights[best[i]]).sum())
            margins[i] = likely[best[i]] - likely[others[best[i]]].max(initial=-np.inf)
        return best, fits, margins

    def alike(self, picture: Floats) -> Floats:
        """Return how like each glyph every place of a picture (H, W, 3) is: -1 to 1, (glyphs, H - height + 1, …).

        Compared are light and dark of the glyph's own pixels, whatever is behind it and whatever its colours.
        """
        light, pairs = picture.mean(2), zip(self.mean.mean(-1), np.exp(-self.sigma.max(-1) / 20), strict=True)
        maps = np.stack([cv2.matchTemplate(light, face, cv2.TM_CCOEFF_NORMED, mask=mask) for face, mask in pairs])
        return np.where(np.abs(maps) <= 1, maps, 0)  # more, or no number: where the picture has one colour

    @cached_property
    def _others(self) -> NDArray[np.bool_]:
        """For each glyph, which are those of another character."""
        characters = np.array(list(self.characters))
        return np.asarray(characters[:, None] != characters)

    @cached_property
    def _weights(self) -> tuple[Floats, Floats]:
        """The mean logarithm of each glyph's sigmas; and 1 / n for the n pixels that are its own, else 0."""
        own = np.stack([_steady(sigma) for sigma in self.sigma])
        flat = np.repeat(own[..., None], 3, -1).reshape(len(own), -1).astype(np.float32)
        logs = np.log(self.sigma).reshape(len(own), -1).mean(1)
        return np.asarray(logs, np.float32), np.asarray(flat / flat.sum(1, keepdims=True), np.float32)

    def read(self, patches: Patches) -> tuple[str, float] | None:
        """Return the patches' characters and a confidence from 0.5 to 1; None if any of them is unsure."""
        best, fits, margins = self.judge(patches)
        worst = max(float((fits / self.fit).max()), float((self.margin / np.maximum(margins, 1e-9)).max()))
        if worst > 1:
            return None
        return "".join(self.characters[i] for i in best), 1 - worst / 2

    @classmethod
    def learn(cls, patches: Patches, labels: NDArray[np.intp], characters: str, behind: Floats) -> Glyphs:
        """Learn the glyphs from patches of which `labels` says the character's place in `characters`.

        `behind` (height, width, 3), or one for each character, is what `background` finds there. Of a character's
        patches a third may be something else. A character that no patch shows is left out.
        """
        seen = [i for i in range(len(characters)) if (labels == i).sum() >= 3]
        around = np.broadcast_to(behind, (len(characters), *behind.shape[-3:]))
        learned = [let_go(*_moments(patches[labels == i].astype(np.float32)), around[i]) for i in seen]
        mean, sigma = (np.stack(parts) for parts in zip(*learned, strict=True))
        glyphs = cls("".join(characters[i] for i in seen), mean, sigma, fit=0.0, margin=np.inf)
        best, fits, margins = glyphs.judge(patches)
        right = np.array(list(glyphs.characters))[best] == np.array(list(characters))[labels]
        if not right.any():
            return glyphs
        # More is let in than these very patches need: other backgrounds and noise come later.
        fit = max(2.0, float(np.quantile(fits[right], 0.98)) * 1.6)
        margin = float(np.quantile(margins[right], 0.02)) * 0.5 if glyphs._others.any() else 0.0
        return cls(glyphs.characters, mean, sigma, fit, margin)


def _moments(values: Floats) -> tuple[Floats, Floats]:
    """Return mean and sigma (height, width, 3) of most of the patches (n, height, width, 3), odd ones left out."""
    middle = np.median(values, 0)
    apart = np.abs(values - middle)
    spread = np.asarray(1.48 * np.median(apart, 0) + FLOOR, np.float32)
    far = np.minimum(np.square(apart / spread), FAR).mean(3)[:, _steady(spread)].mean(1)
    kept = values[far <= 3 * np.median(far) + 1]
    return kept.mean(0), np.sqrt(kept.var(0) + FLOOR**2)


def background(picture: NDArray[np.uint8] | Floats) -> Floats:
    """Return what a picture (H, W, 3) would show without its letters, float32; NaN in lines that are nowhere plain.

    In each line it goes straight from one plain stretch to the next, so that gradients and scanlines are kept.
    """
    values = picture.astype(np.float32)
    mean = cv2.blur(values, (RUN, 1))
    plain = (cv2.blur(np.square(values), (RUN, 1)) - np.square(mean)).max(2) < PLAIN**2
    line, x = np.full_like(values, np.nan), np.arange(values.shape[1])
    for y in np.flatnonzero(plain.sum(1) >= 4):
        at = np.flatnonzero(plain[y])
        line[y] = np.stack([np.interp(x, at, mean[y, at, c]) for c in range(3)], 1)
    return line


def let_go(mean: Floats, sigma: Floats, behind: Floats) -> tuple[Floats, Floats]:
    """Return mean and sigma (height, width, 3) so that pixels which show what is behind may show anything.

    Where the picture behind stands still, its pixels are as steady as a letter's, but they do not stand out
    from it. At the edge of a letter filters mix its dark outline with what is behind: darker, of the same hue.
    """
    part = ((mean * behind).sum(-1) / np.maximum(np.square(behind).sum(-1), 1)).clip(0, 1)
    part[~(np.abs(mean - part[..., None] * behind).max(-1) < APART)] = 0
    part[np.abs(mean - behind).max(-1) < APART] = 1
    share = np.maximum(part, cv2.blur(part, (3, 3)))[..., None]
    there = np.where(share > 0, np.nan_to_num(ANY - behind), 0)
    return mean + share * there, np.sqrt(np.square(sigma) + np.square(share * STRAY))


def _steady(sigma: Floats) -> NDArray[np.bool_]:
    """Which pixels (height, width) are a glyph's own: about as steady as the steadiest fifth of them."""
    wobble = sigma.max(-1)
    return np.asarray(wobble < max(2 * FLOOR, 1.6 * float(np.quantile(wobble, 0.2))))
