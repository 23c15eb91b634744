"""Arcade in lock-step: opponents and items on the real engine, a teacher that uses them, a referee that counts."""

from __future__ import annotations

from dataclasses import replace

import pytest
from autopilot.api.errors import DeviceError, UserError
from autopilot.api.types import NOTHING, WorldRequest
from autopilot.race.report import table_rows
from autopilot.race.result import RaceResult, RunResult
from autopilot_supertuxkart import assets
from autopilot_supertuxkart.arcade import ArcadeDemonstrator, ArcadeReferee
from autopilot_supertuxkart.simulation import Kart, Rival, Setting, Simulation
from autopilot_supertuxkart.world import open_arcade

PLAIN = {
    "at": (0.0, 0.0, 0.0),
    "front": (0.0, 0.0, 1.0),
    "velocity": (0.0, 0.0, 20.0),
    "speed": 20.0,
    "overall": 100.0,
    "finished": False,
    "finish_time": 0.0,
    "place": 2,
    "item": "nothing",
    "count": 0,
    "attached": "nothing",
}


class Told:
    """A simulation that says of the kart what it is told."""

    def __init__(self) -> None:
        rival = Rival(**{**PLAIN, "at": (0.0, 0.0, 12.0), "place": 1, "overall": 112.0})
        own = {"time": 10.0, "steer": 0.0, "down_track": 100.0, "laps": 0, "lap_time": 0.0, "on_road": True}
        own |= {"jumping": False, "energy": 0.0, "skid": 1.0, "shield_s": 0.0}
        self.kart = Kart(**PLAIN, **own, rivals=(rival,), things=())
        self.held = NOTHING
        side = [(0.0, 0.0), (0.0, 100.0), (100.0, 100.0), (100.0, 0.0)]
        ends = zip(side, side[1:] + side[:1], strict=True)
        self.track = {
            "segments": [[[a[0], 0.0, a[1]], [b[0], 0.0, b[1]]] for a, b in ends],
            "at": [[100.0 * i, 100.0 * (i + 1)] for i in range(4)],
            "width": [[12.0]] * 4,
            "length": 400.0,
            "bananas": [],
        }

    def change(self, rival: dict | None = None, **own: object) -> None:
        """Let 0.1 s pass, and these be different."""
        rivals = (replace(self.kart.rivals[0], **(rival or {})),)
        self.kart = replace(self.kart, **{"time": self.kart.time + 0.1, "rivals": rivals, **own})


def counted(told: Told, referee: ArcadeReferee, *names: str) -> list[float]:
    counters = referee.reading().counters
    return [counters[name] for name in names]


@pytest.mark.parametrize(
    ("item", "after", "comes_off"),
    [
        ("cake", {"rival": {"speed": 0.0}}, True),
        ("bowling", {"rival": {"speed": 0.0, "at": (0.0, 0.0, 90.0)}}, False),  # somebody else's
        ("bowling", {"rival": {"speed": 12.0}}, False),
        ("parachute", {"rival": {"attached": "parachute"}}, True),
        ("anvil", {"rival": {"attached": "swatter"}}, False),
        ("swatter", {"rival": {"speed": 6.0, "at": (0.0, 0.0, 5.0)}}, True),
        ("bubblegum", {"attached": "nothing", "shield_s": 0.0}, True),
        ("zipper", {"rival": {"speed": 0.0}}, None),  # no weapon
        ("plunger", {"rival": {"speed": 0.0}}, None),  # the engine does not tell
    ],
)
def test_a_weapon_comes_off_when_its_effect_is_seen(item, after, comes_off):
    told = Told()
    referee = ArcadeReferee(told, 3, 0.1)
    told.change(item=item, count=1)
    assert counted(told, referee, "items taken", "fired") == [1, 0]
    told.change(
        item="nothing", count=0, **({"attached": "bubblegum_shield", "shield_s": 9.9} if item == "bubblegum" else {})
    )
    weapon = comes_off is not None
    assert counted(told, referee, "items taken", "fired", "weapons", "that came off") == [1, 1, weapon, 0]
    told.change(shield_s=4.0 if item == "bubblegum" else 0.0)
    told.change(**after)
    assert counted(told, referee, "that came off") == [bool(comes_off)]


def test_a_shield_that_lasts_and_a_hit_too_late_do_not_come_off():
    told = Told()
    referee = ArcadeReferee(told, 3, 0.1)
    for item, attached in (("bubblegum", "bubblegum_shield"), ("bowling", "bubblegum_shield")):
        told.change(item=item, count=1)
        referee.reading()
        told.change(item="nothing", count=0, attached=attached, shield_s=0.2)
        referee.reading()
    told.change(attached="nothing", shield_s=0.0, time=told.kart.time + 5.0)
    told.change(rival={"speed": 0.0})
    assert counted(told, referee, "weapons", "that came off") == [2, 0]


def test_hits_taken_presses_without_an_item_and_the_distance_behind_are_counted():
    told = Told()
    referee = ArcadeReferee(told, 3, 0.1)
    for held in ({"fire"}, {"fire"}, set(), {"fire"}):  # a key that stays down is one press
        told.held = frozenset(held)
        told.change()
        referee.reading()
    told.change(speed=0.0)
    assert counted(told, referee, "presses without", "hits taken", "m behind the first") == [2, 1, 12.0]
    assert referee.reading().place == 2


