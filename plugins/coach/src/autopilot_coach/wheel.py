"""One wheel for two: a person, and the network that learns from them."""

from __future__ import annotations

from autopilot.api import NOTHING, Decision, Frame
from autopilot.api.errors import BundleError
from autopilot.drive.drivers import Driver
from autopilot.drive.takeover import Stillness

from autopilot_coach.people import Person


class Wheel(Driver):
    """Whoever has the wheel decides; the network, of that `name`, may be replaced between any two frames.

    `sends` says whether what the person holds must be sent: their keys reach a game on the screen by themselves. Unless
    `lockstep`, a picture that stands still while the network holds something counts as away.
    `fault` says why the network was dropped, if it was: it answered with what are no numbers.
    """

    def __init__(self, person: Person, sends: bool, lockstep: bool) -> None:
        self.person, self._sends = person, sends
        self._stillness = None if lockstep else Stillness()
        self._network: Driver | None = None
        self.name: str | None = None
        self._by_human = True
        self.fault: BundleError | None = None

    def give(self, name: str, network: Driver) -> None:
        """Put another network in the place of the one that there is."""
        self.name, self._network, self.fault = name, network, None

    @property
    def trusted(self) -> bool:
        """Whether a network drives, unless it is corrected."""
        return self._network is not None and self.person.trusts

    def decide(self, frame: Frame) -> Decision:
        """Return the person's decision, or else the network's."""
        theirs = self._ask(frame)
        held = self.person.holds(frame, theirs)
        self._by_human = theirs is None or held is not None
        if theirs is not None and held is None:
            if self._stillness is not None:
                self._stillness.check(frame.image, bool(theirs.sent))
            return theirs
        held = held or NOTHING
        seen = None if theirs is None else theirs.probabilities
        return Decision(held, held if self._sends else NOTHING, seen, by_human=True)

    def _ask(self, frame: Frame) -> Decision | None:
        """Return what the network would do; it sees every frame, so that one that remembers has seen all."""
        try:
            return None if self._network is None else self._network.decide(frame)
        except BundleError as e:
            self._network, self.name, self.fault = None, None, e
            return None

    def meanwhile(self) -> bool:
        """Look whether the person takes the wheel now: then what the network holds must go, or is in their way."""
        return self.person.glance() and not self._by_human

    def pause(self) -> bool:
        """Hand the wheel over, or take it back: the pause key means that as soon as there is a network."""
        return self._network is not None and self.person.hand_over()

    def released(self) -> None:
        """Pass on that frames were missed."""
        if self._network is not None:
            self._network.released()
