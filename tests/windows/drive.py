"""A drive of Crash Team Racing's keys in another window by the random driver, under Wine: drive.py HOME TITLE.

It tells the emitter's processes, the driver's first, whenever they change, and is recorded.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

from autopilot.api import Game, Registry, SourceSettings
from autopilot.desktop.desktop import DeviceChoice
from autopilot.drive.drive import Drive, DriveOptions
from autopilot.drive.lineup import Lineup
from autopilot.drive.run import Observer, Run
from autopilot.drive.world import Worlds
from autopilot.sessions.home import Home


class Teller(Observer):
    pids: tuple[int, ...] = ()

    def begin(self, run: Run) -> None:
        self.device: Any = run.world.device
        self.step(None)

    def step(self, step: Any) -> None:
        if self.device.pids != self.pids:
            self.pids = self.device.pids
            print(json.dumps({"pids": [os.getpid(), *self.pids]}), flush=True)


if __name__ == "__main__":
    game = Game(Registry(), "ctr")
    choice = DeviceChoice(device="keyboard", profile="duckstation", settings=SourceSettings(window=sys.argv[2]))
    entrant = Lineup(game, load=NotImplemented).scripted("random")
    Drive(Worlds(game, Home(Path(sys.argv[1])), choice), entrant, DriveOptions(record=True)).go([Teller()])
