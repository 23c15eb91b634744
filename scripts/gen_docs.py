"""Writes the generated pages of docs/: the command line's and the hooks' reference.

With `--check` nothing is written; exits with 1, naming the pages that are stale.
"""

from __future__ import annotations

import dataclasses
import inspect
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
from autopilot import errors, hookspecs, interfaces, labels, specs, types
from autopilot.cli import cli
from autopilot.cli.common import App

ROOT = Path(__file__).parent.parent
WARNING = "<!-- Written by `make docs`; change the code's docstrings and help texts instead. -->"


def main() -> int:
    """Write, or check, every page."""
    pages = {"docs/cli.md": cli_page(), "docs/plugins/hooks.md": hooks_page()}
    check = "--check" in sys.argv[1:]
    stale = 0
    for name, text in pages.items():
        path = ROOT / name
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            stale += 1
            print(f"{name} is stale: run `make docs`" if check else f"writing {name}")
            if not check:
                path.write_text(text, encoding="utf-8")
    return int(check and stale > 0)


def cli_page() -> str:
    """Return the help of every command of core and of the bundled plugins."""
    projects = [ROOT / "core/pyproject.toml", *ROOT.glob("plugins/*/pyproject.toml")]
    bundled = {tomllib.loads(p.read_text(encoding="utf-8"))["project"]["name"] for p in projects}
    app = App()
    app.registry.plugins = [p for p in app.registry.plugins if p.dist in bundled]
    top = cli.make_context("autopilot", ["doctor"], obj=app, terminal_width=80)
    parts = [WARNING, "# Command line", "Every command, as its `--help` shows it."]
    for command, context in commands(cli, top):
        level = "#" * min(2 + context.command_path.count(" "), 3)
        parts += [f"{level} {context.command_path}", f"```text\n{command.get_help(context)}\n```"]
    return "\n\n".join(parts) + "\n"


def commands(command: click.Command, context: click.Context) -> Iterator[tuple[click.Command, click.Context]]:
    """Yield a command and all below it."""
    yield command, context
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            child = command.get_command(context, name)
            assert child is not None, name
            yield from commands(child, click.Context(child, context, info_name=name))


def hooks_page() -> str:
    """Return every hook, what it returns, and what the returned descriptors point to."""
    parts = [WARNING, "# Hooks", _doc(hookspecs)]
    parts += [f"This is hook API {hookspecs.API_VERSION}.", "## The hooks"]
    for name, hook in _own(hookspecs, inspect.isfunction):
        if name.startswith("autopilot_"):
            parts += [f"### {name}", _signature(f"def {name}", hook), _doc(hook)]
    for module in (specs, interfaces, types, labels, errors):
        parts += [f"## {module.__name__}", _doc(module)]
        for _, cls in _own(module, inspect.isclass):
            parts += _class(cls)
    return "\n\n".join(part for part in parts if part) + "\n"


def _class(cls: Any) -> list[str]:
    parts = [f"### {cls.__name__}", _doc(cls)]
    if dataclasses.is_dataclass(cls):
        rows = ["| field | type | default |", "|---|---|---|"]
        parts.append("\n".join(rows + [_field(f) for f in dataclasses.fields(cls)]))
    for name, member in vars(cls).items():
        if name.startswith("_"):
            continue
        if isinstance(member, property):
            returns = member.fget.__annotations__["return"]
            parts += [f"```python\n{name}: {returns}  # property\n```", _doc(member)]
        elif inspect.isfunction(member) or isinstance(member, classmethod):
            parts += [_signature(name, getattr(cls, name)), _doc(member)]
    return parts


def _field(field: dataclasses.Field[Any]) -> str:
    default = "required" if field.default is dataclasses.MISSING else f"`{field.default!r}`"
    if field.default_factory is not dataclasses.MISSING:
        default = f"`{field.default_factory()!r}`"
    annotation = str(field.type).replace("|", "\\|")  # a bar would end the table's cell
    return f"| `{field.name}` | `{annotation}` | {default} |"


def _own(module: Any, kind: Any) -> list[tuple[str, Any]]:
    return [(n, m) for n, m in vars(module).items() if kind(m) and m.__module__ == module.__name__]


def _signature(name: str, function: Any) -> str:
    # Annotations are strings, which inspect quotes.
    text = f"{name}{inspect.signature(function)}".replace("'", "")
    return f"```python\n{text}\n```"


def _doc(thing: Any) -> str:
    return inspect.getdoc(thing) or ""


if __name__ == "__main__":
    sys.exit(main())
