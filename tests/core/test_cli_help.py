"""`--help`: options in groups, the common ones first, each with a help text, in 80 columns."""

from __future__ import annotations

import re
from collections.abc import Iterator

import click
import pytest
from autopilot.cli import cli
from autopilot.commands import GroupedCommand, common, option_group
from autopilot.commands.app import App
from click.testing import CliRunner

MOST = 12
"""Options under one heading."""


def commands() -> Iterator[tuple[str, click.Command]]:
    """Every command of core and the installed plugins, those of groups among them."""
    context = cli.make_context("autopilot", ["doctor"], obj=App())
    for name in cli.list_commands(context):
        command = cli.get_command(context, name)
        assert command is not None
        yield name, command
        if isinstance(command, click.Group):
            yield from ((f"{name} {child}", one) for child, one in command.commands.items())


def sections(text: str) -> dict[str, list[str]]:
    """The headings of a help text and the options under each."""
    found: dict[str, list[str]] = {}
    for block in text.split("\n\n"):
        if heading := re.match(r"(\S.*):\n  -", block):
            found[heading[1]] = re.findall(r"^  (-[^\s,]+(?:, --[\w-]+)?)", block, re.M)
    return found


def shown(*words: str) -> str:
    result = CliRunner().invoke(cli, [*words, "--help"], obj=App(), terminal_width=80)
    assert result.exit_code == 0, result.output
    return result.output


@pytest.mark.parametrize(("name", "command"), [*commands()], ids=lambda v: v if isinstance(v, str) else "command")
def test_no_heading_has_a_heap_of_options_and_each_has_a_help(name: str, command: click.Command) -> None:
    found = sections(shown(*name.split()))
    assert {heading: len(names) for heading, names in found.items() if len(names) > MOST} == {}
    listed = [option for names in found.values() for option in names]
    options = [p for p in command.params if isinstance(p, click.Option)]
    assert len(listed) == len(options) + 1, "and --help"
    assert [p.name for p in options if not p.help] == []


@pytest.mark.parametrize("name", ["train", "drive", "record", "race", "setup"])
def test_the_common_options_come_first_and_the_general_ones_last(name: str) -> None:
    text = shown(name)
    headings = list(sections(text))
    assert len(headings) >= 3
    assert headings[0] == "Options"
    assert headings[-1] == "General options"
    assert sections(text)["General options"] == ["--home", "--json", "--safe-mode", "--debug", "-h, --help"]
    assert "Examples:" in text
    before, _, _ = text.partition("Examples:")
    assert max(map(len, before.splitlines())) <= 80


def test_a_plugins_command_has_groups_of_its_own() -> None:
    @click.command(cls=GroupedCommand)
    @click.option("--often", help="Used often.")
    @option_group(
        "Rarely used", click.option("--rare", help="A."), click.option("--rarer-than-all-of-these", help="B.")
    )
    @common
    def command(app: App, **options: str) -> None:
        """Do it."""
        click.echo(sorted(options))

    text = CliRunner().invoke(command, ["--help"], obj=App()).output
    groups = sections(text)
    assert groups["Options"] == ["--often"]
    assert groups["Rarely used"] == ["--rare", "--rarer-than-all-of-these"]
    assert groups["General options"][-1] == "--help"
    assert list(groups) == ["Options", "Rarely used", "General options"]
    texts = [line for line in text.splitlines() if re.search(r"(Used often|A|B|Print JSON for programs)\.$", line)]
    assert len({re.search(r"\S+\.$|Used.*|Print.*", line).start() for line in texts}) == 1, "one column"  # type: ignore[union-attr]
    assert (
        CliRunner().invoke(command, ["--rare", "x"], obj=App()).output
        == "['often', 'rare', 'rarer_than_all_of_these']\n"
    )
