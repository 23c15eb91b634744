"""`autopilot models`: bundles of one's own and ready-trained ones, listed, shown, installed, published, compared."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from autopilot.bundle.manifest import read_manifest
from safetensors.numpy import load_file
from support.apart import Result
from support.plugins import install

Run = Callable[..., Result]
ABOUT = {
    "title": "A small one",
    "game": "ribbon",
    "trained_on": "tracks 0-2",
    "data": "the demonstrator",
    "recipe": ["autopilot record --game ribbon --driver demonstrator --track 0-2"],
    "race": "autopilot race --game ribbon --tracks 9 --laps 1",
    "licence": "MIT",
}
FILES = ["card.json", "manifest.json", "weights.safetensors"]


@pytest.fixture(scope="module")
def garage(trained: Path, site: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of packages with somebody's zoo; `tiny` is in it, without a table."""
    there = install("autopilot-garage", tmp_path_factory.mktemp("garage") / "site")
    shutil.copytree(site, there, dirs_exist_ok=True)
    return there


@pytest.fixture
def zoo(run: Run, trained: Path, garage: Path, tmp_path: Path) -> Path:
    """The same, with `tiny` published into it by the command."""
    bundles = garage / "autopilot_garage/bundles"
    if not bundles.exists():
        (tmp_path / "about.json").write_text(json.dumps(ABOUT))
        args = ("models", "publish", "tiny", "--into", str(bundles), "--card", str(tmp_path / "about.json"))
        done = run(*args, home=trained)
        assert done.code == 0, done.err
    return garage


def line(done: Result) -> str:
    assert done.code == 2, done.out + done.err
    assert done.err.count("\n") == 1, done.err
    return done.err


def test_what_was_published_is_small_and_has_a_card(zoo: Path, trained: Path) -> None:
    folder = zoo / "autopilot_garage/bundles/tiny"
    assert sorted(p.name for p in folder.iterdir()) == FILES
    half, whole = (load_file(f / "weights.safetensors") for f in (folder, trained / "bundles/tiny"))
    assert {array.dtype for array in half.values()} == {np.dtype(np.float16)}
    assert all(np.array_equal(half[name], whole[name].astype(np.float16)) for name in whole)
    card = json.loads((folder / "card.json").read_text())
    assert card["minutes"] > 0
    assert {name: card[name] for name in ABOUT} == ABOUT


def test_an_outsider_s_network_drives_until_there_is_one_of_one_s_own(
    run: Run, zoo: Path, trained: Path, tmp_path: Path
) -> None:
    home, env = tmp_path / "fresh", {"PYTHONPATH": str(zoo)}
    listed = json.loads(run("models", "list", "--game", "ribbon", "--json", home=home, **env).out)
    assert [(m["name"], m["whose"], m["here"]) for m in listed] == [("tiny", "ready-trained", False)]
    done = run("drive", "--game", "ribbon", "--seconds", "0.2", "--json", home=home, **env)
    assert json.loads(done.out)["driver"] == "tiny"
    assert "no bundle of your own: tiny drives, ready-trained (`autopilot models show tiny`)" in done.err.splitlines()
    assert sorted(p.name for p in (home / "bundles/tiny").iterdir()) == FILES
    shutil.copytree(trained / "bundles/tiny", home / "bundles/mine")
    os.utime(home / "bundles/mine/manifest.json", (1000, 1000))
    mine = run("drive", "--game", "ribbon", "--seconds", "0.2", "--json", home=home, **env)
    assert json.loads(mine.out)["driver"] == "mine", "older, and still one's own"
    assert "the newest bundle of ribbon: mine" in mine.err


def test_a_named_one_is_installed_where_it_is_used(run: Run, zoo: Path, tmp_path: Path) -> None:
    home, env = tmp_path / "fresh", {"PYTHONPATH": str(zoo)}
    race = ("race", "--drivers", "demonstrator,tiny", "--tracks", "9", "--laps", "1", "--json")
    done = run(*race, home=home, **env)
    assert done.code == 0, done.err
    board = json.loads(run("models", "board", "--json", home=home, **env).out)
    assert {row["driver"]: row["kind"] for row in board["standings"]} == {
        "demonstrator": "demonstrator",
        "tiny": "bundle",
    }
    assert board["compared_with"] == "demonstrator"
    shown = run("models", "board", home=home, **env).out
    assert "ribbon: leaderboard" in shown
    assert "demonstrator" in shown
    assert "no races were kept" in run("models", "board", home=tmp_path / "empty", **env).out


