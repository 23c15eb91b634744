"""`autopilot check` through the command line, and before a training."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
from autopilot.api.types import Frame, Image
from autopilot.bundle.frames import rescale
from autopilot.sessions.info import SessionInfo
from autopilot.sessions.segments import Row
from autopilot.sessions.store import SessionStore
from autopilot.sessions.writer import SessionWriter
from support.apart import Result

Run = Callable[..., Result]
TRAIN = "train --model tiny --name tiny --epochs 1 --batch-size 64 --set width=8 --validation 0.4".split()


def repaint(home: Path, id: str, image: Callable[[int, list[Image]], Image]) -> None:
    """Write a session anew, with other pictures."""
    session = SessionStore(home / "sessions").open(id)
    rows = list(session.rows())
    images = [row.frame.image for row in rows]
    shutil.rmtree(session.path)
    with SessionWriter(home / "sessions", session.info) as writer:
        for i, row in enumerate(rows):
            writer.append(replace(row, frame=Frame(image(i, images), row.frame.t_ns)))


def damage(home: Path, id: str) -> None:
    segment = min((home / "sessions" / id).glob("seg-*"))
    data = bytearray(segment.read_bytes())
    data[len(data) // 2] ^= 1
    segment.write_bytes(data)


def test_clean_sessions_of_seven_tracks_are_ok(home: Path, run: Run) -> None:
    assert run(*"record --game ribbon --driver demonstrator --track 3-6".split(), home=home).code == 0
    done = run("check", home=home)
    assert done.code == 0, done.out
    assert done.out.count(" ok ") == 7
    assert "Traceback" not in done.err
    data = json.loads(run("check", "--json", home=home).out)
    assert data["ok"] is True
    assert [s["verdict"] for s in data["sessions"]] == ["ok"] * 7
    assert data["together"] == data["left_out"] == []


def test_a_session_that_is_refused_stops_a_training(home: Path, run: Run) -> None:
    first, second, third = SessionStore(home / "sessions").ids()
    repaint(home, third, lambda i, images: images[min(i, 10)])
    damage(home, second)
    done = run("check", home=home)
    assert done.code == 2
    for word in (first, "refuse", "frozen: ", "damaged: 1 rows"):
        assert word in " ".join(done.out.split()), done.out
    data = json.loads(run("check", "--json", home=home).out)
    assert data["ok"] is False
    assert [s["verdict"] for s in data["sessions"]] == ["ok", "look", "refuse"]
    (finding,) = data["sessions"][2]["findings"]
    assert (finding["code"], finding["severity"]) == ("frozen", "refuse")
    assert finding["figure"] > 0.9
    (start, stop) = finding["rows"][0]
    assert start == 11
    assert f"--delete {start}-{stop - 1}" in finding["text"]
    assert run("check", "--session", first, "--session", second, home=home).code == 0
    assert run("check", "--game", "other", home=home).code == 0
    refused = run(*TRAIN, home=home)
    assert refused.code == 2
    assert refused.err.startswith(f"autopilot: session {third}: ")
    assert "frames repeat one picture that stands still" in refused.err
    assert "--no-check" in refused.err
    assert refused.err.count("\n") == 1
    assert not (home / "runs/tiny").exists()
    warned = run(*TRAIN, "--session", first, "--session", second, home=home)
    assert warned.code == 0, warned.err
    assert f"check: {second}: 1 rows are damaged" in warned.err
    assert f"check: {first}" not in warned.err
    trusted = run(*TRAIN, "--no-check", "--restart", home=home)
    assert trusted.code == 0, trusted.err
    assert "check:" not in trusted.err


def test_what_was_rejected_is_left_out_and_compared_with_none(home: Path, run: Run) -> None:
    store = SessionStore(home / "sessions")
    first, second, third = store.ids()
    shutil.copytree(home / "sessions" / first, home / "sessions" / "copied")
    path = home / "sessions/copied/session.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"id": "copied"}))
    before = json.loads(run("check", "--json", home=home).out)
    assert [f["code"] for s in before["sessions"] for f in s["findings"]] == ["copy"]
    store.open("copied").review("rejected")
    repaint(home, third, lambda i, images: images[min(i, 10)])
    store.open(third).review("rejected")
    done = run("check", home=home)
    assert done.code == 0, done.out
    assert done.out.count("rejected, left out") == 2
    data = json.loads(run("check", "--json", home=home).out)
    verdicts = {s["id"]: s["verdict"] for s in data["sessions"]}
    assert verdicts == {first: "ok", second: "ok", third: "rejected", "copied": "rejected"}
    assert [s["findings"] for s in data["sessions"]] == [[]] * 4
    assert data["ok"] is True
    named = run("check", "--session", third, "--json", home=home)
    assert [s["verdict"] for s in json.loads(named.out)["sessions"]] == ["rejected"]
    store.open(third).review("new")
    assert run("check", home=home).code == 2


def test_a_desktop_in_a_game_that_has_no_hud(home: Path, run: Run) -> None:
    desktop = np.full((90, 160, 3), (200, 200, 210), np.uint8)
    desktop[20:60, 30:110] = 255
    first = SessionStore(home / "sessions").ids()[0]
    repaint(home, first, lambda i, images: desktop if 100 <= i < 130 else images[i])
    data = json.loads(run("check", "--json", home=home).out)
    (finding,) = data["sessions"][0]["findings"]
    assert (finding["code"], finding["rows"]) == ("foreign", [[100, 130]])


def stand_still(seed: int, frames: int = 300) -> tuple[list[Image], list[int]]:
    """A road that bends but does not scroll sideways, and a car that does: pictures, and -1, 0 or 1 for the keys."""
    rng = np.random.default_rng(seed)
    phases, sizes = rng.uniform(0, 6.28, 3), rng.uniform(0.5, 1, 3)

    def centre(y: np.ndarray) -> np.ndarray:
        waves = zip(sizes, (180, 310, 470), phases, strict=True)
        return 80 + 14 * sum(size * np.sin(6.28 * y / length + phase) for size, length, phase in waves)

    x, left, odd = float(centre(np.zeros(1))[0]), 0, 0
    images, steered = [], []
    for y in range(0, 6 * frames, 6):
        image = np.full((90, 160, 3), (40, 140, 50), np.uint8)
        image[abs(np.arange(160) - centre(y + np.arange(90)[::-1, None])) < 18] = (110, 110, 110)
        image[82:, int(x) - 3 : int(x) + 3] = (200, 40, 40)
        error = centre(np.full(1, y + 12.0))[0] - x
        steered.append(int(error > 3) - int(error < -3))
        images.append(rescale(image, (80, 45)))
        if left == 0 and rng.random() < 0.1:
            left, odd = int(rng.integers(1, 4)) + 2, int(rng.integers(-1, 2))
        left = max(0, left - 1)
        x += 4 * (odd if left else steered[-1])
    return images, steered


def write_standing(home: Path, seed: int, model: SessionInfo, late: int = 0) -> None:
    images, steered = stand_still(seed)
    name = {-1: "left", 0: "forward", 1: "right"}
    update = {"id": f"standing-{seed}", "game": "standing", "width": 80, "height": 45, "lockstep": False}
    with SessionWriter(home / "sessions", model.model_copy(update=update)) as writer:
        for i, image in enumerate(images):
            steer = steered[max(0, i - late)]
            held = frozenset({name[steer]} - {"forward"})
            writer.append(Row(Frame(image, i * 100_000_000), held, held, (steer + 1,), None))


def test_a_game_that_does_not_scroll_has_no_late_labels(home: Path, tmp_path: Path, run: Run) -> None:
    model = SessionStore(home / "sessions").open(SessionStore(home / "sessions").ids()[0]).info
    for seed in range(7000, 7027):
        write_standing(tmp_path / "standing", seed, model)
    data = json.loads(run("check", "--json", home=tmp_path / "standing").out)
    assert len(data["sessions"]) == 27
    late = {s["id"]: f["text"] for s in data["sessions"] for f in s["findings"] if f["code"] == "lag"}
    assert late == {}


def test_mistakes_are_one_line(home: Path, run: Run) -> None:
    for args, says in (("--session nope", "no session 'nope'"), ("--session ../x", "cannot be used")):
        done = run("check", *args.split(), home=home)
        assert done.code == 2
        assert says in done.err
        assert done.err.count("\n") == 1
    empty = run("check", home=home / "nothing")
    assert empty.code == 0
    assert "autopilot record" in empty.out


def test_a_session_that_cannot_be_opened_is_refused(home: Path, run: Run) -> None:
    first = SessionStore(home / "sessions").ids()[0]
    (home / "sessions" / first / "session.json").write_text("{")
    done = run("check", "--json", home=home)
    assert done.code == 2
    data = json.loads(done.out)
    assert [s["verdict"] for s in data["sessions"]] == ["refuse", "ok", "ok"]
    assert data["sessions"][0]["findings"][0]["code"] == "broken"


def test_what_was_looked_at_is_not_read_again(home: Path, run: Run) -> None:
    assert run("check", home=home).code == 0
    caches = {p: p.stat().st_mtime_ns for p in (home / "cache").rglob("*.raw")}
    assert len(caches) == 3
    assert all(np.prod((45, 80, 3)) <= p.stat().st_size for p in caches)
    assert run("check", home=home).code == 0
    assert {p: p.stat().st_mtime_ns for p in (home / "cache").rglob("*.raw")} == caches
