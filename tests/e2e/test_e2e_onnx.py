"""Exporting a bundle and driving with the other engine, through the command line."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from support.apart import Result

Run = Callable[..., Result]


@pytest.fixture
def home(trained: Path, tmp_path: Path) -> Path:
    """A copy of the home with a bundle."""
    return Path(shutil.copytree(trained, tmp_path / "home"))


def test_an_exported_network_drives_and_races(run: Run, home: Path, tmp_path: Path) -> None:
    wanted = tmp_path / "files" / "tiny.onnx"
    done = run("export", "--bundle", "tiny", "--format", "onnx", "--out", str(wanted), "--json", home=home)
    assert done.code == 0, done.err
    told = json.loads(done.out)
    assert told["file"] == str(wanted)
    assert told["bytes"] == wanted.stat().st_size
    assert 0 <= told["difference"] <= told["limit"] == 1e-4
    assert not (home / "bundles/tiny/model.onnx").exists(), "--out leaves the bundle alone"
    for there, more in ((str(wanted), []), ("/dev/null", ["--force"])):
        refused = run("export", "--bundle", "tiny", "--format", "onnx", "--out", there, *more, home=home)
        assert (refused.code, refused.err.count("\n")) == (2, 1), refused.err
        assert "take another name" in refused.err
    assert Path("/dev/null").is_char_device()

    drive = ["drive", "--game", "ribbon", "--bundle", "tiny", "--track", "30", "--laps", "1", "--json"]
    first = run(*drive, "--engine", "onnx", home=home)
    assert first.code == 0, first.err
    report = json.loads(first.out)
    assert report["ending"] == "finished"
    assert len(report["reading"]["lap_times_s"]) == 1
    exported = home / "bundles/tiny/model.onnx"
    assert exported.read_bytes() == wanted.read_bytes()
    lines = first.err.splitlines()
    assert lines[0] == f"exported {exported}"
    assert lines[1].startswith("engine onnx: probabilities differ from jax's by ")

    race = ["race", "--game", "ribbon", "--drivers", "tiny,random", "--tracks", "30", "--laps", "1", "--json"]
    raced = run(*race, "--engine", "onnx", home=home)
    assert raced.code == 0, raced.err
    assert "exported" not in raced.err
    assert raced.err.count("engine onnx: ") == 1
    assert {r["driver"]: r["finished"] for r in json.loads(raced.out)["runs"]}["tiny"]


def test_refusals_are_one_line(run: Run, home: Path) -> None:
    def refused(*args: str) -> str:
        done = run(*args, home=home)
        assert (done.code, done.out) == (2, ""), done.err
        assert done.err.count("\n") == 1, done.err
        return done.err

    drive = ["drive", "--game", "ribbon", "--bundle", "tiny", "--seconds", "1"]
    assert "no bundle 'tinny'" in refused("export", "--bundle", "tinny", "--format", "onnx")
    assert "cannot be used" in refused("export", "--bundle", "../tiny", "--format", "onnx")
    assert "'torch' is not" in refused("export", "--bundle", "tiny", "--format", "torch")
    assert "unknown engine 'tpu'; there are: jax, onnx" in refused(*drive, "--engine", "tpu")
    assert "unknown engine 'onx'; did you mean onnx?" in refused(*drive, "--engine", "onx")
    (home / "bundles/tiny/model.onnx").write_bytes(b"\x08\x0a")
    again = "model.onnx is damaged; export it again: autopilot export --bundle tiny --format onnx"
    assert again in refused(*drive, "--engine", "onnx")
    assert run("export", "--bundle", "tiny", "--format", "onnx", home=home).code == 0
    assert run(*drive, "--engine", "onnx", home=home).code == 0
