"""The HUD reader: real frames of the lock-step engine, and pictures drawn with the same glyphs."""

from __future__ import annotations

import importlib.util

import numpy as np
import pytest
from autopilot.api.errors import DeviceError
from autopilot.api.types import NOTHING, Frame, Image, Reading
from autopilot_supertuxkart.demonstrator import Demonstrator
from autopilot_supertuxkart.hud import Font, HudReader, fonts, sizes
from autopilot_supertuxkart.simulation import Simulation

SIZE = (480, 270)


@pytest.fixture(params=[0, 1], ids=["lockstep", "game"])
def font(request: pytest.FixtureRequest) -> Font:
    return fonts()[SIZE][request.param]


def background(seed: int) -> Image:
    return np.random.default_rng(seed).integers(0, 256, (SIZE[1], SIZE[0], 3), dtype=np.uint8)


def write(image: Image, font: Font, text: str, at: int, row: int) -> None:
    for c in text:
        i, (column, phase) = font.characters.index(c), divmod(at, font.phases)
        cell, mask = font.cells[phase][i], font.masks[phase][i].astype(bool)
        part = image[row : row + cell.shape[0], column : column + cell.shape[1]]
        part[mask] = cell[mask][:, None]
        at += font.advances[i]


def picture(
    font: Font, clock: str = "", laps: str = "", banner: bool = False, seed: int = 1, face: bool = True
) -> Image:
    image = background(seed)
    if face:
        image[30:50, 15:35] = 0
    if clock:
        write(image, font, clock, font.clock[0] * font.phases, font.clock[1])
    if laps:
        write(image, font, laps, (font.laps[0] + 22) * font.phases, font.laps[1])
    if banner:
        image[70:90, 170:310] = (255, 160, 0)
        image[70:80, 170:310] = 0
    return image


def race(reader: HudReader, font: Font, *shown: tuple[float, str, str]) -> list[Reading]:
    return [
        reader.read(Frame(picture(font, clock, laps, seed=i), int(t * 1e9))) for i, (t, clock, laps) in enumerate(shown)
    ]


def start(track: str) -> Simulation:
    if importlib.util.find_spec("pystk2") is None:
        pytest.skip("missing: pysupertuxkart2")
    try:
        simulation = Simulation(track, 2, SIZE)
    except DeviceError as e:
        pytest.skip(f"missing: {e}")
    simulation.step(NOTHING, 1)
    return simulation


def test_the_lockstep_engine_frames_are_read_as_the_engine_says() -> None:
    simulation = start("olivermath")
    driver, reader, read = Demonstrator(simulation), HudReader(), 0
    for _ in range(300):
        simulation.step(driver.decide(), 6)
        kart = simulation.kart
        reading = reader.read(Frame(simulation.image, round(kart.time * 1e9)))
        if reading.race_time_s is not None:
            read += 1
            assert reading.race_time_s == pytest.approx(kart.time, abs=0.0011)
            assert reading.lap == max(0, kart.laps)
    simulation.close()
    assert kart.laps == 1
    assert read >= 0.95 * 300


@pytest.mark.parametrize("clock", ["00:00.217", "01:23.456", "07:59.890", "12:34.568"])
def test_every_digit_is_read_over_any_background(font: Font, clock: str) -> None:
    minutes, seconds = clock.split(":")
    for seed in range(20):
        gray = picture(font, clock, "2/3", seed=seed).min(2).astype(np.int16)
        time_s, confidence = font.read_clock(gray) or (None, 0.0)
        assert time_s == pytest.approx(int(minutes) * 60 + float(seconds))
        assert confidence > 0.9
        assert font.read_laps(gray) == (2, 3)


def test_blank_noisy_and_damaged_pictures_give_no_time(font: Font) -> None:
    reader = HudReader()
    rng = np.random.default_rng(3)
    pictures = [np.full((*SIZE[::-1], 3), value, np.uint8) for value in (0, 128, 255)]
    pictures += [background(seed) for seed in range(20)]
    for cut in range(8, 60, 4):  # something covers a part of the clock
        damaged = picture(font, "00:21.542", "1/3")
        damaged[:30, font.clock[0] + cut : font.clock[0] + cut + 6] = rng.integers(0, 256, 3)
        pictures.append(damaged)
    for i, image in enumerate(pictures):
        reading = reader.read(Frame(image, i * 100_000_000))
        assert reading.race_time_s is None
        assert (reading.lap, reading.confidence) == (0, 0.0)


def test_noise_on_the_digits_gives_the_right_time_or_none(font: Font) -> None:
    right = 0
    for seed in range(100):
        rng = np.random.default_rng(seed)
        ms = int(rng.integers(0, 600_000))
        clock = f"{ms // 60000:02d}:{ms // 1000 % 60:02d}.{ms % 1000:03d}"
        noise = rng.normal(0, seed / 4, (*SIZE[::-1], 1))
        image = np.clip(picture(font, clock, "1/3") + noise, 0, 255)
        found = font.read_clock(image.min(2).astype(np.int16))
        assert found is None or round(found[0] * 1000) == ms
        right += found is not None
    assert 10 < right < 90


