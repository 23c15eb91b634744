"""The game's picture is found in drawn windows: bars, borders, letterbox, overscan, whole multiples, 1x to 4x."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import cv2
import numpy as np
import pytest
from autopilot_ctr.emulators import ASPECTS
from autopilot_setup.crop import find_picture
from support.ctr import drawn
from support.ctr.shown import DARK, Shown


@cache
def moments(track: int = 0, count: int = 3) -> list[np.ndarray]:
    """The game at some moments of a race."""
    race = drawn.Race(look=drawn.Look(track=track))
    frames = []
    for _ in range(count):
        for _ in range(100):
            race.step(race.drive())
        frames.append(drawn.frame(race.view, race.look))
    return frames


def found(shown, frames=None, **status):
    return find_picture([shown.window(image, **status) for image in frames or moments()], ASPECTS)


def close(box, true, pixels=2):
    return max(abs(a - b) for a, b in zip(box, true, strict=True)) <= pixels


WINDOWS = {
    "the picture alone": Shown((640, 480), 0, 0),
    "bars": Shown((640, 534)),
    "a dark theme": Shown((640, 534), theme=DARK),
    "a menu bar only": Shown((640, 510), 30, 0),
    "a status bar only": Shown((640, 504), 0, 24),
    "borders at the sides": Shown((1280, 720), 0, 0),
    "letterbox": Shown((640, 700), 0, 0),
    "bars and borders at the sides": Shown((1280, 720)),
    "bars and letterbox": Shown((600, 720)),
    "whole multiples": Shown((900, 660), whole=True),
    "grey borders": Shown((1000, 600), 0, 0, border=(60, 60, 66)),
    "a menu as wide as the window": Shown((300, 270), 24, 0, theme=DARK, border=DARK),
    "bars, borders of the same grey": Shown((1000, 600), theme=DARK, border=DARK),
    "overscan": Shown((640, 480), 0, 0, overscan=True),
    "bars and overscan": Shown((960, 774), overscan=True),
    "only the game's lines": Shown((640, 486), aspect=40 / 27),
}


@pytest.mark.parametrize("shown", WINDOWS.values(), ids=WINDOWS)
def test_it_is_found_in_a_window_with(shown):
    picture = found(shown)
    assert picture.doubt == ""
    assert close(picture.box, shown.box()), (picture.box, shown.box())


@pytest.mark.parametrize(("scale", "whole"), [(1, True), (2, False), (3, True), (4, False)])
def test_it_is_found_at_each_size(scale, whole):
    shown = Shown((340 * scale + 37, 250 * scale + 54), whole=whole)
    picture = found(shown)
    assert picture.doubt == ""
    assert close(picture.box, shown.box())


@pytest.mark.parametrize("track", range(1, 3))
def test_it_is_found_on_other_tracks_and_in_a_single_moment(track):
    for shown in (Shown((800, 660)), Shown((1024, 600), 26, 0)):
        picture = found(shown, moments(track, 1))
        assert picture.doubt == ""
        assert close(picture.box, shown.box())


def test_a_frame_rate_that_changes_in_the_status_bar_does_not_matter():
    shown = Shown()
    frames = [shown.window(image, f"Game: {n * 7:.2f} FPS") for n, image in enumerate(moments())]
    assert close(find_picture(frames, ASPECTS).box, shown.box())


def test_a_moment_before_the_window_was_drawn_does_not_matter():
    shown = Shown()
    frames = [np.zeros((660, 800, 3), np.uint8), *(shown.window(image) for image in moments())]
    assert close(find_picture(frames, ASPECTS).box, shown.box())


def test_text_over_the_black_border_does_not_matter():
    shown = Shown((1280, 720), 0, 0)
    frames = [shown.window(image) for image in moments()]
    for frame in frames:
        cv2.putText(frame, "60 FPS", (1150, 20), cv2.FONT_HERSHEY_SIMPLEX, 0.5, (255, 255, 255), 1)
    assert close(find_picture(frames, ASPECTS).box, shown.box())


def test_a_picture_that_is_dark_at_one_side_is_guessed():
    dark = [image.copy() for image in moments()]
    for image in dark:
        image[:, :90] = 0
    shown = Shown((1280, 720), 0, 0)
    picture = found(shown, dark)
    assert picture.doubt == "one side of it is too dark to see where it ends"
    assert close(picture.box, shown.box())


def test_what_is_not_the_games_shape_is_unsure():
    wide = Shown((1280, 720), 0, 0, aspect=16 / 9)
    picture = found(wide)
    assert picture.box == (0, 0, 1280, 720)
    assert picture.doubt == "it is 1.78 times as wide as high, not 1.33 or 1.48"
    assert found(replace(wide, size=(640, 480), aspect=4 / 3), [np.zeros((216, 512, 3), np.uint8)]).doubt == (
        "the window is all black"
    )
