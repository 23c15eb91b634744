"""A label map that is a table: each axis lists its values and the controls that mean them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import combinations
from typing import TYPE_CHECKING

from autopilot.api.analogue import levels
from autopilot.api.types import NOTHING, Action, ActionSpace, Axis, Held

if TYPE_CHECKING:
    from autopilot.api.interfaces import LabelMap

MOST_ACTIONS = 4096
"""The largest number of actions of a label map: each is checked whenever a label map is created."""


@dataclass(frozen=True)
class Choice:
    """One value of an axis and the controls that are held for it (none: the neutral value).

    `also` are other sets of controls that a human may hold to mean the same.
    """

    value: str
    controls: Held = NOTHING
    also: Sequence[Held] = ()


@dataclass(frozen=True)
class ChoiceAxis:
    """An axis as choices, in order of precedence: the first whose controls are all held wins.

    `mirror` names the pairs that swap when the picture is flipped. `conflicts` are sets of
    controls that contradict each other: a frame that holds all of one is skipped.

    Raises ValueError if `mirror` or `precedence` names an unknown value.
    """

    name: str
    choices: Sequence[Choice]
    precedence: Sequence[str] = ()
    mirror: Mapping[str, str] = field(default_factory=dict)
    conflicts: Sequence[Held] = ()

    def __post_init__(self) -> None:
        values = [choice.value for choice in self.choices]
        for where, named in (("mirror", [*self.mirror, *self.mirror.values()]), ("precedence", self.precedence)):
            if unknown := [name for name in named if name not in values]:
                raise ValueError(f"axis {self.name}: {where} names {unknown[0]!r}, but its values are {values}")

    @property
    def controls(self) -> Held:
        """All controls that this axis uses."""
        return NOTHING.union(*self.conflicts, *(way for way, _ in self._ways))

    def axis(self) -> Axis:
        """Return the axis that the network sees: values in the order of `choices`."""
        values = tuple(c.value for c in self.choices)
        swap = {**self.mirror, **{b: a for a, b in self.mirror.items()}}
        return Axis(self.name, values, tuple(values.index(swap.get(v, v)) for v in values))

    def index(self, held: Held) -> int | None:
        """Return the index of the value that `held` means, or None for a contradiction."""
        if any(conflict <= held for conflict in self.conflicts):
            return None
        return next((i for controls, i in self._ways if controls <= held), None)

    @cached_property
    def _ways(self) -> list[tuple[Held, int]]:
        """What may be held, and the index of the value that it means; what comes first wins."""
        order = list(self.precedence) + [c.value for c in self.choices]
        ways = [(way, order.index(c.value), i) for i, c in enumerate(self.choices) for way in (c.controls, *c.also)]
        # What needs more controls is more specific; the value at rest comes last by itself.
        return [(way, i) for way, _, i in sorted(ways, key=lambda way: (-len(way[0]), way[1]))]


def level_axis(name: str, at: Iterable[float], mirror: bool, ends: tuple[str, str] | None = None) -> ChoiceAxis:
    """Return the axis of an analogue control: its levels as values, from low to high, and `0`, where none is held.

    `mirror` says that it turns round when the picture is flipped, as steering does and a pedal does not. `ends` are
    controls, keys say, that mean the lowest and the highest level. A frame that holds two of all these is skipped.
    Raises ValueError for a level beyond -1 to 1, and where one has no mirror image.
    """
    steps = sorted({0.0, *at})
    if mirror and steps != [-step for step in reversed(steps)]:
        raise ValueError(
            f"axis {name}: needs levels that mirror each other, not {', '.join(map('{:g}'.format, steps))}"
        )
    also = dict(zip((steps[0], steps[-1]), ends or (), strict=False))
    choices = [
        Choice(f"{step:g}", frozenset(levels(name, [step])), [frozenset({also[step]})] if step in also else ())
        for step in steps
    ]
    swap = {f"{-step:g}": f"{step:g}" for step in steps if mirror and step > 0}
    each = [control for choice in choices for way in (choice.controls, *choice.also) for control in way]
    return ChoiceAxis(name, choices, mirror=swap, conflicts=[frozenset(pair) for pair in combinations(each, 2)])


class ChoiceLabelMap:
    """A label map made of `ChoiceAxis` tables; `always` is held whatever the action.

    A frame that matches no choice of an axis is skipped (`action` returns None).
    """

    def __init__(self, axes: Sequence[ChoiceAxis], always: Held = NOTHING) -> None:
        self._axes = tuple(axes)
        self._always = always
        self._space = ActionSpace(tuple(a.axis() for a in axes))

    @property
    def action_space(self) -> ActionSpace:
        """The axes that the network decides on."""
        return self._space

    @property
    def controls(self) -> Held:
        """All controls that the tables use."""
        return self._always.union(*(axis.controls for axis in self._axes))

    def action(self, held: Held) -> Action | None:
        """Return the label of a frame, or None for one to skip."""
        indices = [axis.index(held) for axis in self._axes]
        return None if None in indices else tuple(i for i in indices if i is not None)

    def held(self, action: Action) -> Held:
        """Return the controls to hold for an action."""
        chosen = (axis.choices[i].controls for axis, i in zip(self._axes, action, strict=True))
        return self._always.union(*chosen)


def held_by(labels: LabelMap) -> Held:
    """Return all the controls that some action of a label map holds."""
    space = labels.action_space
    return NOTHING.union(*(labels.held(space.split(joint)) for joint in range(space.joint_size)))


def check_label_map(labels: LabelMap, controls: Sequence[str]) -> None:
    """Raise ValueError unless every action comes back from what is held for it, of the game's `controls` alone."""
    space = labels.action_space
    if space.joint_size > MOST_ACTIONS:
        raise ValueError(f"{space} makes {space.joint_size} actions; at most {MOST_ACTIONS} can be told apart")
    named = set(getattr(labels, "controls", NOTHING))
    for action in map(space.split, range(space.joint_size)):
        held = labels.held(action)
        named |= held
        back = labels.action(held)
        if back != action:
            means = "no action" if back is None else space.describe(back)
            raise ValueError(f"{space.describe(action)} holds {sorted(held)}, which means {means}")
    if unknown := named - set(controls):
        raise ValueError(f"{min(unknown)!r} is no control of the game, which has {', '.join(controls)}")
