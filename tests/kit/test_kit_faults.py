"""The kit finds what is planted, each in one line that names the fix; and nothing in what `plugins new` writes."""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
from dataclasses import replace
from itertools import count
from pathlib import Path

import pytest
from autopilot.api import ChoiceLabelMap, Registry, level_axis, levels
from autopilot_kit.kit import subjects
from autopilot_kit.labels import LabelMapChecks
from autopilot_kit.new import PARTS, write
from autopilot_kit.subject import Options, Subject
from kit.faulty import FAULTS, Fault
from support.plugins import install_written

_numbers = count(1)


def plant(fault: Fault, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Subject:
    name = f"f{os.getpid()}x{next(_numbers)}"  # a module is imported once in a process
    write(name, [fault.part], folder)
    file = folder / f"src/autopilot_{name}/{fault.file or fault.part}.py"
    text = file.read_text()
    assert fault.old in text
    assert fault.also[0] in text
    file.write_text(text.replace(fault.old, fault.new).replace(*fault.also))
    site = install_written(folder, name)
    monkeypatch.syspath_prepend(site)
    monkeypatch.setenv("PYTHONPATH", str(site))
    importlib.invalidate_caches()
    found = subjects(Registry(), f"autopilot-{name}", Options(patience_s=1.0, open_s=60.0))
    return next(subject for subject in found if subject.kind == (fault.kind or fault.part))


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
def test_a_planted_fault_is_found(fault: Fault, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    subject = plant(fault, tmp_path / "it", monkeypatch)
    first = {"prints_nothing": [c for c in ("runs", "presses") if c in subject.checks]}.get(fault.check, [])
    outcomes = {check: subject.run(check) for check in (*first, fault.check)}
    found = outcomes[fault.check].faults
    assert any(fault.says in line for line in found), (found, outcomes)
    assert all("\n" not in line and len(line) < 400 for line in found)
    assert all(fix.strip() for line in found for fix in [line.rpartition("; ")[2] if "; " in line else ""])


def test_there_are_forty_and_more() -> None:
    assert len(FAULTS) >= 40


def test_what_new_writes_passes_its_own_test(tmp_path: Path) -> None:
    """By the kit's face for pytest: a test for each check."""
    write("whole", PARTS, tmp_path / "whole")
    site = install_written(tmp_path / "whole", "whole")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-k", "not onnx", "tests"],
        cwd=tmp_path / "whole",
        env={**os.environ, "PYTHONPATH": str(site)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout
    assert "38 passed, 1 deselected" in done.stdout, done.stdout


@pytest.mark.parametrize(
    ("mirror", "fault"),
    [({"-1": "1", "-0.5": "0.5"}, ""), ({}, ""), ({"-1": "1"}, "mirrored, ['steer:0.5'], mean 0.5")],
)
def test_levels_are_turned_round_all_or_none(mirror: dict[str, str], fault: str) -> None:
    """Steering turns round in a mirror, a pedal does not, and no axis does so by half."""
    checks = object.__new__(LabelMapChecks)
    axis = replace(level_axis("steer", (-1, -0.5, 0.5, 1), mirror=False), mirror=mirror)
    checks.labels, checks.controls = ChoiceLabelMap([axis]), levels("steer", (-1, -0.5, 0.5, 1))
    lines = list(checks.mirror())
    assert len(lines) == bool(fault)
    assert fault in "".join(lines)
