"""Laps: found in readings, chosen by rules, kept as sessions, trained on by what was chosen."""

from __future__ import annotations

import math
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from autopilot.api.errors import SessionError, UserError
from autopilot.api.game import Game
from autopilot.api.registry import Registry
from autopilot.api.types import NOTHING, Decision, Frame, Held, Reading, WorldRequest
from autopilot.drive.drivers import Driver
from autopilot.drive.recorder import LapRecorder, new_info
from autopilot.drive.run import Run
from autopilot.drive.timing import Timing
from autopilot.drive.world import OpenWorld, WallClock
from autopilot.learn.data import load_dataset
from autopilot.learn.options import TrainOptions
from autopilot.sessions.home import Home
from autopilot.sessions.laps import Lap, LapFinder, LapRule, laps_of
from autopilot.sessions.segments import Row
from autopilot.sessions.session import Session
from autopilot.sessions.writer import SessionWriter
from hypothesis import given
from hypothesis import strategies as st
from support.sessions import make_info

HZ = 10.0
GAS, LEFT = frozenset({"accelerate"}), frozenset({"accelerate", "left"})
Told = list[tuple[float, Reading]]


def race(
    *laps: float, countdown: float = 0.0, late: int = 0, bad: tuple[int, ...] = (), clock: bool = True, at: float = 0.0
) -> Told:
    """What a referee says ten times a second: when, in seconds, and what; two frames follow the last line.

    Lap times come `late` frames after the line; there is an incident on the laps `bad`.
    """
    ends = np.cumsum(laps)
    told: Told = []
    for i in range(math.ceil((countdown + ends[-1]) * HZ) + 3 + late):
        now = i / HZ - countdown
        lap, known = (int((ends <= then + 1e-9).sum()) for then in (now, now - late / HZ))
        reading = Reading(
            lap=lap,
            lap_times_s=tuple(laps[:known]),
            race_time_s=(now if now > 0 else None) if clock else None,
            incident=lap in bad and now % 1 < 0.15,
            finished=known == len(laps),
        )
        told.append((at + i / HZ, reading))
    return told


def find(told: Told) -> list[Lap]:
    finder = LapFinder(HZ)
    return [lap for t, reading in told for lap in finder.add(round(t * 1e9), reading)]


def test_laps_begin_and_end_at_the_line() -> None:
    laps = find(race(5.0, 4.0, 6.0, bad=(1,)))
    assert [(lap.start, lap.stop, lap.time_s, lap.clean) for lap in laps] == [
        (1, 50, 5.0, True),  # the clock stands at 0 on the first frame
        (50, 90, 4.0, False),
        (90, 150, 6.0, True),
    ]


def test_a_countdown_is_no_part_of_the_first_lap() -> None:
    (first, _) = find(race(5.0, 4.0, countdown=3.0))
    assert (first.start, first.stop) == (31, 80)
    (only,) = find(race(5.0, clock=False))
    assert (only.start, only.stop) == (0, 50), "without a clock it begins with the first frame"


def test_times_may_come_after_the_line() -> None:
    assert [(lap.start, lap.stop) for lap in find(race(5.0, 4.0, late=7))] == [(1, 50), (50, 90)]


def test_what_was_recorded_from_the_middle_of_a_lap_is_not_that_lap() -> None:
    assert [lap.time_s for lap in find(race(5.0, 4.0)[25:])] == [4.0]


def test_a_pause_of_the_game_does_not_count_and_lost_frames_do() -> None:
    paused = [(t + 60 * (i >= 20), r) for i, (t, r) in enumerate(race(5.0, 4.0))]
    assert [lap.time_s for lap in find(paused)] == [5.0, 4.0]
    lost = [x for i, x in enumerate(race(5.0, 4.0)) if not 20 <= i < 40]
    assert [lap.time_s for lap in find(lost)] == [4.0]


def test_another_race_and_frames_without_a_reading_begin_anew() -> None:
    both = race(5.0, 4.0)[:70] + race(6.0, at=7.0)
    assert [(lap.start, lap.stop, lap.time_s) for lap in find(both)] == [(1, 50, 5.0), (71, 130, 6.0)]
    again = race(5.0)[:40] + race(6.0, at=4.0)  # a restart within the first lap: only the clock tells
    assert [lap.time_s for lap in find(again)] == [6.0]
    blind = [(t, None if i == 20 else r) for i, (t, r) in enumerate(race(5.0, 4.0))]
    assert [lap.time_s for lap in find(blind)] == [4.0]  # type: ignore[arg-type]


def test_a_finish_that_counts_no_lap_ends_one() -> None:
    told = [
        (t, Reading(lap_times_s=r.lap_times_s, race_time_s=r.race_time_s, finished=r.finished)) for t, r in race(5.0)
    ]
    assert [(lap.stop, lap.time_s) for lap in find(told)] == [(50, 5.0)]


