"""What starting up costs and imports; the import contracts of the workspace."""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import fields
from graphlib import TopologicalSorter
from pathlib import Path

import pytest
from autopilot.api.specs import GameSpec

ROOT = Path(__file__).parents[2]
CORE = ROOT / "core/src/autopilot"
HEAVY = {"jax", "cv2", "pynput", "vgamepad", "gymnasium", "flax", "optax", "orbax", "grain"} | {
    "numpy",
    "mss",
    "pygame",
    "pyarrow",
    "pydantic",
    "matplotlib",
    "rich",
    "av",
}

PROGRAM = """
import json, sys
sys.argv = ["autopilot", *sys.argv[1:]]
from autopilot.cli import main
try:
    main()
except SystemExit as e:
    code = e.code
else:
    code = 0
print(json.dumps([code, sorted(sys.modules)]), file=sys.stderr)
"""


@pytest.mark.parametrize("args", [["--help"], ["plugins"], ["plugins", "--json", "--errors"], ["--version"]])
def test_listing_imports_nothing_heavy(args: list[str], ribbon: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, *args],
        capture_output=True,
        text=True,
        env={"PYTHONPATH": str(ribbon)},
        timeout=60,
    )
    code, modules = json.loads(done.stderr.splitlines()[-1])
    assert code in (0, None)
    found = {m.partition(".")[0] for m in modules}
    assert "autopilot_ribbon" in found or args == ["--version"], "plugins were loaded"
    assert not found & HEAVY


