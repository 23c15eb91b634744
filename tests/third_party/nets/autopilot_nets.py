"""An outside plugin with networks that know more than one frame, or keep more than weights."""

from autopilot.api import ModelSpec, hookimpl

AUTOPILOT_API = 2


@hookimpl
def autopilot_models():
    return [
        ModelSpec("stack", "the last frames as channels", "autopilot_nets_all:Stack", {"frames": 2, "filters": 8}),
        ModelSpec("gru", "a recurrent network", "autopilot_nets_all:Gru", {"frames": 4, "units": 16, "fault": ""}),
        ModelSpec("resnet", "batch normalisation", "autopilot_nets_all:ResNet", {"filters": 8}),
    ]
