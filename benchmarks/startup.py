"""How long `autopilot --help`, `train --help` and `plugins` take, beside an empty Python; prints JSON."""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import subprocess
import sys
import time

COMMANDS = {
    "python -c pass": ["-c", "pass"],
    "autopilot --help": ["-m", "autopilot", "--help"],
    "autopilot train --help": ["-m", "autopilot", "train", "--help"],
    "autopilot plugins": ["-m", "autopilot", "plugins"],
}


def measure(arguments: list[str]) -> tuple[float, float]:
    """Return the wall and processor time of one run, in seconds."""
    before, begun = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    subprocess.run([sys.executable, *arguments], check=True, stdout=subprocess.DEVNULL)
    wall, after = time.monotonic() - begun, resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return wall, cpu


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=10)
    runs = parser.parse_args().runs
    figures: dict[str, object] = {"runs": runs}
    for name, arguments in COMMANDS.items():
        measure(arguments)  # the first one reads the files from the disk
        wall, cpu = zip(*(measure(arguments) for _ in range(runs)), strict=True)
        figures[name] = {
            "wall_s": round(statistics.median(wall), 3),
            "cpu_s": round(statistics.median(cpu), 3),
            "wall_min_s": round(min(wall), 3),
        }
    print(json.dumps(figures, indent=2))


if __name__ == "__main__":
    main()
