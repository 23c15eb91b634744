"""What this plugin provides: descriptors only, nothing heavy is imported here."""

from autopilot.api import GameSpec, LabelMapSpec, ModelSpec, RaceSpec, SimulatorSpec, Tracks, hookimpl

AUTOPILOT_API = 2


@hookimpl
def autopilot_games():
    return [
        GameSpec(
            name="ribbon",
            title="Ribbon road",
            controls=("left", "right", "accelerate"),
            label_map="ribbon",
            hz=10,
            tracks=Tracks(pattern=r"\d{1,4}", help="a number from 0 to 9999"),
            race=RaceSpec(referee=True, lap_limit_s=60),
            simulator=SimulatorSpec("autopilot_ribbon.game:open_world", demonstrators={"demonstrator": "ribbon"}),
        )
    ]


@hookimpl
def autopilot_label_maps():
    return [LabelMapSpec("ribbon", "steer only, gas held", "ribbon", "autopilot_ribbon.game:labels")]


@hookimpl
def autopilot_models():
    return [ModelSpec("tiny", "two convolutions", "autopilot_ribbon.tiny:Tiny", {"width": 16})]
