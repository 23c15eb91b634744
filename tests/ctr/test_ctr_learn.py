"""Learning the HUD: what it refuses, and the commands that a user types, on a real window under Xvfb."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace

import cv2
import numpy as np
import pytest
from autopilot.api.errors import UserError
from autopilot.api.game import Game
from autopilot.api.registry import Registry
from autopilot.api.types import Frame, SourceSettings
from autopilot.desktop.desktop import Desktop, DeviceChoice
from autopilot.sessions.home import Home
from autopilot_ctr.hud import HudReader
from autopilot_ctr.hud_glyphs import LAPS, background
from autopilot_ctr.hud_learn import learn
from autopilot_ctr.hud_learn_clock import Clock
from autopilot_ctr.hud_learn_laps import learn_counter
from support.ctr.drawn import ODD, ODD_LOOK, ORANGE, SKIES, Look, Race, Screen, View, frame, play, present, scene, write

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


@pytest.mark.parametrize(
    "look",
    [*(Look("sans", track=3, sky=sky) for sky in SKIES[1:]), Look("sans", track=3, sky="hilly", letter=14, lines=236)],
    ids=[*SKIES[1:], "letters 14 wide, 236 lines"],
)
def test_what_is_learned_under_one_sky_is_read_under_another(look):
    """The picture behind the clock may stand as still as a glyph; it is no part of it."""
    learned = learn(f for f, _ in play(Race(3, 290.0, 30, look), SCREEN, 44.0, 1, wrong=((24.0, 4.0),)))
    assert (learned.laps, learned.lap_times, learned.wrong_way) == ("123", True, True)
    reader, right = HudReader(learned.templates), 0
    for n in range(80):
        view = View(clock=12_000 + 96 * n, at=3.0 * n)
        image = present(frame(view, replace(look, sky="busy", track=50 + n // 20)), SCREEN, RNG, 0.52)
        time = reader.read(Frame(image, n * 10**8)).race_time_s
        assert time is None or round(time * 100) == view.clock * 100 // 960
        right += time is not None
    assert right >= 0.97 * 79, "the first one is not believed at once"


def test_what_is_behind_letters_is_found_along_each_line():
    """Over a gradient that scanlines darken line by line."""
    look = replace(LOOK, sky="gradient")
    behind, shown = scene(View(), look)[:60, :190], frame(View(), look)[:60, :190]
    behind, shown = (np.repeat(np.repeat(i, 2, 0), 2, 1).astype(np.float32) for i in (behind, shown))
    for image in (behind, shown):
        image[::2] *= 0.5
    assert np.abs(behind - shown).max() > 100
    assert np.abs(background(shown) - behind).max() < 16


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
    choice = DeviceChoice(settings=SourceSettings(window="kart"))
    desktop = Desktop(Game(Registry(), "ctr"), Home(tmp_path), choice)
    with pytest.raises(UserError, match="lap times need templates: autopilot learn-hud --game ctr"):
        desktop.check_referee("to race by")


def test_the_drawn_game_is_the_same_whenever_it_is_played():
    races = [Race(3, 60.0, 30, replace(LOOK, track=3)) for _ in range(2)]
    views = [[race.step(race.drive()) for _ in range(600)] for race in races]
    assert views[0] == views[1]
    assert views[0][-1].since_finish is not None
    assert np.array_equal(*(frame(v[300], LOOK) for v in views))
