"""Runs the tests for Windows under Wine: this folder's real cases, the benchmark of keys in small, and core's
own tests by the Windows Python.

`make test-windows` runs it; `boot.py real`, `floors` or `core` does one part, and what follows goes to pytest
or the benchmark.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from support import wine
from support.windows import Program

LIMIT_S = 5400
SHARE = 0.9
"""How many of core's tests must run there; the others say why they do not."""


def real_cases(options: list[str]) -> int:
    """Run this folder's tests, by this system's Python, which starts Windows' programs."""
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-o", "timeout=900", "-v", "tests/windows"]
    environment = os.environ | {"AUTOPILOT_WINDOWS": "1"}
    return subprocess.run([*command, *options], cwd=wine.ROOT, env=environment, check=False).returncode


def floors(options: list[str]) -> int:
    """Run the benchmark of keys in small; fails where a floor does not hold."""
    # Two seconds, not half a one: a busy machine is slow, and a key that stays down stays down.
    counts = options or "--deaths 1 --limit 2 --presses 100 --labels 15 --takeovers 3".split()
    command = [sys.executable, "benchmarks/windows_floors.py", *counts]
    return subprocess.run(command, cwd=wine.ROOT, check=False).returncode


def core(options: list[str]) -> int:
    """Run tests/core by the Windows Python; fails as that does, or where fewer than SHARE ran."""
    command = [
        "-m",
        "pytest",
        "-p",
        "no:cacheprovider",
        "-o",
        "timeout=600",
        "--basetemp",
        r"C:\tests",
        "-v",
        "tests/core",
    ]
    with wine.display() as environment:
        tests = Program(environment, *command, *options)
        told = 0
        while tests.process.poll() is None and time.monotonic() < BEGUN + LIMIT_S:
            time.sleep(0.5)
            for line in tests.lines[told:]:
                print(line, flush=True)
                told += 1
        status = tests.process.poll()
        time.sleep(1)
        print(*tests.lines[told:], sep="\n", flush=True)
        wine.stop()
    if status is None:
        print(f"not done within {LIMIT_S} s")
        return 1
    summary = next((line for line in reversed(tests.lines) if re.search(r"=+ .*\d+ passed.* =+$", line)), "")
    counts = {what: int(n) for n, what in re.findall(r"(\d+) (passed|failed|skipped|error)", summary)}
    ran, every = counts.get("passed", 0) + counts.get("failed", 0), sum(counts.values())
    print(f"core: {ran} of {every} tests ran under Windows' Python, {counts.get('failed', 0)} failed")
    return status or int(not every or ran < SHARE * every)


BEGUN = time.monotonic()


def main() -> int:
    if missing := wine.missing():
        print(f"missing: {', '.join(missing)} (Debian packages)")
        return 2
    wine.prepare()
    which = sys.argv[1] if sys.argv[1:] else "all"
    statuses = [
        half(sys.argv[2:]) for half in (real_cases, floors, core) if which in ("all", half.__name__.split("_")[0])
    ]
    print(f"{'FAILED' if any(statuses) else 'passed'} in {time.monotonic() - BEGUN:.0f} s")
    return max(statuses)


if __name__ == "__main__":
    sys.exit(main())
