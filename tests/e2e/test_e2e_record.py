"""Recording through the command line: labels, noise, hotkeys, and nothing lost."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from autopilot.sessions.session import Session
from autopilot.sessions.store import SessionStore
from support.apart import Result, Running

Run = Callable[..., Result]
Begin = Callable[..., Running]


def sessions(home: Path) -> list[Session]:
    found, broken = SessionStore(home / "sessions").all()
    assert broken == []
    return found


def test_a_demonstrator_records_a_session_for_each_track(recorded: Path) -> None:
    found = sessions(recorded)
    assert [s.info.track for s in found] == ["0", "1", "2"]
    for s in found:
        info = s.info
        assert (info.game, info.driver, info.mode, info.hz) == ("ribbon", "demonstrator", "N", 10)
        assert (info.width, info.height, info.lockstep, info.ended) == (160, 90, True, "saved")
        assert info.versions["autopilot-ribbon"] == "1.0"
        assert s.health.text == "ok"
        rows = list(s.rows())
        assert len(rows) == info.frames > 200
        assert all(r.sent == r.held for r in rows)
        assert all("accelerate" in r.held for r in rows)
        assert {r.action for r in rows} == {(0,), (1,), (2,)}
        for r in rows:
            steer = r.held - {"accelerate"}
            assert r.action == ((0,) if steer == {"left"} else (2,) if steer else (1,))
        assert rows[-1].reading is not None
        assert rows[-1].reading.finished, "one lap"
        gaps = {b.frame.t_ns - a.frame.t_ns for a, b in pairwise(rows)}
        assert gaps == {100_000_000}
        assert rows[0].frame.image.any()
        assert not (rows[0].frame.image == rows[-1].frame.image).all()


def test_sessions_lists_them_with_labels_and_health(recorded: Path, run: Run) -> None:
    listed = json.loads(run("sessions", "--json", home=recorded).out)
    assert listed["broken"] == []
    assert [s["track"] for s in listed["sessions"]] == ["0", "1", "2"]
    for row, s in zip(listed["sessions"], sessions(recorded), strict=True):
        assert row["frames"] == len(s) == sum(row["labels"].values())
        assert row["duration_s"] == pytest.approx(len(s) / 10)
        assert row["health"] == "ok"
        assert set(row["labels"]) == {"left", "forward", "right"}
    plain = run("sessions", home=recorded)
    assert "demonstrator" in plain.out
    assert json.loads(run("sessions", "--json", "--game", "x", home=recorded).out)["sessions"] == []


def test_noise_disturbs_what_is_sent_and_leaves_the_label_clean(run: Run, tmp_path: Path) -> None:
    args = "record --game ribbon --driver demonstrator --track 4 --noise 0.1 --json"
    done = run(*args.split(), "--seed", "3")
    assert done.code == 0, done.err
    (s,) = sessions(tmp_path / "home")
    rows = list(s.rows())
    assert json.loads(done.out)[0]["frames"] == len(rows)
    assert s.info.noise == 0.1
    disturbed = [r.sent != r.held for r in rows]
    assert 0.05 < sum(disturbed) / len(rows) < 0.5
    assert all(r.action is not None for r in rows)
    run(*args.split(), "--seed", "3")
    again = sessions(tmp_path / "home")[1]
    assert [(r.held, r.sent) for r in again.rows()] == [(r.held, r.sent) for r in rows]


def assert_let_go(lines: list[str]) -> None:
    """Everything was released, and after that nothing but closing happened."""
    last = len(lines) - lines[::-1].index("release")
    assert set(lines[last:]) == {"close"}


def pit(*keys: tuple[int, str], **plan: Any) -> str:
    return json.dumps({**plan, "keys": keys})


@pytest.mark.parametrize(("key", "ended"), [("save", "saved"), ("quit", "quit")])
def test_a_human_s_hotkeys_lose_nothing(run: Run, tmp_path: Path, key: str, ended: str) -> None:
    log = tmp_path / "log"
    begun = time.monotonic()
    done = run(
        *"record --game pit --driver anna --track oval --json".split(),
        PITLANE=pit((20, "pause"), (20, "pause"), (40, key)),
        PITLANE_LOG=str(log),
    )
    assert done.code == 0, done.err
    assert time.monotonic() - begun > 3, "3-2-1"
    assert "3…" in done.err
    (s,) = sessions(tmp_path / "home")
    assert s.info.driver == "anna"
    assert s.info.ended == ended
    assert s.info.lockstep is False
    rows = list(s.rows())
    assert [r.index for r in rows] == list(range(40))
    assert s.info.frames == json.loads(done.out)[0]["frames"] == 40
    assert [r.action for r in rows] == [(0,) if i % 3 == 0 else (1,) for i in range(1, 41)]
    lines = log.read_text().splitlines()
    assert lines[0] == "open oval human=True"
    assert [x for x in lines if x.startswith("hold")] == ["hold left" if i % 3 == 0 else "hold " for i in range(1, 41)]
    assert_let_go(lines)


def test_a_contradiction_is_kept_but_counted_as_skipped(run: Run, tmp_path: Path) -> None:
    done = run(*"record --game pit --driver demonstrator --json".split(), PITLANE=pit(held=["left", "right"], frames=8))
    assert json.loads(done.out)[0]["labels"] == {"skipped": 8}
    (s,) = sessions(tmp_path / "home")
    assert [r.action for r in s.rows()] == [None] * 8
    assert {r.held for r in s.rows()} == {frozenset({"left", "right"})}


def test_a_driver_that_raises_loses_no_frame_and_releases_every_key(run: Run, tmp_path: Path) -> None:
    log = tmp_path / "log"
    args = "record --game pit --driver demonstrator --track endless".split()
    done = run(*args, PITLANE=pit(raise_at=15), PITLANE_LOG=str(log))
    assert done.code == 2
    assert done.err == (
        "autopilot: autopilot-pitlane: game 'pit': decide: RuntimeError: the script has lost its way"
        " (run again with --debug to see where)\n"
    )
    (s,) = sessions(tmp_path / "home")
    assert s.info.ended == "interrupted"
    assert len(s) == 14
    assert_let_go(log.read_text().splitlines())
    shown = run(*args, "--debug", PITLANE=pit(raise_at=2))
    assert shown.code == 1
    assert "Traceback" in shown.err
    assert "decide" in shown.err


def test_ctrl_c_keeps_everything(begin: Begin, tmp_path: Path) -> None:
    log = tmp_path / "log"
    running = begin(
        *"record --game pit --driver demonstrator --track endless".split(), PITLANE=pit(), PITLANE_LOG=str(log)
    )
    assert running.until(lambda: log.exists() and log.read_text().count("hold") > 30)
    running.interrupt()
    done = running.wait()
    assert done.code == 130
    assert "autopilot: stopped; " in done.err
    assert " frames are kept as session " in done.err
    assert "Traceback" not in done.err
    assert_let_go(log.read_text().splitlines())
    (s,) = sessions(tmp_path / "home")
    assert s.info.ended == "interrupted"
    assert len(s) >= 30
    assert s.health.text == "ok"


def test_the_rate_may_be_chosen_and_is_kept(run: Run, tmp_path: Path) -> None:
    args = "record --game pit --driver demonstrator --hz 25 --seconds 1 --track endless --json"
    (row,) = json.loads(run(*args.split(), PITLANE=pit()).out)
    assert (row["frames"], row["ending"]) == (25, "limit")
    timing = row["timing"]
    assert timing["wanted_hz"] == 25
    assert timing["clock"] == "wall"
    assert timing["achieved_hz"] == pytest.approx(timing["steps"] / timing["seconds"], rel=0.01)
    assert timing["achieved_hz"] < 27
    assert sessions(tmp_path / "home")[0].info.hz == 25
    slow = args.replace("--seconds 1", "--seconds 0.4")
    (row,) = json.loads(run(*slow.split(), PITLANE=pit(slow_s=0.06)).out)
    assert row["timing"]["overruns"] == 10
    assert row["timing"]["on_time"] == 0
    assert row["timing"]["achieved_hz"] < 17


def test_a_frame_source_that_ends_ends_the_recording(run: Run, tmp_path: Path) -> None:
    done = run(*"record --game pit --driver demonstrator --track endless --json".split(), PITLANE=pit(frames=5))
    (row,) = json.loads(done.out)
    assert (row["frames"], row["ending"]) == (5, "ended")


def test_the_discard_key_leaves_the_last_seconds_out_and_they_can_be_restored(run: Run, tmp_path: Path) -> None:
    args = "record --game pit --driver anna --discard-seconds 0.2 --json".split()
    done = run(*args, PITLANE=pit((30, "discard"), (31, "discard"), (40, "save")))
    assert done.code == 0, done.err
    (one,) = json.loads(done.out)
    assert one["discarded"] == 20, "0.2 s at 50 Hz, and as many before them"
    session = Session.open(tmp_path / "home/sessions" / one["session"])
    ((start, stop),) = session.deleted()
    assert (stop - start, len(session)) == (20 + 0, one["frames"] - 20)
    assert stop <= 31
    session.restore(start, stop)
    assert len(session) == one["frames"]
