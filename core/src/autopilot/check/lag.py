"""How long after the keys the picture turns: what labels that are late, mirrored or of another session give away."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from autopilot.check.look import CHUNK, SIZE, Floats, Look, greys

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


@dataclass(frozen=True)
class Lag:
    """How the picture answers to the steering.

    `curve` holds the correlations at the lags from -REACH to REACH frames. `strength` is the one at the best lag,
    negative where the picture turns the other way. `frames` is the lag at which the picture begins to answer, where
    the curve rises most: the lag of its top depends on how long keys are held, this one hardly. None where
    nothing stands out.
    """

    curve: list[float]
    strength: float
    frames: float | None


def lag(look: Look) -> Lag | None:
    """Return how the movement of a session's pictures follows its steering, None where that cannot be asked.

    Labels of a teacher or of a policy's session are not what was sent to the game, so they are not asked about.
    """
    info = look.info
    if look.steer is None or info.teacher is not None or info.policy:
        return None
    number, axis = look.steer
    turn = np.array([("right" in v) - float("left" in v) for v in axis.values] + [0.0])
    steer = turn[look.actions[:FRAMES, number]]
    if len(steer) < ENOUGH or min((steer < 0).sum(), (steer > 0).sum()) < ENOUGH / 10:
        return None
    if look.same.mean() > STILL:  # what moved since, has moved in one go
        return None
    moved = movement(look)
    sure = look.follows[: len(steer)] & ~look.same[: len(steer)] & ~look.blank[: len(steer)]
    sure &= look.step[: len(steer)] < 4 * np.median(look.step) + 1  # no cut
    curve = np.array([_correlation(steer, moved, sure, by) for by in range(-REACH, REACH + 1)])
    size = np.abs(curve)
    best = int(size.argmax())
    first = max(0, best - RISE)
    rise = np.diff(size[first : best + 1])
    if (
        best == 2 * REACH
        or size[best] < max(0.2, 2.2 * np.sqrt(HELD / len(steer)))
        or len(rise) < 3
        or rise.max() < 0.05
    ):
        return Lag(curve.tolist(), float(curve[best]), None)
    at = int(rise.argmax())
    return Lag(curve.tolist(), float(curve[best]), first + at + 0.5 + _vertex(rise, at) - REACH)


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
        found = np.fft.irfft(cross.sum(1), n=SIZE[0], axis=1)
        near = np.concatenate([found[:, -MOVE:], found[:, : MOVE + 1]], 1)
        out[start : start + len(near)] = near.argmax(1) - MOVE
        look.frames.forget()
    return out


def _correlation(steer: np.ndarray, moved: np.ndarray, sure: np.ndarray, by: int) -> float:
    """Correlate what was held at a frame with the movement into the frame `by + 1` later."""
    n, by = len(steer), by + 1
    keys = steer[max(0, -by) : n - max(0, by)]
    seen, good = moved[max(0, by) : n + min(0, by)], sure[max(0, by) : n + min(0, by)]
    keys, seen = keys[good], seen[good]
    if len(keys) < ENOUGH / 2 or keys.std() == 0 or seen.std() == 0:
        return 0.0
    return float(np.corrcoef(keys, seen)[0, 1])
