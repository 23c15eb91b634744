"""The lock-step mode on the real engine: keys, determinism, laps, incidents, what is missing."""

from __future__ import annotations

import math
import os
import subprocess
import sys

import numpy as np
import pytest
from autopilot.api.errors import DeviceError, UserError
from autopilot.api.interfaces import World
from autopilot.api.types import NOTHING, WorldRequest
from autopilot_supertuxkart import assets
from autopilot_supertuxkart.demonstrator import Demonstrator, DemonstratorPro, turning_radius
from autopilot_supertuxkart.engine import TICK_S, steering
from autopilot_supertuxkart.line import CentreLine, wrap
from autopilot_supertuxkart.plugin import TRACKS
from autopilot_supertuxkart.referee import Referee
from autopilot_supertuxkart.simulation import Simulation
from autopilot_supertuxkart.world import open_world

GAS = frozenset({"accelerate"})


@pytest.fixture(scope="module", autouse=True)
def _installed():
    pytest.importorskip("pystk2", reason="missing: pysupertuxkart2")
    try:
        assets.game_data()
    except DeviceError:
        pytest.skip("missing: SuperTuxKart (Debian package supertuxkart)")


@pytest.fixture
def start():
    """Start the engine, without pictures unless a size is asked for."""
    started = []

    def start(track="lighthouse", laps=1, size=None):
        started.append(Simulation(track, laps, size))
        return started[-1]

    yield start
    for one in started:
        one.close()
        one.close()


def race(track="lighthouse", **options) -> World:
    return open_world(WorldRequest(track, options.pop("mode", "N"), 10.0, lockstep=True, **options))


def test_a_held_key_turns_the_wheels_as_long_as_in_the_game():
    """0.17 s a whole way up to half of it, 0.28 s from there, 0.1 s a whole way back: the game's numbers."""
    now, ticks = 0.0, 0
    while now < 1:
        now, ticks = steering(now, 1), ticks + 1
    assert ticks * TICK_S == pytest.approx(0.5 * 0.17 + 0.5 * 0.28, abs=2 * TICK_S)
    assert steering(now, 1) == 1.0
    back = 0
    while now > 0:
        now, back = steering(now, 0), back + 1
    assert (now, back * TICK_S) == (0.0, pytest.approx(0.1, abs=TICK_S))
    assert steering(1.0, -1) == pytest.approx(1 - TICK_S / 0.1)
    assert steering(-0.02, 0) == 0.0
    assert (turning_radius(0), turning_radius(10), turning_radius(99)) == (2.0, 7.5, 30.0)


def drive_race(simulation, driver, laps):
    """Let it drive a race, and return how long it took, by the referee."""
    simulation.step(NOTHING, 1)
    driver, referee = driver(simulation), Referee(simulation, laps, 0.1)
    for _ in range(800 * laps):
        simulation.step(driver.decide(), 6)
        reading = referee.reading()
        if reading.finished:
            break
    assert reading.finished
    assert sum(reading.lap_times_s) == pytest.approx(simulation.kart.finish_time, abs=0.001 * laps)
    assert reading.counters["rescues"] == 0
    assert reading.counters["laps driven"] == pytest.approx(laps, abs=0.05)
    assert reading.counters["s off the road"] < 0.15 * reading.race_time_s
    return sum(reading.lap_times_s)


@pytest.mark.parametrize("laps", [1, 2])
@pytest.mark.parametrize("track", TRACKS)
def test_the_demonstrators_lap_every_track_and_skids_and_nitro_are_faster(start, track, laps):
    plain, pro = (drive_race(start(track, laps=laps), driver, laps) for driver in (Demonstrator, DemonstratorPro))
    assert 15 < plain / laps < 75
    # a race of one lap has one zipper: passing sandtrack's bananas then costs more than it saves
    assert pro < (0.96 if (track, laps) == ("sandtrack", 1) else 0.95 if laps == 1 else 0.93) * plain


def test_the_demonstrator_that_skids_is_not_too_fast_for_the_first_sharp_bend(start):
    simulation = start("snowtuxpeak")
    simulation.step(NOTHING, 1)
    driver, speeds = DemonstratorPro(simulation), []
    for _ in range(100):
        simulation.step(driver.decide(), 6)
        if 130 < simulation.kart.down_track < 200:
            speeds.append(simulation.kart.speed)
    assert len(speeds) > 15
    assert min(speeds) > 15, "it met the wall there, at 34 m/s"


@pytest.mark.parametrize(("driver", "clear", "back"), [(Demonstrator, 1.2, 4), (DemonstratorPro, 1.0, 12)])
@pytest.mark.parametrize("side", [-1, 1], ids=["left", "right"])
def test_the_demonstrators_pass_a_banana(start, side, driver, clear, back):
    def path(bananas):
        simulation = start("lighthouse")
        simulation.step(NOTHING, 1)
        simulation.track["bananas"] = bananas
        one, places = driver(simulation), []
        for _ in range(60):
            simulation.step(one.decide(), 6)
            places.append(simulation.kart.at)
        assert simulation.kart.down_track > 50
        return np.array(places)

    there = path([])
    ahead = (there[41] - there[40]) / np.linalg.norm(there[41] - there[40])
    banana = there[40] + 0.4 * side * np.array([ahead[2], 0, -ahead[0]])  # a little to the right or the left
    assert np.linalg.norm(there - banana, axis=1).min() < 0.5
    around = path([banana.tolist()])
    assert clear < np.linalg.norm(around - banana, axis=1).min() < 2.5
    assert np.linalg.norm(around[-1] - there[-1]) < back, "and back; half a second later at most with another push"


