"""What starting up costs and imports; the import contracts of the workspace."""

from __future__ import annotations

import ast
import io
import json
import subprocess
import sys
import tokenize
from collections import Counter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
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
    names += "learn-hud demo doctor plugins".split()
    program = (
        "import sys\nfrom autopilot.cli import cli\n"
        f"for name in {names}:\n    cli.main([name, '--help'], standalone_mode=False)\n"
        f"print({HEAVY} & set(sys.modules), file=sys.stderr)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.stderr.strip() == "set()", done.stderr


def test_import_contracts_hold() -> None:
    lint = Path(sys.executable).with_name("lint-imports")
    done = subprocess.run([lint, "--no-cache"], capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stdout
    assert "0 broken" in done.stdout


def code_lines(path: Path) -> int:
    """Count the lines that hold code: not blank, no comment, no docstring."""
    text = path.read_text(encoding="utf-8")
    documentation = {
        line
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
        for line in range(node.lineno, node.end_lineno + 1)
    }
    code = {
        line
        for token in tokenize.generate_tokens(io.StringIO(text).readline)
        if token.type in (tokenize.NAME, tokenize.OP, tokenize.NUMBER, tokenize.STRING)
        for line in range(token.start[0], token.end[0] + 1)
    }
    return len(code - documentation)


def test_core_commands_and_plugins_stay_small() -> None:
    core = ROOT / "core/src/autopilot"
    lines = {path: code_lines(path) for path in core.rglob("*.py")}
    assert sum(lines.values()) <= 9250
    rooms = Counter[str]()
    for path, n in lines.items():
        rooms[path.relative_to(core).parts[0]] += n
    assert {room: n for room, n in rooms.items() if n > 1260} == {}
    commands = {p.name: n for p, n in lines.items() if p.parent.name == "commands"}
    assert {name: n for name, n in commands.items() if n > 80} == {}
    plugins = {
        folder.name: sum(code_lines(path) for path in (folder / "src").rglob("*.py"))
        for folder in (ROOT / "plugins").iterdir()
        if (folder / "src").is_dir()
    }
    assert len(plugins) >= 6
    assert plugins.pop("screen") <= 700, "pictures and windows, of X11 and of other desktops"
    assert plugins.pop("supertuxkart") <= 1000, "two modes of a game, demonstrators, ghosts, and reading its screen"
    assert plugins.pop("input_keyboard") <= 460, "the keyboards of four systems, pressed and read"
    assert plugins.pop("ctr") <= 1200, "tracks, emulators, a HUD that is learned, the original's recordings and times"
    assert plugins.pop("studio") <= 1100, "six pages, and who may ask for them"
    assert {name: n for name, n in plugins.items() if n > 450} == {}, "about 400 lines each"


def test_the_start_up_benchmark_prints_its_figures() -> None:
    done = subprocess.run(
        [sys.executable, "benchmarks/startup.py", "--runs", "2"], capture_output=True, text=True, cwd=ROOT, timeout=120
    )
    figures = json.loads(done.stdout)
    assert set(figures) == {"runs", "python -c pass", "autopilot --help", "autopilot plugins"}
    for name in ("autopilot --help", "autopilot plugins"):
        assert 0 < figures[name]["wall_s"] < 30
        assert 0 < figures[name]["cpu_s"] < 1.5, "many times the floor, whatever else runs"
