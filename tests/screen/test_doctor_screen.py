"""`autopilot doctor` on real X servers: what it sees, what it types, and when it says no."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from autopilot.api.registry import Registry
from autopilot.api.types import SourceSettings
from autopilot_setup.doctor import _picture
from Xlib import X

Doctor = Callable[..., dict[str, Any]]
RED = (200, 30, 10)
APP = "red = show('Kart', 300, 200, 160, 120, 0xC81E0A); focus(red)"


@pytest.fixture
def doctor(tmp_path: Path) -> Doctor:
    """Runs the command; returns its report, each part by its name, and its exit status."""

    def run(*args: str, **env: str) -> dict[str, Any]:
        done = subprocess.run(
            [sys.executable, "-m", "autopilot", "doctor", "--json", "--patience", "150", *args],
            env={**os.environ, "AUTOPILOT_HOME": str(tmp_path), **env},
            capture_output=True,
            text=True,
            timeout=240,
        )
        assert done.stderr == ""
        report: dict[str, Any] = json.loads(done.stdout)
        assert done.returncode == (not report["ok"]), report
        for probe in report["probes"]:
            assert probe["ok"] or probe["fix"], probe
        report["part"] = {p["name"]: p for p in report["probes"]}
        report["game"] = {g["game"]: g for g in report["games"]}
        return report

    return run


def picture(report: dict[str, Any]) -> Any:
    image = cv2.imread(report["picture"])
    assert image is not None
    return image[:, :, ::-1]


def focus(wide: Any) -> int:
    found = wide.display.get_input_focus().focus
    return int(getattr(found, "id", found))  # a number where it is no window


def test_a_window_is_seen_and_a_key_comes_back(wide: Any, doctor: Doctor) -> None:
    app = wide.app()
    app.do(APP)
    before = focus(wide)
    report = doctor("--window", "kart", "--game", "ctr")
    assert report["ok"], report["probes"]
    assert report["game"] == {"ctr": {"game": "ctr", "record": None, "drive": None, "unknown": []}}
    shown = picture(report)
    assert shown.shape == (120, 160, 3)
    assert (shown == RED).all()
    assert report["part"]["screen picture"]["detail"].startswith("160x120, grabbed ")
    assert "frozen" in report["part"]["screen picture"]["detail"]
    assert "read back after" in report["part"]["keyboard, there and back"]["detail"]
    assert "window of its own" in report["part"]["keyboard, there and back"]["detail"]
    assert focus(wide) == before
    assert not any(wide.display.query_keymap())


def test_a_picture_that_changes_is_not_frozen(wide: Any, doctor: Doctor) -> None:
    change = "import threading, time\ndef turn():\n for n in range(2**23, 2**23 + 2000):\n"
    change += "  red.change_attributes(background_pixel=n); red.clear_area(); d.flush(); time.sleep(0.005)\n"
    change += "threading.Thread(target=turn, daemon=True).start()"
    app = wide.app()
    app.do(APP)
    app.do(f"exec({change!r})")
    detail = doctor("--window", "kart")["part"]["screen picture"]["detail"]
    assert detail.endswith("of them new")


@pytest.mark.plain_x11  # Xwayland's screen is black
def test_a_black_screen_stops_the_screen_game_alone(wide: Any, doctor: Doctor) -> None:
    report = doctor()
    assert "all black" in report["part"]["screen picture"]["detail"]
    assert report["game"]["ctr"]["record"].startswith("screen picture: 640x480")
    assert report["game"]["carracing"] == {"game": "carracing", "record": None, "drive": None, "unknown": []}
    assert report["ok"], report["probes"]
    assert not doctor("--game", "ctr", "--region", "0,0,100,100")["ok"]
    assert np.count_nonzero(picture(doctor("--game", "ctr", "--region", "0,0,100,100"))) == 0


def test_who_gave_a_video_is_not_told_to_give_one(tmp_path: Path) -> None:
    film = cv2.VideoWriter(str(tmp_path / "black.avi"), cv2.VideoWriter.fourcc(*"MJPG"), 30, (64, 48))
    for _ in range(60):
        film.write(np.zeros((48, 64, 3), np.uint8))
    film.release()
    registry = Registry()
    plugin, spec = registry.find("frame source", "video")
    settings = SourceSettings(video=str(tmp_path / "black.avi"))
    (probe,) = _picture(registry, plugin.dist, spec, settings, tmp_path / "picture.png")
    assert "all black" in probe.detail
    assert probe.fix == "name another --video"


def test_without_a_display(doctor: Doctor, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("DISPLAY", "WAYLAND_DISPLAY", "XDG_SESSION_TYPE"):
        monkeypatch.delenv(name, raising=False)
    assert doctor("--patience", "8")["seconds"] < 30, "nothing is waited for without an end"
    report = doctor()
    assert not report["ok"]
    assert report["picture"] is None
    assert "DISPLAY is not set" in report["part"]["display"]["detail"]
    assert report["game"]["carracing"]["drive"] is None
    assert "DISPLAY is not set" in report["game"]["carracing"]["record"]


def test_wayland_is_named(wide: Any, doctor: Doctor) -> None:
    report = doctor(WAYLAND_DISPLAY="wayland-0")
    assert "Wayland" in report["part"]["display"]["detail"]
    assert "SDL_VIDEODRIVER=x11" in report["part"]["windows"]["fix"]
    assert report["game"]["ctr"]["record"]
    wide.app().do(APP)
    report = doctor("--game", "ctr", "--window", "kart", WAYLAND_DISPLAY="wayland-0")
    assert report["ok"], "a window is seen"


def test_a_window_that_is_not_there(wide: Any, doctor: Doctor) -> None:
    wide.app().do(APP)
    report = doctor("--window", "tennis")
    assert not report["ok"]
    assert report["part"]["screen picture"]["required"]
    assert "no window matches 'tennis'" in report["part"]["screen picture"]["detail"]


def test_a_device_is_named(wide: Any, doctor: Doctor) -> None:
    report = doctor("--input", "dualshock4")
    assert report["part"]["dualshock4"]["required"]
    assert report["ok"] == report["part"]["dualshock4"]["ok"]


@pytest.mark.plain_x11  # Xwayland's screen is black
def test_nobody_is_asked_for_a_click(wide: Any, doctor: Doctor) -> None:
    wide.app().do(APP)
    report = doctor("--game", "ctr")
    assert report["ok"]
    assert picture(report).shape == (480, 640, 3)


def test_a_keyboard_that_another_program_holds(wide: Any, doctor: Doctor) -> None:
    """A screen lock or a menu grabs the keyboard: what is typed comes nowhere else."""
    wide.app().do(APP)
    root = wide.display.screen().root
    assert root.grab_keyboard(False, X.GrabModeAsync, X.GrabModeAsync, X.CurrentTime) == X.GrabSuccess
    report = doctor("--game", "ctr", "--window", "kart")
    assert not report["ok"]
    assert "does not come to a window" in report["part"]["keyboard, there and back"]["detail"]
    assert "screen lock" in report["part"]["keyboard, there and back"]["fix"]
    assert not any(wide.display.query_keymap())
