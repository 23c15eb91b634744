"""The original's recordings become sessions, whatever was done to them; what is no recording is refused unrun."""

from __future__ import annotations

import json
import os
import pickle
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from autopilot.api.errors import UserError
from autopilot.cli import cli
from autopilot.sessions.session import Session
from autopilot_ctr.ctr_ai import CONVERT
from click.testing import CliRunner

KEYS = ([1, 0, 0], [0, 1, 0], [0, 0, 1])
LEGACY = (b"cnumpy._core.multiarray\n", b"cnumpy.core.multiarray\n")  # numpy 1, which the original used


def road(n: int) -> np.ndarray[Any, Any]:
    """A picture of a road in RGB, (90, 160, 3): a blue sky, green grass, grey road, something red."""
    picture = np.zeros((90, 160, 3), np.uint8)
    picture[:35] = np.linspace((60, 110, 220), (150, 190, 250), 35)[:, None]
    picture[35:] = (70, 150, 60)
    cv2.fillPoly(picture, [np.array([(75 + n % 9, 35), (85 + n % 9, 35), (150, 90), (10, 90)])], (110, 110, 115))
    cv2.circle(picture, (30 + n % 40, 45), 7, (200, 40, 30), -1)
    noise = np.random.default_rng(n).integers(-6, 7, picture.shape)
    return np.clip(picture + noise, 0, 255).astype(np.uint8)


def bgr(picture: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    return np.ascontiguousarray(picture[:, :, ::-1])


def piece(path: Path, rows: range, change: Callable[[Any], Any] = bgr, protocol: int = 2, keys: Any = KEYS) -> None:
    """Save what the original's `np.save` of a list of [frame, keys] left, by the pickle protocol of its numpy."""
    array = np.empty((len(rows), 2), object)
    for i, n in enumerate(rows):
        array[i, 0], array[i, 1] = change(road(n)), keys[n % len(keys)]
    data = pickle.dumps(array, protocol=protocol)
    with path.open("wb") as f:
        np.lib.format.write_array_header_1_0(f, np.lib.format.header_data_from_array_1_0(array))
        f.write(data.replace(*LEGACY) if protocol < 4 else data)


def imported(folder: Path, home: Path, *options: str) -> tuple[int, dict[str, Any], str]:
    """Run the command; return its code, its JSON and its error."""
    done = CliRunner().invoke(cli, ["import", "ctr-ai", str(folder), "--home", str(home), "--json", *options])
    error = "" if done.exception is None or isinstance(done.exception, SystemExit) else str(done.exception)
    if error:
        assert isinstance(done.exception, UserError), done.exception
    return done.exit_code, json.loads(done.stdout) if not error else {}, error + done.stderr


def frames(home: Path, session: str) -> list[Any]:
    return [row.frame.image for row in Session.open(home / "sessions" / session).rows()]


def test_pieces_of_a_recording_become_one_session(tmp_path: Path) -> None:
    name = "2018-08-05_17-10-50_N_coco-park_A"
    for number, rows in ((0, range(8)), (2, range(16, 21)), (1, range(8, 16)), (10, range(21, 24))):
        piece(tmp_path / f"{name}_{number}.npy", rows, protocol=4 if number == 2 else 2)
    piece(tmp_path / "2018-08-06_09-00-00_D_coco_N_0.npy", range(4), protocol=3)
    code, data, said = imported(tmp_path, tmp_path / "home")
    assert code == 0
    assert [(s["session"], s["frames"], s["track"]) for s in data["sessions"]] == [
        (f"ctr-ai-{name}", 24, "coco-park"),
        ("ctr-ai-2018-08-06_09-00-00_D_coco_N", 4, "coco-park"),
    ]
    assert "colours read as BGR" in said
    session = Session.open(tmp_path / f"home/sessions/ctr-ai-{name}")
    info = session.info
    assert (info.driver, info.mode, info.hz, info.created) == ("N", "A", 10, "2018-08-05T17:10:50+00:00")
    for n, row in enumerate(session.rows()):
        assert np.array_equal(row.frame.image, road(n)), "RGB, in the order of the pieces' numbers"
        assert row.action == (n % 3,)
        assert row.frame.t_ns == n * 10**8
        assert row.held == {"accelerate", *({"left"}, (), {"right"})[n % 3]}
    preview = cv2.imread(data["preview"])
    assert preview is not None
    assert np.array_equal(preview[:, :, ::-1], road(0))
    again = imported(tmp_path, tmp_path / "home")[1]["sessions"]
    assert [s["new"] for s in again] == [False, False]


@pytest.mark.parametrize(
    ("change", "options", "told"),
    [
        (lambda p: bgr(p).reshape(160, 90, 3), [], True),  # the original's reshape: the shape lies
        (lambda p: np.ascontiguousarray(bgr(p).transpose(1, 0, 2)), [], True),  # really turned
        (lambda p: np.ascontiguousarray(bgr(p).transpose(1, 0, 2)).reshape(90, 160, 3), [], True),  # scrambled
        (lambda p: p, ["--channels", "rgb"], False),
        (np.asfortranarray, ["--channels", "rgb"], False),
    ],
)
def test_layouts_and_channels_are_put_right(
    tmp_path: Path, change: Callable[[Any], Any], options: list[str], told: bool
) -> None:
    piece(tmp_path / "2018-08-05_17-10-50_N_coco_N_0.npy", range(6), change)
    code, data, said = imported(tmp_path, tmp_path / "home", *options)
    assert code == 0
    assert ("reshaped or turned" in said) == told
    assert all(map(np.array_equal, frames(tmp_path / "home", data["sessions"][0]["session"]), map(road, range(6))))


def test_a_merged_file_needs_the_user_s_word(tmp_path: Path) -> None:
    piece(tmp_path / "training data.npy", range(5))
    assert "add --driver --track --mode" in imported(tmp_path, tmp_path / "home")[2]
    said = ["--driver", "nick", "--track", "coco", "--mode", "normal"]
    (one,) = imported(tmp_path, tmp_path / "home", *said)[1]["sessions"]
    assert one["session"] == "ctr-ai-training-data"
    assert Session.open(tmp_path / "home/sessions" / one["session"]).info.driver == "nick"


def test_what_the_user_converted_is_read(tmp_path: Path) -> None:
    piece(tmp_path / "2018-08-05_17-10-50_N_coco_N_0.npy", range(5))
    program = CONVERT.removeprefix('python -c "').removesuffix('"')
    array = np.empty((5, 2), object)
    for n in range(5):
        array[n, 0], array[n, 1] = bgr(road(n)), KEYS[n % 3]
    stem = str(tmp_path / "2018-08-05_17-10-50_N_coco_N_0")
    # The line itself, but for the loading, which only the original's environment may do.
    loaded = program.replace("np.load(sys.argv[1], allow_pickle=True)", "array").replace("sys.argv[1][:-4]", "stem")
    exec(loaded, {"array": array, "stem": stem})
    (tmp_path / "2018-08-05_17-10-50_N_coco_N_0.npy").write_bytes(b"no longer needed")
    (one,) = imported(tmp_path, tmp_path / "home")[1]["sessions"]
    assert one["labels"] == {"left": 2, "forward": 2, "right": 1}


class Evil:
    def __reduce__(self) -> Any:
        return os.system, (f"touch {os.environ['EVIL']}",)


def raw(path: Path, what: Any, protocol: int = 2) -> None:
    array = np.empty((1, 2), object)
    array[0, 0], array[0, 1] = what, [1, 0, 0]
    with path.open("wb") as f:
        np.lib.format.write_array_header_1_0(f, np.lib.format.header_data_from_array_1_0(array))
        f.write(pickle.dumps(array, protocol=protocol))


@pytest.mark.parametrize("protocol", [0, 2, 4])
def test_a_pickle_that_would_run_something_runs_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, protocol: int
) -> None:
    monkeypatch.setenv("EVIL", str(tmp_path / "touched"))
    raw(tmp_path / "2018-08-05_17-10-50_N_coco_N_0.npy", Evil(), protocol)
    code, _, said = imported(tmp_path, tmp_path / "home")
    assert code == 1  # as click's runner calls it: a UserError
    assert "system" in said or "does more than describe an array" in said
    assert "Nothing of it was run" in said
    assert CONVERT in said
    assert not (tmp_path / "touched").exists()
    assert not (tmp_path / "home/sessions").exists()


