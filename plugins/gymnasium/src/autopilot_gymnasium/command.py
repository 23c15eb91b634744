"""The command `autopilot gymnasium`: makes the file that describes an environment as a game, and lists these files."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click
from autopilot.api import UserError
from autopilot.commands import App, common, examples
from autopilot.sessions.home import check_name, new_output

from autopilot_gymnasium.descriptor import HOTKEYS, folder_of, read_file

KEYS = {"left": "left", "right": "right", "up": "up", "down": "down", "fire": "space"}
SPARE = [key for key in "123456789qweasdfgzxcvbnmrjkliyh" if key not in HOTKEYS.values()]
"""Keys for controls that are called by none of these."""
MOST_SIDE = 160
"""Frames are recorded so wide and high at most, in pixels."""


@click.group()
def command() -> None:
    """Make games of Gymnasium environments.

    \b
    Examples:
      autopilot gymnasium add ale_py:ALE/Enduro-v5 --name enduro
      autopilot gymnasium add CarRacing-v3 --option continuous=false
      autopilot gymnasium list
    """


def _options(ctx: click.Context, param: click.Parameter, given: tuple[str, ...]) -> dict[str, Any]:
    found = {}
    for text in given:
        name, equals, value = text.partition("=")
        if not name or not equals:
            raise click.BadParameter(f"{text!r}: give NAME=VALUE, e.g. continuous=false")
        try:
            found[name] = json.loads(value)
        except ValueError:
            found[name] = value
        if not isinstance(found[name], str | int | float | bool):
            raise click.BadParameter(f"{text!r}: the value must be a number, true, false or text")
    return found


@command.command(epilog=examples("autopilot gymnasium add ale_py:ALE/Enduro-v5 --name enduro"))
@click.argument("id")
@click.option("--name", metavar="NAME", help="What the game is called (default: after the environment).")
@click.option(
    "--option",
    "options",
    multiple=True,
    metavar="NAME=VALUE",
    callback=_options,
    help="What the environment is made with; repeatable.",
)
@click.option("--force", is_flag=True, help="Replace the file that is there.")
@common
def add(app: App, id: str, name: str | None, options: dict[str, Any], force: bool) -> None:
    """Write the file that makes a game of the environment ID: its actions, keys, rate and picture.

    Of an environment that another package registers ID is PACKAGE:ID. Edit the file as you like: above all
    the names of the controls and their keys.
    """
    from autopilot_gymnasium import environment

    if id.startswith("ALE/"):
        id = f"ale_py:{id}"
    game = check_name(name or _name_of(id), "game").lower()
    path = folder_of(app.home.root) / f"{game}.toml"
    env = environment.make_environment(id, options)
    try:
        count = environment.check_actions(env, id)
        picture = environment.picture_of(env, id, "observation")
        observation, _ = env.reset(seed=0)
        height, width = picture(observation).shape[:2]
        words = environment.meanings_of(env, count)
        hz, steps = environment.decisions_of(env)
        first = int(env.action_space.start)
    finally:
        env.close()
    scale = min(1.0, MOST_SIDE / max(width, height))
    size = [round(width * scale), round(height * scale)]
    actions = _name_actions(words, first)
    text = _toml(id, actions, {"hz": hz, "steps": steps, "frame_size": size}, options)
    with new_output(path, force) as part:
        part.write_text(text, encoding="utf-8")
    found = read_file(path)
    data = {"name": game, "file": str(path), "id": id, "controls": list(found.controls), "keys": dict(found.keys)}
    keys = ", ".join(f"{control}: {key}" for control, key in found.keys.items())
    lines = [f"{game}: {len(found.actions)} actions, {width}x{height}, {hz:g} decisions a second", f"keys: {keys}"]
    lines += [f"edit it: {path}", f"play it: autopilot record --game {game}"]
    app.print(data, "\n".join(lines))


def _name_of(id: str) -> str:
    """Return a game's name: `ALE/Enduro-v5` becomes `enduro`."""
    bare = re.sub(r"-v\d+$", "", id.rpartition(":")[2].rpartition("/")[2])
    return re.sub(r"[^a-z0-9]+", "-", bare.lower()).strip("-") or "game"


def _name_actions(words: list[str], first: int) -> dict[int, tuple[list[str], str]]:
    """Return of each action its controls and what the environment calls it.

    `RIGHTFIRE` holds `right` and `fire`; an action of another name is a control, and so is one without.
    """
    found: dict[int, tuple[list[str], str]] = {}
    for number, word in enumerate(words, first):
        parts = re.findall(r"UP|DOWN|LEFT|RIGHT|FIRE", word)
        if word in ("NOOP", "IDLE") or (not word and number == first):
            held = []
        elif "".join(parts) == word and word:
            held = [part.lower() for part in parts]
        else:
            held = [re.sub(r"\W+", "_", word).lower() or f"action{number}"]
        found[number] = held, word
    return found


def _toml(
    id: str, actions: Mapping[int, tuple[list[str], str]], values: Mapping[str, Any], options: Mapping[str, Any]
) -> str:
    """Return the file's text. JSON's numbers, texts and lists are TOML's, too."""
    controls = list(dict.fromkeys(control for held, _ in actions.values() for control in held))
    spare = iter(SPARE)
    keys = {control: KEYS.get(control) or next(spare, None) for control in controls}
    if None in keys.values():
        raise UserError(f"{id} has {len(actions)} actions, too many for a keyboard")
    lines = ["# A Gymnasium environment as a game of autopilot: docs/gymnasium.md says what each line means.", ""]
    lines += [f"id = {json.dumps(id)}", *(f"{name} = {json.dumps(value)}" for name, value in values.items())]
    lines += [
        "seconds = 300  # a race ends after so long, at the latest",
        "",
        "[actions]  # number = controls held for it",
    ]
    for number, (held, word) in actions.items():
        lines.append(f"{number} = {json.dumps(held)}" + f"  # {word}" * bool(word))
    lines += ["", "[keys]  # control = key", *(f"{control} = {json.dumps(key)}" for control, key in keys.items())]
    if options:
        lines += ["", "[options]", *(f"{name} = {json.dumps(value)}" for name, value in options.items())]
    return "\n".join(lines) + "\n"


@command.command("list", epilog=examples("autopilot gymnasium list", "autopilot gymnasium list --json"))
@common
def list_(app: App) -> None:
    """List the files, and what is wrong with them."""
    from autopilot.commands import ui

    data = [_describe(path) for path in sorted(folder_of(app.home.root).glob("*.toml"))]
    rows = [[d["name"], d["id"] or "", f"{d['hz']:g}" if d["hz"] else "", d["fault"] or "ok"] for d in data]
    none = f"no files in {folder_of(app.home.root)}: make one with `autopilot gymnasium add ID`"
    app.print(data, (lambda: ui.table("", ["game", "environment", "Hz", "file"], rows)) if rows else none)


def _describe(path: Path) -> dict[str, Any]:
    try:
        found = read_file(path)
    except UserError as e:
        return {"name": path.stem, "id": None, "hz": None, "file": str(path), "fault": str(e)}
    return {"name": path.stem, "id": found.id, "hz": found.hz, "file": str(path), "fault": None}
