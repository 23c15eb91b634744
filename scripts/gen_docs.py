"""Writes the generated pages of docs/: the command line's and the hooks' reference.

With `--check` nothing is written; exits with 1, naming the pages that are stale.
"""

from __future__ import annotations

import ast
import dataclasses
import inspect
import sys
import textwrap
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
from autopilot.api import errors, game, hookspecs, interfaces, labels, registry, specs, types
from autopilot.cli import cli
from autopilot.commands.app import App

ROOT = Path(__file__).parent.parent
MODULES = (specs, interfaces, types, labels, errors, game, registry)
"""Where the names of `autopilot.api` are defined, besides the hooks'."""
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
    where = "All names on this page are imported from `autopilot.api`; the headings below name the defining modules."
    parts += [f"This is hook API {hookspecs.API_VERSION}. {where}", "## The hooks"]
    for name, hook in vars(hookspecs).items():
        if name.startswith("autopilot_"):
            parts += [f"### {name}", _code(_signature(f"def {name}", hook)), _doc(hook)]
    for module in MODULES:
        parts += [f"## {module.__name__}", _doc(module)]
        for name, code, doc in stated(module):
            parts += [f"### {name}", code, doc]
            if inspect.isclass(thing := getattr(module, name)) and thing.__module__ == module.__name__:
                parts += _members(thing)
    return "\n\n".join(part for part in parts if part) + "\n"


def stated(thing: Any) -> Iterator[tuple[str, str, str]]:
    """Yield the public names that a module or class states, in its order: name, code (of a class none), docs.

    It is read from the source, which alone has annotations without a value, and the text below a name.
    """
    source = textwrap.dedent(inspect.getsource(thing))
    body = ast.parse(source).body
    if inspect.isclass(thing):
        body = next(node.body for node in body if isinstance(node, ast.ClassDef))
    for node, below in zip(body, [*body[1:], None], strict=True):
        match node:
            case ast.ClassDef(name=name) | ast.FunctionDef(name=name):
                pass
            case ast.Assign(targets=[ast.Name(id=name)]) | ast.AnnAssign(target=ast.Name(id=name)):
                pass
            case ast.TypeAlias(name=ast.Name(id=name)):
                pass
            case _:
                continue
        if name.startswith("_"):
            continue
        if isinstance(node, ast.ClassDef):
            yield name, "", _doc(getattr(thing, name))
        elif isinstance(node, ast.FunctionDef):
            yield name, _code(_function(name, thing)), _doc(getattr(thing, name))
        else:
            yield name, _code(ast.get_source_segment(source, node) or ""), _below(below)


def _below(node: ast.stmt | None) -> str:
    text = node.value.value if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) else ""
    return inspect.cleandoc(str(text))


def _members(cls: Any) -> list[str]:
    parts = [_code(_signature(cls.__name__, cls))] if _is_made_by_hand(cls) else []
    fields = dataclasses.fields(cls) if dataclasses.is_dataclass(cls) else ()
    docs = {name: doc for name, _, doc in stated(cls)}
    if any(docs[field.name] for field in fields):
        parts += ["| field | type | default | meaning |\n|---|---|---|---|"]
        parts[-1] += "".join(f"\n{_field(field)} {_cell(docs[field.name])} |" for field in fields)
    elif fields:
        parts += ["| field | type | default |\n|---|---|---|"]
        parts[-1] += "".join(f"\n{_field(field)}" for field in fields)
    shown = {field.name for field in fields}
    return parts + [part for name, *code_and_doc in stated(cls) if name not in shown for part in code_and_doc]


def _is_made_by_hand(cls: Any) -> bool:
    protocol = getattr(cls, "_is_protocol", False)
    return "__init__" in vars(cls) and not dataclasses.is_dataclass(cls) and not protocol


def _field(field: dataclasses.Field[Any]) -> str:
    if field.default_factory is not dataclasses.MISSING:
        default = f"`{field.default_factory()!r}`"
    elif field.default is dataclasses.MISSING:
        default = "required"
    elif dataclasses.is_dataclass(field.default):
        default = f"`{type(field.default).__name__}()`"
    else:
        default = f"`{field.default!r}`"
    return f"| `{field.name}` | `{_cell(str(field.type))}` | {default} |"


def _cell(text: str) -> str:
    return " ".join(text.replace("|", "\\|").split())  # a bar, or the end of a line, would end the cell


def _function(name: str, owner: Any) -> str:
    member = inspect.getattr_static(owner, name)
    if isinstance(member, property):
        return f"{name}: {member.fget.__annotations__['return']}  # property"
    return _signature(name if inspect.isclass(owner) else f"def {name}", getattr(owner, name))


def _signature(name: str, function: Any) -> str:
    # Annotations are strings, which inspect quotes.
    return f"{name}{inspect.signature(function)}".replace("'", "")


def _code(text: str) -> str:
    return f"```python\n{text}\n```"


def _doc(thing: Any) -> str:
    return inspect.getdoc(thing) or ""


if __name__ == "__main__":
    sys.exit(main())
