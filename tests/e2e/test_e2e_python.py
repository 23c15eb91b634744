"""The Python API: its page and its notebook run; arrays, policies and worlds say what the command line's files say."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from dataclasses import fields
from pathlib import Path
from typing import Any

import autopilot
import numpy as np
import pytest
from autopilot.commands import keywords
from autopilot.drive.drive import DriveOptions
from autopilot.learn.options import Invocation, TrainOptions
from autopilot.race.race import RaceOptions

ROOT = Path(__file__).parents[2]


@pytest.fixture
def opened(trained: Path, site: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> autopilot.OpenHome:
    """A copy of the home with three sessions and the bundle `tiny`, opened."""
    monkeypatch.syspath_prepend(str(site))
    return autopilot.open(shutil.copytree(trained, tmp_path / "home"))


def run_code(code: str, site: Path, folder: Path, **env: str) -> str:
    """Run a program as a user would, in a folder of its own, and return what it prints."""
    full = {**os.environ, "PYTHONPATH": str(site), "MPLBACKEND": "agg", **env}
    done = subprocess.run([sys.executable, "-c", code], cwd=folder, env=full, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


def line_count(code: str) -> int:
    return sum(bool(line.strip()) for line in code.splitlines())


@pytest.mark.slow
def test_the_code_of_the_page_runs(site: Path, tmp_path: Path) -> None:
    """In the tests' small game and with its small network: the page names the bundled ones."""
    page = (ROOT / "docs/python.md").read_text(encoding="utf-8")
    blocks = re.findall(r"^```python\n(.*?)^```$", page, re.M | re.S)
    assert line_count(blocks[0]) <= 25, "the whole loop"
    code = "".join(blocks).replace("carracing", "ribbon").replace("nvidia", "tiny")
    printed = run_code(code, site, tmp_path)
    assert "ribbon-tiny is right on 0." in printed
    assert "TrainProgress(step=1, " in printed
    assert re.search(r"^demonstrator 2 \d+", printed, re.M), "it finished both races"
    assert "the demonstrator would hold ['accelerate'" in printed
    assert re.search(r"^\[\d\.\d+, \d\.\d+\]$", printed, re.M), "the losses of two epochs"
    assert re.search(r"^50 \['accelerate'.*\] None$", printed, re.M), "the observer was told"
    (race,) = (tmp_path / "demo/races").iterdir()
    assert {path.name for path in race.iterdir()} == {"race.json", "race.md", "race.png"}


def test_the_notebook_runs_and_draws(opened: autopilot.OpenHome, site: Path, tmp_path: Path) -> None:
    notebook = json.loads((ROOT / "examples/session.ipynb").read_text(encoding="utf-8"))
    cells = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    assert all(not cell["outputs"] for cell in cells)
    code = "\n".join("".join(cell["source"]) for cell in cells)
    assert line_count(code) <= 25
    code += "\nfor n in plt.get_fignums():\n    plt.figure(n).savefig(f'{n}.png')\n"
    run_code(code, site, tmp_path, AUTOPILOT_HOME=str(opened.folders.root))
    assert all((tmp_path / f"{n}.png").stat().st_size > 5_000 for n in (1, 2, 3))


def test_a_session_is_the_same_as_arrays(opened: autopilot.OpenHome) -> None:
    first, second, _ = opened.sessions("ribbon")
    assert opened.sessions("carracing") == []
    first.session.delete(3, 10)
    first.session.relabel(20, 22, frozenset({"left", "accelerate"}), (0,))
    session, rows = opened.session(first.id), list(first.session.rows())
    assert len(session) == len(rows) == session.images.shape[0]
    assert session.images.dtype == np.uint8
    assert not session.images.flags.writeable
    assert session.labels.dtype == np.int32
    for i, row in enumerate(rows):
        assert np.array_equal(session.images[i], row.frame.image)
        assert tuple(session.labels[i]) == (row.action or (-1,))
        assert {c for c, held in zip(session.controls, session.held[i], strict=True) if held} == row.held
        assert {c for c, sent in zip(session.controls, session.sent[i], strict=True) if sent} == row.sent
        assert session.times_s[i] == pytest.approx((row.frame.t_ns - rows[0].frame.t_ns) / 1e9)
    assert [lap.session for lap in second.laps] == [second.id]
    assert 0 <= second.laps[0].start < second.laps[0].stop <= len(second)
    assert len(second.rows.score) == len(second)
    session.session.delete(0, 1)
    del session.images
    with pytest.raises(autopilot.UserError, match="was changed after it was opened: open it again"):
        _ = session.images


def test_a_broken_session_is_told_of_and_left_out(opened: autopilot.OpenHome, caplog: pytest.LogCaptureFixture) -> None:
    broken = opened.sessions()[0]
    (broken.session.path / "session.json").write_text("{")
    assert broken.id not in [session.id for session in opened.sessions()]
    assert f"session {broken.id} is left out" in caplog.text


