"""Whoever decides: a human, a demonstrator, chance, or a policy. Frame in, decision out; and wrappers around them."""

from __future__ import annotations

import random
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

from autopilot.api.analogue import split_level
from autopilot.api.interfaces import Demonstrator, LabelMap, Reader
from autopilot.api.types import NOTHING, Decision, Frame, Held

if TYPE_CHECKING:
    from autopilot.bundle.selector import Selector
    from autopilot.drive.timing import Timing
    from autopilot.learn.policy import Policy


class Driver(ABC):
    """Decides on each frame what to hold. Of the world it sees the frame and nothing else."""

    @abstractmethod
    def decide(self, frame: Frame) -> Decision:
        """Return what to hold, given the frame as it is recorded; raises Away where nothing may be held."""

    def meanwhile(self) -> bool:
        """Look at the human between two decisions; return whether everything must be let go of at once."""
        return False

    def pause(self) -> bool:
        """Hear the pause key; return whether it was meant for this driver, so that nothing pauses."""
        return False

    def released(self) -> None:  # noqa: B027 - most drivers need not know
        """Hear that everything was let go of: the run is paused, the game away, or a human has taken the wheel."""


class DriverWrapper(Driver):
    """Another driver, with something done to its decisions; the rest is passed on."""

    def __init__(self, driver: Driver) -> None:
        self.driver = driver

    def decide(self, frame: Frame) -> Decision:
        """Let the driver decide."""
        return self.driver.decide(frame)

    def meanwhile(self) -> bool:
        """Pass it on."""
        return self.driver.meanwhile()

    def pause(self) -> bool:
        """Pass it on."""
        return self.driver.pause()

    def released(self) -> None:
        """Pass it on."""
        self.driver.released()


class HumanDriver(Driver):
    """Whatever the human holds at this instant, and what they tapped since the last one."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self._before = self._seen = NOTHING

    def meanwhile(self) -> bool:
        """Look between two decisions, so that a tap shorter than their distance is not lost."""
        self._seen |= self._reader.held()
        return False

    def decide(self, frame: Frame) -> Decision:
        """Read the human's keys."""
        now = self._reader.held()
        held = with_taps(now, self._seen, self._before)
        self._before, self._seen = now, NOTHING
        return Decision(held, held)


def with_taps(now: Held, seen: Held, before: Held = NOTHING) -> Held:
    """Return what is held now, and of what was seen since `before` what went down and up again.

    An analogue control that is held now, or was before, has passed its other levels and tapped none.
    """
    known = {split_level(control)[0] for control in now | before}
    furthest_last = sorted(seen, key=lambda control: abs(split_level(control)[1] or 0))
    taps = {name: control for control in furthest_last if (name := split_level(control)[0]) not in known}
    return now.union(taps.values())


class DemonstratorDriver(Driver):
    """A game's scripted driver, rounded to what the label map can say."""

    def __init__(self, demonstrator: Demonstrator, label_map: LabelMap) -> None:
        self._demonstrator, self._label_map = demonstrator, label_map

    def decide(self, frame: Frame) -> Decision:
        """Ask the script."""
        held = self._demonstrator.decide()
        action = self._label_map.action(held)
        rounded = held if action is None else self._label_map.held(action)
        return Decision(rounded, rounded)


class RandomDriver(Driver):
    """Draws a new action every so many decisions; the honest zero of a race table."""

    def __init__(self, label_map: LabelMap, seed: int, every: int = 3) -> None:
        self._label_map, self._random, self._every = label_map, random.Random(seed), every
        self._count, self._held = 0, NOTHING

    def decide(self, frame: Frame) -> Decision:
        """Draw."""
        if self._count % self._every == 0:
            self._held = _random_held(self._label_map, self._random)
        self._count += 1
        return Decision(self._held, self._held)


class PolicyDriver(Driver):
    """A network: preprocess, probabilities, selection."""

    def __init__(self, policy: Policy, selector: Selector, label_map: LabelMap, timing: Timing) -> None:
        self._preprocess, self._stream = policy.preprocess, policy.stream()
        self._selector, self._label_map, self._timing = selector, label_map, timing

    def decide(self, frame: Frame) -> Decision:
        """Drive from the pixels alone."""
        with self._timing.stage("preprocess"):
            image = self._preprocess(frame.image)
        with self._timing.stage("policy"):
            probabilities = self._stream.probabilities(image)
        with self._timing.stage("select"):
            held = self._label_map.held(self._selector.select(probabilities))
        return Decision(held, held, probabilities)

    def released(self) -> None:
        """Begin anew: the frames to come do not follow those before."""
        self._stream.reset()


class NoisyDriver(DriverWrapper):
    """Replaces what is sent by a random action now and then; the label stays clean.

    Noise injected into the demonstrator teaches recovery: DART, arXiv:1703.09327. At each decision
    a disturbance starts with probability `share`. It lasts 2 to 5 decisions, one in eight of them
    three times as long: enough to brake to a standstill, which a good driver never shows.
    """

    def __init__(self, driver: Driver, label_map: LabelMap, share: float, seed: int) -> None:
        super().__init__(driver)
        self._label_map, self._share, self._random = label_map, share, random.Random(seed)
        self._left, self._noise = 0, NOTHING

    def decide(self, frame: Frame) -> Decision:
        """Let the driver decide, then perhaps send something else."""
        decision = self.driver.decide(frame)
        if self._left == 0 and self._random.random() < self._share:
            self._left = self._random.randint(2, 5) * self._random.choice((1, 1, 1, 1, 1, 1, 1, 3))
            self._noise = _random_held(self._label_map, self._random)
        if self._left == 0:
            return decision
        self._left -= 1
        return Decision(decision.held, self._noise, decision.probabilities)


class RelabellingDriver(DriverWrapper):
    """One drives, another says what it would do there: the label.

    So a policy's own mistakes become data: DAgger, arXiv:1011.0686.
    """

    def __init__(self, driver: Driver, teacher: Driver) -> None:
        super().__init__(driver)
        self._teacher = teacher

    def decide(self, frame: Frame) -> Decision:
        """Send the one's decision, keep the other's."""
        decision = self.driver.decide(frame)
        return Decision(self._teacher.decide(frame).held, decision.sent, decision.probabilities)


def _random_held(label_map: LabelMap, rng: random.Random) -> Held:
    return label_map.held(tuple(rng.randrange(n) for n in label_map.action_space.sizes))
