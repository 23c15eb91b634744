"""One wheel for two: who decides, what is sent, and a network that is replaced between two frames."""

from __future__ import annotations

import numpy as np
import pytest
from autopilot.api import NOTHING, Away, Decision, Frame, Held
from autopilot.api.errors import BundleError
from autopilot.drive.drivers import Driver
from autopilot_coach.people import Person
from autopilot_coach.wheel import Wheel

LEFT, RIGHT = frozenset({"left"}), frozenset({"right"})


class Someone(Person):
    """Holds what it is told, None for nothing to say."""

    hold: Held | None = None
    takes = False

    def holds(self, frame: Frame, network: Decision | None) -> Held | None:
        return self.hold

    def glance(self) -> bool:
        return self.takes

    def hand_over(self) -> bool:
        self.trusts = not self.trusts
        return True


class Network(Driver):
    """Holds one thing, whatever it sees; None: its probabilities are no numbers."""

    def __init__(self, hold: Held | None) -> None:
        self.hold, self.resets = hold, 0

    def decide(self, frame: Frame) -> Decision:
        if self.hold is None:
            raise BundleError("its network gives probabilities that are no numbers (NaN)")
        return Decision(self.hold, self.hold, (np.ones(1, np.float32),))

    def released(self) -> None:
        self.resets += 1


@pytest.fixture
def someone() -> Someone:
    return Someone()


FRAME = Frame(np.zeros((4, 4, 3), np.uint8), 0)


def test_without_a_network_the_person_drives(someone: Someone) -> None:
    wheel = Wheel(someone, sends=True, lockstep=True)
    assert wheel.decide(FRAME) == Decision(NOTHING, NOTHING, by_human=True)
    assert not wheel.pause(), "the pause key pauses"
    assert not wheel.trusted


def test_a_network_is_swapped_between_two_frames(someone: Someone) -> None:
    wheel = Wheel(someone, sends=True, lockstep=True)
    for name, hold in (("a", LEFT), ("b", RIGHT)):
        wheel.give(name, Network(hold))
        decision = wheel.decide(FRAME)
        assert (wheel.name, decision.sent, decision.by_human) == (name, hold, False)
    assert wheel.trusted


def test_the_person_comes_first(someone: Someone) -> None:
    wheel = Wheel(someone, sends=True, lockstep=True)
    wheel.give("a", Network(LEFT))
    someone.hold = RIGHT
    decision = wheel.decide(FRAME)
    assert (decision.held, decision.sent, decision.by_human) == (RIGHT, RIGHT, True)
    assert decision.probabilities is not None, "what the network thought can still be seen"


def test_nothing_is_pressed_for_a_person_whose_keys_reach_the_game(someone: Someone) -> None:
    wheel = Wheel(someone, sends=False, lockstep=False)
    wheel.give("a", Network(LEFT))
    someone.hold = RIGHT
    assert wheel.decide(FRAME).sent == NOTHING
    someone.hold = None
    assert wheel.decide(FRAME).sent == LEFT


def test_what_the_network_holds_goes_when_the_person_takes_the_wheel(someone: Someone) -> None:
    wheel = Wheel(someone, sends=False, lockstep=False)
    wheel.give("a", Network(LEFT))
    wheel.decide(FRAME)
    assert not wheel.meanwhile()
    someone.takes = True
    assert wheel.meanwhile()


def test_the_pause_key_hands_over(someone: Someone) -> None:
    wheel = Wheel(someone, sends=True, lockstep=True)
    wheel.give("a", Network(LEFT))
    assert wheel.pause()
    assert not wheel.trusted


def test_a_network_whose_answers_are_no_numbers_is_dropped(someone: Someone) -> None:
    wheel = Wheel(someone, sends=True, lockstep=True)
    wheel.give("a", Network(None))
    assert wheel.decide(FRAME).by_human
    assert wheel.fault is not None
    assert wheel.name is None
    wheel.give("b", Network(LEFT))
    assert wheel.fault is None
    assert wheel.decide(FRAME).sent == LEFT


def test_a_picture_that_stands_still_is_away(someone: Someone, monkeypatch: pytest.MonkeyPatch) -> None:
    wheel = Wheel(someone, sends=False, lockstep=False)
    wheel.give("a", Network(LEFT))
    now = [0.0]
    monkeypatch.setattr("autopilot.drive.takeover.time.monotonic", lambda: now[0])
    wheel.decide(FRAME)
    now[0] = 1.0
    with pytest.raises(Away):
        wheel.decide(FRAME)
    someone.hold = RIGHT
    assert wheel.decide(FRAME).by_human, "a person may stand as long as they like"


def test_a_network_that_remembers_hears_of_missed_frames(someone: Someone) -> None:
    wheel = Wheel(someone, sends=True, lockstep=True)
    network = Network(LEFT)
    wheel.released()
    wheel.give("a", network)
    wheel.released()
    assert network.resets == 1
