"""Analogue controls: levels as controls, their axis, their keys, and what a moving stick leaves behind."""

from __future__ import annotations

from pathlib import Path

import pytest
from autopilot.api import (
    NOTHING,
    ChoiceLabelMap,
    Frame,
    Game,
    GameSpec,
    Held,
    Registry,
    ScreenSpec,
    UserError,
    check_label_map,
    level_axis,
    level_of,
    levels,
    nearest_level,
    split_level,
)
from autopilot.desktop.bindings import UserBindings, split
from autopilot.desktop.desktop import Desktop, DeviceChoice
from autopilot.drive.drivers import HumanDriver, with_taps

AT = (-1, -0.6, -0.3, 0.3, 0.6, 1)
STEER = levels("steer", AT)
GAME = GameSpec(
    "kart",
    "Kart",
    controls=("gas", *STEER),
    label_map="kart",
    bindings={
        "keyboard": {"default": {"gas": "up", "steer:-1": "left", "steer:1": "right"}},
        "gamepad": {"default": {"gas": "a", "steer": "left_x"}},
    },
    screen=ScreenSpec(frame_source="screen", device="keyboard", reader="keyboard"),
)
STICK = {"gas": "a", **{control: control.replace("steer", "left_x") for control in STEER}}


def held(*controls: str) -> Held:
    return frozenset(controls)


def test_levels_are_controls_and_rest_is_none() -> None:
    assert STEER == ("steer:-1", "steer:-0.6", "steer:-0.3", "steer:0.3", "steer:0.6", "steer:1")
    assert levels("gas", (0, 0.5, 1)) == ("gas:0.5", "gas:1")
    for wrong in (1.5, -2, float("nan")):
        with pytest.raises(ValueError, match="gas: a level is from -1 to 1, not"):
            levels("gas", (0.5, wrong))


@pytest.mark.parametrize(
    ("control", "parts"),
    [("steer:-0.6", ("steer", -0.6)), ("left", ("left", None)), ("item:red", ("item:red", None)), (":1", (":1", None))],
)
def test_the_parts_of_a_control(control: str, parts: tuple[str, float | None]) -> None:
    assert split_level(control) == parts


@pytest.mark.parametrize(
    ("value", "control"),
    [(-3, "steer:-1"), (-0.79, "steer:-0.6"), (-0.14, None), (0.16, "steer:0.3"), (0.9, "steer:1")],
)
def test_a_stick_is_at_the_nearest_level_or_at_rest(value: float, control: str | None) -> None:
    assert nearest_level(STEER, value) == held(*[control] if control else [])
    assert nearest_level((), value) == NOTHING


def test_the_level_that_is_held() -> None:
    assert level_of(held("gas", "steer:-0.6"), "steer") == -0.6
    assert level_of(held("gas", "gas:0.5"), "steer") == 0
    assert level_of(held("steer:-1", "steer:1"), "steer") == 0
    assert level_of(held("steer:0.6", "steer:1"), "steer") == 1


def test_an_axis_of_levels_is_mirrored_and_comes_back() -> None:
    labels = ChoiceLabelMap([level_axis("steer", AT, mirror=True, ends=("left", "right"))])
    (axis,) = labels.action_space.axes
    assert axis.values == ("-1", "-0.6", "-0.3", "0", "0.3", "0.6", "1")
    assert axis.mirror == (6, 5, 4, 3, 2, 1, 0)
    check_label_map(labels, (*STEER, "left", "right"))
    assert labels.action(held("left")) == (0,)
    assert labels.action(held("right", "gas")) == (6,)
    assert labels.action(NOTHING) == (3,)
    for both in (("left", "right"), ("steer:-1", "steer:0.3"), ("left", "steer:-0.3")):
        assert labels.action(held(*both)) is None, "a contradiction"


def test_a_pedal_of_levels_is_not_mirrored() -> None:
    axis = level_axis("gas", (0.5, 1), mirror=False).axis()
    assert (axis.values, axis.mirror) == (("0", "0.5", "1"), (0, 1, 2))
    with pytest.raises(ValueError, match=r"axis gas: needs levels that mirror each other, not 0, 0.5, 1"):
        level_axis("gas", (0.5, 1), mirror=True)


# --- which key each is


