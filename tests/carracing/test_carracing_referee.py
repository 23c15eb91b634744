"""The referee: the environment's own score, laps, incidents, the wrong way."""

from __future__ import annotations

import math
from types import SimpleNamespace

import gymnasium
import numpy as np
import pytest
from autopilot_carracing.demonstrator import CarRacingDemonstrator
from autopilot_carracing.referee import CarRacingReferee
from autopilot_carracing.track import CentreLine
from gymnasium.envs.box2d.car_dynamics import Car

STRAIGHT_ON = frozenset({"accelerate"})


def standard_episode(track, actions):
    """Return what CarRacing-v3 itself pays for these actions, until its episode is over."""
    env = gymnasium.make("CarRacing-v3", disable_env_checker=True)
    # The observation is most of the work and no part of the reward.
    env.unwrapped._render = lambda mode: None
    env.reset(seed=track)
    score = 0.0
    for action in actions:
        _, reward, terminated, truncated, _ = env.step(action)
        score += reward
        if terminated or truncated:
            return score, True
    return score, False


def drive(world, decide, ticks):
    """Drive and return the simulator actions that were taken and the readings after each tick."""
    actions, readings = [], []
    simulator = world.source.simulator
    step = simulator.step

    def remember(action):
        actions.append(action)
        return step(action)

    simulator.step = remember
    for _ in range(ticks):
        world.device.hold(decide())
        world.clock.tick()
        readings.append(world.referee.reading())
    return actions, readings


@pytest.mark.parametrize("track", [0, 8])
def test_the_score_is_that_of_a_standard_episode_with_the_same_actions(open_race, track):
    world = open_race(track, laps=2)
    actions, readings = drive(world, world.demonstrator.decide, 300)
    score, over = standard_episode(track, actions)
    assert over
    assert readings[-1].score == pytest.approx(score)
    assert readings[-1].score > 800
    part, _ = standard_episode(track, actions[:400])
    assert readings[99].score == pytest.approx(part), "and so it is on the way"


def test_leaving_the_playfield_ends_the_score_as_the_environment_does(open_race):
    world = open_race(4)
    actions, readings = drive(world, lambda: STRAIGHT_ON, 130)
    score, over = standard_episode(4, actions)
    assert over
    assert len(actions) < 1000
    assert score < 0
    assert readings[-1].score == pytest.approx(score)


def test_the_score_is_frozen_after_a_thousand_frames(open_race):
    world = open_race(4)
    actions, readings = drive(world, frozenset, 270)
    score, over = standard_episode(4, actions)
    assert over
    assert readings[249].score == readings[-1].score == pytest.approx(score)
    assert readings[248].score > readings[249].score


def test_three_laps_are_counted_and_timed(open_race):
    world = open_race(6, laps=3)
    _, readings = drive(world, world.demonstrator.decide, 850)
    last = readings[-1]
    assert last.finished
    assert last.lap == 3
    assert all(10 < t < 30 for t in last.lap_times_s)
    assert sum(last.lap_times_s) == pytest.approx(last.race_time_s)
    assert last.race_time_s == pytest.approx(next(i + 1 for i, r in enumerate(readings) if r.lap == 3) * 0.08, abs=0.08)
    assert [r.lap for r in readings] == sorted(r.lap for r in readings)
    assert last.lap_times_s[0] > last.lap_times_s[1], "the first lap begins standing"


def test_a_race_without_laps_goes_on(open_race):
    world = open_race(6, laps=0)
    _, readings = drive(world, world.demonstrator.decide, 600)
    assert readings[-1].lap >= 2
    assert not any(r.finished for r in readings)


