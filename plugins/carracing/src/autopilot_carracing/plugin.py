"""What this plugin provides: the game `carracing` and its label map."""

from __future__ import annotations

from autopilot.hookspecs import API_VERSION, hookimpl
from autopilot.specs import GameSpec, LabelMapSpec

AUTOPILOT_API = API_VERSION

KEYS = {"left": "left", "right": "right", "accelerate": "up", "brake": "down"}
HOTKEYS = {"pause": "t", "save": "o", "quit": "p"}


@hookimpl
def autopilot_games() -> list[GameSpec]:
    """CarRacing-v3, embedded: nothing to download or own."""
    return [
        GameSpec(
            name="carracing",
            title="Gymnasium CarRacing-v3, in lock-step",
            controls=("left", "right", "accelerate", "brake"),
            label_map="carracing",
            hz=12.5,
            frame_size=(160, 90),
            open_world="autopilot_carracing.world:open_world",
            track_pattern=r"\d{1,9}",
            track_help="a seed, from 0 to 999999999; each makes its own track",
            modes={"N": "normal", "A": "adjust: starts astray and turned, to record recoveries"},
            bindings={"window": {"default": KEYS}},
            hotkeys=HOTKEYS,
            demonstrator=True,
            referee=True,
            lap_limit_s=60.0,
        )
    ]


@hookimpl
def autopilot_label_maps() -> list[LabelMapSpec]:
    """Three ways to steer by three pedals."""
    return [
        LabelMapSpec(
            name="carracing",
            title="steer: left forward right x pedal: gas coast brake",
            game="carracing",
            make="autopilot_carracing.labels:make_label_map",
        )
    ]
