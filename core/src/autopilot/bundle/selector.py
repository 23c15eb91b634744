"""From probabilities to an action: `argmax` or `weighted` random, with temperature and seed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from autopilot.api.errors import BundleError, UserError
from autopilot.api.types import Action

Kind = Literal["weighted", "argmax"]


class Selector:
    """Chooses one value per axis.

    `weighted` draws in proportion to p^(1/temperature): 1 keeps the network's probabilities, less
    sharpens them, 0 is `argmax`, more flattens them. Raises UserError for another kind or a
    negative temperature.
    """

    def __init__(self, kind: str = "weighted", temperature: float = 1.0, seed: int = 0) -> None:
        if kind not in ("weighted", "argmax"):
            raise UserError(f"unknown selector {kind!r}: say weighted or argmax")
        if not 0 <= temperature < float("inf"):
            raise UserError(f"temperature {temperature} must be 0 or more")
        self._temperature = 0.0 if kind == "argmax" else temperature
        self._rng = np.random.default_rng(seed)

    def select(self, probabilities: Sequence[NDArray[Any]]) -> Action:
        """Return one index per axis, given one vector of probabilities per axis.

        Raises BundleError for probabilities that are not finite.
        """
        return tuple(self._choose(np.asarray(p, np.float64)) for p in probabilities)

    def _choose(self, p: NDArray[np.float64]) -> int:
        if not np.isfinite(p).all():  # argmax would choose the first NaN
            raise BundleError(f"probabilities {p.tolist()} choose no action: train the network again")
        if self._temperature == 0:
            return int(p.argmax())
        log = np.log(np.maximum(p, 1e-12)) / self._temperature
        weights = np.exp(log - log.max())
        return int(self._rng.choice(len(p), p=weights / weights.sum()))
