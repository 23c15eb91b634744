"""The tests themselves: none is imported by another; what several share is in tests/support."""

from __future__ import annotations

import re
from pathlib import Path

TESTS = Path(__file__).parents[1]
BENCHMARKS = TESTS.parent / "benchmarks"
IMPORT = re.compile(r"^\s*(?:from|import) (\w+)", re.MULTILINE)
"""Also in the programs that tests write and run."""


def test_no_test_module_is_imported_by_another() -> None:
    there = [path for path in TESTS.rglob("*.py") if "third_party" not in path.parts and path.stem != "__init__"]
    alone = {path.stem for path in there if "support" not in path.parts and not path.stem.startswith("autopilot_")}
    assert {"conftest", Path(__file__).stem} <= alone
    for path in [*there, *BENCHMARKS.glob("*.py")]:
        assert alone.isdisjoint(IMPORT.findall(path.read_text(encoding="utf-8"))), (
            f"{path}: put what it imports into tests/support"
        )