def test_the_command_to_run_quotes_a_file_s_name(tmp_path: Path) -> None:
    name = "2018-08-05_17-10-50_N;touch ran_coco_N_0.npy"
    (tmp_path / name).write_bytes(b"no array")
    _, _, said = imported(tmp_path, tmp_path / "home")
    command = shlex.split(said.partition("run where the original ran: ")[2])
    assert (command[0], command[1], command[3:]) == ("python", "-c", [name])


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda p: np.save(p, np.zeros((5, 90, 160, 3), np.uint8)), "frames without their keys"),
        (lambda p: p.write_bytes(b"not numpy at all"), "cannot be used"),
        (lambda p: p.write_bytes(b""), "cannot be used"),
        (lambda p: piece(p, range(2), lambda x: x[:45]), r"160x90 colours was expected, not (45, 160, 3)"),
        (lambda p: piece(p, range(2), lambda x: x * 0), "cannot be made out"),
        (lambda p: piece(p, range(0)), "holds no frames"),
        (lambda p: piece(p, range(4), keys=([1, 0, 1],)), "single 1"),
        (lambda p: raw(p, {"a": 1}), "does more than describe an array"),
        (lambda p: raw(p, "a picture"), "was expected, not str"),
    ],
)
def test_what_is_no_recording_is_refused_with_a_reason(tmp_path: Path, make: Callable[[Path], Any], says: str) -> None:
    make(tmp_path / "2018-08-05_17-10-50_N_coco_N_0.npy")
    code, _, said = imported(tmp_path, tmp_path / "home")
    assert code == 1
    assert says in said
    assert "\n" not in said.strip()


def test_no_damage_does_more_than_refuse(tmp_path: Path) -> None:
    path = tmp_path / "2018-08-05_17-10-50_N_coco_N_0.npy"
    piece(path, range(2))
    whole = path.read_bytes()
    rng = np.random.default_rng(3)
    places = np.flatnonzero(np.frombuffer(whole, np.uint8) < 128)  # frames are most of it, opcodes among them
    codes = set()
    for _ in range(60):
        bad = bytearray(whole[: rng.integers(len(whole))] if rng.random() < 0.3 else whole)
        for at in (int(rng.integers(400)), len(bad) - 1 - int(rng.integers(300)), int(rng.choice(places))):
            if 0 <= at < len(bad):
                bad[at] = rng.integers(256)
        path.write_bytes(bad)
        codes.add(imported(tmp_path, tmp_path / "home")[0])  # asserts that what it raises is a UserError
    assert codes == {0, 1}, "some is read, some refused"


def test_unknown_formats_and_folders(tmp_path: Path) -> None:
    run = CliRunner().invoke
    assert "nothing imports 'mk64': there is ctr-ai" in str(run(cli, ["import", "mk64", str(tmp_path)]).exception)
    assert "is no folder" in str(run(cli, ["import", "ctr-ai", str(tmp_path / "x")]).exception)
    assert "no ctr-ai recordings in" in str(run(cli, ["import", "ctr-ai", str(tmp_path)]).exception)
