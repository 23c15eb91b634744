"""How well Crash Team Racing's HUD is learned and read, on frames that the tests draw; prints JSON.

Each trial is another emulator's picture (size, filter, blur, scanlines, noise, displacement), another
font, map or speedometer, NTSC or PAL. Templates are learned from a minute of one track under one sky; then
other tracks are read, under all skies in turn. Of the real game nothing is known by this.

    python benchmarks/ctr_hud.py --real FOLDER

measures on frames of the real game that you have, PNG files named by what they show: `0-21-28_1-3.png`. Their
letters are put over the sides of their pictures to a race of a minute, which is learned; then the frames
themselves are read.
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import asdict, dataclass, replace
from itertools import pairwise
from pathlib import Path

import numpy as np
from autopilot.api.errors import UserError
from autopilot_ctr.hud import HudReader
from autopilot_ctr.hud_glyphs import CLOCK, LAPS
from autopilot_ctr.hud_learn import learn
from autopilot_ctr.hud_templates import clock_hundredths

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
from support.ctr.drawn import FONTS, SKIES, Look, Race, Screen, play
from support.ctr.pasted import Pasted, load

LEARN_S, WRONG = 62.0, (30.0, 5.0)
LAP_M = 420.0
HALF_FRAME = 12
"""Where learning said that lap times are not read but taken from the clock, one may be off by as many hundredths:
half of the time between two frames at each end of the lap, and what cutting off to hundredths does."""


@dataclass(frozen=True)
class Trial:
    """One emulator and one HUD."""

    screen: Screen
    look: Look
    fps: int = 30
    seed: int = 0


def trials(count: int) -> list[Trial]:
    """Return `count` of them, alike whenever they are made."""
    rng = np.random.default_rng(2024)
    made = []
    for n in range(count):
        scale = (1.0, 2.0, 3.0, 4.0, *np.round(rng.uniform(1, 4, 4), 2))[n % 8]
        size = (round(512 * scale), round(216 * scale)) if n % 3 else (round(512 * scale), round(384 * scale))
        moved = tuple(rng.uniform(-0.08, 0.08, 4)) if n % 2 else (0.0,) * 4
        screen = Screen(
            size,
            (1 + moved[0], 1 + moved[1]),
            # The HUD stays in sight: from x = 20 to 484, from y = 8.
            (min(max(moved[2], -0.02), 0.99 - 484 / 512 * (1 + moved[0])), max(moved[3], -0.02)),
            smooth=n % 5 != 1,
            blur=float((0.0, 0.5, 0.8)[n % 3]) * scale / 2,
            lines=float((0.0, 0.3, 0.5)[(n // 2) % 3]),
            noise=float((0, 6, 12)[(n // 3) % 3]),
        )
        look = Look(list(FONTS)[n % len(FONTS)], ("map", "speed")[n % 2], track=n, slash=(17, 11)[n % 2])
        made.append(Trial(screen, look, (30, 25)[n % 2], n))
    return made


def run(trial: Trial, frames: int) -> dict[str, object]:
    """Learn, then read `frames` frames of other tracks; return counts."""
    found: dict[str, object] = {"learned": True, "frames": 0, "read": 0, "wrong_times": 0, "wrong_laps": 0}
    found |= {
        "blinks": 0,
        "blinks_seen": 0,
        "false_alarms": 0,
        "lap_times": 0,
        "from_the_clock": 0,
        "wrong_lap_times": 0,
        "finishes": 0,
    }
    race = Race(3, LAP_M, trial.fps, trial.look)
    try:
        learned = learn(f for f, _ in play(race, trial.screen, LEARN_S, trial.seed, (WRONG,)))
    except UserError as e:
        return found | {"learned": False, "why": str(e)}
    found |= {"rows": learned.lap_times, "banner": learned.wrong_way}
    count, track = 0, trial.look.track
    while count < frames:
        track += 100
        sky = SKIES[(SKIES.index(trial.look.sky) + trial.seed) % len(SKIES)]
        look = replace(trial.look, track=track, hud=("map", "speed")[track // 100 % 2], sky=sky)
        race, reader = Race(3, 160.0, trial.fps, look), HudReader(learned.templates)
        seconds = min(62.0, (frames - count) / 10 + 0.05)
        seen = []
        spans = ((9.0, 4.0), (24.0, 3.0))
        for frame, view in play(race, trial.screen, seconds, track, spans, begin_s=0.5 + track % 3 / 10):
            reading = reader.read(frame)
            seen.append((frame.t_ns / 1e9, view, reading))
            count += 1
        _judge(seen, found)
    return found


def _judge(seen: list, found: dict) -> None:
    first_blink = None
    alarm_until = -1.0
    for t, view, reading in seen:
        visible = view.since_finish is None or view.since_finish < 65
        if visible:
            found["frames"] += 1
            if reading.race_time_s is not None:
                found["read"] += 1
                found["wrong_times"] += round(reading.race_time_s * 100) != view.clock * 100 // 960
                done = view.lap - 1 if view.since_finish is None else view.laps
                found["wrong_laps"] += not done - 1 <= reading.lap <= done
        elif reading.race_time_s is not None:
            found["wrong_times"] += round(reading.race_time_s * 100) != view.clock * 100 // 960
        if view.blinks and first_blink is None:
            first_blink = t
            found["blinks"] += 1
            found["blinks_seen"] += any(r.wrong_way for u, _, r in seen if t <= u <= t + 0.5)
        if view.wrong_way:
            alarm_until = t + 0.55
        elif t > alarm_until:
            first_blink = None
        found["false_alarms"] += reading.wrong_way and not view.wrong_way and t > alarm_until
    _, view, reading = seen[-1]
    found["finishes"] += reading.finished
    early = sum(b[2].finished and b[1].since_finish is None for _, b in pairwise(seen))
    found["wrong_times"] += early
    for shown, true in zip(reading.lap_times_s, view.lap_times, strict=False):
        off = abs(round(shown * 100) - true * 100 // 960)
        estimate = not found["rows"] and 0 < off <= HALF_FRAME
        found["lap_times"] += 1
        found["from_the_clock"] += estimate
        found["wrong_lap_times"] += off > 0 and not estimate


def total(rows: list[dict]) -> dict[str, object]:
    """Add up what trials came to."""
    keys = ("learned", "frames", "read", "wrong_times", "wrong_laps", "blinks", "blinks_seen", "false_alarms")
    keys += ("lap_times", "from_the_clock", "wrong_lap_times", "finishes")
    sums = {key: sum(int(row[key]) for row in rows) for key in keys}
    sums["share_read"] = round(sums["read"] / max(1, sums["frames"]), 4)
    return {"trials": len(rows), **sums, "refused": [r["why"] for r in rows if "why" in r]}


def real(folder: Path) -> dict[str, int]:
    """Learn from a race put together of real frames, and count which of the frames are read."""
    frames = load(folder)
    race = Race(3, LAP_M, 30)
    known = learn(f for f, _ in Pasted(frames).play(race, LEARN_S)).templates
    times = [clock_hundredths(known.clock, known.boxes, CLOCK.cut(f.image)) for f in frames]
    laps = [known.laps.read(known.lap.of(LAPS.cut(f.image))[None]) for f in frames]
    return {
        "frames": len(frames),
        "times": sum(t is not None for t in times),
        "wrong_times": sum(t not in (None, f.hundredths) for t, f in zip(times, frames, strict=True)),
        "laps": sum(n is not None for n in laps),
        "wrong_laps": sum(n is not None and n[0] != f.lap for n, f in zip(laps, frames, strict=True)),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=20)
    parser.add_argument("--frames", type=int, default=10_000, help="read in all, of each sky")
    parser.add_argument("--skies", default=",".join(SKIES), help="learned from: some of " + ",".join(SKIES))
    parser.add_argument("--letter", type=int, default=17, help="how wide a digit is, in the framebuffer's pixels")
    parser.add_argument("--lines", type=int, default=216, help="how high the framebuffer is")
    parser.add_argument("--only", type=int, help="one trial, by its number")
    parser.add_argument("--real", type=Path, metavar="FOLDER", help="measure on real frames instead")
    args = parser.parse_args()
    if args.real:
        print(json.dumps(real(args.real), indent=2))
        return
    found = {}
    for sky in args.skies.split(","):
        rows = []
        for trial in trials(args.trials):
            if args.only in (None, trial.seed):
                look = replace(trial.look, sky=sky, letter=args.letter, colon=args.letter * 11 // 17, lines=args.lines)
                rows.append({"trial": trial.seed, **run(replace(trial, look=look), -(-args.frames // args.trials))})
                print(json.dumps({**rows[-1], "sky": sky, "screen": asdict(trial.screen)}), file=sys.stderr)
        found[sky] = total(rows)
    print(json.dumps({"letter": args.letter, "lines": args.lines, "skies": found}, indent=2))


if __name__ == "__main__":
    main()
