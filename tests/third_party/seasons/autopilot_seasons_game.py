"""Ribbon's road in other colours, and what its controls mean."""

from dataclasses import replace
from functools import partial

import numpy as np
from autopilot.api import Choice, ChoiceAxis, ChoiceLabelMap, World
from autopilot_ribbon.game import Ribbon
from autopilot_ribbon.game import labels as ribbon_labels

LEFT, RIGHT, GAS = (frozenset({control}) for control in ("left", "right", "accelerate"))
COLOURS = {"summer": (0, 1, 2), "winter": (2, 0, 1), "autumn": (1, 0, 2)}
STEER = (Choice("left", LEFT), Choice("forward"), Choice("right", RIGHT))


class Season(Ribbon):
    def __init__(self, request, name):
        super().__init__(request)
        self.name = name

    def read(self):
        frame = super().read()
        return replace(frame, image=np.ascontiguousarray(frame.image[..., COLOURS[self.name]]))


def open_world(request, name):
    road = Season(request, name)
    return World(source=road, device=road, clock=road, referee=road, demonstrator=road)


open_summer, open_winter, open_autumn = (partial(open_world, name=name) for name in COLOURS)
labels = ribbon_labels


def pedal():
    steer = ChoiceAxis("steer", STEER, mirror={"left": "right"})
    return ChoiceLabelMap([steer, ChoiceAxis("pedal", (Choice("gas", GAS), Choice("coast")))])
