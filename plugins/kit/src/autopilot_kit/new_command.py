"""`autopilot plugins new`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
from autopilot.commands import App, GroupedCommand, common, examples

from autopilot_kit.new import PARTS, check_name, write


def _parts(command: Any) -> Any:
    for name, part in reversed(PARTS.items()):
        command = click.option(f"--{name}", name, is_flag=True, help=f"With {part.words}.")(command)
    return command


@click.command(
    cls=GroupedCommand,
    epilog=examples(
        "autopilot plugins new ribbon --game --model     writes autopilot-ribbon",
        "pip install -e autopilot-ribbon                  its files are yours to change, and work at once",
        "autopilot plugins check autopilot-ribbon",
    ),
)
@click.argument("name")
@_parts
@common
def command(app: App, name: str, **parts: bool) -> None:
    """Write a plugin that works, with a test that passes, into a new folder."""
    short = check_name(name, [plugin.dist for plugin in app.registry.plugins])
    chosen = [part for part, wanted in parts.items() if wanted]
    if not chosen:
        raise click.UsageError(f"say what it shall provide: one or more of {', '.join(f'--{part}' for part in PARTS)}")
    folder = Path(f"autopilot-{short}")
    written = write(short, chosen, folder)
    lines = [f"{folder / path}" for path in written]
    lines.append(f"next: pip install -e {folder}, then autopilot plugins check {folder}")
    app.print({"folder": str(folder), "files": [path.as_posix() for path in written]}, "\n".join(lines))
