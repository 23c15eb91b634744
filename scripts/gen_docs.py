"""Writes the generated pages of docs/: the command line's, a page for each command.

With `--check` nothing is written; exits with 1, naming the pages that are stale.
"""

from __future__ import annotations

import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import click
from autopilot.cli import cli
from autopilot.commands.app import App

ROOT = Path(__file__).parent.parent
WARNING = "<!-- Written by `make docs`; change the help texts in the code instead. -->"


def main() -> int:
    """Write, or check, every page."""
    folder = ROOT / "docs/cli"
    pages = {folder / name: text for name, text in cli_pages().items()}
    check = "--check" in sys.argv[1:]
    stale = [path for path, text in pages.items() if not path.exists() or path.read_text(encoding="utf-8") != text]
    gone = set(folder.glob("*.md")) - pages.keys()
    for path in (*stale, *gone):
        name = path.relative_to(ROOT).as_posix()
        print(f"{name} is stale: run `make docs`" if check else f"writing {name}")
        if not check:
            path.parent.mkdir(exist_ok=True)
            path.write_text(pages[path], encoding="utf-8") if path in pages else path.unlink()
    return int(check and bool(stale or gone))


def cli_pages() -> dict[str, str]:
    """Return a page for each command of core and of the bundled plugins, and an index."""
    projects = [ROOT / "core/pyproject.toml", *ROOT.glob("plugins/*/pyproject.toml")]
    bundled = {tomllib.loads(p.read_text(encoding="utf-8"))["project"]["name"] for p in projects}
    app = App()
    app.registry.plugins = [p for p in app.registry.plugins if p.dist in bundled]
    top = cli.make_context("autopilot", ["doctor"], obj=app, terminal_width=80)
    pages = {}
    rows = []
    for name in cli.list_commands(top):
        command = cli.get_command(top, name)
        assert command is not None, name
        parts = [WARNING]
        for each, context in commands(command, click.Context(command, top, info_name=name)):
            level = 1 + context.command_path.count(" ") - 1
            parts += [f"{'#' * level} {context.command_path}", _help(each, context)]
        pages[f"{name}.md"] = "\n\n".join(parts) + "\n"
        rows.append(f"| [`autopilot {name}`]({name}.md) | {command.get_short_help_str(100)} |")
    table = "| command | what it does |\n|---|---|\n" + "\n".join(rows)
    about = "Every command, as its `--help` shows it."
    pages["index.md"] = "\n\n".join([WARNING, "# Command line", about, table, _help(cli, top)]) + "\n"
    return pages


def _help(command: click.Command, context: click.Context) -> str:
    return f"```text\n{command.get_help(context)}\n```"


def commands(command: click.Command, context: click.Context) -> Iterator[tuple[click.Command, click.Context]]:
    """Yield a command and all below it."""
    yield command, context
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            child = command.get_command(context, name)
            assert child is not None, name
            yield from commands(child, click.Context(child, context, info_name=name))


if __name__ == "__main__":
    sys.exit(main())
