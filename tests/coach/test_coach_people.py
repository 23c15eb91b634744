"""Who sits at the wheel: the stand-ins' hands, and how a person takes and gives it."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from autopilot.api import NOTHING, Choice, ChoiceAxis, ChoiceLabelMap, Decision, Frame, Held, Reading
from autopilot_coach.people import GRACE_S, Lagged, Player, Scripted

HZ = 50.0
LEFT, RIGHT = frozenset({"left"}), frozenset({"right"})
STEER = ChoiceAxis("steer", [Choice("left", LEFT), Choice("forward"), Choice("right", RIGHT)], mirror={"left": "right"})
LABELS = ChoiceLabelMap([STEER])
SURE = {LEFT: (0.98, 0.01, 0.01), NOTHING: (0.01, 0.98, 0.01), RIGHT: (0.01, 0.01, 0.98)}


class Script:
    """A demonstrator that wants what it is told."""

    def __init__(self) -> None:
        self.wish: Held = NOTHING

    def decide(self) -> Held:
        return self.wish


class Race:
    """A referee's word, and pictures that move."""

    def __init__(self) -> None:
        self.now = Reading()
        self._count = itertools.count()
        self.moves = True

    def frame(self) -> Frame:
        n = next(self._count) if self.moves else 0
        return Frame(np.full((4, 4, 3), 10 * n % 250, np.uint8), 0)

    def reading(self) -> Reading:
        return self.now


def says(held: Held) -> Decision:
    return Decision(held, held, tuple(np.array([SURE[held]], np.float32)))


@pytest.fixture
def script() -> Script:
    return Script()


@pytest.fixture
def race() -> Race:
    return Race()


def scripted(script: Script, race: Race, drives: bool = False) -> Scripted:
    return Scripted(script, LABELS, race.reading, HZ, drives)


def drive(person: Scripted, race: Race, network: Decision | None, seconds: float) -> list[Held | None]:
    return [person.holds(race.frame(), network) for _ in range(round(seconds * HZ))]


def test_without_a_network_the_script_drives(script: Script, race: Race) -> None:
    script.wish = LEFT
    assert drive(scripted(script, race), race, None, 0.2) == [LEFT] * 10


def test_a_network_that_agrees_is_left_alone(script: Script, race: Race) -> None:
    script.wish = LEFT
    assert drive(scripted(script, race), race, says(LEFT), 3) == [None] * 150


def test_one_that_disagrees_for_long_is_corrected_and_gets_the_wheel_back(script: Script, race: Race) -> None:
    person, script.wish = scripted(script, race), LEFT
    held = drive(person, race, says(RIGHT), 1)
    assert held.index(LEFT) == pytest.approx(Scripted.APART_S * HZ, abs=1)
    assert held[-1] == LEFT
    held = drive(person, race, says(LEFT), 2)
    assert held.index(None) == pytest.approx(Scripted.CALM_S * HZ, abs=1)


def test_the_referee_says_when_it_is_astray(script: Script, race: Race) -> None:
    person = scripted(script, race)
    race.now = Reading(incident=True)
    assert person.holds(race.frame(), says(NOTHING)) == NOTHING
    race.now = Reading()
    assert drive(person, race, says(NOTHING), Scripted.CALM_S + 0.1)[-1] is None
    race.now = Reading(wrong_way=True)
    assert person.holds(race.frame(), says(NOTHING)) == NOTHING


def test_a_picture_that_stands_still_is_noticed(script: Script, race: Race) -> None:
    person, race.moves = scripted(script, race), False
    held = drive(person, race, says(NOTHING), 2)
    assert held.index(NOTHING) == pytest.approx(Scripted.STILL_S * HZ, abs=2)


def lagged(script: Script, race: Race, seed: int = 0, drives: bool = True) -> Lagged:
    return Lagged(script, LABELS, race.reading, HZ, seed, drives)