def test_a_stick_is_bound_as_a_whole_and_keys_to_single_levels() -> None:
    bindings = UserBindings(None, GAME)
    assert bindings.device("gamepad", None, {}) == STICK
    assert bindings.device("keyboard", None, {}) == {"gas": "up", "steer:-1": "left", "steer:1": "right"}
    given, hotkeys = split({"steer": "right_x", "steer:1": "rb", "pause": "back"}, GAME)
    assert hotkeys == {"pause": "back"}
    mine = bindings.device("gamepad", None, given)
    assert (mine["steer:-1"], mine["steer:0.3"], mine["steer:1"], mine["gas"]) == (
        "right_x:-1",
        "right_x:0.3",
        "rb",
        "a",
    )
    with pytest.raises(UserError, match="--bind: unknown name 'stear'; did you mean steer"):
        split({"stear": "left_x"}, GAME)


def test_a_users_file_binds_them_too(tmp_path: Path) -> None:
    path = tmp_path / "bindings.toml"
    path.write_text('[kart.gamepad]\nsteer = "right_x"\n[kart.keyboard]\n"steer:-0.6" = "a"\n')
    bindings = UserBindings(path, GAME)
    assert bindings.device("gamepad", None, {})["steer:-0.3"] == "right_x:-0.3"
    assert bindings.device("keyboard", None, {})["steer:-0.6"] == "a"


def desktop(device: str | None, **bind: str) -> Desktop:
    class Kart(Game):
        def __init__(self) -> None:
            self.registry, self.spec = Registry(), GAME

    return Desktop(Kart(), None, DeviceChoice(device, bind))


def test_a_keyboard_cannot_hold_what_a_stick_can_and_says_what_can() -> None:
    with pytest.raises(UserError) as caught:
        desktop(None).check_holds(held("gas", *STEER))
    few = "steer:-0.3, steer:-0.6, steer:0.3, steer:0.6"
    assert str(caught.value) == f"keyboard has no key or button for {few}: choose --input gamepad"
    desktop("gamepad").check_holds(held("gas", *STEER))
    desktop(None).check_holds(held("gas", "steer:-1"))
    with pytest.raises(UserError, match="gamepad has no key or button for horn: bind it by --bind horn=KEY"):
        desktop("gamepad").check_holds(held("horn"))


def test_a_key_has_no_levels_and_an_unknown_stick_none() -> None:
    from autopilot_input_gamepad.buttons import check as check_pad
    from autopilot_input_keyboard.keys import check as check_keys

    whole = UserBindings(None, GAME).device("keyboard", None, {"steer": "left"})
    with pytest.raises(UserError, match=r"'left' has no levels.*\(steer:-1=left\).*--input gamepad"):
        check_keys(whole.values())
    for name, message in (
        ("a:0.5", "'a' has no levels, and 'a:0.5' is bound; left_x, left_y, right_x, right_y, lt, rt have"),
        ("rt:-0.5", "a trigger from 0 to 1"),
        ("left_x:2", "a stick goes from -1 to 1"),
        ("left_x", "'left_x' is a stick, for an analogue control: for a button, say how far, left_x:1"),
        ("left_z:1", "'left_z' has no levels"),
    ):
        with pytest.raises(UserError) as caught:
            check_pad([name])
        assert message in str(caught.value)
    check_pad([*STICK.values(), "rt", "rt:0.5"])


# --- a person's stick


class Stick:
    """A reader that gives one state after the other."""

    def __init__(self, *states: Held) -> None:
        self.states = list(states)

    def held(self) -> Held:
        return self.states.pop(0)

    hotkeys = close = held


def decided(*states: tuple[str, ...]) -> list[list[str]]:
    """What a human driver decides who is looked at twice between decisions."""
    driver, frame = HumanDriver(Stick(*(held(*state) for state in states))), Frame(None, 0)  # type: ignore[arg-type]
    found = []
    for _ in range(len(states) // 3):
        driver.meanwhile()
        driver.meanwhile()
        found.append(sorted(driver.decide(frame).held))
    return found


def test_the_levels_that_a_stick_passes_are_not_taps() -> None:
    far, near, back = ("steer:1",), ("steer:0.3",), ()
    assert decided(near, far, far, far, near, back, back, back, back) == [["steer:1"], [], []]
    assert decided(near, near, ("steer:-1", "gas")) == [["gas", "steer:-1"]]
    assert decided(far, near, back, ("gas",), back, back) == [["steer:1"], ["gas"]], "a flick counts, as far as it went"


def test_a_takeover_has_one_level() -> None:
    assert with_taps(held("steer:0.6"), held("steer:0.3", "gas")) == {"steer:0.6", "gas"}


# --- a game that is not as it should be


def test_a_level_that_the_game_has_not_is_named() -> None:
    labels = ChoiceLabelMap([level_axis("steer", (-1, -0.5, 0.5, 1), mirror=True)])
    with pytest.raises(ValueError, match=r"'steer:-0.5' is no control of the game"):
        check_label_map(labels, levels("steer", (-1, 1)))
