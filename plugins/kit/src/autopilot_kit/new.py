"""Writes a plugin: a distribution with a part of each kind that was asked for, which works and passes its test."""

from __future__ import annotations

import keyword
import re
from collections.abc import Collection
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from string import Template

from autopilot import api
from autopilot.api import API_VERSION, UserError

TEMPLATES = files("autopilot_kit") / "templates"
CORE = "autopilot-core>=0.1,<0.2"


@dataclass(frozen=True)
class Part:
    """A part of a plugin: its name in words, what it needs besides core, and how it is tried."""

    words: str
    needs: tuple[str, ...]
    usage: str


PARTS = {
    "game": Part("a game", ("numpy>=2",), "autopilot record --game $name --driver demonstrator --track 0-2"),
    "model": Part("a network", ("flax>=0.12", "jax>=0.8"), "autopilot train --model $name"),
    "device": Part("a device", (), "autopilot doctor --input $name"),
    "source": Part("a frame source", ("numpy>=2",), "autopilot doctor --source $name"),
    "command": Part("a command", ("click>=8.1",), "autopilot $name"),
}
"""What `new` can write: the name of the module -> what is said of it."""


def check_name(name: str, installed: Collection[str] = ()) -> str:
    """Return the name of a plugin without `autopilot-`; raises UserError for one that cannot be a package's."""
    short = name.removeprefix("autopilot-")
    package = f"autopilot_{short.replace('-', '_')}"
    if not re.fullmatch(r"[a-z][a-z0-9]*(-[a-z0-9]+)*", short) or keyword.iskeyword(short):
        raise UserError(f"{name!r} cannot name a package: take small letters, digits and single hyphens, as in my-game")
    if f"autopilot-{short}" in {*installed, "autopilot-core", "autopilot-racing"}:
        raise UserError(f"autopilot-{short} is installed: take another name, two packages {package} do not go together")
    return short


def write(name: str, parts: Collection[str], folder: Path) -> list[Path]:
    """Write a plugin into a new folder and return its files, relative to it.

    Raises UserError where the folder is there: nothing is replaced.
    """
    chosen = {part: PARTS[part] for part in PARTS if part in parts}
    words = {
        "name": name,
        "package": f"autopilot_{name.replace('-', '_')}",
        "title": name.replace("-", " ").capitalize(),
        "api": str(API_VERSION),
        "parts": _listed([part.words for part in chosen.values()]),
        "needs": ", ".join(f'"{need}"' for need in sorted({CORE, *(n for p in chosen.values() for n in p.needs)})),
    }
    words["usage"] = "\n".join(f"- {p.words}: `{Template(p.usage).substitute(words)}`" for p in chosen.values())
    words["hooks"] = "\n\n".join(_fill(f"hooks/{part}.txt", words) for part in chosen)
    words["imports"] = _imports(words["hooks"])
    package = Path("src", words["package"])
    made = {
        Path("pyproject.toml"): _fill("pyproject.toml.txt", words),
        Path("README.md"): _fill("README.md.txt", words),
        Path("tests", f"test_{words['package']}.py"): _fill("test.py.txt", words),
        package / "__init__.py": f'"""For autopilot: {words["parts"]}."""\n',
        package / "py.typed": "",
        package / "plugin.py": _fill("plugin.py.txt", words),
        **{package / f"{part}.py": _fill(f"{part}.py.txt", words) for part in chosen},
    }
    try:
        folder.mkdir(parents=True)
    except FileExistsError:
        raise UserError(f"{folder} is there already: remove it, or take another name") from None
    for path, text in made.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text, encoding="utf-8")
    return list(made)


def _fill(template: str, words: dict[str, str]) -> str:
    return Template((TEMPLATES / template).read_text(encoding="utf-8")).substitute(words)


def _listed(words: list[str]) -> str:
    return ", ".join(words[:-1]) + " and " * (len(words) > 1) + words[-1]


def _imports(hooks: str) -> str:
    """Return the import of the descriptors that these hooks use, as a formatter writes it."""
    names = [*sorted(set(re.findall(r"\b[A-Z]\w+", hooks)) & set(api.__all__)), "hookimpl"]
    line = f"from autopilot.api import {', '.join(names)}"
    if len(line) <= 120:
        return f"{line}\n"
    return f"from autopilot.api import (\n{''.join(f'    {name},\n' for name in names)})\n"
