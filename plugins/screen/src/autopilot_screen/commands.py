"""The command `autopilot windows`: what `--window` and `--monitor` can name."""

from __future__ import annotations

import json
from dataclasses import asdict

import click


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def windows(as_json: bool) -> None:
    """List the windows and monitors that --window and --monitor can name.

    \b
    Examples:
      autopilot windows
      autopilot record --game ctr --window "crash team"       part of the title
      autopilot record --game ctr --window process:duckstation
      autopilot record --game ctr --window id:0x1a00003
      autopilot record --game ctr --window click              click on it
    """
    from autopilot_screen.screen import monitors, wayland
    from autopilot_screen.windows import open_desk

    screens = monitors()
    desk = open_desk()
    try:
        found = desk.windows()
        data = {
            "windows": [asdict(w) | {"id": hex(w.id)} for w in found],
            "monitors": [asdict(m) for m in screens],
            "scale": desk.scale(),
        }
    finally:
        desk.close()
    if as_json:
        click.echo(json.dumps(data, indent=2))
        return
    for w in found:
        x, y, width, height = w.box
        note = "  minimised" if w.minimised else ""
        click.echo(f"id:{w.id:<#12x} {f'{width}x{height} at {x},{y}':20} {w.process:20} {w.title}{note}")
    if not found:
        click.echo("no windows")
    if wayland():
        click.echo("a Wayland session: the windows are those of X11 programs, and the monitors cannot be read")
    for m in screens:
        x, y, width, height = m.box
        click.echo(f"monitor {m.number}: {width}x{height} at {x},{y} {m.name}{'  primary' if m.primary else ''}")
    click.echo(f"the desktop enlarges by {data['scale']:g}; all sizes here and in --region are pixels of the screen")
