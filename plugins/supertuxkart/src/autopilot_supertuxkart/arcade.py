"""Arcade, in lock-step: a teacher that uses what it collects, and a referee that sees what came of it."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from autopilot.api import NOTHING, Held, Reading

from autopilot_supertuxkart.demonstrator import DemonstratorPro
from autopilot_supertuxkart.line import wrap
from autopilot_supertuxkart.referee import HIT_MPS, Referee
from autopilot_supertuxkart.simulation import Kart, Rival, Simulation

BOX_M, BOX_OFF = (6.0, 30.0), 0.3
"""A box is worth a detour when it lies so far ahead, and no more than these radians off the course."""
PASS_M, PASS_MPS = 14.0, 1.0
"""A kart so near that is slower by so much is steered around."""
START_S = 3.0
"""So long nothing is fired: all karts are together, and a shield would be gone before it is needed."""
AIMED = {"bowling": (22.0, 0.1), "plunger": (20.0, 0.1), "cake": (55.0, 0.5), "swatter": (9.0, math.inf)}
"""These are fired at a kart no farther away than so many metres, and so many radians off where the kart points. The
game's powerup.xml has the reach of each."""
AT_ONCE = ("bubblegum", "switch")
"""A shield; and what turns bananas into boxes."""
SEEKING = ("parachute", "anvil", "rubberball")
"""These find the karts ahead by themselves."""
SHIELD = "bubblegum_shield"


class ArcadeDemonstrator(DemonstratorPro):
    """Drives as `demonstrator-pro`, and collects, passes and fires by rules.

    With nothing at hand it steers at the nearest box in reach; it steers around what lies on the road and around
    slower karts. Zippers are fired where the road is straight, shields at once, what is aimed at a kart in its reach
    that has no shield, and what seeks the karts ahead when there is one.
    """

    def decide(self) -> Held:
        """Return what to hold now."""
        held, kart = super().decide(), self._simulation.kart
        if kart.item != "zipper":
            held = held | {"fire"} if self._fires(kart) else held - {"fire"}
        return held - {"fire"} if "fire" in self._simulation.held else held  # a key that stays down fires once

    def _fires(self, kart: Kart) -> bool:
        if kart.time < START_S:
            return False
        if kart.item in SEEKING:
            return kart.place > 1
        if kart.item in AIMED:
            reach, off = AIMED[kart.item]
            seen = [_seen(kart, rival.at) for rival in kart.rivals if rival.attached != SHIELD]
            return any(away < reach and abs(bearing) < off for away, bearing in seen)
        return kart.item in AT_ONCE

    def _aim(self, kart: Kart) -> tuple[float, float]:
        x, z = super()._aim(kart)
        if kart.item != "nothing":
            return x, z
        _, course = _seen(kart, (x, 0.0, z))
        boxes = [place for kind, *place in kart.things if kind == "bonus_box"]
        (near, far), seen = BOX_M, [(*_seen(kart, box), box) for box in boxes]
        reached = [(away, box) for away, off, box in seen if near < away < far and abs(off - course) < BOX_OFF]
        _, box = min(reached, default=(0.0, [x, 0.0, z]))
        return box[0], box[2]

    def _obstacles(self, kart: Kart) -> Sequence[tuple[float, float]]:
        lying = [(x, z) for kind, x, _, z in kart.things if kind in ("banana", "bubblegum")]
        slow = [r for r in kart.rivals if math.dist(r.at, kart.at) < PASS_M and r.speed < kart.speed - PASS_MPS]
        return lying + [(rival.at[0], rival.at[2]) for rival in slow]


def _seen(kart: Kart, at: Sequence[float]) -> tuple[float, float]:
    """Return how far away a place is, in metres, and how many radians off where the kart points, to the right."""
    dx, dz = at[0] - kart.at[0], at[2] - kart.at[2]
    return math.hypot(dx, dz), wrap(math.atan2(dx, dz) - kart.heading)


@dataclass
class Use:
    """An item that was fired, when, and whether it was seen to come off."""

    item: str
    time: float
    came_off: bool = False


NEAR_M, SWAT_M = 60.0, 10.0
"""A kart that is farther away when it is thrown up, or slowed, was somebody else's aim."""


def _thrown(before: Rival, now: Rival) -> bool:
    """Whether an explosion threw a kart up: from one decision to the next, it stands."""
    return before.speed > HIT_MPS and abs(now.speed) < 0.01


def _threw(last: Kart, kart: Kart) -> bool:
    pairs = zip(last.rivals, kart.rivals, strict=True)
    return any(_thrown(a, b) and math.dist(b.at, kart.at) < NEAR_M for a, b in pairs)


def _hung(last: Kart, kart: Kart) -> bool:
    hung = [b for a, b in zip(last.rivals, kart.rivals, strict=True) if a.attached != b.attached]
    return any(b.attached in SEEKING for b in hung)


def _swatted(last: Kart, kart: Kart) -> bool:
    pairs = zip(last.rivals, kart.rivals, strict=True)
    return any(a.speed - b.speed > HIT_MPS and math.dist(b.at, kart.at) < SWAT_M for a, b in pairs)


def _shielded(last: Kart, kart: Kart) -> bool:
    """Whether a shield went before its time."""
    return last.attached == SHIELD != kart.attached and last.shield_s > 0.3


EFFECTS: dict[str, tuple[float, Callable[[Kart, Kart], bool]]] = {
    "cake": (3.0, _threw),
    "bowling": (4.0, _threw),
    "rubberball": (15.0, _threw),
    "parachute": (0.4, _hung),
    "anvil": (0.4, _hung),
    "swatter": (10.0, _swatted),
    "bubblegum": (10.0, _shielded),
}
"""Weapon -> how many seconds it may take, and what shows from one decision to the next that it came off. What a
plunger does, the engine does not tell; zippers and switches are no weapons."""


class ArcadeReferee(Referee):
    """Also tells the place, and counts items: taken, fired, and of the weapons among them those that came off."""

    def __init__(self, simulation: Simulation, laps: int, period_s: float) -> None:
        super().__init__(simulation, laps, period_s)
        self._uses: list[Use] = []
        self._taken = self._hits = self._blanks = 0
        self._fired: Held = NOTHING

    def reading(self) -> Reading:
        """Return the current state of the race."""
        reading, kart = super().reading(), self._simulation.kart
        weapons = [use for use in self._uses if use.item in EFFECTS]
        counted: dict[str, float] = {
            "items taken": self._taken,
            "fired": len(self._uses),
            "weapons": len(weapons),
            "that came off": sum(use.came_off for use in weapons),
            "presses without": self._blanks,
            "hits taken": self._hits,
        }
        behind = max((rival.overall for rival in kart.rivals), default=0.0) - kart.overall
        counted["m behind the first"] = round(max(0.0, behind), 1)
        return replace(reading, place=kart.place, counters={**reading.counters, **counted})

    def _watch(self, kart: Kart, last: Kart) -> bool:
        incident = super()._watch(kart, last)
        self._hits += _thrown(last, kart)
        self._taken += kart.item != "nothing" and (kart.item != last.item or kart.count > last.count)
        if last.item != "nothing" and (kart.item != last.item or kart.count < last.count):
            self._uses.append(Use(last.item, kart.time))
        held = self._simulation.held
        self._blanks += "fire" in held and "fire" not in self._fired and last.item == "nothing"
        self._fired = held
        for use in self._uses:
            seconds, shows = EFFECTS.get(use.item, (0.0, _threw))
            use.came_off = use.came_off or (kart.time - use.time <= seconds and shows(last, kart))
        return incident
