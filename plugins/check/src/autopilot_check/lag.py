"""How long after the keys the picture turns: what labels that are late, mirrored or of another session give away."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from autopilot_check.look import CHUNK, SIZE, Flags, Floats, Look, greys

REACH = 8
"""Lags up to so many frames, before and after, are tried."""
MOVE = 16
"""Sideways movements up to so many pixels of SIZE are seen."""
UPPER = SIZE[1] // 2
"""What is far away moves with the car's turning alone; what is near also with its speed."""
FRAMES = 2000
"""So many frames, from the start, are enough."""
HELD = 6
"""Frames for which the steering stays about the same: so many make one independent observation, and by chance
the correlation of n of them stays below two and a bit times 1 / sqrt(n)."""
RISE = 6
"""So many frames before its best lag, at most, the curve begins to rise."""
ENOUGH = 150
STILL = 0.1
"""The share of frames like the one before from which on nothing is said."""
STRETCH, TRIES = 25, 100
"""A session is cut into stretches of so many frames, which are drawn with replacement so often, to see how much the
estimate owes to a few of them (the bootstrap, Efron 1979, over blocks)."""
LATE, SURE = 1.5, 0.95
"""Labels are late, or early, when in this share of the tries they are so by more than so many frames.

Chosen on drives of demonstrators whose labels were right: 60 of CarRacing, 160 of a road seen from above and 1,905
of games whose picture does not scroll sideways (150 to 1,500 frames each, seeds below 10,000), in 20 sets, each
compared 300 times in threes and 300 times in nines. The estimate alone called up to 22 % of a set late; 0.9 of the
tries at most 1.7 %, and 0.95 none, but for one set of 45 drives (1.7 %, in threes). Of 486 more drives that do not
scroll, in groups of 27, one. Labels 5 frames late were found so in 64 to 69 % of CarRacing's drives of 24 s and in 93
to 100 % of the road's.
"""


@dataclass(frozen=True)
class Lag:
    """How the picture answers to the steering.

    `curve` holds the correlations at the lags from -REACH to REACH frames. `strength` is the one at the best lag,
    negative where the picture turns the other way. `frames` is the lag at which the picture begins to answer, where
    the curve rises most: the lag of its top depends on how long keys are held, this one hardly. None where
    nothing stands out. `tries` (TRIES,) are the same lag of stretches drawn by chance, not finite where
    nothing stands out of them, or where the picture turns the other way.
    """

    curve: list[float]
    strength: float
    frames: float | None
    tries: Floats

    def beyond(self, normal: float) -> bool:
        """Whether the picture surely answers more than LATE frames before the lag `normal`, or surely after it."""
        off = self.tries - normal
        return bool(max((off < -LATE).mean(), (off > LATE).mean()) >= SURE)


def lag(look: Look) -> Lag | None:
    """Return how the movement of a session's pictures follows its steering, None where that cannot be asked.

    Labels of a teacher or of a policy's session are not what was sent to the game, so they are not asked about.
    """
    info = look.info
    if look.steer is None or info.teacher is not None or info.policy:
        return None
    number, _ = look.steer
    turn = np.append(look.turn, 0.0)
    steer = turn[look.actions[:FRAMES, number]]
    if len(steer) < ENOUGH or min((steer < 0).sum(), (steer > 0).sum()) < ENOUGH / 10:
        return None
    if look.same.mean() > STILL:  # what moved since, has moved in one go
        return None
    moved = movement(look)
    sure = look.follows[: len(steer)] & ~look.same[: len(steer)] & ~look.blank[: len(steer)]
    sure &= look.step[: len(steer)] < 4 * np.median(look.step) + 1  # no cut
    sums = _sums(steer, moved, sure)
    curve = _curve(sums.sum(1))
    strength, frames = _answer(curve, len(steer))
    stretches = sums.shape[1]
    drawn = np.random.default_rng(0).multinomial(stretches, np.full(stretches, 1 / stretches), TRIES)
    tries = [_answer(_curve(part), len(steer)) for part in np.einsum("ts,lsv->tlv", drawn, sums)]
    same_way = [f if f is not None and s * strength > 0 else np.nan for s, f in tries]
    return Lag(curve.tolist(), strength, frames, np.array(same_way, np.float32))


