"""What this plugin provides: the game `carracing` and its label map."""

from __future__ import annotations

from autopilot.api import (
    API_VERSION,
    CommandSpec,
    GameSpec,
    LabelMapSpec,
    RaceSpec,
    SimulatorSpec,
    SteerCorrection,
    Tracks,
    hookimpl,
    levels,
)

AUTOPILOT_API = API_VERSION

KEYS = {"left": "left", "right": "right", "accelerate": "up", "brake": "down"}
STEER = (-1.0, -0.8, -0.6, -0.4, -0.2, 0.2, 0.4, 0.6, 0.8, 1.0)
"""How far the wheels may be told to turn, as shares of what the speed allows; 0 besides."""
BAR = (0.0, 0.875, 1.0, 0.125)
"""The instruments below the road: speed, wheels, steering, turning; and on the left the score."""
SCORE = (0.0, 0.88, 0.115, 0.12)
"""The score's digits, which are the referee's. The rest of the bar stays to be seen: one frame shows
the speed nowhere else."""
STEERING = SteerCorrection(
    per_pixel=0.067,  # both measured: benchmarks/carracing_steering.py
    per_degree=0.025,
    pivot=(0.5, 0.75),
    pixel_aspect=(1000 / 160) / (800 / 90),  # gymnasium draws 1000x800
    static_regions=(BAR, (0.465, 0.68, 0.07, 0.13)),
)
HOTKEYS = {"pause": "t", "save": "o", "quit": "p", "discard": "u"}


@hookimpl
def autopilot_games() -> list[GameSpec]:
    """CarRacing-v3, embedded: nothing to download or own."""
    return [
        GameSpec(
            name="carracing",
            title="Gymnasium CarRacing-v3, in lock-step",
            controls=("left", "right", "accelerate", "brake", *levels("steer", STEER)),
            label_map="carracing",
            hz=12.5,
            frame_size=(160, 90),
            tracks=Tracks(pattern=r"\d{1,9}", help="a seed, from 0 to 999999999; each makes its own track"),
            modes={"N": "normal", "A": "adjust: starts astray and turned, to record recoveries"},
            bindings={"window": {"default": KEYS}},
            hotkeys=HOTKEYS,
            hidden=(SCORE,),
            steering=STEERING,
            race=RaceSpec(referee=True, lap_limit_s=60.0),
            simulator=SimulatorSpec(
                open_world="autopilot_carracing.world:open_world",
                demonstrators={
                    "demonstrator": "carracing",
                    "demonstrator-fast": "carracing",
                    "demonstrator-analogue": "carracing-analogue",
                },
                noise_mode="A",
                probe="autopilot_carracing.window:probe",
            ),
        )
    ]


@hookimpl
def autopilot_label_maps() -> list[LabelMapSpec]:
    """Three ways to steer, or as many as a stick has levels, by three pedals."""
    return [
        LabelMapSpec(
            name="carracing",
            title="steer: left forward right x pedal: gas coast brake",
            game="carracing",
            make="autopilot_carracing.labels:make_label_map",
        ),
        LabelMapSpec(
            name="carracing-analogue",
            title="steer: levels from -1 to 1 x pedal: gas coast brake",
            game="carracing",
            make="autopilot_carracing.labels:make_analogue_label_map",
        ),
    ]


@hookimpl
def autopilot_commands() -> list[CommandSpec]:
    """The main job, by itself."""
    return [
        CommandSpec("demo", "Record, train, drive and race CarRacing by itself.", "autopilot_carracing.demo:command")
    ]
