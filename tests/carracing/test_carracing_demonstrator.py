"""The demonstrator: fast enough, on the road, and never lost."""

from __future__ import annotations

import math
import random
from itertools import pairwise

import numpy as np
import pytest
from autopilot_carracing.labels import make_analogue_label_map, make_label_map

LABELS, ANALOGUE = make_label_map(), make_analogue_label_map()


def race(world, noise=0.0, limit=750, labels=LABELS):
    """Drive to the end without drawing a frame; return the last reading and ticks off the road.

    `noise` is the share of decisions at which a disturbance of 2 to 5 random decisions starts.
    """
    rng = random.Random(int(world.source.line.points[0, 0] * 1000))
    off_road = disturbed = 0
    for _ in range(limit):
        held = world.demonstrator.decide()
        assert labels.held(labels.action(held)) == held, "a label says all of it"
        if noise and not disturbed and rng.random() < noise:
            disturbed = rng.randint(2, 5)
            wrong = labels.held(tuple(map(rng.randrange, labels.action_space.sizes)))
        if disturbed:
            disturbed -= 1
            held = wrong
        world.device.hold(held)
        world.clock.tick()
        reading = world.referee.reading()
        off_road += reading.incident
        if reading.finished:
            break
    return reading, off_road


@pytest.mark.slow
def test_it_scores_880_on_average_over_seeds_0_to_19(open_race):
    results = [race(open_race(track)) for track in range(20)]
    scores = [reading.score for reading, _ in results]
    assert np.mean(scores) >= 880, scores
    assert min(scores) >= 800, scores
    assert all(reading.finished for reading, _ in results)
    assert sum(off_road for _, off_road in results) <= 5


def test_the_fast_one_is_faster(open_race):
    """On three tracks; README.md has more."""
    calm, fast = (
        [race(open_race(track, demonstrator=name))[0] for track in (0, 2, 4)]
        for name in ("demonstrator", "demonstrator-fast")
    )
    assert all(reading.finished for reading in fast)
    assert np.mean([r.lap_times_s[0] for r in fast]) < np.mean([r.lap_times_s[0] for r in calm]) - 0.5


def test_with_a_stick_it_drives_as_well_as_with_keys(open_race):
    """On three tracks; README.md has more."""
    keys = [race(open_race(track))[0] for track in (0, 2, 4)]
    stick, off_road = zip(
        *(race(open_race(track, demonstrator="demonstrator-analogue"), labels=ANALOGUE) for track in (0, 2, 4)),
        strict=True,
    )
    assert np.mean([r.score for r in stick]) >= np.mean([r.score for r in keys]) - 1
    assert all(reading.finished for reading in stick)
    assert sum(off_road) == 0


def test_with_a_stick_it_is_never_lost(open_race):
    reading, _ = race(open_race(5, demonstrator="demonstrator-analogue"), noise=0.03, labels=ANALOGUE)
    assert reading.finished


def test_it_keeps_no_memory(open_race):
    world = open_race(3)
    for tick in range(80):
        held = world.demonstrator.decide()
        assert world.demonstrator.decide() == held
        fresh = type(world.demonstrator)(world.source)
        assert fresh.decide() == held, tick
        world.device.hold(held)
        world.clock.tick()


def test_it_finds_back_from_any_start(open_race):
    for seed in range(12):
        reading, off_road = race(open_race(20 + seed, mode="A", seed=seed), limit=450)
        assert reading.finished, seed
        assert off_road < 60, seed


@pytest.mark.parametrize("turned", [0.0, 0.8, 1.6, 2.4, 3.1])
def test_it_catches_a_car_that_slides_or_rolls_backwards(open_race, turned):
    world = open_race(20)
    car = world.source.simulator.car
    for body in (car.hull, *car.wheels):
        body.linearVelocity = (30 * np.sin(turned), -30 * np.cos(turned))
    for wheel in car.wheels:
        wheel.omega = -30 / wheel.wheel_rad
    reading, _ = race(world, limit=450)
    assert reading.finished


def test_disturbed_it_still_completes_its_laps(open_race):
    results = [race(open_race(track, laps=1), noise=0.025) for track in range(30, 40)]
    assert sum(reading.finished for reading, _ in results) >= 9
    assert all(reading.lap == 1 or reading.race_time_s >= 60 for reading, _ in results)


def test_it_steers_in_pulses_and_does_not_chatter(open_race):
    world = open_race(5)
    actions = []
    for _ in range(200):
        held = world.demonstrator.decide()
        actions.append(LABELS.action(held))
        world.device.hold(held)
        world.clock.tick()
    steer, pedal = np.array(actions).T
    assert np.mean(np.diff(steer) != 0) < 0.3
    assert np.mean(np.diff(pedal) != 0) < 0.3
    assert not any({a, b} == {0, 2} for a, b in pairwise(steer)), "never from full left to full right at once"


def test_it_foresees_where_a_plan_leads(open_race) -> None:
    world = open_race(3)
    demonstrator = world.demonstrator
    errors = []
    for i in range(120):
        held = demonstrator.decide()
        assert demonstrator.decide_after(()) == held
        if i % 6 == 5:
            its = demonstrator._car()
            foreseen = its.after(held, 0.24, world.source.place.heading)
            for _ in range(3):
                world.device.hold(held)
                world.clock.tick()
            now = demonstrator._car()
            errors.append(
                math.hypot(foreseen.x - now.x, foreseen.y - now.y) / max(math.hypot(now.x - its.x, now.y - its.y), 1)
            )
        world.device.hold(held)
        world.clock.tick()
    assert sorted(errors)[len(errors) // 2] < 0.1, "of the distance"
