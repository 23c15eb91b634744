"""Core speaks no game's word and names no plugin: its strings and identifiers against what bundled plugins offer."""

from __future__ import annotations

import ast
import re
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest
from autopilot.api.registry import Registry

ROOT = Path(__file__).parents[2]
CORE = ROOT / "core/src/autopilot"

DIRECTIONS = {"left", "right", "up", "down"}
"""Verbs of games that are everybody's words: of pictures, axes and mirrors as well."""

OURS = {
    "screen": "the table `[GAME.screen]` of bindings.toml, and the part of a game that is played on one",
    "window": "what a game on the screen is seen in, and what a simulator may open",
}
"""Names of frame sources and devices that are core's words too, each with what it means there."""


@dataclass(frozen=True)
class Words:
    """What core must not say: names anywhere, verbs in strings, sources as whole strings, games' commands as advice."""

    names: frozenset[str]
    verbs: frozenset[str]
    sources: frozenset[str]
    commands: frozenset[str]


@pytest.fixture(scope="module")
def words() -> Words:
    projects = [tomllib.loads(p.read_text())["project"]["name"] for p in ROOT.glob("plugins/*/pyproject.toml")]
    registry = Registry()
    plugins = [p for p in registry.plugins if p.dist in projects]
    assert {p.dist for p in plugins} == set(projects), "all bundled plugins are installed"
    kinds = ("game", "model", "device", "label map", "engine", "frame source", "command")
    offered = {kind: [(p, spec) for p, spec in registry.provided(kind) if p in plugins] for kind in kinds}
    names = {word for p in plugins for word in (p.dist, p.target)}
    names |= {s.name for kind in kinds[:5] for _, s in offered[kind]}
    games = [spec for _, spec in offered["game"]]
    for game in games:
        names |= {*(game.screen.programs if game.screen else ()), *game.race.references, *game.tracks.names}
    of_games = {p.dist for p, _ in offered["game"]}
    return Words(
        frozenset(name.casefold() for name in names if not name.isdecimal()) - frozenset(OURS),
        frozenset(verb for game in games for verb in game.controls) - DIRECTIONS,
        frozenset(spec.name for _, spec in offered["frame source"]) - frozenset(OURS),
        frozenset(spec.name for p, spec in offered["command"] if p.dist in of_games),
    )


def texts(source: str) -> Iterator[tuple[int, bool, str]]:
    """Yield of a module each identifier and string as (line, whether it is a string, text).

    Left out are docstrings, and epilogs: examples of what a user types name games, since without one they show nothing.
    """
    tree, passed = ast.parse(source), set[int]()
    for node in ast.walk(tree):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            passed.add(id(node.value))
        if isinstance(node, ast.keyword) and node.arg == "epilog":
            passed |= {id(inner) for inner in ast.walk(node)}
    for node in ast.walk(tree):
        if id(node) in passed:
            continue
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.lineno, True, node.value
        for field in ("id", "attr", "arg", "name"):
            if isinstance(text := getattr(node, field, None), str):
                yield getattr(node, "lineno", 0), False, text


def spoken(source: str, words: Words) -> list[tuple[int, str]]:
    """Return the lines of a module that say what they must not, each with the word."""
    anywhere, in_strings = _any_of(words.names), _any_of(words.verbs | {f"autopilot {name}" for name in words.commands})
    found = []
    for line, is_string, text in texts(source):
        said = [*anywhere.findall(text), *(in_strings.findall(text) if is_string else ())]
        found += [(line, word.casefold()) for word in said]
        if is_string and text in words.sources:
            found.append((line, text))
    return sorted(found)


@cache
def _any_of(words: frozenset[str]) -> re.Pattern[str]:
    longest_first = "|".join(re.escape(word) for word in sorted(words, key=len, reverse=True))
    return re.compile(rf"(?<![^\W_])({longest_first})(?![^\W_])", re.IGNORECASE)


def test_core_speaks_no_game_s_word_and_names_no_plugin(words: Words) -> None:
    said = {
        str(path.relative_to(CORE)): found
        for path in sorted(CORE.rglob("*.py"))
        if (found := spoken(path.read_text(encoding="utf-8"), words))
    }
    assert said == {}


@pytest.mark.parametrize(
    ("source", "word"),
    [
        ("def find_carracing(): ...", "carracing"),
        ("import autopilot_ctr.plugin", "autopilot_ctr.plugin"),
        ("open('keyboard')", "keyboard"),
        ("f'press {key} to accelerate'", "accelerate"),
        ("source = 'video'", "video"),
        ("say(f'try `autopilot learn-hud --game {name}`')", "autopilot learn-hud"),
        ("class Onnx: ...", "onnx"),
    ],
)
def test_a_word_of_theirs_is_noticed(words: Words, source: str, word: str) -> None:
    assert word in [said for _, said in spoken(source, words)]


@pytest.mark.parametrize(
    "source",
    [
        '"""Such as carracing."""',
        "@click.command(epilog=examples('autopilot drive --game carracing'))\ndef command(): ...",
        "say('turn left; see `autopilot setup`')",
        "option('--video')",
        "spec.screen.programs",
    ],
)
def test_what_is_everybody_s_word_passes(words: Words, source: str) -> None:
    assert spoken(source, words) == []