def test_driving_round_backwards_is_the_wrong_way_and_no_lap(open_race):
    world = open_race(6)
    simulator = world.source.simulator
    _, beta, x, y = simulator.track[0]
    simulator.car.destroy()
    simulator.car = Car(simulator.world, beta + math.pi, x, y)
    backwards = SimpleNamespace(simulator=simulator, line=CentreLine(simulator.track[::-1]))
    driver = CarRacingDemonstrator(backwards)
    place = None
    tiles = set()
    for _ in range(400):
        place = backwards.place = backwards.line.locate(*simulator.car.hull.position, place)
        tiles.add(int(place.at))
        world.device.hold(driver.decide())
        world.clock.tick()
        assert world.referee.reading().lap == 0
    tens = {tile // 10 for tile in tiles}
    assert len(tens) == math.ceil(backwards.line.tiles / 10), "it did drive all the way round"
    assert world.referee.reading().wrong_way
    assert not world.referee.reading().finished


def test_standing_still_is_no_lap_and_no_incident(open_race):
    world = open_race(6)
    _, readings = drive(world, frozenset, 50)
    assert readings[-1].lap == 0
    assert not any(r.incident or r.wrong_way for r in readings)
    assert readings[-1].race_time_s == pytest.approx(4.0)


def test_wheels_on_the_grass_are_an_incident_while_they_are_there(open_race):
    world = open_race(4, laps=0)
    _, readings = drive(world, lambda: STRAIGHT_ON, 30)
    assert not readings[5].incident
    assert readings[-1].incident
    _, readings = drive(world, world.demonstrator.decide, 150)
    assert not readings[-1].incident, "back on the road"


class Circle:
    """A round track of 100 tiles, walked by hand."""

    tiles = 100

    def __init__(self, laps=1):
        self.radius = self.tiles * 3.5 / math.tau
        turns = [i * math.tau / self.tiles for i in range(self.tiles)]
        self.line = CentreLine([(0.0, t, *self.point(t)) for t in turns])
        self.place = self.line.locate(*self.point(0.0))
        self.referee = CarRacingReferee(self.tiles, self.place, laps)

    def point(self, turn, radius=None):
        radius = radius or self.radius
        return radius * math.cos(turn), radius * math.sin(turn)

    def walk(self, start, stop, step=0.4, radius=None):
        step = math.copysign(step, stop - start)
        for tile in np.arange(start + step, stop + step / 2, step):
            turn = float(tile) * math.tau / self.tiles
            self.place = self.line.locate(*self.point(turn, radius), self.place)
            self.referee.watch(self.place, turn, 0, 0.0, False)
        return self.referee.reading()


def test_a_lap_is_timed_between_frames():
    reading = Circle(laps=2).walk(0, 201, step=0.375)
    assert reading.lap == 2
    assert reading.lap_times_s == pytest.approx([100 / 0.375 / 50] * 2, abs=0.001)


def test_swaying_over_the_finish_line_is_no_lap():
    circle = Circle(laps=0)
    for _ in range(150):
        circle.walk(0, 3)
        reading = circle.walk(3, -3)
    assert reading.lap == 0


def test_what_is_driven_backwards_is_taken_away_again():
    circle = Circle(laps=0)
    circle.walk(0, 80)
    circle.walk(80, 40)
    assert circle.walk(40, 99).lap == 0
    assert circle.walk(99, 101).lap == 1


def test_round_backwards_and_forwards_over_the_line_is_no_lap():
    circle = Circle(laps=0)
    circle.walk(100, -3)
    assert circle.walk(-3, 5).lap == 0


def test_a_cut_across_the_grass_is_missing_from_the_lap():
    circle = Circle(laps=0)
    circle.walk(0, 30)
    assert circle.walk(60, 105).lap == 0
    assert circle.walk(105, 205).lap == 1, "the next round brings what was missing"


def test_a_small_cut_is_forgiven():
    circle = Circle(laps=0)
    circle.walk(0, 50)
    assert circle.walk(53.5, 101).lap == 1


def test_nothing_is_counted_after_the_last_lap():
    circle = Circle(laps=1)
    done = circle.walk(0, 101)
    assert circle.walk(101, 260).lap_times_s == done.lap_times_s
    assert len(done.lap_times_s) == 1


def test_the_race_lasts_as_long_as_the_standard_episode():
    circle = Circle(laps=1)
    assert not circle.walk(0, 101).finished, "250 frames: the score is not yet that of an episode"
    assert circle.walk(101, 401).finished
