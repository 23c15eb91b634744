"""Action spaces: numbering, mirroring, JSON; the descriptors that plugins return."""

from __future__ import annotations

import dataclasses
import itertools
import json

import pytest
from autopilot.api.errors import suggest
from autopilot.api.specs import GameSpec, load
from autopilot.api.types import Action, ActionSpace, Axis
from hypothesis import given
from hypothesis import strategies as st

words = st.text("abcdefghijklmnopqrstuvwxyz_", min_size=1, max_size=8)


@st.composite
def axes(draw: st.DrawFn, name: str) -> Axis:
    values = draw(st.lists(words, min_size=2, max_size=6, unique=True))
    mirror = list(range(len(values)))
    order = draw(st.permutations(range(len(values))))
    for a, b in itertools.batched(order[: 2 * draw(st.integers(0, len(values) // 2))], 2):
        mirror[a], mirror[b] = b, a
    return Axis(name, tuple(values), tuple(mirror))


@st.composite
def spaces(draw: st.DrawFn) -> ActionSpace:
    names = draw(st.lists(words, min_size=1, max_size=4, unique=True))
    return ActionSpace(tuple(draw(axes(name)) for name in names))


@st.composite
def spaces_with_action(draw: st.DrawFn) -> tuple[ActionSpace, Action]:
    space = draw(spaces())
    return space, tuple(draw(st.integers(0, n - 1)) for n in space.sizes)


@given(spaces_with_action())
def test_numbering_and_mirroring_are_reversible(pair: tuple[ActionSpace, Action]) -> None:
    space, action = pair
    assert space.split(space.joint(action)) == action
    assert 0 <= space.joint(action) < space.joint_size
    assert space.mirror(space.mirror(action)) == action


@given(spaces())
def test_joint_numbers_every_action_once_row_major(space: ActionSpace) -> None:
    actions = list(itertools.product(*(range(n) for n in space.sizes)))
    assert [space.joint(a) for a in actions] == list(range(space.joint_size))


@given(spaces())
def test_json_round_trip(space: ActionSpace) -> None:
    assert ActionSpace.from_json(json.loads(json.dumps(space.to_json()))) == space


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
        lambda inner: (
            st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["name", "values", "mirror", "x"]), inner)
        ),
        max_leaves=12,
    )
)
def test_from_json_of_garbage_is_a_space_or_a_value_error(data: object) -> None:
    try:
        space = ActionSpace.from_json(data)
    except ValueError:
        return
    assert ActionSpace.from_json(space.to_json()) == space


@pytest.mark.parametrize(
    "data",
    [
        None,
        7,
        "steer",
        {},
        [],
        [[]],
        [{"name": "steer", "values": ["l", "r"]}],
        [{"name": "steer", "values": ["l", "r"], "mirror": [float("inf"), 0]}],
        [{"name": "steer", "values": 3, "mirror": [1, 0]}],
        [{"name": "steer", "values": ["l", "r"], "mirror": ["x", 0]}],
    ],
)
def test_from_json_of_near_misses_is_a_value_error(data: object) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        ActionSpace.from_json(data)


@pytest.mark.parametrize(
    ("values", "mirror", "says"),
    [
        (("a",), (0,), "two or more"),
        (("a", "a"), (0, 1), "distinct"),
        (("a", "b"), (0, 0), "permutation"),
        (("a", "b"), (0, 1, 2), "permutation"),
        (("a", "b", "c"), (1, 2, 0), "mirroring twice"),
    ],
)
def test_bad_axes_are_refused(values: tuple[str, ...], mirror: tuple[int, ...], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        Axis("steer", values, mirror)


def test_a_space_needs_axes_with_different_names() -> None:
    axis = Axis("steer", ("l", "r"), (1, 0))
    for wrong in ((), (axis, axis)):
        with pytest.raises(ValueError, match="distinct axes"):
            ActionSpace(wrong)


def test_words() -> None:
    steer = Axis("steer", ("left", "forward", "right"), (2, 1, 0))
    pedal = Axis("pedal", ("gas", "brake"), (0, 1))
    space = ActionSpace((steer, pedal))
    assert str(space) == "steer: left forward right x pedal: gas brake"
    assert space.describe((0, 1)) == "left+brake"
    assert space.mirror((0, 1)) == (2, 1)
    with pytest.raises(ValueError, match="zip"):
        space.joint((0,))


def test_descriptors_are_frozen_and_load_follows_an_import_string() -> None:
    spec = GameSpec("g", "G", ("left",), "g")
    with pytest.raises(dataclasses.FrozenInstanceError):
        spec.name = "h"  # type: ignore[misc]
    assert load("autopilot.api.types:ActionSpace") is ActionSpace
    with pytest.raises(ImportError):
        load("autopilot.nowhere:x")
    with pytest.raises(AttributeError):
        load("autopilot.api.types:Nothing")


@pytest.mark.parametrize(
    ("name", "otherwise", "says"),
    [
        ("keybord", None, "did you mean keyboard?"),
        ("xyz", None, "there are: keyboard, gamepad, wheel"),
        ("zzz", "say --input", "say --input"),
        ("whel", "say --input", "did you mean wheel?"),
    ],
)
def test_a_name_that_nobody_knows_gets_a_hint(name: str, otherwise: str | None, says: str) -> None:
    assert suggest(name, ["keyboard", "gamepad", "wheel", "wheel"], otherwise) == says
