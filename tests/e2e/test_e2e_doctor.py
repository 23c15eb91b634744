"""`autopilot doctor` on outside plugins: what is slow, who can play, and what gives no picture."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from autopilot_setup.doctor import LONG_S, NoAnswer, _Job, state
from support.apart import Result

EVIL = {"PYTHONPATH": str(Path(__file__).parents[1] / "third_party/evil")}
Run = Callable[..., Result]


def report(done: Result) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
    """Return all of it, each part by its name, and each game."""
    data = json.loads(done.out)
    assert done.code == (not data["ok"])
    return data, {p["name"]: p for p in data["probes"]}, {g["game"]: g for g in data["games"]}


def test_what_is_slow_is_not_missing(run: Run) -> None:
    data, parts, games = report(run(*"doctor --game evil-seen --patience 3 --json".split(), **EVIL, EVIL=SLOW))
    eye = parts["evil-eye"]
    assert (eye["state"], eye["ok"], eye["required"]) == ("unknown", False, True)
    assert eye["detail"].startswith("no answer in ")
    assert eye["fix"] == "the machine is busy, or something hangs: --patience 60 waits longer"
    game = games["evil-seen"]
    assert game["record"] == game["drive"] == f"evil-eye: {eye['detail']}"
    assert game["unknown"] == ["record", "drive"]
    assert data["ok"], "what is not known is no failure"
    assert parts["Python"]["state"] == "ok"


def test_what_is_slow_is_not_shown_as_missing(run: Run) -> None:
    done = run(*"doctor --game evil-seen --patience 3".split(), **EVIL, EVIL=SLOW)
    (row,) = (line for line in done.out.splitlines() if "evil-eye " in line and "evil-seen" not in line)
    assert "unknown" in row
    assert "not known: " in done.out
    assert "missing" not in row


SLOW = "probe=time.sleep(100)"


@pytest.mark.parametrize(
    ("name", "advice"), [("autopilot-evil:evil-eye", "report it to autopilot-evil"), (None, "install it again")]
)
def test_who_has_waited_long_is_not_told_to_wait(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str | None, advice: str
) -> None:
    for key, value in (EVIL | {"EVIL": SLOW}).items():
        monkeypatch.setenv(key, value)
    about = {"do": "jax"} if name is None else {"do": "frame source", "name": name}
    with _Job("it", about | {"home": str(tmp_path), "safe_mode": False, "patience": LONG_S}) as job:
        (probe,) = job.probes(time.monotonic())
    assert isinstance(probe, NoAnswer)
    assert state(probe) == "unknown"
    assert advice in probe.fix
    assert "--patience" not in probe.fix


def test_who_can_play_is_asked_by_the_game_s_own_rule(run: Run) -> None:
    lacks = {}
    for game in ("ribbon", "pit"):
        recorded = run("record", "--game", game, "--seconds", "1")
        _, parts, games = report(run("doctor", "--game", game, "--patience", "50", "--json"))
        lacks[game] = games[game]["record"]
        assert games[game]["drive"] is None
        assert parts[f"{game} by hand"]["ok"] == (lacks[game] is None) == (recorded.code == 0), recorded.err
    assert lacks == {"ribbon": "ribbon by hand: ribbon cannot be played by a human here", "pit": None}


def test_a_source_that_is_over_at_once_is_told(run: Run) -> None:
    args = "doctor --source evil-eye --patience 50 --json".split()
    _, parts, _ = report(run(*args, **EVIL, EVIL="read=boom(EOFError())"))
    assert parts["evil-eye picture"]["detail"] == "was over before it gave a picture"
    assert parts["evil-eye picture"]["state"] == "broken"
