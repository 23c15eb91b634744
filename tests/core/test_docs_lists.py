"""The documentation as tests: lists, tables and code in the pages say what the program says."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from autopilot.api.guard import Guard
from autopilot.api.registry import Registry
from autopilot.api.specs import GameSpec
from autopilot.api.types import ActionSpace
from autopilot.api.values import taker
from autopilot.learn import network
from autopilot.sessions.info import SessionInfo
from autopilot.sessions.writer import SessionWriter
from autopilot_kit.new import write
from flax import nnx
from support.plugins import install_written

ROOT = Path(__file__).parents[2]

Run = Callable[..., "subprocess.CompletedProcess[str]"]
AXIS = {"name": "steer", "values": ["left", "forward", "right"], "mirror": [2, 1, 0]}


def text(page: str) -> str:
    return (ROOT / page).read_text(encoding="utf-8")


def code(page: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", text(page), re.M | re.S)


def plugins_shown(lines: str) -> set[str]:
    """The lines of `autopilot plugins` that list the bundled ones, without the version's number."""
    return {re.sub(r" +", " ", line) for line in lines.splitlines() if " ok " in line and "ribbon" not in line}


def test_the_index_lists_every_page():
    linked = set(re.findall(r"\]\(([\w/-]+\.md)\)", text("docs/index.md")))
    pages = {p.relative_to(ROOT / "docs").as_posix() for p in (ROOT / "docs").rglob("*.md")} - {"index.md"}
    # These have an index of their own, which the index lists.
    listed = {page for page in pages if page.startswith(("cli/", "decisions/", "reference/"))}
    assert linked == pages - listed | {"cli/index.md", "decisions/README.md", "reference/index.md"}


def test_the_plugins_page_shows_what_the_command_prints(autopilot: Run):
    shown = next(block for block in code("docs/plugins/index.md", "console") if "$ autopilot plugins\n" in block)
    bundled = [p.parent.name for p in ROOT.glob("plugins/*/pyproject.toml")]
    assert len(plugins_shown(shown)) == len(bundled)
    assert plugins_shown(shown) == plugins_shown(autopilot("plugins").stdout)


def test_the_table_of_sessions_has_the_columns_of_the_page(autopilot: Run, tmp_path: Path):
    about = {"track": "0", "mode": "N", "hz": 10, "width": 8, "height": 8, "controls": ("left", "right")}
    about |= {"label_map": "ribbon", "action_space": [AXIS], "lockstep": True, "versions": {}, "ended": "saved"}
    info = SessionInfo(id="one", game="ribbon", driver="me", created="2026-01-31T14:25:01+00:00", **about)
    with SessionWriter(tmp_path / "home/sessions", info):
        pass
    # The other form is for output that has no such characters.
    printed = re.search(r"^[┃|](.*)[┃|]$", autopilot("sessions", COLUMNS="200").stdout, re.M)
    shown = re.search(r"^┃(.*)┃$", text("docs/recording.md"), re.M)
    assert printed
    assert shown
    assert re.split("[┃| ]+", shown[1]) == re.split("[┃| ]+", printed[1])


def test_the_emulators_of_the_page_have_the_keys_of_the_game():
    ((_, spec),) = ((p, s) for p, s in Registry().provided("game") if s.name == "ctr")
    rows = [row.strip("| ").split(" | ") for row in re.findall(r"^\| .* \|$", text("docs/ctr.md"), re.M)]
    (header,) = (row for row in rows if row[0] == "profile")
    controls = re.findall(r"`(\w+)`", header[-1])
    assert controls == [c for c in spec.controls if c not in ("up", "down")]
    assert "`slide_left` (L1)" in header[-1]
    shown = {row[0].strip("`"): row[-1].partition(";")[0] for row in rows}
    for profile, keys in spec.bindings["keyboard"].items():
        wanted = [keys[c].removeprefix("kp_") for c in controls]
        said = shown[profile].replace("arrows", "left, right").replace("keypad ", "").lower()
        assert said.split(", ") == wanted, profile


@pytest.mark.parametrize("block", code("docs/plugins/patterns.md", "python"), ids=lambda b: b.split("\n")[0])
def test_the_code_of_the_patterns_runs(block: str):
    names: dict[str, Any] = {}
    exec(compile(block, "patterns.md", "exec"), names)
    for spec in names.values():
        if isinstance(spec, GameSpec):
            taker(GameSpec)(spec, Guard("patterns.md"))


@pytest.mark.parametrize("block", code("docs/plugins/networks.md", "python"), ids=lambda b: b.split("class ")[-1][:9])
def test_the_networks_of_their_page_fit(block: str):
    names: dict[str, Any] = {}
    exec(compile(block, "networks.md", "exec"), names)
    space = ActionSpace.from_json([AXIS, {**AXIS, "name": "slide"}])
    networks = [n for n in names.values() if isinstance(n, type) and issubclass(n, nnx.Module)]
    assert len(networks) == 1
    module = nnx.eval_shape(lambda: networks[0](90, 160, space.sizes, nnx.Rngs(params=0, dropout=1)))
    assert network._misfit(module, (160, 90), space) == ""


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="under Wine the output of a recorder below pytest below pytest never ends")
def test_the_tests_of_the_testing_page_pass(tmp_path: Path):
    write("ribbon", ["game", "model"], tmp_path / "it")
    site = install_written(tmp_path / "it", "ribbon")
    (block,) = code("docs/plugins/testing.md", "python")
    (tmp_path / "test_ribbon.py").write_text(block, encoding="utf-8")
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "pytest",
            "-q",
            "-p",
            "no:cacheprovider",
            "--rootdir",
            str(tmp_path),
            str(tmp_path / "test_ribbon.py"),
        ],
        env={**os.environ, "PYTHONPATH": str(site)},
        capture_output=True,
        text=True,
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stdout[-3000:]
    assert "27 passed" in done.stdout
