"""How well SuperTuxKart's clock and lap counter are read, against the lock-step engine's own; prints JSON.

The demonstrator drives two laps of each track. A time is wrong when it differs from the engine's by
more than a millisecond, a lap when it is not the engine's.
"""

from __future__ import annotations

import argparse
import json

from autopilot.api.types import NOTHING, Frame
from autopilot_supertuxkart.demonstrator import Demonstrator
from autopilot_supertuxkart.hud import HudReader
from autopilot_supertuxkart.plugin import TRACKS
from autopilot_supertuxkart.simulation import Simulation
from autopilot_supertuxkart.world import SIZE


def read(track: str, limit: int) -> dict[str, int]:
    simulation = Simulation(track, 2, SIZE)
    simulation.step(NOTHING, 1)
    driver, reader = Demonstrator(simulation), HudReader()
    found = {"frames": 0, "read": 0, "wrong_times": 0, "wrong_laps": 0}
    while found["frames"] < limit:
        simulation.step(driver.decide(), 6)
        kart = simulation.kart
        if kart.finished:
            break
        reading = reader.read(Frame(simulation.image, round(kart.time * 1e9)))
        found["frames"] += 1
        if reading.race_time_s is not None:
            found["read"] += 1
            found["wrong_times"] += abs(reading.race_time_s - kart.time) > 0.0011
            found["wrong_laps"] += reading.lap != max(0, kart.laps)
    simulation.close()
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--frames", type=int, default=1500, help="of each track, at most")
    limit = parser.parse_args().frames
    tracks = {track: read(track, limit) for track in TRACKS}
    total = {key: sum(found[key] for found in tracks.values()) for key in tracks[TRACKS[0]]}
    print(json.dumps({**tracks, "all": {**total, "share_read": round(total["read"] / total["frames"], 4)}}, indent=2))


if __name__ == "__main__":
    main()
