"""A plugin for the tests: a road in real time, with a human's script, faults and delays.

What happens on its device goes, a line each, to the file that PITLANE_LOG names; PITLANE says,
as JSON, which hotkeys the human presses (`keys`: [frame, hotkey], in order) and what goes wrong.
"""

from __future__ import annotations

import json
import os
import time
from contextlib import suppress
from pathlib import Path

import numpy as np
from autopilot.api import (
    NOTHING,
    Away,
    Choice,
    ChoiceAxis,
    ChoiceLabelMap,
    DeviceSpec,
    Frame,
    FrameSourceSpec,
    GameSpec,
    LabelMapSpec,
    Probe,
    RaceSpec,
    Reading,
    ScreenSpec,
    SimulatorSpec,
    Tracks,
    World,
    hookimpl,
)

AUTOPILOT_API = 2
STEER = [Choice("left", frozenset({"left"})), Choice("forward"), Choice("right", frozenset({"right"}))]


def plan():
    return json.loads(os.environ.get("PITLANE", "{}"))


def log(what):
    if path := os.environ.get("PITLANE_LOG"):
        with Path(path).open("a") as f:
            f.write(f"{what}\n")


class Lane:
    """Source, device, reader, referee and demonstrator in one."""

    def __init__(self, request):
        self.plan, self.request, self.frames, self.laps = plan(), request, 0, ()
        log(f"open {request.track} human={request.human}")

    def read(self):
        if self.frames == self.plan.get("frames"):
            raise EOFError
        if self.frames in self.plan.get("away", []):
            self.plan["away"].remove(self.frames)
            raise Away("pit lane was closed; open it again, or stop")
        self.frames += 1
        image = np.zeros((90, 160, 3), np.uint8)
        image[:, : self.frames % 160] = 200
        return Frame(image, time.monotonic_ns())

    def hold(self, controls):
        log("hold " + " ".join(sorted(controls)))

    def release_all(self):
        log("release")

    def close(self):
        log("close")

    def held(self):
        if self.plan.pop("tapped", False):  # since the last call
            return frozenset({"right"})
        if not self.request.human:  # in a drive the human presses what the plan says, at those frames
            return frozenset({"right"}) if self.frames in self.plan.get("human", []) else NOTHING
        return frozenset({"left"}) if self.frames % 3 == 0 else NOTHING

    def hotkeys(self):
        keys = self.plan.get("keys", [])
        return (keys.pop(0)[1],) if keys and self.frames >= keys[0][0] else ()

    def reading(self):
        on = self.frames % 10 in (3, 4)
        lap = self.frames // 10
        wanted = self.request.laps
        return Reading(
            lap=lap,
            lap_times_s=tuple(1.0 + 0.25 * i for i in range(lap)),
            incident=on and lap == 1,
            finished=0 < wanted <= lap and self.request.track != "endless",
        )

    def decide(self):
        if self.frames == self.plan.get("raise_at"):
            raise RuntimeError("the script has lost its way")
        time.sleep(self.plan.get("slow_s", 0))
        return frozenset(self.plan.get("held", ["left"] if self.frames % 4 else ["right"]))


class Arena(Lane):
    """Points and no laps: a frame with the left key held is worth one; over after twenty, or never."""

    def __init__(self, request):
        super().__init__(request)
        self.score = 0

    def hold(self, controls):
        self.score += "left" in controls

    def reading(self):
        return Reading(score=self.score, finished=self.frames == 20 and self.request.track != "endless")

    def decide(self):
        return frozenset({"left"} if self.frames % 4 else ())


class Pad:
    """A device whose process hangs at its first press, and prints."""

    sticky, devices = False, ()

    def __init__(self, names):
        print("the pad is plugged in", flush=True)

    def press(self, name):
        with suppress(FileExistsError):
            Path(os.environ["PITLANE_LOG"] + ".hung").touch(exist_ok=False)
            time.sleep(1000)

    def release(self, name):
        pass

    def flush(self):
        pass

    close = flush


def open_padded(request):
    lane = Lane(request)
    return World(source=lane, reader=lane, referee=lane, demonstrator=lane)


def open_world(request):
    lane = Lane(request)
    return World(source=lane, device=lane, reader=lane, referee=lane, demonstrator=lane)


def open_arena(request):
    arena = Arena(request)
    return World(source=arena, device=arena, reader=arena, referee=arena, demonstrator=arena)


def labels():
    axis = ChoiceAxis("steer", STEER, mirror={"left": "right"}, conflicts=[frozenset({"left", "right"})])
    return ChoiceLabelMap([axis])


def other_labels():
    return ChoiceLabelMap([ChoiceAxis("steer", STEER[:2])])


def failing_probe():
    raise RuntimeError("probed too hard")


def good_probe():
    return [Probe("pit wheel", True, "turns"), Probe("pit pedal", False, "is gone", "find it")]


def game(name, label_map="pit", target="autopilot_pitlane:open_world", teaches=True, **options):
    simulator = SimulatorSpec(target, demonstrators={"demonstrator": label_map} if teaches else {})
    common = {"hz": 50, "race": RaceSpec(referee=teaches, lap_limit_s=3), "simulator": simulator}
    tracks = Tracks(("oval", "endless"))
    return GameSpec(name, name.title(), ("left", "right"), label_map, tracks=tracks, **common | options)


@hookimpl
def autopilot_games():
    return [
        game("pit"),
        game(
            "padded",
            "pit-padded",
            "autopilot_pitlane:open_padded",
            screen=ScreenSpec(device="pit-pad"),
            bindings={"pit-pad": {"": {"left": "l", "right": "r"}}},
        ),
        game("other-axes", "pit-other"),
        game("other-size", "pit-size", frame_size=(80, 45)),
        game("wild", "pit-wild", teaches=False),
        game(
            "arena", "arena", target="autopilot_pitlane:open_arena", race=RaceSpec(True, scored=True, lap_limit_s=0.6)
        ),
        game("gone", "pit-gone", "autopilot_pitlane_no_such:open_world"),
    ]


@hookimpl
def autopilot_label_maps():
    return [
        LabelMapSpec("pit", "p", "pit", "autopilot_pitlane:labels"),
        LabelMapSpec("pit-padded", "p", "padded", "autopilot_pitlane:labels"),
        LabelMapSpec("pit-other", "p", "other-axes", "autopilot_pitlane:other_labels"),
        LabelMapSpec("pit-size", "p", "other-size", "autopilot_pitlane:labels"),
        LabelMapSpec("pit-wild", "p", "wild", "autopilot_pitlane:labels"),
        LabelMapSpec("arena", "p", "arena", "autopilot_pitlane:labels"),
        LabelMapSpec("pit-gone", "p", "gone", "autopilot_pitlane:labels"),
    ]


@hookimpl
def autopilot_frame_sources():
    return [FrameSourceSpec("pit-eye", "fails", "x:y", probe="autopilot_pitlane:failing_probe")]


@hookimpl
def autopilot_devices():
    return [
        DeviceSpec("pit-wheel", "w", probe="autopilot_pitlane:good_probe"),
        DeviceSpec("pit-pad", "p", backend="autopilot_pitlane:Pad"),
    ]