def test_the_help_of_each_command_imports_no_network_or_game() -> None:
    names = "setup record import sessions check pack unpack view export train drive race".split()
    names += "learn-hud demo coach doctor plugins".split()
    program = (
        "import sys\nfrom autopilot.cli import cli\n"
        f"for name in {names}:\n    cli.main([name, '--help'], standalone_mode=False)\n"
        f"print({HEAVY} & set(sys.modules), file=sys.stderr)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.stderr.strip() == "set()", done.stderr


@pytest.mark.skipif(os.name == "nt", reason="import-linter is no part of autopilot, and not installed there")
def test_import_contracts_hold() -> None:
    lint = Path(sys.executable).with_name("lint-imports")
    done = subprocess.run([lint, "--no-cache"], capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stdout
    assert "0 broken" in done.stdout


BUDGETS = {
    "api": (1980, "the whole vocabulary, levels of sticks, settings, modes that are games, the guard, Windows, zoos"),
    "bundle": (350, "a manifest that says how it drives, weights of either length, one preprocessing, one selector"),
    "cli": (
        915,
        "six commands, their options in groups and examples, groups that plugins add to, a line for every error",
    ),
    "commands": (
        1710,
        "the Python API, its options typed, which the commands call; option groups, choices, tables; choice by race, "
        "bundles of zoos, many simulators at once, here and by Ray",
    ),
    "desktop": (
        1010,
        "bindings of keys and sticks, joining source and devices, no black picture, keys that die with nobody",
    ),
    "drive": (1880, "worlds, one that its caller steps too, drivers, the run and all that observes it"),
    "learn": (
        2905,
        "networks, windows, training of their own, data of several games and what each frame counts, the jitted step, "
        "checkpoints, clusters",
    ),
    "race": (780, "heats, tables by laps, score or place, published times, a choice by rounds, a board of all races"),
    "sessions": (1850, "rows on disk that survive a crash, their index, cache, laps and review"),
}
"""Room of core -> its most lines, all counted, and what it has them for. Whoever raises one says here for what."""

PLUGINS = {
    "carracing": (
        880,
        "a simulator, its referee, a demonstrator by keys and by stick that foresees, a window with keys and pads",
    ),
    "check": (1120, "what is wrong with a session, by keys or by stick, alone and among others"),
    "coach": (
        1475,
        "a person and two stand-ins, one wheel, lessons in a process, a sitting that survives, its display",
    ),
    "ctr": (2115, "tracks, six emulators, a display that is learned, the original's recordings and times"),
    "gymnasium": (840, "environments as games, by a file or in Python, and our games as environments"),
    "input_keyboard": (
        1110,
        "the keyboards of four systems, layouts and a focus that change; of Windows by calls of its own",
    ),
    "kit": (1700, "checks of seven kinds of parts, a line of fix each, and the plugin that one begins with"),
    "screen": (1930, "pictures and windows, of X11, of Xwayland, of Windows and others; what a Wayland desktop shares"),
    "setup": (1840, "finding a game's picture, its keys and its clock; doctor; the loop's lag and the game's speed"),
    "sharing": (
        1670,
        "packs, LeRobot with its encoder's threads kept ordinary, Rerun; ready-trained bundles and cards",
    ),
    "studio": (1470, "seven pages, and who may ask for them"),
    "supertuxkart": (
        1910,
        "two modes of a game, opponents and items, demonstrators, one after a ghost, ghosts, and reading its screen",
    ),
}
"""The same of plugins that need more than 750 lines."""

LINES, BRANCHES, PARAMETERS = 60, 15, 6
"""A function fits on a screen and in a head."""


def modules(folder: Path) -> dict[Path, str]:
    return {path: path.read_text(encoding="utf-8") for path in sorted(folder.rglob("*.py"))}


def line_count(folder: Path) -> int:
    return sum(len(text.splitlines()) for text in modules(folder).values())


def test_each_room_keeps_to_its_budget() -> None:
    rooms = {path.name: line_count(path) for path in CORE.iterdir() if (path / "__init__.py").exists()}
    assert rooms.keys() == BUDGETS.keys(), "nine rooms"
    assert {room: lines for room, lines in rooms.items() if lines > BUDGETS[room][0]} == {}
    commands = modules(CORE / "cli/commands")
    assert {p.name: len(text.splitlines()) for p, text in commands.items() if len(text.splitlines()) > 130} == {}


def test_each_plugin_keeps_to_its_budget() -> None:
    plugins = {path.parent.name: line_count(path) for path in ROOT.glob("plugins/*/src")}
    assert plugins.keys() > PLUGINS.keys()
    assert {name: n for name, n in plugins.items() if n > PLUGINS.get(name, (750, ""))[0]} == {}


def branches(function: ast.AST) -> int:
    count = 0
    for node in ast.walk(function):
        match node:
            case ast.If() | ast.For() | ast.While() | ast.ExceptHandler() | ast.IfExp() | ast.With() | ast.match_case():
                count += 1
            case ast.BoolOp():
                count += len(node.values) - 1
            case ast.comprehension():
                count += 1 + len(node.ifs)
    return count


def measured(text: str) -> Iterator[tuple[str, tuple[int, int, int]]]:
    """Yield of each function of a module, click commands aside: (name, (lines, branches, parameters))."""
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            if any("command" in ast.dump(d) or "option" in ast.dump(d) for d in node.decorator_list):
                continue
            named = [a.arg for a in (*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs)]
            parameters = len(named) - (named[:1] in (["self"], ["cls"]))
            yield node.name, (int(node.end_lineno or 0) - node.lineno + 1, branches(node), parameters)


def test_every_function_fits_on_a_screen() -> None:
    most = (LINES, BRANCHES, PARAMETERS)
    functions = [
        (f"{path.relative_to(ROOT)}: {name}", size)
        for folder in (CORE, *ROOT.glob("plugins/*/src"))
        for path, text in modules(folder).items()
        for name, size in measured(text)
    ]
    assert len(functions) > 1000
    assert [f for f in functions if any(n > limit for n, limit in zip(f[1], most, strict=True))] == []


def test_rooms_have_few_arrows_between_them_and_no_circle() -> None:
    arrows: dict[str, set[str]] = {room: set() for room in BUDGETS}
    for path, text in modules(CORE).items():
        tree, room = ast.parse(text), path.relative_to(CORE).parts[0]
        typing_only = {
            id(inner)
            for node in ast.walk(tree)
            if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
            for inner in ast.walk(node)
        }
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom) and room in arrows and id(node) not in typing_only:
                to = str(node.module).removeprefix("autopilot.").partition(".")[0]
                arrows[room] |= {to} & (arrows.keys() - {room})
    assert 9 <= sum(map(len, arrows.values())) <= 40
    assert len(list(TopologicalSorter(arrows).static_order())) == 9, "raises CycleError for a circle"


def test_what_is_read_first_stays_short() -> None:
    assert len(fields(GameSpec)) <= 16
    assert len((ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8").splitlines()) <= 120


@pytest.mark.skipif(os.name == "nt", reason="Windows does not say what its children's processors did")
def test_the_start_up_benchmark_prints_its_figures() -> None:
    done = subprocess.run(
        [sys.executable, "benchmarks/startup.py", "--runs", "2"], capture_output=True, text=True, cwd=ROOT, timeout=120
    )
    figures = json.loads(done.stdout)
    assert set(figures) == {"runs", "python -c pass", "autopilot --help", "autopilot train --help", "autopilot plugins"}
    for name in figures.keys() - {"runs", "python -c pass"}:
        assert 0 < figures[name]["wall_s"] < 30
        assert 0 < figures[name]["cpu_s"] < 1.5, "many times the floor, whatever else runs"
