"""Two Gymnasium environments as games, each with a scripted driver."""

from autopilot.api import hookimpl
from autopilot_gymnasium import gymnasium_game

AUTOPILOT_API = 2

ENDURO = gymnasium_game(
    name="enduro",
    id="ale_py:ALE/Enduro-v5",
    actions={0: [], 1: ["accelerate"], 7: ["accelerate", "right"], 8: ["accelerate", "left"], 4: ["brake"]},
    keys={"accelerate": "up", "left": "left", "right": "right", "brake": "down"},
    hz=15,  # the emulator's 60 pictures a second, of which the environment shows every fourth
    frame_size=(104, 136),
    seconds=60,
    hidden=[(0, 0.74, 1, 0.26)],  # the score and the cars to pass
    demonstrator="autopilot_arcade.drivers:drive_enduro",
)

RACING = gymnasium_game(
    name="racing",
    id="CarRacing-v3",
    options={"continuous": False},
    actions={0: [], 1: ["right"], 2: ["left"], 3: ["accelerate"], 4: ["brake"]},
    keys={"accelerate": "up", "left": "left", "right": "right", "brake": "down"},
    hz=50 / 3,
    steps=3,
    frame_size=(96, 96),
    hidden=[(0, 0.88, 0.13, 0.12)],  # the score
    demonstrator="autopilot_arcade.drivers:drive_carracing",
)


@hookimpl
def autopilot_games():
    return [ENDURO[0], RACING[0]]


@hookimpl
def autopilot_label_maps():
    return [ENDURO[1], RACING[1]]