def test_the_lagged_one_is_late(script: Script, race: Race) -> None:
    person = lagged(script, race)
    person.SLIP_EVERY_S = 1e9
    drive(person, race, None, 1)
    script.wish = LEFT
    held = drive(person, race, None, 1)
    assert Lagged.LAG_S[0] * HZ - 1 <= held.index(LEFT) <= Lagged.LAG_S[1] * HZ + 1


def test_after_a_long_straight_it_is_later(script: Script, race: Race) -> None:
    person = lagged(script, race)
    person.SLIP_EVERY_S = 1e9
    drive(person, race, None, 5)
    script.wish = LEFT
    assert drive(person, race, None, 1).index(LEFT) >= 1.5 * Lagged.LAG_S[0] * HZ - 1


def test_its_presses_last(script: Script, race: Race) -> None:
    person, held = lagged(script, race, seed=3), list[Held]()
    for wish in itertools.islice(itertools.cycle((LEFT, NOTHING, RIGHT, NOTHING)), 400):
        script.wish = wish
        held += [h or NOTHING for h in drive(person, race, None, 0.06)]
    for control in ("left", "right"):
        runs = [(down, len(list(run))) for down, run in itertools.groupby(control in h for h in held)]
        presses = [length for down, length in runs[:-1] if down]
        assert len(presses) > 20
        assert min(presses) / HZ >= Lagged.PRESS_S


def test_it_slips_now_and_then(script: Script, race: Race) -> None:
    def hold() -> list[Held | None]:
        person, script.wish = lagged(script, race, seed=1), LEFT
        person.SLIP_EVERY_S = 4
        return drive(person, race, None, 60)[round(HZ) :]

    held = hold()
    slips = sum(1 for down, _ in itertools.groupby(h == LEFT for h in held) if not down)
    assert 2 <= slips <= 20  # half of fifteen, on the average: with the key down already, sticking is no error
    assert held == hold(), "the same seed errs alike"


def test_it_takes_the_wheel_late_and_lets_go_of_all(script: Script, race: Race) -> None:
    person = lagged(script, race, drives=False)
    assert person.holds(race.frame(), says(NOTHING)) is None
    race.now = Reading(incident=True)
    held = drive(person, race, says(NOTHING), 1)
    first = next(i for i, h in enumerate(held) if h is not None)
    assert Lagged.LAG_S[0] * HZ - 1 <= first <= Lagged.LAG_S[1] * HZ + 1
    race.now = Reading()
    assert drive(person, race, says(NOTHING), 2)[-1] is None


class Keys:
    """A reader of keys that are down."""

    def __init__(self) -> None:
        self.down: Held = NOTHING

    def held(self) -> Held:
        return self.down

    def hotkeys(self) -> tuple[str, ...]:
        return ()

    def close(self) -> None:
        pass


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [100.0]
    monkeypatch.setattr("autopilot_coach.people.time.monotonic", lambda: now[0])
    return now


def test_a_person_drives_until_they_hand_over(race: Race, clock: list[float]) -> None:
    keys = Keys()
    person = Player(keys)
    assert person.holds(race.frame(), says(RIGHT)) == NOTHING
    assert person.hand_over()
    assert person.holds(race.frame(), says(RIGHT)) is None
    keys.down = LEFT
    assert person.glance(), "what the network holds must go at once"
    assert person.holds(race.frame(), says(RIGHT)) == LEFT
    keys.down = NOTHING
    assert person.holds(race.frame(), says(RIGHT)) == NOTHING, "a tap is followed by another"
    clock[0] += GRACE_S
    assert person.holds(race.frame(), says(RIGHT)) is None
    assert person.hand_over()
    assert person.holds(race.frame(), says(RIGHT)) == NOTHING


def test_a_tap_between_two_frames_counts(race: Race, clock: list[float]) -> None:
    keys = Keys()
    person = Player(keys)
    person.hand_over()
    keys.down = LEFT
    assert person.glance()
    keys.down = NOTHING
    assert person.holds(race.frame(), says(RIGHT)) == LEFT
    assert person.holds(race.frame(), None) == NOTHING, "without a network a person drives, whatever they handed over"
