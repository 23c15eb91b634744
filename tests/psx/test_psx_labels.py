"""What a recording says was held is what the game's own lamps show in the same rows."""

from __future__ import annotations

import time

import numpy as np
from autopilot.sessions.store import SessionStore
from support.psx import KEYS, LAMPS, MENU, ON_IT, Console, Proof

TOGETHER: list[set[str]] = [
    {"accelerate", "left"},
    {"accelerate", "right", "slide_right"},
    {"accelerate", "right", "slide_right", "slide_left"},
    {"brake", "left"},
    {"item", "up", "down"},
    set(),
]
MARGIN_S = 1.0
"""After a lamp is seen to change the reader of keys may come so much later: the machine may be busy."""


def test_labels_are_what_the_lamps_show(console: Console) -> None:
    for control in LAMPS:
        console.tap(control)
    assert console.proof().phase != MENU, "Cross began the race"
    changes: list[tuple[float, float]] = []

    def play() -> None:
        held: set[str] = set()
        for wanted in TOGETHER:
            begun = time.monotonic()
            for control in held ^ wanted:
                console.desktop.key(KEYS[control], control in wanted)
            while console.proof().lamps != wanted:
                pass
            changes.append((begun - 0.2, time.monotonic() + MARGIN_S))
            time.sleep(MARGIN_S + 0.6)
            held = wanted
        console.desktop.tap("p")

    console.autopilot("record", *ON_IT, "--track", "coco", "--actions", "arcade", at_go=play)
    (session,) = SessionStore(console.folder / "home/sessions").all()[0]
    rows = [(row, Proof.of(row.frame.image)) for row in session.rows()]
    assert all(proof for _, proof in rows), "each picture is the game's own"
    steady = [
        (set(row.held), set(proof.lamps))
        for row, proof in rows
        if proof and not any(a <= row.frame.t_ns / 1e9 <= b for a, b in changes)
    ]
    assert len(steady) > 10
    assert [both for both in steady if both[0] != both[1]] == []
    assert {frozenset(lamps) for _, lamps in steady} == {frozenset(each) for each in TOGETHER}
    assert len({proof.frame for _, proof in rows if proof}) > 0.7 * len(rows), "and it runs"
    assert np.ptp([row.frame.image.mean() for row, _ in rows]) > 0
