"""An outside plugin whose network keeps more than weights: running means, a counter, dropout's keys."""

from autopilot.api import ModelSpec, hookimpl

AUTOPILOT_API = 2


@hookimpl
def autopilot_models():
    return [ModelSpec("variables", "v", "autopilot_variables_net:Net", {"fault": ""})]