def _answer(curve: NDArray[np.float64], n: int) -> tuple[float, float | None]:
    """Return `strength` and `frames` of a curve that n frames gave; see `Lag`."""
    size = np.abs(curve)
    best = int(size.argmax())
    first = max(0, best - RISE)
    rise = np.diff(size[first : best + 1])
    clear = size[best] >= max(0.2, 2.2 * np.sqrt(HELD / n)) and best < 2 * REACH
    if not clear or len(rise) < 3 or rise.max() < 0.05:
        return float(curve[best]), None
    at = int(rise.argmax())
    return float(curve[best]), first + at + 0.5 + _vertex(rise, at) - REACH


def _vertex(values: Floats, at: int) -> float:
    """Return where between -0.5 and 0.5 the parabola through a maximum and its neighbours has its own."""
    if not 0 < at < len(values) - 1:
        return 0.0
    left, top, right = values[at - 1 : at + 2].tolist()
    return float(np.clip((left - right) / min(2 * (left - 2 * top + right), -1e-6), -0.5, 0.5))


def movement(look: Look) -> Floats:
    """Return by how many pixels the upper half of each picture moved to the left since the one before, (n,).

    By phase correlation (Kuglin and Hines 1975) of the slopes along each row, summed over the rows. What
    stands still in the session, a HUD, is left out: it would say that nothing moves.
    """
    images = look.images[:FRAMES, :UPPER]
    moving = cv2.dilate(look.template.edges[:UPPER].astype(np.uint8), np.ones((3, 3))) == 0
    window = (np.hanning(SIZE[0]) * moving).astype(np.float32)
    out = np.zeros(len(images), np.float32)
    for start in range(1, len(images), CHUNK):
        part = greys(images[start - 1 : start + CHUNK]).astype(np.float32)
        spectrum = np.fft.rfft(np.diff(part, axis=2, append=part[..., -1:]) * window, axis=2)
        cross = spectrum[:-1] * np.conj(spectrum[1:])
        cross /= np.abs(cross) + 1
        correlation = np.fft.irfft(cross.sum(1), n=SIZE[0], axis=1)
        near = np.concatenate([correlation[:, -MOVE:], correlation[:, : MOVE + 1]], 1)
        out[start : start + len(near)] = near.argmax(1) - MOVE
        look.frames.forget()
    return out


def _sums(steer: NDArray[np.float64], moved: Floats, sure: Flags) -> NDArray[np.float64]:
    """Return what correlations are made of, (lags, stretches, 6), for each lag and each stretch of the n frames.

    They are the count, and the sums of x, y, x y, x x and y y, where x is what was held at a frame and y the movement
    into the frame that is one more than the lag later.
    """
    n = len(steer)
    stretches = n // STRETCH
    stretch = np.arange(n) * stretches // n
    out = np.zeros((2 * REACH + 1, stretches, 6))
    for number, by in enumerate(range(1 - REACH, REACH + 2)):
        here, there = slice(max(0, -by), n - max(0, by)), slice(max(0, by), n + min(0, by))
        good = sure[there]
        x, y, at = steer[here][good], moved[there][good], stretch[here][good]
        parts = (np.ones(len(x)), x, y, x * y, x * x, y * y)
        out[number] = np.transpose([np.bincount(at, part, stretches) for part in parts])
    return out


def _curve(sums: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the correlation at each lag, (lags,), of sums (lags, 6); 0 where nothing varies or frames are few."""
    x, y, xy, xx, yy = sums[:, 1:].T / np.maximum(sums[:, 0], 1)
    spread = np.sqrt(np.maximum((xx - x * x) * (yy - y * y), 0))
    known = (sums[:, 0] >= ENOUGH / 2) & (spread > 1e-6)
    return np.where(known, (xy - x * y) / np.where(known, spread, 1), 0.0)
