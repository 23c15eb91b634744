"""Learning the HUD: what it refuses, and the commands that a user types, on a real window under Xvfb."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace

import cv2
import numpy as np
import pytest
from autopilot.errors import UserError
from autopilot.game import DeviceChoice, Game
from autopilot.home import Home
from autopilot.plugins import Registry
from autopilot.types import Frame, SourceSettings
from autopilot_ctr.hud_glyphs import LAPS
from autopilot_ctr.hud_learn import learn
from autopilot_ctr.hud_learn_clock import Clock
from autopilot_ctr.hud_learn_laps import learn_counter
from drawn import ODD, ODD_LOOK, ORANGE, Look, Race, Screen, View, frame, present, scene, write

RNG = np.random.default_rng(12)
SCREEN = Screen((512, 216), noise=4)
LOOK = Look("mono", track=9)
HZ, COUNT = 4.0, 140


def frames(image):
    """35 s, four a second, of what `image(n)` draws."""
    for n in range(COUNT):
        yield Frame(present(image(n), SCREEN, RNG, 0.52), round(n / HZ * 1e9))


def seen(n, clock, **more):
    return View(clock=round(clock), at=4.0 * n, **more)


def road(n):
    return scene(seen(n, 0), LOOK)


def another_game(n):
    """A clock that counts in another place, by tenths, while the road goes by."""
    image = road(n)
    write(image, f"{n // 4 // 60}'{n // 4 % 60:02d}", 220, 4, LOOK, ORANGE)
    return image


def menu(n):
    image = np.full((216, 512, 3), (20, 30, 90), np.uint8)
    for row, text in enumerate(("TIME TRIAL", "ARCADE", "VERSUS", "BATTLE")):
        write(image, text, 20, 16 + 40 * row, LOOK, ORANGE)
    cv2.circle(image, (14, 24 + 40 * (n // 9 % 4)), 5, (255, 255, 255), -1)
    return image


def desktop(n):
    image = np.full((216, 512, 3), 200, np.uint8)
    cv2.rectangle(image, (n * 3 % 400, 20), (n * 3 % 400 + 120, 140), (255, 255, 255), -1)
    write(image, f"{n // 120 % 24}:{n // 2 % 60:02d}", 400, 2, LOOK, ORANGE, small=True)
    return image


def half_speed(n):
    return frame(seen(n, n / HZ * 960 * 0.5), LOOK)


def paused(n):
    return frame(seen(n, 20_000), LOOK)


def standing_still(n):
    return frame(View(clock=round(n / HZ * 960)), LOOK)


@pytest.mark.parametrize(
    ("image", "why"),
    [
        (lambda n: np.zeros((216, 512, 3), np.uint8), "hardly changes: drive"),
        (road, "no running race clock"),
        (another_game, "no running race clock"),
        (menu, "hardly changes"),
        (desktop, "no running race clock"),
        (paused, "no running race clock"),
        (half_speed, "no running race clock|does not run evenly"),
        (standing_still, "hardly changes"),
        (lambda n: frame(seen(n, n / HZ * 960), LOOK), "never changed from 1/3: drive over the line"),
    ],
    ids=["black", "road", "another game", "menu", "desktop", "paused", "half speed", "standing", "one lap"],
)
def test_what_is_no_race_is_refused_in_one_line(image, why):
    with pytest.raises(UserError, match=why) as refused:
        learn(frames(image))
    assert "\n" not in str(refused.value)


def test_laps_before_the_one_whose_counter_stood_longest_are_learned_from_as_well(templates):
    """Only the last lap is long enough here to find the counter in."""
    laps = np.repeat((1, 2, 3), (50, 50, 130))
    views = [View(clock=96 * n, at=2.0 * n, lap=int(lap)) for n, lap in enumerate(laps, 1)]
    strips = np.stack([LAPS.cut(present(frame(view, ODD_LOOK), ODD, RNG, 0.3)) for view in views])
    shown = np.array([view.clock * 100 // 960 for view in views])
    counter = learn_counter(strips, Clock(templates.clock, templates.boxes, shown, 1.0))
    assert np.array_equal(counter.lap_of, laps)
    assert counter.laps.characters == "123"


def test_too_little_and_changing_sizes_are_refused():
    some = list(frames(road))
    with pytest.raises(UserError, match="no frames"):
        learn([])
    with pytest.raises(UserError, match="too little to learn from: record 32 s"):
        learn(some[:60])
    with pytest.raises(UserError, match="changed from 512x216 to 500x216"):
        learn([some[0], Frame(some[1].image[:, :500], 10**8)])
    with pytest.raises(UserError, match="320x180 is too small"):
        learn([Frame(np.zeros((180, 320, 3), np.uint8), 0)])


def autopilot(*args, **env):
    program = [sys.executable, "-m", "autopilot", *args]
    return subprocess.run(program, capture_output=True, text=True, env={**os.environ, **env}, timeout=280)


def test_without_templates_there_is_no_race_but_a_hint(tmp_path):
    game = Game(Registry(), "ctr", Home(tmp_path))
    with pytest.raises(UserError, match="lap times need templates: autopilot learn-hud --game ctr"):
        game.check_referee(DeviceChoice(settings=SourceSettings(window="kart")), "to race by")


def test_the_drawn_game_is_the_same_whenever_it_is_played():
    races = [Race(3, 60.0, 30, replace(LOOK, track=3)) for _ in range(2)]
    views = [[race.step(race.drive()) for _ in range(600)] for race in races]
    assert views[0] == views[1]
    assert views[0][-1].since_finish is not None
    assert np.array_equal(*(frame(v[300], LOOK) for v in views))
