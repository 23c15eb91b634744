"""`autopilot plugins check`."""

from __future__ import annotations

import time
from typing import Any

import click
from autopilot.commands import App, GroupedCommand, common, examples


@click.command(
    cls=GroupedCommand,
    epilog=examples(
        "autopilot plugins check autopilot-ribbon      all that this distribution provides",
        "autopilot plugins check ribbon                what is called so, of whatever kind",
        "autopilot plugins check my-source --video lap.mp4",
    ),
)
@click.argument("name")
@click.option("--video", metavar="FILE", help="File, stream or camera for frame sources that need one.")
@common
@click.pass_context
def command(ctx: click.Context, app: App, name: str, video: str | None) -> None:
    """Try all that a plugin provides; say in a line what is wrong with each, and the fix.

    Exits with 1 where something is wrong. What this machine lacks, a screen or a gamepad, is left out and named.
    """
    from autopilot.api import SourceSettings

    from autopilot_kit.kit import subjects
    from autopilot_kit.subject import Options

    options = Options(settings=SourceSettings(video=video))
    rows: list[dict[str, Any]] = []
    faults: set[str] = set()
    begun = time.monotonic()
    for subject in subjects(app.registry, name, options):
        mine = [_row(subject, check) for check in subject.checks]
        rows += mine
        _tell(str(subject), mine, faults, err=app.json)
    tried = [row for row in rows if not row["left_out"]]
    ended = f"{len(tried)} checks in {time.monotonic() - begun:.1f} s, {len(rows) - len(tried)} left out: "
    ended += f"{len(faults)} fault{'s' * (len(faults) > 1)}" if faults else "no fault"
    app.print({"ok": not faults, "checks": rows}, ended)
    if faults:
        ctx.exit(1)


def _row(subject: Any, check: str) -> dict[str, Any]:
    outcome = subject.run(check)
    return {
        **{"kind": subject.kind, "name": subject.spec.name, "check": check, "faults": list(outcome.faults)},
        **{"left_out": outcome.left_out, "seconds": round(outcome.seconds, 3)},
    }


def _tell(subject: str, rows: list[dict[str, Any]], told: set[str], err: bool) -> None:
    """Print what came of one thing: its faults, each once, and what was left out."""
    fine = [row["check"] for row in rows if not row["faults"] and not row["left_out"]]
    click.echo(f"{subject}: {', '.join(fine) or 'nothing'} fine", err=err)
    for row in rows:
        for fault in row["faults"]:
            if not any(fault.endswith(other) for other in told):  # one that it has from another part was told there
                told.add(fault)
                click.secho(f"  {row['check']}: {fault}", err=err, fg="red")
    for reason in dict.fromkeys(row["left_out"] for row in rows if row["left_out"]):
        left = ", ".join(row["check"] for row in rows if row["left_out"] == reason)
        click.secho(f"  left out: {left}: {reason}", err=err, fg="yellow")
