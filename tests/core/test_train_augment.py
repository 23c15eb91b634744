"""Augmentation that moves pictures: what lands where, what stays, and how the label is corrected."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import jax
import numpy as np
import pytest
from autopilot.api.errors import UserError
from autopilot.api.specs import SteerCorrection
from autopilot.api.types import ActionSpace, Axis
from autopilot.learn.augment import make_augment
from autopilot.learn.options import TrainOptions

STEER = Axis("steer", ("left", "forward", "right"), (2, 1, 0))
SPACE = ActionSpace((Axis("pedal", ("gas", "brake"), (0, 1)), STEER))
SHIFTED = TrainOptions("m", mirror=False, brightness=0, shift=4)
TURNED = TrainOptions("m", mirror=False, brightness=0, rotate=30)
BY_PIXEL, BY_DEGREE = SteerCorrection(per_pixel=0.1), SteerCorrection(per_pixel=0.0, per_degree=0.02)
MANY = 6000


def run(options: TrainOptions, images: Any, labels: Any, *moved: Any, space: ActionSpace = SPACE) -> Any:
    made = jax.jit(make_augment(space, options, *moved))
    return tuple(np.asarray(x) for x in made(jax.random.key(7), np.arange(len(images)), images, np.int32(labels)))


def dots(count: int, x: int, y: int, size: tuple[int, int] = (41, 31)) -> np.ndarray:
    """Black pictures with a white dot at (x, y)."""
    images = np.zeros((count, size[1], size[0], 3), np.uint8)
    images[:, y, x] = 255
    return images


def centre(pixels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    light = pixels[..., 0]
    y, x = np.indices(light.shape[1:])
    total = light.sum((1, 2))
    return (light * x).sum((1, 2)) / total, (light * y).sum((1, 2)) / total


@pytest.mark.parametrize("value", [0, 1, 2])
def test_a_picture_that_slid_to_the_right_wants_more_right(value: int) -> None:
    labels = np.full((MANY, 2), (1, value))
    pixels, found = run(SHIFTED, dots(MANY, 20, 15), labels, BY_PIXEL)
    moved = np.round(centre(pixels)[0]).astype(int) - 20
    assert set(moved.tolist()) == set(range(-4, 5))
    assert (found[:, 0] == 1).all(), "other axes keep their label"
    for by in range(-4, 5):
        mean = found[moved == by, 1].mean() - value
        room = 0 if (value == 2 and by > 0) or (value == 0 and by < 0) else 1
        assert mean == pytest.approx(0.1 * by * room, abs=0.07), "on the average exact, where there is room"
        assert len(set(found[moved == by, 1].tolist())) <= 2


def test_a_large_correction_moves_the_label_by_more_than_one_value() -> None:
    labels = np.full((MANY, 2), (0, 0))
    pixels, found = run(SHIFTED, dots(MANY, 20, 15), labels, replace(BY_PIXEL, per_pixel=0.5))
    moved = np.round(centre(pixels)[0]).astype(int) - 20
    for by, wanted in ((4, {2}), (3, {1, 2}), (2, {1}), (1, {0, 1}), (0, {0}), (-4, {0})):
        assert set(found[moved == by, 1].tolist()) == wanted


def test_an_axis_of_levels_moves_by_the_same_share_of_its_way() -> None:
    """Left, forward and right are levels -1, 0 and 1, whatever lies between."""
    at = np.array([-1, -0.5, -0.1, 0, 0.1, 0.5, 1])
    axis = Axis("steer", tuple(f"{level:g}" for level in at), tuple(range(6, -1, -1)))
    space = ActionSpace((SPACE.axes[0], axis))
    for value in (0, 2, 3, 5):
        pixels, found = run(SHIFTED, dots(MANY, 20, 15), np.full((MANY, 2), (0, value)), BY_PIXEL, space=space)
        moved = np.round(centre(pixels)[0]).astype(int) - 20
        for by in range(-4, 5):
            levels = at[found[moved == by, 1]]
            assert levels.mean() == pytest.approx(np.clip(at[value] + 0.1 * by, -1, 1), abs=0.05)
            assert len(set(levels)) <= 2, "the levels on either side"


def test_without_a_correction_a_shifted_picture_keeps_its_label() -> None:
    labels = np.stack([np.arange(60) % 2, np.arange(60) % 3], 1)
    pixels, found = run(SHIFTED, dots(60, 20, 15), labels)
    assert np.array_equal(found, labels)
    assert (np.round(centre(pixels)[0]) != 20).any()


def test_a_picture_that_turned_clockwise_wants_more_right() -> None:
    images = dots(MANY, 20, 3)  # straight ahead of the pivot in the middle
    images[:, 2:5, 19:22] = 255
    pixels, found = run(TURNED, images, np.full((MANY, 2), (0, 1)), BY_DEGREE)
    x, y = centre(pixels)
    degrees = np.degrees(np.arctan2(x - 20, 15 - y))
    assert degrees.min() < -27 < 27 < degrees.max()
    distance = np.hypot(x - 20, 15 - y)
    assert distance.min() > 11
    assert distance.max() < 14
    for low in range(-30, 30, 10):
        band = (degrees >= low) & (degrees < low + 10)
        assert found[band, 1].mean() - 1 == pytest.approx(0.02 * (low + 5), abs=0.06)


def test_turning_heeds_the_shape_of_a_pixel_and_the_pivot() -> None:
    """Where pixels are twice as wide as high, a turn moves a dot half as many pixels sideways."""
    images = dots(500, 20, 3)
    images[:, 2:5, 19:22] = 255
    labels = np.full((500, 2), (0, 1))
    square, _ = run(TURNED, images, labels, BY_DEGREE)
    wide, _ = run(TURNED, images, labels, replace(BY_DEGREE, pixel_aspect=2.0))
    np.testing.assert_allclose((centre(square)[0] - 20) / 2, centre(wide)[0] - 20, atol=0.7)
    near, _ = run(TURNED, images, labels, replace(BY_DEGREE, pivot=(0.5, 3.5 / 31)))
    assert abs(centre(near)[0] - 20).max() < 1, "what lies on the pivot stays"


def test_what_is_still_does_not_move() -> None:
    images = np.random.default_rng(0).integers(0, 256, (64, 31, 41, 3), np.uint8)
    options = replace(TURNED, shift=4)
    still = ((3, 5, 10, 6), (30, 0, 11, 31))
    pixels, _ = run(options, images, np.zeros((64, 2)), BY_DEGREE, still)
    for x, y, wide, high in still:
        assert np.array_equal(pixels[:, y : y + high, x : x + wide], images[:, y : y + high, x : x + wide])
    assert not np.array_equal(pixels, images)


def test_mirroring_comes_before_the_correction() -> None:
    options = replace(SHIFTED, mirror=True)
    pixels, found = run(options, dots(MANY, 10, 15), np.full((MANY, 2), (0, 0)), replace(BY_PIXEL, per_pixel=0.25))
    x = np.round(centre(pixels)[0]).astype(int)
    flipped = x > 20
    assert 0.4 < flipped.mean() < 0.6
    right_by_4, left_by_4 = x - np.where(flipped, 30, 10) == 4, x - np.where(flipped, 30, 10) == -4
    assert (found[flipped & right_by_4, 1] == 2).all()
    assert (found[flipped & left_by_4, 1] == 1).all(), "right, one to the left"
    assert (found[~flipped & right_by_4, 1] == 1).all()
    assert (found[~flipped & left_by_4, 1] == 0).all()


def test_a_row_is_the_same_whoever_computes_it() -> None:
    images = np.random.default_rng(0).integers(0, 256, (32, 9, 12, 3), np.uint8)
    labels = np.int32(np.stack([np.arange(32) % 2, np.arange(32) % 3], 1))
    options = TrainOptions("m", shift=3, rotate=10)
    augment = jax.jit(make_augment(SPACE, options, replace(BY_DEGREE, per_pixel=0.3)))
    whole = augment(jax.random.key(3), np.arange(32), images, labels)
    for mine in (np.arange(0, 8), np.arange(24, 32), np.array([31, 2, 9])):
        share = augment(jax.random.key(3), mine, images[mine], labels[mine])
        for a, b in zip(whole, share, strict=True):
            np.testing.assert_array_equal(np.asarray(a)[mine], b)


def test_corrections_that_cannot_be() -> None:
    with pytest.raises(UserError, match="--rotate"):
        make_augment(SPACE, TURNED)
    with pytest.raises(UserError, match="--rotate"):
        make_augment(SPACE, TURNED, BY_PIXEL)
    for change in ({"axis": "wheel"}, {"values": ("left", "straight", "right")}):
        with pytest.raises(UserError, match="corrects"):
            make_augment(SPACE, SHIFTED, replace(BY_PIXEL, **change))
