"""The kit finds no fault in what is bundled."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from autopilot.api import Registry, SourceSettings
from autopilot_kit.kit import subjects
from autopilot_kit.subject import Options
from support.films import film, thirty
from support.x import x_server

ROOT = Path(__file__).parents[2]
BUNDLED = sorted(f"autopilot-{path.parent.name.replace('_', '-')}" for path in ROOT.glob("plugins/*/pyproject.toml"))
NOT_EVERYWHERE = (
    "/dev/uinput",
    "played on the screen",
    "nothing can be pressed",
    "video` needs a file",
    "ScreenCast portal",
)
"""Why a check may be left out: CI's kernel has no virtual devices, and nobody an emulator or shares a window."""


@pytest.fixture(scope="module")
def display() -> Iterator[str]:
    """A screen, for the keyboard and for the frame source."""
    with x_server("1024x768") as name:
        yield name


def faults(name: str, options: Options | None = None) -> list[str]:
    """All that the kit finds; skips where something is left out that set-up should have installed."""
    found, missing = [], []
    for subject in subjects(Registry(), name, options):
        # For the sake of time: tests/onnx exports the networks, tests/models_inception trains the large one.
        large = ("learns", "finite", "decides") if subject.spec.name == "inception" else ()
        for check in (check for check in subject.checks if check not in ("onnx", *large)):
            outcome = subject.run(check)
            found += [f"{subject}: {check}: {fault}" for fault in outcome.faults]
            if outcome.left_out and not any(reason in outcome.left_out for reason in NOT_EVERYWHERE):
                missing.append(outcome.left_out)
    if missing and not found:
        pytest.skip(f"missing: {missing[0]}")
    return found


@pytest.mark.parametrize("name", BUNDLED)
def test_what_is_bundled_passes(name: str, display: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DISPLAY", display)
    assert faults(name) == []


def test_a_film_passes(tmp_path: Path) -> None:
    settings = SourceSettings(video=str(film(tmp_path / "lap.mp4", thirty(2))))
    assert faults("video", Options(settings=settings)) == []
