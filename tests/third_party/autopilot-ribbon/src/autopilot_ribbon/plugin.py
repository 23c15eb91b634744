"""What this plugin provides: descriptors only, nothing heavy is imported here."""

from autopilot.api import GameSpec, LabelMapSpec, ModelSpec, hookimpl

AUTOPILOT_API = 1


@hookimpl
def autopilot_games():
    return [
        GameSpec(
            name="ribbon",
            title="Ribbon road",
            controls=("left", "right", "accelerate"),
            label_map="ribbon",
            hz=10,
            open_world="autopilot_ribbon.game:open_world",
            track_pattern=r"\d{1,4}",
            track_help="a number from 0 to 9999",
            demonstrator=True,
            referee=True,
            lap_limit_s=60,
        )
    ]


@hookimpl
def autopilot_label_maps():
    return [LabelMapSpec("ribbon", "steer only, gas held", "ribbon", "autopilot_ribbon.game:labels")]


@hookimpl
def autopilot_models():
    return [ModelSpec("tiny", "two convolutions", "autopilot_ribbon.tiny:Tiny", {"width": 16})]