def test_the_same_keys_give_the_same_race_and_the_same_pixels_but_for_the_clock(start):
    def drive():
        simulation = start(size=(160, 90))
        for i in range(40):
            simulation.step(GAS | {"left"} if i % 7 < 2 else GAS, 6)
        return simulation.kart, simulation.image

    (kart, image), (again, same) = drive(), drive()
    assert kart == again
    assert kart.overall > 30
    assert np.array_equal(image[22:], same[22:])
    assert image.shape == (90, 160, 3)
    assert image.std() > 20


def test_a_world_steps_a_tenth_of_a_second_per_decision():
    world = race(laps=1)
    first = world.source.read()
    assert first.image.shape == (270, 480, 3)
    world.device.hold(GAS)
    for _ in range(10):
        world.clock.tick()
    assert (world.source.read().t_ns - first.t_ns) / 1e9 == pytest.approx(1.0, abs=0.001)
    assert world.referee.reading().race_time_s == pytest.approx(world.source.read().t_ns / 1e9)
    assert world.demonstrator.decide() >= GAS
    world.device.release_all()
    world.source.close()


def test_a_rescue_and_driving_the_wrong_way_are_incidents(start):
    simulation = start("olivermath")
    line = CentreLine(simulation.track)
    referee = Referee(simulation, 1, 0.1)
    for _ in range(20):
        simulation.step(GAS, 6)
        assert not referee.reading().incident
    simulation.step(GAS | {"rescue"}, 6)
    seen = []
    for _ in range(60):
        simulation.step(NOTHING, 6)
        seen.append(referee.reading().incident)
    assert any(seen)
    assert referee.reading().counters["rescues"] >= 1
    at, back = 200.0, line.direction(200.0) + math.pi
    x, y, z = line.point(at)
    simulation.step(NOTHING, 30, ([x, y + 0.5, z], [0.0, math.sin(back / 2), 0.0, math.cos(back / 2)], 0.0))
    kart = simulation.kart
    assert math.dist(kart.at, (x, y, z)) < 3
    assert abs(wrap(kart.heading - back)) < 0.3
    assert referee.reading().wrong_way


def test_strewn_the_kart_is_put_somewhere_else_again_and_again():
    world = race(mode="S", seed=3)
    world.device.hold(GAS)
    jumps, last = 0, None
    for _ in range(190):
        world.clock.tick()
        at = world.source.simulation.kart.at
        jumps += last is not None and math.dist(at, last) > 10
        last = at
    assert jumps >= 3
    world.source.close()


@pytest.mark.parametrize("track", ["sandtrack", "snowtuxpeak"])
def test_wherever_the_kart_is_put_the_demonstrator_leads_it_back_to_the_road(track):
    world = race(track, mode="S", seed=21)
    simulation, line = world.source.simulation, CentreLine(world.source.simulation.track)
    away = []
    for _ in range(20 * 60):  # 20 places, for six seconds each
        world.device.hold(world.demonstrator.decide())
        world.clock.tick()
        away.append(np.linalg.norm(line.points - simulation.kart.at, axis=1).min())
    world.source.close()
    assert max(away) > 8, "some places are far from the middle of the road"
    assert sorted(away[59::60])[-2] < 4, "at most one is held up, by a wall say"


def test_a_track_that_is_not_there_and_an_engine_that_ends_are_one_line(start):
    with pytest.raises(DeviceError, match="has no track nowhere"):
        start("nowhere")
    simulation = start()
    simulation._process.kill()
    simulation._process.wait()
    with pytest.raises(DeviceError, match="ended with status -9"):
        simulation.step(GAS, 6)
    with pytest.raises(UserError, match="a human plays the real game"):
        race(human=True)


def test_what_is_missing_is_said(monkeypatch, tmp_path):
    monkeypatch.setattr(assets, "PLACES", ())
    monkeypatch.setenv("SUPERTUXKART_DATADIR", str(tmp_path))
    with pytest.raises(DeviceError, match="apt-get install supertuxkart"):
        assets.prepare()


def test_data_that_lie_elsewhere_are_raced_on(monkeypatch, tmp_path, start):
    (tmp_path / "elsewhere").symlink_to(assets.game_data())
    monkeypatch.setattr(assets, "PLACES", ())
    monkeypatch.setattr(assets.platformdirs, "user_cache_path", lambda name: tmp_path / name)
    monkeypatch.setenv("SUPERTUXKART_DATADIR", str(tmp_path / "elsewhere"))
    assert start().kart.time > 0


def test_an_engine_keeps_to_the_cache_folder(monkeypatch, tmp_path, start):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    start().close()
    assert [path.name for path in tmp_path.iterdir()] == ["cache"]


def test_an_engine_without_its_library_says_what_to_install(tmp_path):
    (tmp_path / "pystk2.py").write_text("raise ModuleNotFoundError(\"No module named 'pystk2'\")")
    code = "from autopilot_supertuxkart.simulation import Simulation; Simulation('lighthouse', 1, None)"
    env = {**os.environ, "PYTHONPATH": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True)
    advice = "pip install -c constraints.txt -e 'plugins/supertuxkart[lockstep]'; or add --clock wall"
    assert done.stderr.splitlines()[-1].endswith(advice)


def test_the_assets_are_links_and_follow_the_installed_game(monkeypatch, tmp_path):
    monkeypatch.setattr(assets.platformdirs, "user_cache_path", lambda name: tmp_path / name)
    home = assets.prepare()
    data = home / "PySuperTuxKart2/1.5/data"
    assert (data / "tracks").is_symlink()
    assert (data / "skins/classic").exists()
    (home / "PySuperTuxKart2/1.5/__downloaded__.txt").write_text("another game")
    assert assets.prepare() == home
    assert sorted(p.name for p in data.parent.iterdir()) == ["__downloaded__.txt", "data"]
