"""An outside plugin that does wrong where the tests say so, and right elsewhere.

EVIL is `WHERE=EXPRESSION`: the function of that name gives what the expression says, or raises, instead of its own.
EVIL_SPEC is an expression for a dictionary: fields of the game `evil` that are other than they should be.
What happens on its device goes, a line each, to the file that EVIL_LOG names.
"""

from __future__ import annotations

import functools
import os
import time
from pathlib import Path

import click
import numpy as np
from autopilot.api import (
    NOTHING,
    Choice,
    ChoiceAxis,
    ChoiceLabelMap,
    CommandSpec,
    DeviceSpec,
    Frame,
    FrameSourceSpec,
    GameSpec,
    LabelMapSpec,
    ModelSpec,
    Probe,
    RaceSpec,
    Reading,
    Reference,
    ScreenSpec,
    SimulatorSpec,
    Tracks,
    World,
    errors,
    hookimpl,
)

AUTOPILOT_API = 2
LEFT, RIGHT = frozenset({"left"}), frozenset({"right"})


def boom(error):
    raise error


def evil(function):
    @functools.wraps(function)
    def either(*args):
        where, _, what = os.environ.get("EVIL", "").partition("=")
        if where != function.__name__:
            return function(*args)
        return eval(
            what, {**globals(), "errors": errors, "time": time, "plain": lambda: function(*args), "me": args[0:1]}
        )

    return either


def log(what):
    if path := os.environ.get("EVIL_LOG"):
        with Path(path).open("a") as f:
            f.write(f"{what}\n")


class Road:
    """Source, device, clock, reader, referee, HUD reader and demonstrator in one."""

    lockstep = True

    def __init__(self, hz=10):
        self.steps, self.hz = 0, hz

    @evil
    def read(self, frame=None):
        if frame is not None:
            return hud_read(self)
        image = np.zeros((90, 160, 3), np.uint8)
        image[:, : self.steps % 160] = 200
        return Frame(image, int(self.steps * 1e9 / self.hz))

    @evil
    def hold(self, controls):
        log("hold " + " ".join(sorted(controls)))

    @evil
    def release_all(self):
        log("release")

    @evil
    def close(self):
        log("close")

    @evil
    def tick(self):
        self.steps += 1

    @evil
    def held(self):
        return LEFT if self.steps % 2 else NOTHING

    @evil
    def hotkeys(self):
        return ()

    @evil
    def reading(self):
        return Reading(lap=self.steps // 10, race_time_s=self.steps / self.hz)

    @evil
    def decide(self):
        return LEFT if self.steps % 2 else RIGHT


@evil
def hud_read(road):
    return Reading(lap=road.steps // 10)


class ScreenRoad(Road):
    """What is seen moves by itself."""

    def read(self):
        self.steps += 1
        return super().read()


@evil
def on_close():
    log("on_close")


@evil
def open_world(request):
    road = Road(request.hz)
    hud = road if os.environ.get("EVIL", "").startswith("hud_read") else None
    return World(road, road, road, road, None if hud else road, hud, road, on_close)


@evil
def open_eye(settings):
    return ScreenRoad()


class Hand:
    """Presses nothing; says what it would press."""

    sticky, devices = False, ()

    def __init__(self, names):
        pass

    def press(self, name):
        log(f"press {name}")

    def release(self, name):
        log(f"release {name}")

    def flush(self):
        pass

    def close(self):
        log("close hand")


@evil
def open_reader(bindings, hotkeys, ours):
    return Road()


def steer(**options):
    choices = [Choice("left", LEFT), Choice("forward"), Choice("right", RIGHT)]
    return ChoiceAxis("steer", choices, **{"mirror": {"left": "right"}, **options})


class LostMap:
    """A label map by itself, whose every action becomes the first."""

    action_space = ChoiceLabelMap([steer()]).action_space

    def action(self, held):
        return (0,)

    def held(self, action):
        return LEFT


@evil
def labels():
    return ChoiceLabelMap([steer()])


@evil
def probe():
    return [Probe("evil eye", True, "sees")]


@evil
def ghost(track, laps):
    return Reference(track, laps, {"me": ("1.0 2.0",)}, "nowhere")


@click.command("evil")
def command():
    print("evil")
    run()


@evil
def run():
    pass


@hookimpl
@evil
def autopilot_games():
    common = {"controls": ("left", "right"), "tracks": Tracks(("0",))}
    race = RaceSpec(referee=True, references={"ghost": "autopilot_evil:ghost"})
    world = SimulatorSpec("autopilot_evil:open_world", demonstrators={"demonstrator": "evil"})
    spec = {"name": "evil", "title": "Evil", "label_map": "evil", "hz": 10, "race": race, "simulator": world, **common}
    keys = {"evil-hand": {"default": {"left": "a", "right": "b"}}}
    screen = ScreenSpec("evil-eye", "evil-hand", "evil-hand")
    seen = {"name": "evil-seen", "title": "Evil, seen", "label_map": "evil-seen", "bindings": keys, "screen": screen}
    return [GameSpec(**spec | eval(os.environ.get("EVIL_SPEC", "{}"))), GameSpec(**common, **seen)]


@hookimpl
def autopilot_label_maps():
    return [LabelMapSpec(name, "e", name, "autopilot_evil:labels") for name in ("evil", "evil-seen")]


@hookimpl
def autopilot_frame_sources():
    return [FrameSourceSpec("evil-eye", "e", "autopilot_evil:open_eye", probe="autopilot_evil:probe")]


@hookimpl
def autopilot_models():
    return [ModelSpec("evil-net", "e", "autopilot_evil_net:Net")]


@hookimpl
def autopilot_devices():
    return [DeviceSpec("evil-hand", "h", "autopilot_evil:Hand", "autopilot_evil:open_reader")]


@hookimpl
@evil
def autopilot_commands():
    return [CommandSpec("evil", "Do evil.", "autopilot_evil:command")]