def test_a_card_is_shown_and_a_race_becomes_its_table(run: Run, zoo: Path, trained: Path, tmp_path: Path) -> None:
    home, env = tmp_path / "fresh", {"PYTHONPATH": str(zoo)}
    run("race", "--drivers", "demonstrator,tiny", "--tracks", "9", "--laps", "1", "--name", "r", home=home, **env)
    (tmp_path / "about.json").write_text(json.dumps(ABOUT))
    args = ("models", "publish", "tiny", "--into", str(tmp_path / "mine"), "--card", str(tmp_path / "about.json"))
    done = run(*args, "--table", str(home / "races/r/race.json"), home=trained)
    assert done.code == 0, done.err
    assert "exists already" in line(run(*args, home=trained))
    assert run("models", "install", str(tmp_path / "mine/tiny"), "--name", "other", home=home).code == 0
    shown = run("models", "show", "other", home=home, **env).out
    for words in (*map(str, ABOUT["recipe"]), "other: A small one", "MIT", "What came of that race", "demonstrator"):
        assert words in shown
    assert json.loads(run("models", "show", "other", "--json", home=home, **env).out)["card"]["table"][1]["runs"] == 1
    assert "no card" in run("models", "show", "tiny", home=trained, **env).out


def test_what_is_installed_comes_once_and_keeps_its_card_in_a_pack(
    run: Run, zoo: Path, trained: Path, tmp_path: Path
) -> None:
    home, pack, env = tmp_path / "fresh", str(tmp_path / "tiny.pack"), {"PYTHONPATH": str(zoo)}
    assert "installed in" in run("models", "install", "tiny", home=home, **env).out
    assert "you have it already" in run("models", "install", "tiny", home=home, **env).out
    assert "another bundle is called tiny here" in line(run("models", "install", "tiny", home=trained, **env))
    assert run("pack", "--bundle", "tiny", "-o", pack, home=home, **env).code == 0
    assert "installed in" in run("models", "install", pack, home=tmp_path / "second").out
    came = tmp_path / "second/bundles/tiny"
    assert json.loads((came / "card.json").read_text()) == json.loads((home / "bundles/tiny/card.json").read_text())
    assert read_manifest(came).weights_sha256 == read_manifest(home / "bundles/tiny").weights_sha256
    assert "there is no bundle, pack or folder 'none'" in line(run("models", "install", "none", home=home, **env))


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"format": 2}, "card.json: 'format'"),
        ({"surprise": 1}, "card.json: 'surprise'"),
        ({"licence": ""}, "card.json: 'licence'"),
        ({"title": "red \x1b[31m"}, "card.json: 'title'"),
        ({"minutes": -1}, "card.json: 'minutes'"),
        ({"game": "carracing"}, "is for carracing, the bundle for ribbon"),
        ({"recipe": ["x"] * 51}, "card.json: 'recipe'"),
    ],
)
def test_a_card_that_makes_no_sense_is_refused_in_a_line(
    run: Run, zoo: Path, tmp_path: Path, change: dict[str, Any], says: str
) -> None:
    theirs = Path(shutil.copytree(zoo / "autopilot_garage/bundles/tiny", tmp_path / "theirs"))
    card = json.loads((theirs / "card.json").read_text())
    (theirs / "card.json").write_text(json.dumps({**card, **change}))
    home = tmp_path / "fresh"
    assert says in line(run("models", "install", str(theirs), home=home))
    assert not (home / "bundles").exists()


def test_a_name_that_leads_elsewhere_is_refused(run: Run, zoo: Path, tmp_path: Path) -> None:
    theirs, home = zoo / "autopilot_garage/bundles/tiny", tmp_path / "fresh"
    for name in ("../x", "con", "demonstrator"):
        assert "cannot be used" in (said := line(run("models", "install", str(theirs), "--name", name, home=home))) or (
            "is a driver already" in said
        )
    assert not home.exists()