@pytest.mark.parametrize(
    ("item", "rival", "fires"),
    [
        ("bowling", {}, True),
        ("bowling", {"attached": "bubblegum_shield"}, False),
        ("bowling", {"at": (8.0, 0.0, 8.0)}, False),
        ("cake", {"at": (0.0, 0.0, 50.0)}, True),
        ("cake", {"at": (0.0, 0.0, -20.0)}, False),
        ("swatter", {"at": (0.0, 0.0, -6.0)}, True),
        ("parachute", {"at": (0.0, 0.0, 200.0)}, True),
        ("bubblegum", {"at": (0.0, 0.0, 200.0)}, True),
        ("nothing", {}, False),
    ],
)
def test_the_teacher_fires_by_its_rules(item, rival, fires):
    told = Told()
    teacher = ArcadeDemonstrator(told)
    told.change(item=item, count=int(item != "nothing"), rival=rival)
    assert ("fire" in teacher.decide()) is fires
    told.held = frozenset({"fire"})
    assert "fire" not in teacher.decide(), "a key that stays down fires once"
    told.held = NOTHING
    told.change(time=1.0)
    assert "fire" not in teacher.decide(), "all karts are still together"
    told.change(time=10.0, place=1)
    assert ("fire" in teacher.decide()) is (fires and item != "parachute"), "nobody is ahead of the first"


def test_the_teacher_steers_at_boxes_when_it_has_nothing_and_around_what_lies_there():
    told = Told()
    teacher = ArcadeDemonstrator(told)
    told.change(rival={"at": (0.0, 0.0, -50.0)}, things=(("bonus_box", -4.0, 0.0, 15.0),))
    towards = teacher.decide() & {"left", "right"}
    assert len(towards) == 1
    told.change(item="cake", count=1)
    assert not teacher.decide() & {"left", "right"}
    told.change(things=(("bubblegum", -0.5, 0.0, 7.0),))
    assert teacher.decide() & {"left", "right"} not in (towards, frozenset()), "past the gum, on its other side"


@pytest.fixture
def start():
    """Start an engine with opponents, by a seed."""
    pytest.importorskip("pystk2", reason="missing: pysupertuxkart2")
    try:
        assets.game_data()
    except DeviceError:
        pytest.skip("missing: SuperTuxKart (Debian package supertuxkart)")
    started = []

    def start(seed):
        started.append(Simulation("lighthouse", 1, None, Setting(seed=seed, opponents=4)))
        started[-1].step(NOTHING, 4)
        return started[-1]

    yield start
    for one in started:
        one.close()


def test_a_race_against_the_games_own_drivers(start):
    """The teacher starts last, takes what lies there, and its place is that of its time."""
    simulation = start(3)
    assert (simulation.kart.place, len(simulation.kart.rivals)) == (5, 4)
    teacher, referee = ArcadeDemonstrator(simulation), ArcadeReferee(simulation, 1, 0.1)
    while not (reading := referee.reading()).finished and simulation.kart.time < 60:
        simulation.step(teacher.decide(), 6)
    kart = simulation.kart
    assert reading.finished
    assert reading.place == 1 + sum(0 < rival.finish_time < kart.finish_time for rival in kart.rivals)
    assert min(reading.counters[name] for name in ("items taken", "fired")) > 0
    assert 0.0 < reading.lap_times_s[0] == pytest.approx(kart.finish_time, abs=0.01)


def test_a_seed_repeats_a_race(start):
    """What opponents do and boxes hold: the same by one seed, other by another."""
    races = []
    for seed in (3, 3, 4):
        simulation, seen = start(seed), []
        teacher = ArcadeDemonstrator(simulation)
        for _ in range(220):
            simulation.step(teacher.decide(), 6)
            seen.append(simulation.kart)
        assert any(kart.item != "nothing" for state in seen for kart in (state, *state.rivals))
        races.append(seen)
    assert races[0] == races[1] != races[2]


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"opponents": 0}, "opponents=0: give 1 to 9"),
        ({"opponents": 10}, "opponents=10: give 1 to 9"),
        ({"difficulty": "exprt"}, "did you mean expert"),
    ],
)
def test_a_world_that_cannot_be(options, says):
    with pytest.raises(UserError, match=says):
        open_arcade(WorldRequest("lighthouse", "N", 10.0), **{"opponents": 4, "difficulty": "novice", **options})


def test_a_table_of_places():
    """Median, podiums and wins of those that have a place; the columns are there only then."""
    places = {"first": (1, 1, 4, 2), "last": (5, None, 5, 5)}
    runs = [
        RunResult(driver, "t", i, (40.0,), (), 0, place is not None, None, place)
        for driver, mine in places.items()
        for i, place in enumerate(mine)
    ]
    result = RaceResult("g", "G", tuple(places), ("t",), 1, 4, 10.0, tuple(runs))
    (_, head, rows), (_, runs_head, run_rows) = table_rows(result)
    at = head.index("median place")
    assert [row[at : at + 3] for row in rows] == [["1.5", "3", "2"], ["5.0", "0", "0"]]
    assert [row[runs_head.index("place")] for row in run_rows] == ["1", "1", "4", "2", "5", "-", "5", "5"]
    without = replace(result, runs=tuple(replace(run, place=None) for run in runs))
    assert not any("place" in name for _, head, _ in table_rows(without) for name in head)


def test_nobody_plays_it_yet():
    with pytest.raises(UserError, match="nobody can play Arcade yet"):
        open_arcade(WorldRequest("lighthouse", "N", 10.0, human=True), 4, "novice")