def test_laps_are_timed_by_the_clock(font: Font) -> None:
    shown = [(10.0, "00:00.100", ""), (10.1, "00:00.200", ""), (10.2, "00:00.300", "1/2")]
    shown += [(40.0, "00:30.100", "1/2"), (40.1, "00:30.200", "2/2"), (60.0, "00:50.100", "2/2")]
    reader = HudReader()
    readings = race(reader, font, *shown)
    assert [r.race_time_s for r in readings] == [None, 0.2, 0.3, 30.1, 30.2, 50.1]
    assert [r.lap for r in readings] == [0, 0, 0, 0, 1, 1]
    assert readings[-1].lap_times_s == pytest.approx((30.15,))
    assert not reader.read(Frame(background(1), int(60.1e9))).finished  # a glitch is no finish
    end = reader.read(Frame(picture(font, banner=True), int(60.2e9)))
    assert (end.finished, end.lap, end.race_time_s) == (True, 2, None)
    assert sum(end.lap_times_s) == pytest.approx(50.2)
    assert reader.read(Frame(picture(font), int(61e9))).finished


def test_the_banner_of_the_last_lap_over_a_covered_clock_is_no_finish(font: Font) -> None:
    shown = [(40.0, "00:30.000", "1/2"), (40.1, "00:30.100", "1/2"), (40.2, "00:30.200", "2/2")]
    reader = HudReader()
    race(reader, font, *shown)
    covered = reader.read(Frame(picture(font, banner=True), int(40.3e9)))
    assert (covered.finished, covered.lap) == (False, 1)


def test_a_clock_that_runs_backwards_or_too_fast_is_refused(font: Font) -> None:
    shown = [(5.0, "00:10.000", "1/3"), (5.1, "00:10.100", "1/3"), (5.2, "00:09.900", "1/3")]
    shown += [(5.3, "00:19.300", "1/3"), (5.4, "00:10.400", "1/3")]
    readings = race(HudReader(), font, *shown)
    assert [r.race_time_s for r in readings] == [None, 10.1, None, None, 10.4]
    assert readings[2].confidence == 0


def test_a_counter_that_skips_a_lap_or_has_another_total_is_not_believed(font: Font) -> None:
    shown = [(5.0, "00:10.000", "1/4"), (5.1, "00:10.100", "1/4"), (5.2, "00:10.200", "3/4"), (5.3, "00:10.300", "2/3")]
    assert {r.lap for r in race(HudReader(), font, *shown)} == {0}


def test_a_new_race_begins_after_a_reset_or_a_countdown(font: Font) -> None:
    reader = HudReader()
    first = [(5.0, "00:10.000", "1/3"), (5.1, "00:10.100", "1/3"), (5.2, "00:10.200", "2/3")]
    again = [(12.0, "00:00.500", "1/2"), (12.1, "00:00.600", "1/2")]
    assert race(reader, font, *first)[-1].lap == 1
    last = race(reader, font, *again)[-1]  # seven seconds without a clock, then one near zero
    assert (last.race_time_s, last.lap, last.lap_times_s) == (0.6, 0, ())
    reader.reset()
    assert race(reader, font, *first)[1].race_time_s == 10.1


def say_wrong_way(image: Image) -> Image:
    (words,) = (font.wrong_way for font in fonts()[SIZE] if font.wrong_way)
    (column, row), kind = words
    part = image[row : row + kind.shape[0], column : column + kind.shape[1]]
    part[kind > 0], part[kind < 0] = (255, 170, 20), 0
    return image


def test_wrong_way_is_read_where_the_game_says_it_and_nothing_else_is_taken_for_it() -> None:
    font, reader = fonts()[SIZE][1], HudReader()
    said = []
    for i in range(40):
        image = picture(font, f"00:10.{i}00" if i < 10 else f"00:{10 + i // 10}.{i % 10}00", "1/3", seed=i)
        if 10 <= i < 20:
            say_wrong_way(image)
        if 20 <= i < 30:  # another message, as large
            image[71:85, 196:284] = (255, 170, 20)
            image[73:83:2, 196:284] = 0
        reading = reader.read(Frame(image, i * 100_000_000))
        said.append(reading.wrong_way)
        assert reading.incident == reading.wrong_way
    assert said == [10 <= i < 20 for i in range(40)]


def test_a_rescue_is_seen_while_the_face_is_gone_and_counted_once() -> None:
    font, reader = fonts()[SIZE][0], HudReader()
    readings = [
        reader.read(Frame(picture(font, f"00:01.{i}00", "1/3", seed=i, face=not 4 <= i < 7), i * 100_000_000))
        for i in range(10)
    ]
    assert [r.incident for r in readings] == [4 <= i < 7 for i in range(10)]
    assert readings[-1].counters == {"rescues": 1}
    assert not any(r.wrong_way for r in readings)


def test_a_rescue_of_the_lockstep_engine_is_seen() -> None:
    simulation = start("lighthouse")
    driver, reader, seen = Demonstrator(simulation), HudReader(), []
    for i in range(120):
        simulation.step(driver.decide() | ({"rescue"} if i == 60 else NOTHING), 6)
        reading = reader.read(Frame(simulation.image, round(simulation.kart.time * 1e9)))
        seen.append(reading.incident)
    simulation.close()
    assert not any(seen[:60])
    assert not any(seen[80:])
    assert sum(seen) >= 8
    assert reading.counters == {"rescues": 1}


def test_a_picture_of_another_size_is_not_read() -> None:
    assert SIZE in sizes()
    assert HudReader().read(Frame(np.zeros((180, 320, 3), np.uint8), 0)) == Reading(
        counters={"rescues": 0}, confidence=0.0
    )