def lap(time_s: float, clean: bool = True, track: str = "a") -> Lap:
    return Lap(0, 1, time_s, clean, f"s{time_s}", track)


@pytest.mark.parametrize(
    ("text", "taken"),
    [
        ("clean", [40, 42, 70]),
        ("time < 41.5 and clean", [40]),
        ("TIME<=41 AND clean", [40]),
        ("time > 41 and time < 1:02.5", [42]),
        ("time >= 41", [41, 42, 70]),
        ("best 50%", [40, 41]),
        ("best 1%", [40]),
        ("best 100%", [40, 41, 42, 70]),
        ("best 3", [40, 41, 42]),
        ("clean and best 50% and time < 60 s", [40]),
        ("time < 1", []),
    ],
)
def test_rules(text: str, taken: list[float]) -> None:
    laps = [lap(42), lap(41, clean=False), lap(40), lap(70)]
    assert [lap.time_s for lap in LapRule.parse(text, "laps").choose(laps)] == taken


def test_best_is_judged_on_each_track() -> None:
    laps = [lap(t, track=track) for track, times in (("a", (1, 2, 3)), ("b", (10, 20))) for t in times]
    assert {lap.time_s for lap in LapRule.parse("best 50%", "laps").choose(laps)} == {1, 2, 10}


@pytest.mark.parametrize(
    "text",
    [
        *("", "and", "clean and", "tiem < 4", "time < ", "time < -1", "time = 4", "time < nan", "time < 1e3", "dirty"),
        *("best", "best 0", "best 0%", "best 101%", "best 1.5", "best 5 and best 6", "clean or clean", "clean; clean"),
        *("__import__('os').system('id')", "time < 4)", "9" * 101, "clean and " * 40 + "clean"),
    ],
)
def test_what_is_no_rule_is_refused_in_a_line_that_shows_rules(text: str) -> None:
    with pytest.raises(UserError, match=r'"time < 41\.5 and clean"') as caught:
        LapRule.parse(text, "laps")
    assert "\n" not in str(caught.value)


@given(st.text(max_size=60))
def test_any_text_is_a_rule_or_refused_in_one_line(text: str) -> None:
    with suppress(UserError):
        assert LapRule.parse(text, "laps").text == text


def test_a_lap_alone_is_not_ranked() -> None:
    with pytest.raises(UserError, match="leave out best"):
        LapRule.parse("best 50%", "keep-laps", ranked=False)


# -- with sessions of a game


@pytest.fixture(scope="module")
def game() -> Game:
    return Game(Registry(), "ctr")


def image(n: int) -> Any:
    return np.full((90, 160, 3), n % 250, np.uint8)


class Replay(Driver):
    """Source, device, referee and driver of a race that is told frame by frame."""

    def __init__(self, told: Told, human: tuple[int, ...]) -> None:
        self._told, self._human, self._next = told, human, 0

    def read(self) -> Frame:
        if self._next == len(self._told):
            raise EOFError
        self._next += 1
        return Frame(image(self._next - 1), round(self._told[self._next - 1][0] * 1e9))

    def decide(self, frame: Frame) -> Decision:
        i = self._next - 1
        held = LEFT if i % 2 else GAS
        sent: Held = frozenset({"brake"}) if i == 60 else held  # a recovery
        return Decision(held, NOTHING if i in self._human else sent, by_human=i in self._human)

    def reading(self) -> Any:
        return self._told[self._next - 1][1]

    def hold(self, controls: Held) -> None: ...

    def release_all(self) -> None: ...

    def close(self) -> None: ...


def keep(game: Game, root: Path, told: Told, rule: str, human: tuple[int, ...] = ()) -> LapRecorder:
    request = WorldRequest("coco-park", "N", HZ)
    info = new_info(game, request, "coco", game.label_map_name(), game.label_map())
    rules = LapRule.parse(rule, "keep-laps", ranked=False)
    recorder = LapRecorder(root, info, game.label_map(), rules, game.spec.race.lap_limit_s)
    replay = Replay(told, human)
    world = OpenWorld(replay, replay, WallClock(1e6), referee=replay)
    ending = Run(world, replay, Timing(HZ, False), (160, 90), [recorder]).go()
    assert ending in ("ended", "finished")
    return recorder


def test_a_drive_keeps_the_laps_that_pass_as_sessions_of_exactly_those_laps(game: Game, tmp_path: Path) -> None:
    keeper = keep(game, tmp_path, race(5.0, 4.0, 6.0, 4.5, bad=(3,)), "time < 5.5 and clean")
    assert keeper.seen == 4
    assert [lap.time_s for _, lap in keeper.kept] == [5.0, 4.0]
    first, second = (Session.open(tmp_path / name) for name, _ in keeper.kept)
    assert [int(row.frame.image[0, 0, 0]) for row in first.rows()] == list(range(1, 50))
    rows = list(second.rows())
    assert [int(row.frame.image[0, 0, 0]) for row in rows] == list(range(50, 90))
    assert (second.info.auto, second.info.lap_time_s, second.info.ended) == (True, 4.0, "saved")
    assert (second.info.driver, second.info.track, second.info.policy) == ("coco", "coco-park", False)
    assert [row.action for row in rows[:12]] == [*[(1,), (0,)] * 5, None, (0,)], "its own actions; not a recovery"
    assert laps_of(second) == [Lap(0, 40, 4.0, True, second.info.id, "coco-park")]
    second.delete(3, 5)
    assert laps_of(Session.open(second.path)) == [], "no longer the whole lap"


