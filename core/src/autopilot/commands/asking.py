"""A bundle that is asked about pictures, and answers by names."""

from __future__ import annotations

from dataclasses import dataclass
from time import monotonic_ns
from typing import TYPE_CHECKING

from autopilot.api.errors import UserError
from autopilot.api.types import Frame, Held, Image
from autopilot.drive.drivers import PolicyDriver
from autopilot.drive.lineup import Entrant
from autopilot.drive.timing import Timing

if TYPE_CHECKING:
    from autopilot.bundle.manifest import Manifest


@dataclass(frozen=True)
class NamedDecision:
    """What a policy makes of a picture: axis -> value -> probability, axis -> chosen value, what to hold."""

    probabilities: dict[str, dict[str, float]]
    action: dict[str, str]
    held: Held


class NamedPolicy:
    """A bundle, ready to be asked. It decides as it drives: the same preprocessing, network and selection.

    `manifest` is what the bundle says of itself, `policy` the network below, `image_shape` (H, W, 3) what it takes.
    """

    def __init__(self, entrant: Entrant) -> None:
        if entrant.policy is None:
            raise UserError(f"{entrant.name} is no bundle: nothing is asked about pictures but a network")
        self.name, self.policy, self._labels = entrant.name, entrant.policy, entrant.label_map
        self.manifest: Manifest = self.policy.manifest
        width, height = self.policy.preprocess.source
        self.image_shape = (height, width, 3)
        self._driver = PolicyDriver(self.policy, entrant.select(0), self._labels, Timing(entrant.hz, lockstep=True))

    def __repr__(self) -> str:
        return f"<bundle {self.name}: {self.manifest.model} for {self.manifest.game}, {self.manifest.space}>"

    def decide(self, image: Image) -> NamedDecision:
        """Return what it makes of a frame as it is recorded: uint8 RGB of `image_shape`.

        Raises UserError for another shape or type, BundleError where the network gives no numbers.
        """
        its = (str(getattr(image, "dtype", type(image).__name__)), tuple(getattr(image, "shape", ())))
        if its != ("uint8", self.image_shape):
            raise UserError(f"bundle {self.name} looks at uint8 {self.image_shape} RGB, not at {its[0]} {its[1]}")
        decision = self._driver.decide(Frame(image, monotonic_ns()))
        axes, action = self.manifest.space.axes, self._labels.action(decision.held)
        assert decision.probabilities is not None, "a policy always says how probable"
        assert action is not None, "what a label map holds for an action comes back as that"
        told = zip(axes, decision.probabilities, action, strict=True)
        chances, chosen = {}, {}
        for axis, p, value in told:
            chances[axis.name] = dict(zip(axis.values, map(float, p), strict=True))
            chosen[axis.name] = axis.values[value]
        return NamedDecision(chances, chosen, decision.held)

    def probabilities(self, image: Image) -> dict[str, dict[str, float]]:
        """Return the probability of each value of each axis; errors as in `decide`."""
        return self.decide(image).probabilities

    def reset(self) -> None:
        """Begin anew: the next picture follows none of those before, which a network of several frames remembers."""
        self._driver.released()
