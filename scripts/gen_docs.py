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
    stale = [path for path, text in pages.items() if not _same(ROOT / path, text)]
    if "--check" in sys.argv[1:]:
        print("\n".join(f"{path} is stale: run `make docs`" for path in stale))
        return bool(stale)
    for path in stale:
        (ROOT / path).write_text(pages[path], encoding="utf-8")
        print(f"wrote {path}")
    return 0


def _same(path: Path, text: str) -> bool:
    return path.exists() and path.read_text(encoding="utf-8") == text


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


def commands(
    command: click.Command, context: click.Context
) -> Iterator[tuple[click.Command, click.Context]]:
    """Yield a command and all below it."""
    yield command, context
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            child = command.get_command(context, name)
            assert child is not None, name
            yield from commands(child, click.Context(child, context, info_name=name))


def hooks_page() -> str:
    """Return every hook, what it returns, and what the returned descriptors point to."""
    parts = [WARNING, "# Hooks", inspect.getdoc(hookspecs) or ""]
    parts += [f"The hook API described here is version {hookspecs.API_VERSION}.", "## The hooks"]
    for name, hook in _own(hookspecs, inspect.isfunction):
        if name.startswith("autopilot_"):
            parts += [f"### {name}", _code(f"def {_signature(name, hook)}"), _doc(hook)]
    for title, module in (
        ("Descriptors", specs),
        ("What plugins implement", interfaces),
        ("The vocabulary as data", types),
        ("A ready-made label map", labels),
        ("Errors to raise", errors),
    ):
        parts += [f"## {title}", f"`{module.__name__}`: {_doc(module)}"]
        for _, cls in _own(module, inspect.isclass):
            parts += _class(cls)
    return "\n\n".join(part for part in parts if part) + "\n"


def _class(cls: Any) -> list[str]:
    parts = [f"### {cls.__name__}", _doc(cls)]
    if dataclasses.is_dataclass(cls):
        rows = [f"| `{f.name}` | `{_type(f.type)}` | {_default(f)} |" for f in _fields(cls)]
        parts.append("\n".join(["| field | type | default |", "|---|---|---|", *rows]))
    for name, member in vars(cls).items():
        if name.startswith("_"):
            continue
        if isinstance(member, property):
            returns = inspect.signature(member.fget).return_annotation  # type: ignore[arg-type]
            parts += [_code(f"{name}: {returns}  # property"), _doc(member)]
        elif inspect.isfunction(member) or isinstance(member, classmethod):
            parts += [_code(_signature(name, getattr(cls, name))), _doc(member)]
    return parts


def _fields(cls: Any) -> list[dataclasses.Field[Any]]:
    return [f for f in dataclasses.fields(cls) if not f.name.startswith("_")]


def _default(field: dataclasses.Field[Any]) -> str:
    if field.default_factory is not dataclasses.MISSING:
        return f"`{field.default_factory()!r}`"
    return "required" if field.default is dataclasses.MISSING else f"`{field.default!r}`"


def _own(module: Any, kind: Any) -> list[tuple[str, Any]]:
    return [(n, m) for n, m in vars(module).items() if kind(m) and m.__module__ == module.__name__]


def _type(annotation: Any) -> str:
    return str(annotation).replace("|", "\\|")


def _signature(name: str, function: Any) -> str:
    return f"{name}{inspect.signature(function)}".replace("'", "")


def _code(text: str) -> str:
    return f"```python\n{text}\n```"


def _doc(thing: Any) -> str:
    return inspect.getdoc(thing) or ""


if __name__ == "__main__":
    sys.exit(main())
