"""Clock and lap times read through the emulator's scaling, against what the game says of itself in the same picture."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from autopilot.api import Frame
from autopilot_ctr.hud import HudReader, make
from support.psx import MENU, RACE, WINDOW, Console, Human, Proof, hundredths, learn_hud, whole

RACES = 4
"""Of three laps."""


def learn(console: Console, human: Human) -> HudReader:
    """Learn by the command; return the reader."""
    assert "not learned" not in learn_hud(console, human, *WINDOW)
    reader = make(console.folder / "home/hud/ctr", "duckstation")
    assert reader is not None
    return reader


def read_races(console: Console, reader: HudReader) -> dict[str, int]:
    """Read whole races at ten frames a second; return how often and how well."""
    found = dict.fromkeys(("races", "frames", "read", "wrong", "laps", "laps_read", "laps_wrong"), 0)
    begun, told = False, tuple[float, ...]()
    due = time.monotonic()
    while found["races"] < RACES:
        time.sleep(max(0, due - time.monotonic()))
        due = max(due + 0.1, time.monotonic())
        image = console.picture()
        proof = Proof.of(image)
        if proof is None:
            continue
        if begun and proof.phase == MENU:
            truth = [hundredths(units) for units in proof.laps]
            read = [round(lap * 100) for lap in told]
            found["races"] += 1
            found["laps"] += 3
            found["laps_read"] += len(read)
            found["laps_wrong"] += sum(a != b for a, b in zip(read, truth, strict=False))
            begun = False
        reading = reader.read(Frame(image, time.monotonic_ns()))
        begun = begun or (proof.phase == RACE and proof.clock < 960)
        told = reading.lap_times_s
        if begun and proof.phase == RACE:
            found["frames"] += 1
            found["read"] += reading.race_time_s is not None
            if reading.race_time_s is not None:
                found["wrong"] += round(reading.race_time_s * 100) != hundredths(proof.clock)
    return found


@whole
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("size", [(512, 384), (1024, 768), (1536, 1152)], ids=lambda size: f"{size[0]}x{size[1]}")
def test_times_are_read(size: tuple[int, int], tmp_path: Path) -> None:
    console = Console(tmp_path, size)
    human = Human(console)
    try:
        found = read_races(console, learn(console, human))
    finally:
        human.close()
        console.desktop.stop()
    print(size, found)
    assert found["wrong"] == found["laps_wrong"] == 0, found
    assert found["read"] >= 0.97 * found["frames"] > 1000, found
    assert found["laps_read"] >= 0.97 * found["laps"], found
