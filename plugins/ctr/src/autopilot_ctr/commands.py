"""The command `autopilot ctr`: which tracks there are, and which keys the bindings press."""

from __future__ import annotations

import json

import click

from autopilot_ctr.emulators import PROGRAMS
from autopilot_ctr.game import ALIASES, CTR, TRACKS


@click.group()
def ctr() -> None:
    """Crash Team Racing: its tracks and keys.

    \b
    Examples:
      autopilot ctr tracks
      autopilot ctr keys --json
    """


@ctr.command()
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def tracks(as_json: bool) -> None:
    """List the tracks and their short names.

    \b
    Example:
      autopilot ctr tracks
    """
    short = {track: sorted(a for a, t in ALIASES.items() if t == track) for track in TRACKS}
    if as_json:
        rows = [{"name": t, "title": TRACKS[t], "aliases": short[t]} for t in TRACKS]
        click.echo(json.dumps(rows, indent=2))
        return
    for track, title in TRACKS.items():
        click.echo(f"{track:16} {title:16} {', '.join(short[track])}")


@ctr.command()
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def keys(as_json: bool) -> None:
    """Show which key or button each control is, for every emulator, and the hotkeys.

    \b
    Example:
      autopilot ctr keys
    """
    notes = {name: program.note for name, program in PROGRAMS.items() if program.note}
    if as_json:
        click.echo(json.dumps({"bindings": CTR.bindings, "hotkeys": CTR.hotkeys, "notes": notes}, indent=2))
        return
    for device, profiles in CTR.bindings.items():
        click.echo(f"{device:12} " + " ".join(f"{name:>12}" for name in profiles))
        for control in CTR.controls:
            row = " ".join(f"{binding[control]:>12}" for binding in profiles.values())
            click.echo(f"  {control:10} {row}")
    click.echo("hotkeys      " + ", ".join(f"{key}: {name}" for name, key in CTR.hotkeys.items()))
    for name, note in notes.items():
        click.echo(f"{name:12} {note}")
