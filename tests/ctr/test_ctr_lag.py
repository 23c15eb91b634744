"""The lag of the loop: of made-up pictures, of a drawn window whose delay is known, and what is done with it."""

from __future__ import annotations

import json
import random
import signal
import subprocess
import sys
import tomllib

import autopilot
import numpy as np
import pytest
from autopilot.api.errors import UserError
from autopilot.api.game import Game
from autopilot.api.registry import Registry
from autopilot.api.types import SourceSettings
from autopilot.desktop.desktop import Desktop, DeviceChoice
from autopilot.sessions.home import Home
from autopilot_setup import lag
from autopilot_setup.storing import store_lag
from support.lag import measured_and_true

FEATURES = 200
WINDOW = ("--width", "512", "--height", "384", "--menu", "0", "--status", "0", "--fps", "30")
LATE_MS = 120
COMMAND = ["doctor", "--lag", "--game", "ctr", "--window", "crash team", "--patience", "100"]


def pictures(late_ms, seed=0, hz=60, noise=20.0, spots=2, stalls=False, spread_ms=8.0):
    """Return the arguments of `answer`: noise in which some spots show the side, late by so much."""
    rng, r = np.random.default_rng(seed), random.Random(seed)
    order = [-1, 1] * (lag.STANDING // 2)
    r.shuffle(order)
    at = 1.0 + np.cumsum([r.uniform(*lag.APART_S) for _ in order])
    times = np.arange(0, at[-1] + 1, 1 / hz) + rng.uniform(0, 0.004)
    if stalls:
        times = times[(times % 2) > 0.3]
    values = rng.normal(100, noise, (len(times), FEATURES))
    effect = at + (late_ms + rng.normal(0, spread_ms, len(at))) / 1e3
    shown = np.array([0, *order])[np.searchsorted(effect, times, "right")]
    values[:, :spots] += 60 * shown[:, None]
    choices = [(int(t * 1e9), side) for t, side in zip(at, order, strict=True)]
    return (times * 1e9).astype(np.int64), np.clip(values, 0, 255).astype(np.float32), choices


@pytest.mark.parametrize("late_ms", [0, 40, 90, 200, 350])
@pytest.mark.parametrize("hz", [30, 60])
def test_a_known_lag_is_found_to_a_frame(late_ms, hz):
    for seed in range(3):
        got = lag.answer(*pictures(late_ms, seed, hz))
        assert got.ms is not None, got.doubt
        assert late_ms - 10 <= got.ms <= late_ms + 1000 / hz + 10, "seen in the first frame after it"
        assert got.low_ms <= got.ms <= got.high_ms
        assert abs(got.rows(10) - (late_ms // 100 + 1)) <= 1


@pytest.mark.parametrize(
    ("args", "doubt"),
    [
        ({"noise": 0.0, "spots": 0}, "nothing in the picture surely follows the keys"),  # it stands still
        ({"spots": 0}, "nothing in the picture surely follows the keys"),
        ({"hz": 4}, "too few pictures came"),
        ({"late_ms": 700}, ""),
        ({"spread_ms": 120}, ""),
    ],
)
def test_what_is_not_clear_is_not_sure(args, doubt):
    for seed in range(4):
        got = lag.answer(*pictures(**{"late_ms": 200, "seed": seed, **args}))
        assert got.ms is None
        assert got.doubt.startswith(doubt)


def test_what_was_held_before_is_no_effect():
    """A picture that goes on turning as before follows the order of the past, which says nothing of what comes."""
    for seed in range(3):
        times, values, choices = pictures(0, seed, spots=0)
        late = np.searchsorted([at for at, _ in choices], times, "right")
        before = np.array([0, 0, *(side for _, side in choices)])[late]
        values[:, :3] += 60 * before[:, None]
        assert lag.answer(times, values, choices).ms is None


def test_moments_without_pictures_are_left_out():
    got = lag.answer(*pictures(90, stalls=True))
    assert got.ms is not None
    assert 80 <= got.ms <= 120
    assert got.changes < lag.answer(*pictures(90)).changes


def leaning(image):
    """Return to which side the kart of the drawn window leans."""
    left, right = (image[round(178 * 384 / 216), x].astype(int) for x in (234, 278))
    return int(right[2] - right[0] > 100) - int(left[2] - left[0] > 100)


def test_the_lag_of_a_drawn_window_is_what_its_pictures_show(desktop, tmp_path):
    desktop.show(*WINDOW, "--late-ms", str(LATE_MS))
    desktop.point(200, 200)
    choice = DeviceChoice(settings=SourceSettings(window="crash team"))
    got, true = measured_and_true(Desktop(Game(Registry(), "ctr"), Home(tmp_path), choice), leaning)
    assert true > LATE_MS
    assert abs(got.ms - true) <= 1000 / 30


def test_it_is_told_and_kept_and_training_offers_it(desktop, tmp_path, caplog):
    desktop.show(*WINDOW, "--late-ms", str(LATE_MS))
    desktop.point(200, 200)
    for _ in range(5):  # a busy machine may make it unsure
        line = [sys.executable, "-m", "autopilot", *COMMAND, "--json", "--home", str(tmp_path)]
        done = subprocess.run(line, capture_output=True, text=True, timeout=600)
        data = json.loads(done.stdout)
        assert done.returncode == (not data["ok"])
        if data["loop"] and data["loop"]["lag"]["ms"] is not None:
            break
    got, speed = data["loop"]["lag"], data["loop"]["speed"]
    assert got["ms"] > LATE_MS
    assert data["loop"]["rows"] == np.ceil(got["ms"] / 100)
    (told,) = (p for p in data["probes"] if p["name"] == "lag of the loop")
    assert told["state"] == "ok"
    assert told["detail"].startswith(f"{got['ms']:.0f} ms from a key to its effect in the picture")
    assert speed["alone"] > 0
    assert speed["beside"] is None, "there is no bundle yet"
    assert tomllib.loads((tmp_path / "bindings.toml").read_text()) == {"ctr": {"screen": {"lag_ms": got["ms"]}}}

    caplog.set_level("INFO", "autopilot")
    offer = f"ctr shows what was held {got['ms']:.0f} ms later: try --label-shift {got['ms']:.0f}, too"
    for given, offered in (({}, True), ({"label_shift": 100.0}, False)):
        caplog.clear()
        with pytest.raises(UserError, match="no sessions"):
            autopilot.open(tmp_path).train("nvidia", "ctr", **given)
        assert (offer in caplog.messages) == offered


def test_control_c_lets_every_key_go(desktop, tmp_path):
    game = desktop.show(*WINDOW)
    desktop.point(200, 200)
    doctor = desktop.start([sys.executable, "-m", "autopilot", *COMMAND, "--home", str(tmp_path)])
    down: set[str] = set()
    for told in game.stdout:
        kind, _, key = told.strip().partition(" ")
        if key in ("left", "right"):  # doctor's own trial presses a key that does nothing
            (down.add if kind == "press" else down.discard)(key)
            if kind == "press":
                doctor.send_signal(signal.SIGINT)
            elif doctor.poll() is not None or not down:
                break
    assert not down
    assert doctor.wait(60) == 130
    assert not (tmp_path / "bindings.toml").exists()


def test_a_lag_is_stored_beside_what_setup_found(tmp_path):
    path = tmp_path / "bindings.toml"
    path.write_text('# mine\n[ctr.screen]\nwindow = "process:pcsxr"  # seen\n')
    store_lag(path, "ctr", 76.5)
    assert "# seen" in path.read_text()
    assert tomllib.loads(path.read_text()) == {"ctr": {"screen": {"window": "process:pcsxr", "lag_ms": 76.5}}}


def test_wrong_starts_are_one_line(tmp_path):
    for args, said in (
        ([], "autopilot: --lag steers a game: say which by --game\n"),
        (["--game", "carracing"], "autopilot: carracing is no game on the screen: its loop has no lag to measure\n"),
    ):
        line = [sys.executable, "-m", "autopilot", "doctor", "--lag", *args, "--home", str(tmp_path)]
        done = subprocess.run(line, capture_output=True, text=True, timeout=300)
        assert (done.returncode, done.stderr) == (2, said)
