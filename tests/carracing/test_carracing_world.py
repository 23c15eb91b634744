"""The race: its frames, its clock, what controls do, what is refused."""

from __future__ import annotations

import gymnasium
import numpy as np
import pygame
import pytest
from autopilot.api.errors import UserError
from autopilot.api.types import NOTHING

DRIVE = [{"accelerate"}] * 8 + [{"accelerate", "left"}] * 3 + [{"right"}] * 3 + [{"brake"}] * 2


def film(world):
    frames = []
    for held in DRIVE:
        frames.append(world.source.read())
        world.device.hold(frozenset(held))
        world.clock.tick()
    return frames


def hull(world):
    return world.source.simulator.car.hull


def test_the_same_track_and_controls_give_the_same_frames(open_race):
    first, second, other = (film(open_race(track)) for track in (7, 7, 8))
    assert all(np.array_equal(a.image, b.image) for a, b in zip(first, second, strict=True))
    assert [a.t_ns for a in first] == [b.t_ns for b in second]
    assert not np.array_equal(first[-1].image, other[-1].image)


def test_whether_frames_are_read_changes_nothing(open_race):
    seen, blind = open_race(7), open_race(7)
    film(seen)
    for held in DRIVE:
        blind.device.hold(frozenset(held))
        blind.clock.tick()
    assert np.array_equal(seen.source.read().image, blind.source.read().image)
    assert seen.referee.reading() == blind.referee.reading()


def test_a_frame_is_the_screen_in_rgb_at_simulated_time(open_race):
    frames = film(open_race(7))
    image = frames[-1].image
    assert (image.shape, image.dtype) == ((400, 600, 3), np.uint8)
    red, green, blue = image[10, 10].astype(int)
    assert green > red + 80, "the grass is green"
    assert green > blue + 80
    car = image[290:320, 285:315].reshape(-1, 3).astype(int)
    assert (car[:, 0] > car[:, 2] + 100).any(), "the car is red, not blue"
    assert [f.t_ns for f in frames[:3]] == [0, 80_000_000, 160_000_000]


def test_frames_are_those_of_the_standard_environment(open_race):
    world = open_race(3)
    simulator = world.source.simulator
    standard = gymnasium.make("CarRacing-v3", render_mode="rgb_array").unwrapped
    standard.reset(seed=3)
    for i in range(60):
        action = np.array([np.sin(i / 9), 0.5, 0.0])
        simulator.step(action)
        standard.step(action)
        if i % 6 == 0:
            assert np.array_equal(simulator.render(), standard.render()), f"frame {i}"


def test_no_display_is_needed_or_opened(open_race, no_screen):
    assert open_race(1).source.read().image.any()
    assert not pygame.display.get_init()


@pytest.mark.parametrize(("hz", "ns"), [(12.5, 80_000_000), (10, 100_000_000), (50, 20_000_000)])
def test_a_tick_is_one_decision_of_simulated_time(open_race, hz, ns):
    world = open_race(1, hz=hz)
    world.clock.tick()
    assert world.clock.lockstep
    assert world.source.read().t_ns == ns
    assert world.referee.reading().race_time_s == pytest.approx(ns / 1e9)


@pytest.mark.parametrize("hz", [0, -1, 11, 60])
def test_a_rate_that_does_not_divide_the_simulators_is_refused(open_race, hz):
    with pytest.raises(UserError, match=r"50 times a second: --hz .* must divide it") as e:
        open_race(1, hz=hz)
    assert "\n" not in str(e.value)


@pytest.mark.parametrize("track", ["coco", "", "-1", "1.5", "../1", "٣", "1234567890"])
def test_a_track_that_is_no_seed_is_refused_in_one_line(open_race, track):
    with pytest.raises(UserError, match="give a seed, 0 to 999999999") as e:
        open_race(track)
    assert "\n" not in str(e.value)


def after(open_race, *held, ticks=6, start=10):
    """Speed and turning rate after a run-up and `ticks` with these controls."""
    world = open_race(7)
    world.device.hold(frozenset({"accelerate"}))
    for _ in range(start):
        world.clock.tick()
    world.device.hold(frozenset(held))
    for _ in range(ticks):
        world.clock.tick()
    return np.hypot(*hull(world).linearVelocity), hull(world).angularVelocity


def test_what_each_control_does(open_race):
    coasting, straight = after(open_race)
    assert abs(straight) < 0.1
    assert after(open_race, "accelerate")[0] > coasting + 5
    assert after(open_race, "brake")[0] < coasting - 20
    assert after(open_race, "left")[1] > 1, "turning left counts positive"
    assert after(open_race, "right")[1] < -1


def test_contradictions_at_the_device(open_race):
    assert after(open_race, "left", "right") == after(open_race)
    assert after(open_race, "accelerate", "brake") == after(open_race, "brake")


def test_controls_stay_held_until_released(open_race):
    world = open_race(7)
    world.device.hold(frozenset({"accelerate"}))
    world.clock.tick()
    world.clock.tick()
    gas = world.source.simulator.car.wheels[2].gas
    assert gas > 0.3
    world.device.release_all()
    world.clock.tick()
    assert world.source.simulator.car.wheels[2].gas == 0
    world.device.hold(frozenset({"accelerate"}))
    world.device.close()
    world.device.close()
    world.clock.tick()
    assert world.source.simulator.car.wheels[2].gas == 0


def test_the_faster_the_less_the_wheels_turn(open_race):
    def turned(start):
        world = open_race(7)
        world.device.hold(frozenset({"accelerate"}))
        for _ in range(start):
            world.clock.tick()
        world.device.hold(frozenset({"left"}))
        for _ in range(3):
            world.clock.tick()
        return world.source.simulator.car.wheels[0].joint.angle

    assert turned(3) > 0.35
    assert 0.05 < turned(22) < 0.2


def test_adjust_mode_starts_astray_as_the_seed_says(open_race):
    def start(seed):
        world = open_race(7, mode="A", seed=seed)
        return (*hull(world).position, hull(world).angle), abs(world.source.place.lateral)

    assert start(1) == start(1)
    assert start(1) != start(2)
    assert all(3.5 < start(seed)[1] < 13 for seed in range(8))
    assert abs(open_race(7).source.place.lateral) < 0.5


def test_standing_still_holds_nothing(open_race):
    world = open_race(7)
    before = tuple(hull(world).position)
    world.device.hold(NOTHING)
    for _ in range(25):
        world.clock.tick()
    assert np.allclose(before, hull(world).position, atol=0.1)


def test_a_stick_turns_the_wheels_as_far_as_it_says(open_race):
    angles = {}
    for held in ("left", "steer:-1", "steer:-0.4", "steer:0.4", "steer:1", "right"):
        world = open_race(7)
        for _ in range(5):
            world.device.hold(frozenset({held}))
            world.clock.tick()
        angles[held] = world.source.simulator.car.wheels[0].joint.angle
    assert angles["left"] == angles["steer:-1"]
    assert angles["right"] == angles["steer:1"]
    assert angles["left"] > angles["steer:-0.4"] > 0.1 > -0.1 > angles["steer:0.4"] > angles["right"]
    world.device.release_all()
    for _ in range(5):
        world.clock.tick()
    assert abs(world.source.simulator.car.wheels[0].joint.angle) < 0.02
