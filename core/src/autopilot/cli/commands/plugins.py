"""`autopilot plugins`."""

from __future__ import annotations

from typing import Any

import click

from autopilot import __version__
from autopilot.api.hookspecs import API_VERSION
from autopilot.api.registry import KINDS
from autopilot.cli import PluginCommands
from autopilot.commands import App, GroupedCommand, common, examples


class Below(GroupedCommand, PluginCommands):
    """The list of plugins, and what plugins add below it."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the options in groups, then the commands."""
        super().format_options(ctx, formatter)
        self.format_commands(ctx, formatter)


@click.group(
    "plugins",
    cls=Below,
    invoke_without_command=True,
    epilog=examples(
        "autopilot plugins", "autopilot plugins --errors     why a plugin is broken", "autopilot plugins --json"
    ),
)
@click.option("--errors", is_flag=True, help="Show the traceback of each fault.")
@common
@click.pass_context
def command(ctx: click.Context, app: App, errors: bool) -> None:
    """List each distribution with version, status and what it provides."""
    if ctx.invoked_subcommand is not None:
        return
    plugins = app.registry.plugins
    provided = {
        p.key: {kind: [s.name for q, s in app.registry.provided(kind) if q is p] for kind in KINDS} for p in plugins
    }
    rows: list[dict[str, Any]] = [
        {
            "distribution": p.dist,
            "plugin": p.name,
            "version": p.version,
            "status": p.status,
            "provides": {kind: names for kind, names in provided[p.key].items() if names},
            "faults": [
                {"stage": f.stage, "message": f.message, **({"details": f.details} if errors else {})} for f in p.faults
            ],
        }
        for p in plugins
    ]

    def show() -> None:
        click.echo(f"autopilot-core {__version__}, hook API {API_VERSION}")
        width = max((len(p.dist) for p in plugins), default=0)
        for row in rows:
            kinds = row["provides"].items()
            what = "; ".join(f"{kind}{'s' * (len(names) > 1)}: {', '.join(names)}" for kind, names in kinds)
            click.echo(f"{row['distribution']:{width}}  {row['version']:8} {row['status']:7} {what}".rstrip())
            for fault in row["faults"]:
                click.echo(f"{'':{width}}  {fault['stage']}: {fault['message']}")
                if fault.get("details"):
                    click.echo(fault["details"])

    app.print(rows, show)
