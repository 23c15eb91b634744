"""The demonstrator that follows a human's race: the line, what was done on it, a lap on the real engine."""

from __future__ import annotations

import numpy as np
import pytest
from autopilot.api.errors import DeviceError, UserError
from autopilot.api.types import WorldRequest
from autopilot_supertuxkart import assets
from autopilot_supertuxkart.ghosts import DISTANCE, replay
from autopilot_supertuxkart.recorded import PLACE, DemonstratorGhost, RecordedLine
from autopilot_supertuxkart.simulation import Simulation
from autopilot_supertuxkart.world import open_world


@pytest.fixture(scope="module", autouse=True)
def _installed() -> None:
    pytest.importorskip("pystk2", reason="missing: pysupertuxkart2")
    try:
        assets.game_data()
    except DeviceError:
        pytest.skip("missing: SuperTuxKart (Debian package supertuxkart)")


def test_a_lap_follows_a_humans_line_and_what_was_done_on_it() -> None:
    simulation = Simulation("lighthouse", 1, None)
    try:
        found = replay("lighthouse")
        assert found is not None
        line, rows = RecordedLine(simulation.track, found), found.rows
        assert found.length == pytest.approx(line.length, rel=0.01)
        lap = int(np.argmin(found.lap_times_s[1:-1])) + 1
        on_it = rows[(rows[:, DISTANCE] > lap * found.length) & (rows[:, DISTANCE] < (lap + 1) * found.length)]
        away = [np.linalg.norm(line.points - place, axis=1).min() for place in on_it[:, PLACE]]
        assert max(away) < 2.0, "metres"
        assert {-1, 0, 1} == set(line.skid.tolist())
        assert line.nitro.any()
        driver, done, steps = DemonstratorGhost(simulation, "lighthouse"), set[str](), 0
        while not simulation.kart.finished and steps < 600:
            held = driver.decide()
            done |= held
            simulation.step(held, 6)
            steps += 1
        assert simulation.kart.finish_time < 38.0, "the plain demonstrator takes 42 s, the one that skids 38"
        assert {"skid", "nitro", "left", "right"} <= done
    finally:
        simulation.close()


def test_it_says_where_there_is_no_race_to_follow() -> None:
    with pytest.raises(UserError, match="follows human races, of lighthouse"):
        open_world(WorldRequest("zengarden", "N", 10.0, lockstep=True, demonstrator="demonstrator-ghost"))
