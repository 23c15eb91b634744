"""Reading the HUD with templates that were learned: drawn races, in other fonts and on other screens."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from autopilot.api.errors import UserError
from autopilot.api.types import Frame
from autopilot_ctr.hud import LATCH_NS, HudReader, make
from autopilot_ctr.hud_templates import Templates
from support.ctr.drawn import ODD as SCREEN
from support.ctr.drawn import ODD_LOOK as LOOK
from support.ctr.drawn import Race as DrawnRace
from support.ctr.drawn import View, frame, play, present

RNG = np.random.default_rng(11)
OTHER = replace(LOOK, track=77, hud="speed")


def hundredths(view):
    return view.clock * 100 // 960


@pytest.fixture(scope="module")
def race(templates):
    """A race on a track that was not learned from: (seconds, what was shown, what was read)."""
    reader = HudReader(templates)
    played = play(DrawnRace(3, 130.0, 25, OTHER), SCREEN, 36.0, 2, wrong=((6.0, 3.0), (14.0, 3.0)))
    return [(f.t_ns / 1e9, view, reader.read(f)) for f, view in played]


def test_every_time_read_is_right_and_nearly_all_are_read(race):
    shown = [(view, reading) for _, view, reading in race if (view.since_finish or 0) < 65]
    times = [(view, reading) for view, reading in shown if reading.race_time_s is not None]
    assert [r.race_time_s for v, r in times if round(r.race_time_s * 100) != hundredths(v)] == []
    assert len(times) >= 0.97 * len(shown)
    assert all(0.5 <= r.confidence <= 1 for _, r in times)
    assert {r.confidence for _, r in shown if r.race_time_s is None} <= {0.0}
    assert times[0][1].race_time_s == 0.0, "the countdown"


def test_laps_are_counted_timed_to_the_hundredth_and_the_finish_is_seen(race):
    _, view, last = race[-1]
    assert view.since_finish is not None
    assert last.finished
    assert last.lap == 3
    assert [round(t * 100) for t in last.lap_times_s] == [t * 100 // 960 for t in view.lap_times]
    for _, view, reading in race:
        done = len(view.lap_times)
        assert done - 1 <= reading.lap <= done
        assert not reading.finished or view.since_finish is not None
    seen = next(t for t, _, reading in race if reading.finished)
    crossed = next(t for t, view, _ in race if view.since_finish is not None)
    assert seen - crossed < 1.0


def test_a_lap_time_is_told_once_it_is_sure_and_then_stays(race):
    told = [()]
    for t, view, reading in race:
        if reading.lap_times_s != told[-1]:
            assert reading.lap_times_s[:-1] == told[-1], t
            told.append(reading.lap_times_s)
        assert len(view.lap_times) - len(reading.lap_times_s) <= 1
    assert [round(times[-1] * 100) for times in told[1:]] == [u * 100 // 960 for u in race[-1][1].lap_times]


def test_wrong_way_is_seen_at_once_held_while_it_blinks_and_never_imagined(race):
    spans, on, last, alarms = 0, None, -9.0, []
    for t, view, reading in race:
        last = t if view.wrong_way else last
        if view.blinks and on is None:
            on, spans = t, spans + 1
        if on is not None and view.wrong_way and t >= on + 0.5:
            assert reading.wrong_way, "latched"
            assert reading.incident
        if t > last + 0.05 + LATCH_NS / 1e9:
            on = None
        if reading.wrong_way and on is None:
            alarms.append(t)
    assert spans == 2
    assert alarms == []


def show(templates, views, hz=10.0, covered=()):
    """Read frames that show these views, one after another; in some the lap counter is covered."""
    reader, readings = HudReader(templates), []
    for n, view in enumerate(views):
        image = present(frame(view, OTHER), SCREEN, RNG, 0.52)
        if n in covered:
            image[:, image.shape[1] * 3 // 4 :] = 0
        readings.append(reader.read(Frame(image, round((1 + n / hz) * 1e9))))
    return readings


def driving(begin, count, **more):
    return [View(clock=begin + 96 * n, at=2.0 * n, **more) for n in range(count)]


def test_a_pause_is_no_finish_and_a_new_race_begins_anew(templates):
    on_last_lap = driving(30_000, 6, lap=3, lap_times=(9_600, 10_560))
    paused = [replace(on_last_lap[-1], paused=True)] * 8
    readings = show(templates, [*on_last_lap, *paused])
    assert not any(r.finished for r in readings)
    assert readings[-1].race_time_s == on_last_lap[-1].clock * 100 // 960 / 100
    assert readings[-1].lap_times_s == (10.0, 11.0), "read below the clock: the laps were not seen"
    again = show(templates, [*on_last_lap, *[View()] * 16, *driving(96, 3)])
    assert (again[-1].lap, again[-1].lap_times_s, again[-1].race_time_s) == (0, (), 0.3)
    assert again[6].race_time_s is None, "a clock that jumps back is not believed at once"


def test_with_a_second_between_two_frames_the_time_is_the_one_shown(templates):
    crossed = 9_600 + 960 * 5 + 40  # just after a frame: the middle between two is half a second off
    first = [View(clock=9_600 + 960 * n, at=9.0 * n) for n in range(6)]
    then = [View(clock=9_600 + 960 * n, at=9.0 * n, lap=2, lap_times=(crossed,)) for n in range(6, 12)]
    assert show(templates, [*first, *then], hz=1.0)[-1].lap_times_s == (crossed * 100 // 960 / 100,)


def test_where_lap_times_are_not_read_the_clock_tells_them_if_the_line_was_seen(templates):
    blind = replace(templates, small=None, rows=())
    crossed = 960 * 12 + 40
    race = driving(960 * 11, 11) + driving(960 * 12 + 96, 20, lap=2, lap_times=(crossed,))
    (time,) = show(blind, race)[-1].lap_times_s
    assert abs(time - crossed / 960) <= 0.06
    unseen = show(blind, race, covered=range(9, 17))
    assert (unseen[-1].lap, unseen[-1].lap_times_s) == (1, ()), "it may be off by half a second"
    assert show(templates, race, covered=range(9, 17))[-1].lap_times_s == (crossed * 100 // 960 / 100,)


def test_times_begin_with_the_first_lap_or_there_are_none(templates):
    blind = replace(templates, small=None, rows=())
    race = driving(9_600, 5, lap=2, lap_times=(960,)) + driving(10_080, 20, lap=3, lap_times=(960, 9_100))
    race += [replace(race[-1], since_finish=0, lap_times=(960, 9_100, race[-1].clock - 10_060))] * 9
    last = show(blind, race)[-1]
    assert (last.lap, last.finished, last.lap_times_s) == (3, True, ()), "the third lap's is no first one's"


def test_a_clock_that_runs_backwards_or_leaps_is_not_believed(templates):
    readings = show(templates, [*driving(9_600, 5), *driving(8_000, 1), *driving(60_000, 1), *driving(10_272, 2)])
    assert [r.race_time_s is not None for r in readings] == [False, *[True] * 4, False, False, True, True]


def test_other_pictures_are_not_read(templates):
    reader = HudReader(templates)
    height, width = SCREEN.size[1], SCREEN.size[0]
    noise = RNG.integers(0, 256, (height, width, 3), np.uint8)
    scene = present(frame(View(clock=5000, lap=2, at=30.0), replace(OTHER, font="mono")), SCREEN, RNG)
    for n, image in enumerate([np.zeros_like(noise), noise, noise, scene, scene, noise[:, : width // 2]]):
        reading = reader.read(Frame(image, n * 10**8))
        assert (reading.race_time_s, reading.confidence, reading.wrong_way) == (None, 0.0, False)


def test_a_window_of_another_size_is_read_right_or_not_at_all_and_said_to_be(templates, caplog):
    reader = HudReader(templates)
    for n, view in enumerate(driving(20_000, 20, lap=1)):
        larger = replace(SCREEN, size=(1320, 600), blur=0.9 * (n % 2), noise=3)
        time = reader.read(Frame(present(frame(view, OTHER), larger, RNG, 0.52), n * 10**8)).race_time_s
        assert time is None or round(time * 100) == hundredths(view)
    assert [r.message for r in caplog.records] == [
        "autopilot: the HUD was learned at 880x400, now it is 1320x600: learn it anew"
    ]


def test_templates_live_in_a_file_that_holds_no_code(templates, tmp_path):
    assert make(tmp_path, "duckstation") is None
    path = tmp_path / "duckstation.npz"
    templates.save(path)
    assert make(tmp_path, "duckstation") is not None
    again = Templates.load(path)
    assert again.boxes == templates.boxes
    assert np.array_equal(again.clock.mean, templates.clock.mean)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(UserError, match="learn them anew"):
        make(tmp_path, "duckstation")
    with path.open("wb") as file:
        np.savez(file, about=np.array([{"format": 1}], object))
    with pytest.raises(UserError, match="learn them anew"):
        make(tmp_path, "duckstation")
