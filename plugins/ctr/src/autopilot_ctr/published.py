"""The times that the original CTR-AI published: five races of three laps on Coco Park, by hand."""

from __future__ import annotations

from autopilot.api import Reference

CTR_AI = Reference(
    track="coco-park",
    laps=3,
    drivers={
        "human": (
            *("38.35 37.29 37.10", "38.38 37.30 37.26", "38.51 37.49 37.27"),
            *("38.38 37.36 37.28", "38.01 37.33 37.20"),
        ),
        "inception": (
            *("40.94 44.79* 41.98", "46.19* 41.37 85.96*", "43.00 41.73 42.15"),
            *("42.60 41.16 39.76", "42.24 40.41 41.12"),
        ),
        "nvidia": ("152.36*", "41.77 48.19* 46.67*", "40.49 42.5 122.00", "50.18* 45.74", "75.68 66.47*"),
    },
    source="published times of the original, human and networks, without power slides: "
    "https://odiurd.github.io/CTR-AI.html",
)


def ctr_ai(track: str, laps: int) -> Reference | None:
    """Return those times for that race, None for another."""
    return CTR_AI if (track, laps) == (CTR_AI.track, CTR_AI.laps) else None
