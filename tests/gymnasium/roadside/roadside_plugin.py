"""What it offers to autopilot."""

from autopilot.api import hookimpl
from autopilot_gymnasium import gymnasium_game

AUTOPILOT_API = 2
ROAD = gymnasium_game(
    name="road",
    id="roadside:Road-v0",
    actions={0: [], 1: ["left"], 2: ["right"]},
    keys={"left": "left", "right": "right"},
    hz=10,
    frame_size=(16, 16),
    demonstrator="roadside:drive",
)


@hookimpl
def autopilot_games():
    return [ROAD[0]]


@hookimpl
def autopilot_label_maps():
    return [ROAD[1]]