def test_a_lap_with_a_human_s_help_is_not_kept(game: Game, tmp_path: Path) -> None:
    assert [lap.time_s for _, lap in keep(game, tmp_path, race(5.0, 4.0), "clean", human=(55,)).kept] == [5.0]


def test_a_lap_that_cannot_be_written_is_told_of(game: Game, tmp_path: Path) -> None:
    (tmp_path / "sessions").write_text("in the way")
    with pytest.raises((SessionError, OSError)):
        keep(game, tmp_path / "sessions", race(2.0), "clean")


def write(
    home: Home, game: Game, id: str, told: Told, labelled: bool = True, lap_s: float | None = None, **more: Any
) -> None:
    labels = game.label_map()
    known = {"game": "ctr", "track": "coco-park", "hz": HZ, "width": 160, "height": 90, "controls": game.spec.controls}
    known |= {"label_map": game.label_map_name(), "action_space": labels.action_space.to_json()}
    info = make_info(id, **{**known, **more})
    with SessionWriter(home.sessions, info) as writer:
        for i, (t, reading) in enumerate(told):
            held = LEFT if i % 2 else GAS
            label = labels.action(held) if labelled else None
            writer.append(Row(Frame(image(i), round(t * 1e9)), held, held, label, reading))
        writer.close(lap_time_s=lap_s)


def load(home: Home, game: Game, **options: Any) -> Any:
    return load_dataset(game, home, TrainOptions(model="any", batch_size=1, mirror=False, **options))


def test_training_takes_laps_drivers_and_modes(game: Game, tmp_path: Path) -> None:
    home = Home(tmp_path)
    write(home, game, "anna1", race(5.0, 4.0))
    write(home, game, "anna2", race(4.5, 7.0, bad=(1,)), mode="A")
    write(home, game, "ben", race(3.0, 8.0), driver="ben")
    data = load(home, game, laps="best 50%")
    assert [lap.time_s for lap in data.laps] == [3.0, 4.0, 4.5]
    assert len(data.train) + len(data.validation) == 29 + 40 + 44
    rows = np.flatnonzero(data.labels[:, 0] >= 0)
    starts = np.cumsum([0, *(len(c) for c in data.caches)])
    assert rows.tolist() == [
        *range(50, 90),
        *range(starts[1] + 1, starts[1] + 45),
        *range(starts[2] + 1, starts[2] + 30),
    ]
    assert load(home, game, drivers="anna", modes="N").sessions == ["anna1"]
    assert load(home, game, drivers="ben, anna", laps="time < 4.2").sessions == ["anna1", "ben"]
    assert load(home, game, modes="adjust").sessions == ["anna2"]
    with pytest.raises(UserError, match=r"no sessions of ctr, driver zoe in .*: record some"):
        load(home, game, drivers="zoe")
    with pytest.raises(UserError, match=r"no laps pass; the fastest of 6 took 3.00 s"):
        load(home, game, laps="time < 2")


def test_training_leaves_out_what_a_policy_drove_and_laps_cut_short(game: Game, tmp_path: Path) -> None:
    home = Home(tmp_path)
    write(home, game, "whole", race(4.0), driver="net", auto=True, lap_s=4.0)
    write(home, game, "short", race(4.0), driver="net", auto=True)
    write(home, game, "drive", race(4.0), labelled=False, policy=True)
    data = load(home, game)
    assert data.sessions == ["whole"]
    assert data.left_out == [
        "short: a lap that was not written to its end",
        "drive: a policy drove it, and nobody took over",
    ]


def test_the_hotkey_deletes_the_last_seconds_softly_and_further_back_each_time(game: Game, tmp_path: Path) -> None:
    home = Home(tmp_path)
    write(home, game, "one", race(4.0))  # 43 frames
    info = Session.open(tmp_path / "sessions/one").info.model_copy(update={"id": "two"})
    with SessionWriter(home.sessions, info) as writer:
        for i in range(30):
            writer.append(Row(Frame(image(i), i), GAS, GAS, (1,), None))
        assert writer.discard(10) == 10
        writer.append(Row(Frame(image(30), 30), GAS, GAS, (1,), None))
        assert writer.discard(5) == 5
        assert Session.open(writer.path).deleted() == [(16, 31)]
        assert writer.discard(100) == 16
    session = Session.open(writer.path)
    assert len(session) == 0
    session.restore(0, 31)
    assert len(session) == 31