def test_a_policy_answers_as_it_drives(opened: autopilot.OpenHome) -> None:
    policy = opened.policy("tiny")
    session = opened.sessions()[0]
    image = session.images[7]
    decision = policy.decide(image)
    (vector,) = policy.policy.probabilities(policy.policy.preprocess(image))
    assert list(decision.probabilities["steer"].values()) == pytest.approx(vector.tolist())
    assert decision.action == {"steer": ("left", "forward", "right")[vector.argmax()]}
    assert decision.held == {"accelerate"} | ({decision.action["steer"]} - {"forward"})
    assert policy.probabilities(image) == decision.probabilities
    assert opened.policy().name == "tiny", "the newest one"


WRONG_PICTURES: dict[str, Any] = {
    "uint8 (160, 90, 3)": np.zeros((160, 90, 3), np.uint8),
    "float32 (90, 160, 3)": np.zeros((90, 160, 3), np.float32),
    "list ()": [[0]],
}


def test_a_world_is_stepped_as_it_is_recorded(opened: autopilot.OpenHome) -> None:
    """The demonstrator's actions, stepped, give the frames and readings that its recording has."""
    session = opened.sessions("ribbon")[0]
    rows = list(session.session.rows())
    with opened.world("ribbon", session.info.track) as world:
        for row in rows:
            assert np.array_equal(world.frame.image, row.frame.image)
            assert world.frame.t_ns == row.frame.t_ns
            assert world.reading == row.reading
            held = world.demonstration()
            assert held == row.held
            if not world.over:
                world.step(held)
        assert world.over
        with pytest.raises(autopilot.UserError, match="the race is over: open another world"):
            world.step({"left"})


def test_wrong_use_is_told_in_one_line(opened: autopilot.OpenHome) -> None:
    policy, world = opened.policy("tiny"), opened.world("ribbon")
    late = opened.world("ribbon", "4")
    late.close()
    late.close()
    wrong = {
        "this world was closed: open another one": lambda: late.step({"left"}),
        "ribbon holds no {'gas'}: give a set of left, right, accelerate": lambda: world.step({"gas"}),
        "ribbon holds no 'left': give a set of": lambda: world.step("left"),
        "pit runs in real time and waits for no step": lambda: opened.world("pit"),
        "ctr runs in real time and waits for no step: drive it": lambda: opened.world("ctr"),
        "ribbon ships no demonstrator-pro": lambda: opened.world("ribbon", demonstrator="demonstrator-pro"),
        "a world has one track": lambda: opened.world("ribbon", "0-3"),
        "no session 'x' in": lambda: opened.session("x"),
        "no bundle 'x' in .*: there are: tiny": lambda: opened.policy("x"),
        "unknown game 'ribon'; did you mean ribbon?": lambda: opened.world("ribon"),
        "there is no option 'epoch': did you mean epochs": lambda: opened.train("tiny", "ribbon", epoch=1),  # type: ignore[call-arg]
        "--laps -1: Input should be greater than or equal to 0": lambda: opened.record("demonstrator", laps=-1),
        "--epochs 0: Input should be greater than 0": lambda: opened.train("tiny", "ribbon", epochs=0),
        "there are models .*: choose with --model": lambda: opened.train(game="ribbon"),
    }
    for image, picture in WRONG_PICTURES.items():
        wrong[rf"bundle tiny looks at uint8 \(90, 160, 3\) RGB, not at {re.escape(image)}"] = lambda p=picture: (
            policy.decide(p)
        )
    for message, call in wrong.items():
        with pytest.raises(autopilot.UserError, match=message) as raised:
            call()
        assert "\n" not in str(raised.value)


def test_a_closed_home_lets_go_of_its_worlds_and_answers_no_more(opened: autopilot.OpenHome) -> None:
    with opened as home:
        world = home.world("ribbon")
    assert world.closed
    calls: list[Any] = [opened.sessions, opened.policy, opened.record, opened.train, opened.drive, opened.race]
    for call in [*calls, lambda: opened.world("ribbon"), lambda: opened.session("x")]:
        with pytest.raises(autopilot.UserError, match=r"this home was closed: open it again by autopilot.open\(\)"):
            call()
    opened.close()


def test_keywords_are_those_of_the_options() -> None:
    def names(kind: type) -> set[str]:
        return {field.name for field in fields(kind)}

    train = names(TrainOptions) - {"model", "game"} | names(Invocation) - {"processes", "choose"}
    assert set(keywords.TrainKeywords.__annotations__) == train | {"choose_by", "choose_tracks", "choose_seed"}
    how = {"select", "temperature", "engine", "force"}
    drive = set(keywords.DriveKeywords.__annotations__) - how - {"show", "film", "races"}
    assert drive <= names(DriveOptions)
    record = set(keywords.RecordKeywords.__annotations__) - how - {"show", "actions", "hz", "workers", "resume"}
    assert record <= names(DriveOptions)
    race = set(keywords.RaceKeywords.__annotations__) - how - {"name", "seed", "recover", "mode", "workers", "resume"}
    assert race == names(RaceOptions) - {"drivers", "drive"}


def test_importing_it_imports_nothing_else() -> None:
    code = "import sys; had = set(sys.modules); import autopilot; print(sorted(set(sys.modules) - had))"
    assert run_code(code, ROOT, ROOT).strip() == "['__future__', 'autopilot']"
    assert {*autopilot.__all__} <= set(dir(autopilot))
    with pytest.raises(AttributeError, match="module 'autopilot' has no attribute 'opne'"):
        _ = autopilot.opne  # type: ignore[attr-defined]
