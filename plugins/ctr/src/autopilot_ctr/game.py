"""Crash Team Racing as data: tracks, controls, and the keys that emulators give them."""

from __future__ import annotations

import re

from autopilot.api import NOTHING, GameSpec, HudSpec, Manoeuvre, RaceSpec, Recovery, ScreenSpec, Tracks

from autopilot_ctr.emulators import ASPECTS, GAMEPAD, KEYBOARD, PROGRAMS

TITLES = (
    *("Crash Cove", "Roo's Tubes", "Tiger Temple", "Coco Park", "Mystery Caves", "Blizzard Bluff"),
    *("Sewer Speedway", "Dingo Canyon", "Papu's Pyramid", "Dragon Mines", "Polar Pass"),
    *("Cortex Castle", "Tiny Arena", "Hot Air Skyway", "N. Gin Labs", "Oxide Station"),
    *("Slide Coliseum", "Turbo Track"),
)
"""All 18 tracks, as the game writes them."""


def _slug(title: str) -> str:
    return re.sub(r"[^a-z]+", "-", title.lower().replace("'", "").replace(".", "")).strip("-")


TRACKS = {_slug(title): title for title in TITLES}
"""The name that a user types -> the name in the game."""

ALIASES = {
    **{track.split("-")[0]: track for track in TRACKS if track[:2] not in ("n-", "ho")},
    **{"roo": "roos-tubes", "papu": "papus-pyramid", "hot-air": "hot-air-skyway"},
    **{"skyway": "hot-air-skyway", "ngin": "n-gin-labs", "gin": "n-gin-labs", "labs": "n-gin-labs"},
}
"""Short names: mostly the first word."""


def _three_point(side: str, other: str) -> Manoeuvre:
    """Return half of a turn in three: back with the wheel to one side, forward with it to the other."""
    return ((frozenset({"brake", side}), 1.2), (frozenset({"accelerate", other}), 1.0))


_CROSS = (frozenset({"accelerate"}), 0.2)
RETRY: Manoeuvre = ((NOTHING, 5.0), _CROSS, (NOTHING, 2.5), _CROSS, (NOTHING, 2.5), _CROSS)
"""From the finish of a time trial to the next start: past the times and the high scores, then the menu's
first line. The times wait for Cross from 3 s on; the high scores take a second to come."""

CTR = GameSpec(
    name="ctr",
    title="Crash Team Racing (in an emulator)",
    controls=tuple(KEYBOARD["duckstation"]),
    label_map="ctr-timetrial",
    hz=10.0,
    frame_size=(160, 90),
    tracks=Tracks(tuple(TRACKS), ALIASES, help="a track's name or its first word, e.g. coco-park or coco"),
    modes={
        "N": "normal: drive as well as you can",
        "A": "adjust: start against a wall or on the grass and recover",
        "D": "dark: the dark section of a track, again and again",
        "*": "modes of your own naming",
    },
    bindings={"keyboard": KEYBOARD, "gamepad": GAMEPAD},
    hotkeys={"pause": "t", "save": "o", "quit": "p", "discard": "u"},
    race=RaceSpec(
        restart=RETRY,
        recovery=Recovery((_three_point("left", "right"), _three_point("right", "left")), wrong_way=True),
        references={"ctr-ai": "autopilot_ctr.published:ctr_ai"},
        disclaimer="AI / emulator",
    ),
    screen=ScreenSpec(
        frame_source="screen",
        device="keyboard",
        reader="keyboard",
        window="click",  # an emulator may show any title
        programs=PROGRAMS,
        aspects=ASPECTS,
    ),
    hud=HudSpec(
        reader="autopilot_ctr.hud:make",
        learner="autopilot_ctr.hud_learn:learn_and_keep",
        lesson="start a race, drive over the line at least once, and turn round for a few seconds",
        advice="lap times need templates: autopilot learn-hud --game ctr",
    ),
)
