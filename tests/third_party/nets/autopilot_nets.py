"""An outside plugin with networks that know more than one frame, or keep more than weights."""

from autopilot.api import ModelSpec, hookimpl

AUTOPILOT_API = 2


@hookimpl
def autopilot_models():
    resnet = {"filters": 8, "smoothing": 0.1, "decay": 1e-3, "erase": 20, "stem": "", "fault": ""}
    return [
        ModelSpec("stack", "the last frames as channels", "autopilot_nets_all:Stack", {"frames": 2, "filters": 8}),
        ModelSpec("gru", "a recurrent network", "autopilot_nets_all:Gru", {"frames": 4, "units": 16, "fault": ""}),
        ModelSpec("resnet", "batch normalisation", "autopilot_nets_all:ResNet", resnet),
    ]
