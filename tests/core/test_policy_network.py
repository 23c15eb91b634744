"""A network before its first step: its settings, its logits against the axes, its plugin's name in every line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from autopilot.api.errors import PluginError
from autopilot.api.registry import Registry
from autopilot.api.types import ActionSpace, Axis
from autopilot.learn import network
from support.plugins import BRITTLE

STEER = Axis("steer", ("left", "forward", "right"), (2, 1, 0))
SPACE = ActionSpace((STEER, Axis("pedal", ("gas", "brake"), (0, 1))))
ALIKE = ActionSpace((STEER, Axis("slide", ("l1", "no", "r1"), (2, 1, 0))))
NEEDS = "the axes need a tuple of (N, 3) for axis steer and (N, 2) for axis pedal"


@pytest.fixture
def registry(write_plugin: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Registry:
    write_plugin("autopilot-brittle", BRITTLE)
    monkeypatch.syspath_prepend(tmp_path / "site")
    return Registry()


def build(registry: Registry, model: str = "brittle", space: ActionSpace = SPACE, **config: Any) -> Any:
    return network.build(registry, model, config, (160, 90), space)


def refused(registry: Registry, *args: Any, **config: Any) -> str:
    with pytest.raises(PluginError) as e:
        build(registry, *args, **config)
    assert "\n" not in str(e.value)
    return str(e.value)


@pytest.mark.parametrize(
    ("fault", "gives"),
    [
        ("single", "(N, 3), no tuple"),
        ("few", "(N, 3)"),
        ("extra", "(N, 3) and (N, 2) and (N, 3)"),
        ("reversed", "(N, 2) and (N, 3)"),
        ("wide", "(N, 4) and (N, 3)"),
        ("odd", "(N, 4) and (N, 2)"),
        ("flat", "(N) and (N)"),
        ("whole", "int32 (N, 3) and int32 (N, 2)"),
        ("nothing", "None, no tuple"),
    ],
)
def test_logits_that_do_not_fit_the_axes_are_told_with_the_plugin_and_both_shapes(
    registry: Registry, fault: str, gives: str
) -> None:
    told = f"autopilot-brittle: network 'brittle' gives logits {gives}; {NEEDS}"
    assert refused(registry, fault=fault) == told


def test_logits_that_fit_and_what_shapes_cannot_show(registry: Registry) -> None:
    assert [head.out_features for head in build(registry).heads] == [3, 2]
    build(registry, "brittle", ALIKE, fault="reversed")  # two axes of three values each look the same


def test_heads_for_training_alone_must_fit_too(registry: Registry) -> None:
    told = refused(registry, "sided")
    assert told == f"autopilot-brittle: network 'sided' gives logits (N, 2) and (N, 1); {NEEDS}"


def test_an_error_of_a_network_names_its_plugin(registry: Registry) -> None:
    told = refused(registry, fault="build")
    assert told.startswith("autopilot-brittle: ")
    assert told.endswith("RuntimeError: no such layer")


@pytest.mark.parametrize(
    ("setting", "value", "example"),
    [
        ("scale", "0,2", "1.0"),
        ("scale", True, "1.0"),
        ("scale", float("nan"), "1.0"),
        ("scale", float("inf"), "1.0"),
        ("scale", None, "1.0"),
        ("layers", 1.5, "1"),
        ("layers", "two", "1"),
        ("layers", True, "1"),
        ("deep", 1, "false"),
        ("fault", 7, '""'),
        ("sizes", 3, "[3, 2]"),
    ],
)
def test_a_setting_of_another_type_than_its_default(registry: Registry, setting: str, value: Any, example: str) -> None:
    told = refused(registry, **{setting: value})
    assert told == f"model 'brittle': setting {setting} is {value!r}: give one like {example}"


def test_settings_of_the_right_type(registry: Registry) -> None:
    module = build(registry, scale=2, layers=3, deep=True, sizes=(1,), fault="none at all")
    assert module.fault == "none at all"
