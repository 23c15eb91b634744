"""The original's published times stand in a race's table as they were published."""

from __future__ import annotations

from pathlib import Path

import pytest
from autopilot.api.errors import UserError
from autopilot.api.game import Game
from autopilot.api.registry import Registry
from autopilot.race.reference import add_reference, find_references
from autopilot.race.report import save_reports
from autopilot.race.result import RaceResult, RunResult, summarise
from autopilot_ctr.game import CTR


@pytest.fixture
def result() -> RaceResult:
    game = {"game": "ctr", "title": CTR.title, "stamp": CTR.race.disclaimer, "hz": 10.0}
    run = RunResult("coco", "coco-park", 0, (44.0, 42.0, 43.0), (1,), 1, True, None)
    mine = RaceResult(**game, drivers=("coco",), tracks=("coco-park",), laps=3, races=1, runs=(run,))
    (published,) = find_references(Game(Registry(), "ctr"), "ctr-ai", ["coco-park", "crash-cove"], 3)
    return add_reference(mine, "ctr-ai", published)


def test_its_medians_are_those_that_it_published(result: RaceResult) -> None:
    rows = {row["driver"]: row for row in summarise(result)}
    found = {name: (r["finished"], r["runs"], r["median_lap_s"], r["median_race_s"]) for name, r in rows.items()}
    assert found["ctr-ai:human"] == (5, 5, 37.33, 112.94)
    assert found["ctr-ai:inception"] == (5, 5, 41.98, 126.88)
    assert found["ctr-ai:nvidia"][:2] == (2, 5)
    assert found["coco"] == (1, 1, 43.0, 129.0)
    assert rows["ctr-ai:inception"]["incident_laps"] == 3


def test_the_table_has_asterisks_incomplete_the_source_and_the_stamp(result: RaceResult, tmp_path: Path) -> None:
    table = save_reports(result, tmp_path)["md"].read_text()
    assert "AI / emulator" in table
    assert "https://odiurd.github.io/CTR-AI.html" in table
    assert "| 46.19* | 41.37 | 85.96* | 173.52 |" in table
    assert "| 152.36* | Incomplete |  | - |" in table
    assert '"stamp": "AI / emulator"' in (tmp_path / "race.json").read_text()


def test_it_is_compared_with_the_same_race_only() -> None:
    game = Game(Registry(), "ctr")
    for tracks, laps in ((["crash-cove"], 3), (["coco-park"], 1)):
        with pytest.raises(UserError, match="--tracks coco-park --laps 3"):
            find_references(game, "ctr-ai", tracks, laps)
    with pytest.raises(UserError, match="no reference 'me': there are: ctr-ai"):
        find_references(game, "me", ["coco-park"], 3)
    with pytest.raises(UserError, match="it has none"):
        find_references(Game(Registry(), "carracing"), "me", ["1"], 3)
