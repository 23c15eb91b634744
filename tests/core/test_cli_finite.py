"""Every option that is a fraction must be a finite number, whichever command has it."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import click
import pytest
from autopilot.api.specs import load
from autopilot.cli import COMMANDS
from autopilot.commands.options import Finite


def fractions() -> Iterator[Any]:
    for name in COMMANDS:
        command: click.Command = load(f"autopilot.cli.commands.{name.replace('-', '_')}:command")
        for option in command.params:
            kind = option.type
            if isinstance(kind, click.FloatRange) or kind is click.FLOAT:
                yield pytest.param(command, option, id=f"{name} {option.opts[0]}")


@pytest.mark.parametrize(("command", "option"), list(fractions()))
@pytest.mark.parametrize("text", ["nan", "inf", "-inf", "1e999", "NaN", "Infinity"])
def test_what_is_not_finite_is_no_value_of_an_option(command: click.Command, option: click.Option, text: str) -> None:
    with pytest.raises(click.BadParameter):
        option.type.convert(text, option, click.Context(command))


def test_there_are_such_options_and_their_own_values_pass() -> None:
    found = [p.values[1] for p in fractions()]
    assert len(found) >= 12
    assert all(math.isfinite(o.type.convert(o.default, o, None)) for o in found if isinstance(o.default, float))
    assert Finite().convert("-2.5", None, None) == -2.5
    with pytest.raises(click.BadParameter, match="not a finite number"):
        Finite().convert("nan", None, None)


@pytest.mark.parametrize(("kind", "shown"), [(Finite(), ""), (Finite(0), "[x>=0]"), (Finite(0, 45), "[0<=x<=45]")])
def test_help_shows_a_range_where_there_is_one(kind: Finite, shown: str) -> None:
    option = click.Option(["--turn"], type=kind, help="Turn.")
    record = option.get_help_record(click.Context(click.Command("go")))
    assert record is not None
    assert record[1].removeprefix("Turn.").strip() == shown
