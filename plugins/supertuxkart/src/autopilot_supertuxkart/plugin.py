"""What this plugin provides: the game `supertuxkart`, real and in lock-step, and its label maps."""

from __future__ import annotations

from dataclasses import replace

from autopilot.api import (
    API_VERSION,
    GameSpec,
    LabelMapSpec,
    RaceSpec,
    Recovery,
    ScreenSpec,
    SimulatorSpec,
    Tracks,
    hookimpl,
)

AUTOPILOT_API = API_VERSION

TRACKS = ("olivermath", "lighthouse", "snowtuxpeak", "sandtrack")
KEYS = {
    **{"left": "left", "right": "right", "accelerate": "up", "brake": "down"},
    **{"skid": "v", "nitro": "n", "fire": "space", "rescue": "backspace"},
}
"""The game's own."""
COLLECTED = (0.40, 0.03, 0.24, 0.14)
"""Where the picture of what can be fired is; in Arcade the network must see it."""
HUD = (
    (0.70, 0.0, 0.30, 0.19),  # clock and laps
    COLLECTED,
    (0.0, 0.10, 0.13, 0.22),  # the face
    (0.0, 0.56, 0.22, 0.44),  # the map
    (0.905, 0.78, 0.06, 0.12),  # the rank
)
"""What a network must not see. The speed beside the rank stays: a frame shows it nowhere else."""
PRO = "supertuxkart-pro"
HOTKEYS = {"pause": "t", "save": "o", "quit": "p", "discard": "u"}


TRACK_NAMES = Tracks(
    TRACKS, pattern=r"[a-z0-9_]{1,40}", help=f"{', '.join(TRACKS)}, or another track's name in the game's data"
)
RACE = RaceSpec(referee=True, lap_limit_s=120.0, recovery=Recovery(manoeuvres=(((frozenset({"rescue"}), 0.4),),)))
TIME_TRIAL = GameSpec(
    name="supertuxkart",
    title="SuperTuxKart, time trial",
    controls=tuple(KEYS),
    label_map="supertuxkart",
    hz=10.0,
    frame_size=(160, 90),
    tracks=TRACK_NAMES,
    modes={
        "N": "normal",
        "A": "adjust: recoveries, by hand or by --noise",
        "S": "strewn: put off the line, against walls and facing wrong, in lock-step",
    },
    bindings={"keyboard": {"default": KEYS}},
    hotkeys=HOTKEYS,
    hidden=HUD,
    race=replace(RACE, references={"ghost": "autopilot_supertuxkart.ghosts:reference"}),
    screen=ScreenSpec(frame_source="screen", device="keyboard", reader="keyboard", window="SuperTuxKart"),
    simulator=SimulatorSpec(
        open_world="autopilot_supertuxkart.world:open_world",
        clocks=("lockstep", "wall"),
        demonstrators={"demonstrator": "supertuxkart", "demonstrator-pro": PRO, "demonstrator-ghost": PRO},
        noise_mode="A",
        probe="autopilot_supertuxkart.assets:probe",
    ),
)
ARCADE = replace(
    TIME_TRIAL,
    name="supertuxkart-arcade",
    title="SuperTuxKart, Arcade: opponents and items",
    label_map=PRO,
    modes={"N": "normal", "A": "adjust: recoveries, by --noise"},
    hidden=tuple(box for box in HUD if box != COLLECTED),
    race=RACE,
    screen=None,
    simulator=SimulatorSpec(
        open_world="autopilot_supertuxkart.world:open_arcade",
        demonstrators={"demonstrator": PRO, "demonstrator-pro": PRO},
        noise_mode="A",
        options={"opponents": 4, "difficulty": "intermediate"},
    ),
)


@hookimpl
def autopilot_games() -> list[GameSpec]:
    """SuperTuxKart's time trial, in the installed game or its engine in lock-step; and Arcade in lock-step."""
    return [TIME_TRIAL, ARCADE]


@hookimpl
def autopilot_label_maps() -> list[LabelMapSpec]:
    """Left, forward or right with the gas held; and all that makes a kart faster."""
    return [
        LabelMapSpec(
            "supertuxkart",
            "steer: left forward right; accelerate always held",
            "supertuxkart",
            make="autopilot_supertuxkart.labels:steer_only",
        ),
        LabelMapSpec(
            PRO,
            "steer: left forward right; skid, nitro, fire: no yes; accelerate always held",
            ("supertuxkart", "supertuxkart-arcade"),
            make="autopilot_supertuxkart.labels:pro",
        ),
    ]
