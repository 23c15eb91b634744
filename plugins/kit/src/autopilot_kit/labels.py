"""Checks of a label map: every action comes back, mirrored too, and whatever a human holds has an answer."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from itertools import combinations

from autopilot.api import NOTHING, ActionSpace, Axis, GameSpec, Held, LabelMap, check_label_map, split_level

from autopilot_kit.subject import Subject

SIDES = {"left": "right", "right": "left"}


class LabelMapChecks(Subject):
    """A label map, with the controls of its game."""

    checks = ("round_trip", "axes", "mirror", "anything_held")

    @cached_property
    def labels(self) -> LabelMap:
        """The label map, made once."""
        made: LabelMap = self.load(self.spec.make, LabelMap)()
        return made

    @cached_property
    def controls(self) -> tuple[str, ...]:
        """The controls of its game."""
        game: GameSpec = self.registry.get("game", self.spec.games[0])
        return game.controls

    @property
    def _space(self) -> ActionSpace:
        return self.labels.action_space

    def round_trip(self) -> Iterator[str]:
        """Every action means itself again by what is held for it, which is controls of the game."""
        try:
            check_label_map(self.labels, self.controls)
        except ValueError as e:
            fix = "name controls of its GameSpec" if "no control" in str(e) else "let action(held(a)) be a for every a"
            yield f"{e}; {fix}"

    def axes(self) -> Iterator[str]:
        """Axes are made by `Axis`, which checks them; a second call gives the same."""
        for axis in self._space.axes:
            again = Axis(axis.name, tuple(axis.values), tuple(axis.mirror))  # raises for what is no permutation
            if again != axis:
                yield f"axis {axis.name}: is no Axis; make it by autopilot.api.Axis"
        if self.load(self.spec.make, LabelMap)().action_space != self._space:
            yield "two calls of make give different action spaces; make the same every time"

    def mirror(self) -> Iterator[str]:
        """Mirrored, left is right: by the values' names, and by what is held."""
        for axis in self._space.axes:
            for i, value in enumerate(axis.values):
                other = "-".join(SIDES.get(word, word) for word in value.split("-"))
                level = split_level(f"{axis.name}:{value}")[1]  # whose sign may be a side or, of a pedal, none
                if other in axis.values and axis.values[axis.mirror[i]] != other and level is None:
                    said = axis.values[axis.mirror[i]]
                    yield f"axis {axis.name}: {value!r} mirrored is {said!r}; say mirror={{{value!r}: {other!r}}}"
                    return
        for joint in range(self._space.joint_size):
            action = self._space.split(joint)
            swapped = frozenset(
                other_side(control) if split_level(control)[0] in self._turned else swap(control, self.controls)
                for control in self.labels.held(action)
            )
            back, wanted = self.labels.action(swapped), self._space.mirror(action)
            if back is not None and back != wanted:
                said = self._space.describe(back)
                yield (
                    f"{self._space.describe(action)} mirrored is {self._space.describe(wanted)}, but its controls "
                    f"mirrored, {sorted(swapped)}, mean {said}; let the axes' mirror swap what those controls mean"
                )
                return

    @cached_property
    def _turned(self) -> set[str]:
        """The analogue controls of which a mirrored action holds the opposite level: steering, and no pedal."""
        actions = list(map(self._space.split, range(self._space.joint_size)))
        sides = [(self.labels.held(action), self.labels.held(self._space.mirror(action))) for action in actions]
        return {
            split_level(c)[0] for held, other in sides for c in held if c != other_side(c) and other_side(c) in other
        }

    def anything_held(self) -> Iterator[str]:
        """Whatever a human holds is an action, or None: none, each, each two and all of the controls."""
        sets: list[Held] = [NOTHING, frozenset(self.controls)]
        sets += [frozenset(few) for n in (1, 2) for few in combinations(self.controls, n)]
        for held in sets:
            action = self.labels.action(held)
            if action is not None and not self._space.fits(action):
                yield f"{sorted(held)} means {action}, which is no action of {self._space}; give an index of each axis"
                return
            if self.labels.action(held) != action:
                yield f"{sorted(held)} means now {action}, now something else; let the same controls mean the same"
                return


def other_side(control: str) -> str:
    """Return the opposite level of an analogue control; any other as it is."""
    name, level = split_level(control)
    return control if level is None else f"{name}:{-level:g}"


def swap(control: str, controls: tuple[str, ...]) -> str:
    """Return the control of the other side, if the game has one."""
    for side, other in SIDES.items():
        if side in control and control.replace(side, other) in controls:
            return control.replace(side, other)
    return control
