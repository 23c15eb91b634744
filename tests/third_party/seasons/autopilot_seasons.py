"""A plugin of somebody else: three games on ribbon's road, two of which share their label maps."""

from autopilot.api import GameSpec, LabelMapSpec, SimulatorSpec, SteerCorrection, Tracks, hookimpl

AUTOPILOT_API = 2

HIDDEN = {"summer": ((0.0, 0.0, 0.25, 0.2),), "winter": ((0.0, 0.8, 0.5, 0.2),)}
BOTH = ("summer", "winter")


@hookimpl
def autopilot_games():
    return [
        GameSpec(
            name=name,
            title=f"Ribbon in {name}",
            controls=("left", "right", "accelerate"),
            label_map=labels,
            tracks=Tracks(pattern=r"\d{1,4}"),
            hidden=HIDDEN.get(name, ()),
            steering=SteerCorrection(per_pixel=0.02) if name == "winter" else None,
            simulator=SimulatorSpec(f"autopilot_seasons_game:open_{name}", demonstrators={"demonstrator": labels}),
        )
        for name, labels in (("summer", "seasons"), ("winter", "seasons"), ("autumn", "autumn"))
    ]


@hookimpl
def autopilot_label_maps():
    module = "autopilot_seasons_game"
    return [
        LabelMapSpec("seasons", "steer only, gas held", BOTH, f"{module}:labels"),
        LabelMapSpec("seasons-pedal", "steer and gas", BOTH, f"{module}:pedal"),
        LabelMapSpec("autumn", "its own, with the axes of the others", "autumn", f"{module}:labels"),
    ]
