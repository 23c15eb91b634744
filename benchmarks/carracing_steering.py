"""How CarRacing's demonstrator steers a car that stands beside its line, or points askew.

    python benchmarks/carracing_steering.py [--tracks 40] [--out result.json]

At every tenth decision of a lap the car is put aside, or turned, for the blink of one question, and the
demonstrator is asked again; then the lap goes on as if nothing had happened. Prints JSON: by how many
values the label moves towards the way back (0 to 2, on the average over the labels that can move) per
pixel of a 160x90 frame, and per degree. These are `per_pixel` and `per_degree` of the game's
SteerCorrection.
"""

from __future__ import annotations

import argparse
import json
import math
from pathlib import Path

import numpy as np
from autopilot.api.types import Held, WorldRequest
from autopilot_carracing.labels import make_label_map
from autopilot_carracing.simulator import Race
from autopilot_carracing.world import open_world
from gymnasium.envs.box2d.car_racing import SCALE, WINDOW_W, ZOOM

PIXELS_PER_M = ZOOM * SCALE * 160 / WINDOW_W
PIXELS, DEGREES = (1, 2, 3, 4, 6, 8), (1, 2, 3, 4, 6, 8)
EVERY, WARM_UP = 10, 15  # decisions
FIRST_TRACK = 7000


def asked(race: Race, decide: object, pixels: float, degrees: float) -> Held:
    """Return what the demonstrator holds where the road appears so far to the right, and clockwise."""
    hull = race.simulator.car.hull
    x, y, angle, (vx, vy), place = *hull.position, hull.angle, hull.linearVelocity, race.place
    turn, aside = math.radians(degrees), pixels / PIXELS_PER_M
    cos, sin = math.cos(turn), math.sin(turn)
    hull.angle = angle + turn
    hull.linearVelocity = (cos * vx - sin * vy, sin * vx + cos * vy)
    hull.position = (x - aside * math.cos(angle), y - aside * math.sin(angle))
    race.place = race.line.locate(*hull.position, place)
    try:
        return decide()  # type: ignore[operator]
    finally:
        hull.position, hull.angle, hull.linearVelocity, race.place = (x, y), angle, (vx, vy), place


def measure(tracks: int) -> dict[str, object]:
    """Drive a lap on each track and ask; return the result as plain data."""
    steer = make_label_map().action
    moved: dict[tuple[str, int], list[int]] = {}
    asked_at = 0
    for track in range(FIRST_TRACK, FIRST_TRACK + tracks):
        world = open_world(WorldRequest(str(track), "N", 12.5, laps=1))
        race, driver = world.source, world.demonstrator
        assert isinstance(race, Race)
        assert driver is not None
        for number in range(750):
            if race.referee.reading().finished:
                break
            held = driver.decide()
            if number >= WARM_UP and number % EVERY == 0:
                asked_at += 1
                now = (steer(held) or (1,))[0]
                for kind, sizes in (("pixels", PIXELS), ("degrees", DEGREES)):
                    for size in (*sizes, *(-s for s in sizes)):
                        side = 1 if size > 0 else -1
                        if now == 1 + side:  # no value is left on that side
                            continue
                        then = (steer(asked(race, driver.decide, **{"pixels": 0, "degrees": 0, kind: size})) or (1,))[0]
                        moved.setdefault((kind, abs(size)), []).append(side * (then - now))
            race.hold(held)
            race.tick()
    result: dict[str, object] = {"benchmark": "carracing_steering", "tracks": tracks, "states": asked_at}
    for kind, sizes in (("pixels", PIXELS), ("degrees", DEGREES)):
        means = {size: float(np.mean(moved[kind, size])) for size in sizes}
        result[f"values_by_{kind}"] = {str(k): round(v, 3) for k, v in means.items()}
        small = [size for size in sizes if means[size] < 1]
        slope = sum(s * means[s] for s in small) / sum(s * s for s in small)
        result["per_pixel" if kind == "pixels" else "per_degree"] = round(slope, 4)
    return result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--tracks", type=int, default=40)
    parser.add_argument("--out", type=Path, help="also write the JSON here")
    args = parser.parse_args()
    text = json.dumps(measure(args.tracks), indent=2)
    if args.out:
        args.out.write_text(text + "\n", encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
