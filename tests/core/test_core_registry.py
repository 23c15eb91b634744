"""The registry with real distributions on the path: every fault under its plugin's name."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from autopilot.api import guard
from autopilot.api.errors import PluginError
from autopilot.api.guard import Guard
from autopilot.api.interfaces import FrameSource
from autopilot.api.registry import Plugin, Registry
from autopilot.api.values import taker

Write = Callable[..., str]
Cli = Callable[..., "subprocess.CompletedProcess[str]"]

HEAD = """
from autopilot.api import (
    CommandSpec, DeviceSpec, GameSpec, LabelMapSpec, ModelSpec, RaceSpec, Recovery, SimulatorSpec, SteerCorrection,
    Tracks, hookimpl,
)

AUTOPILOT_API = 2
"""


def game(name: str) -> str:
    return f"\n@hookimpl\ndef autopilot_games():\n    return [GameSpec('{name}', '{name}', ('left',), '{name}')]\n"


@pytest.fixture
def registry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[], Registry]:
    """Make a registry that also sees what the test has written."""

    def make(safe_mode: bool = False) -> Registry:
        monkeypatch.syspath_prepend(tmp_path / "site")
        return Registry(safe_mode)

    return make


def plugin(registry: Registry, dist: str) -> Plugin:
    return next(p for p in registry.plugins if p.dist == dist)


def test_a_good_plugin(write_plugin: Write, registry: Callable[[], Registry]) -> None:
    module = write_plugin("moon-buggy", HEAD + game("moon"))
    found = registry()
    assert plugin(found, "moon-buggy").status == "ok"
    assert plugin(found, "moon-buggy").version == "2.5"
    assert found.get("game", "moon").title == "moon"
    assert found.find("game", "moon-buggy:moon")[0].target == module


@pytest.mark.parametrize(
    ("source", "stage", "says"),
    [
        ("import no_such_module_anywhere", "import", "ModuleNotFoundError"),
        ("raise RuntimeError('two\\nlines')", "import", "RuntimeError: two lines"),
        ("raise SystemExit(3)", "import", "SystemExit: 3"),
        ("def broken(:", "import", "SyntaxError"),
        ("AUTOPILOT_API = 99", "api", "built for hook API 99"),
        ("AUTOPILOT_API = '2'", "api", "built for hook API '2'; this autopilot has hook API 2, a number"),
        ("AUTOPILOT_API = True", "api", "built for hook API True"),
        ("x = 1", "api", "does not set AUTOPILOT_API"),
        (HEAD + "@hookimpl\ndef autopilot_gmaes():\n    return []\n", "hooks", "autopilot_gmaes"),
        (HEAD + "@hookimpl\ndef autopilot_games(road):\n    return []\n", "hooks", "road"),
    ],
)
def test_a_broken_plugin_is_left_out_and_named(
    write_plugin: Write, registry: Callable[[], Registry], source: str, stage: str, says: str
) -> None:
    write_plugin("bad-one", source)
    write_plugin("good-one", HEAD + game("moon"))
    found = registry()
    bad = plugin(found, "bad-one")
    assert bad.status == "broken"
    assert [f.stage for f in bad.faults] == [stage]
    assert says in bad.faults[0].message
    assert "\n" not in bad.faults[0].message
    assert found.get("game", "moon").name == "moon"
    assert "bad-one" not in [p.dist for p, _ in found.provided("game")]


def test_an_entry_point_that_names_nothing(write_plugin: Write, registry: Callable[[], Registry]) -> None:
    write_plugin("ghost", HEAD, target="no_such_package_here.plugin")
    write_plugin("half-ghost", HEAD, target="json:no_such_thing")
    found = registry()
    assert "No module named" in plugin(found, "ghost").faults[0].message
    assert "no_such_thing" in plugin(found, "half-ghost").faults[0].message


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ("raise ZeroDivisionError('oh')", "ZeroDivisionError: oh"),
        ("raise SystemExit('bye')", "SystemExit: bye"),
        ("return None", "autopilot_games returned nothing: it must return a list of GameSpec objects"),
        ("return 5", "TypeError"),
        ("return ['moon']", "must return GameSpec objects, not <class 'str'>"),
        ("return [ModelSpec('m', 'M', 'a:b')]", "must return GameSpec objects"),
    ],
)
def test_a_failing_hook_costs_only_what_it_offers(
    write_plugin: Write, registry: Callable[[], Registry], body: str, says: str
) -> None:
    models = "\n@hookimpl\ndef autopilot_models():\n    return [ModelSpec('net', 'N', 'a:b')]\n"
    write_plugin("half-bad", HEAD + f"@hookimpl\ndef autopilot_games():\n    {body}\n" + models)
    write_plugin("good-one", HEAD + game("moon"))
    found = registry()
    assert [s.name for p, s in found.provided("game") if p.dist in ("half-bad", "good-one")] == ["moon"]
    assert found.get("model", "net").name == "net"
    half = plugin(found, "half-bad")
    assert half.status == "faulty"
    assert half.faults[0].stage == "autopilot_games"
    assert says in half.faults[0].message
    assert "Traceback" in half.faults[0].details
    found.provided("game")
    assert len(half.faults) == 1, "a fault is noted once"


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ("hz='10'", "hz: must be a finite number, not '10'"),
        ("hz=True", "hz: must be a finite number, not True"),
        ("hz=float('nan')", "hz: must be a finite number, not nan"),
        ("hz=0", "hz: must be above 0, not 0"),
        ("controls='left'", "controls: must be a tuple, not 'left'"),
        ("controls=()", "controls: must be one or more, not ()"),
        ("controls=('left', 3)", "controls: must be text, not 3"),
        ("frame_size=(160,)", "frame_size: must be a tuple of 2, not (160,)"),
        ("frame_size=[160, 90]", "frame_size: must be a tuple of 2, not [160, 90]"),
        ("frame_size=(160, 0)", "frame_size: must be above 0, not 0"),
        ("tracks=Tracks(pattern='[0-9')", "tracks: pattern: must be a regular expression, not '[0-9'"),
        ("simulator=SimulatorSpec('game.open_world')", "simulator: open_world: must be an import string such as"),
        ("modes={}", "modes: must be one or more"),
        ("modes={'N': 1}", "modes: must be text, not 1"),
        ("simulator=SimulatorSpec('a:b', ('sundial',))", "simulator: clocks: must be lockstep or wall, not 'sundial'"),
        ("hidden=((0, 0, 1),)", "hidden: must be a tuple of 4, not (0, 0, 1)"),
        ("steering=SteerCorrection(per_pixel='a')", "steering: per_pixel: must be a finite number, not 'a'"),
        ("race=RaceSpec(recovery=Recovery(()))", "race: recovery: manoeuvres: must be one or more, not ()"),
        ("race=RaceSpec(restart=(('left', 1.0),))", "race: restart: must be a frozenset, not 'left'"),
        ("race=RaceSpec(referee='yes')", "race: referee: must be True or False, not 'yes'"),
        ("race=RaceSpec(references={'me': print})", "race: references: must be text, not <built-in function print>"),
    ],
)
def test_a_descriptor_with_wrong_values_is_refused_when_it_is_registered(
    write_plugin: Write, registry: Callable[[], Registry], fields: str, says: str
) -> None:
    spec = f"GameSpec(**(dict(name='mars', title='Mars', controls=('left',), label_map='mars') | dict({fields})))"
    write_plugin("odd-one", HEAD + f"@hookimpl\ndef autopilot_games():\n    return [{spec}]\n")
    found = registry()
    with pytest.raises(PluginError, match="unknown game 'mars'"):
        found.get("game", "mars")
    (fault,) = plugin(found, "odd-one").faults
    assert fault.message.startswith(f"GameSpec 'mars': {says}")


def test_what_means_the_same_number_is_one(write_plugin: Write, registry: Callable[[], Registry]) -> None:
    spec = "GameSpec('mars', 'Mars', ('left',), 'mars', hz=numpy.float32(10), frame_size=(numpy.int64(160), 90))"
    write_plugin("numbers", HEAD + f"import numpy\n\n@hookimpl\ndef autopilot_games():\n    return [{spec}]\n")
    assert registry().get("game", "mars").hz == 10


def test_two_distributions_with_the_same_entry_point_name(
    write_plugin: Write, registry: Callable[[], Registry]
) -> None:
    write_plugin("first-dist", HEAD + game("moon"), name="racing")
    write_plugin("second-dist", HEAD + game("mars"), name="racing")
    found = registry()
    assert found.get("game", "moon")
    assert found.get("game", "mars")
    assert plugin(found, "first-dist").key != plugin(found, "second-dist").key


def test_two_distributions_with_the_same_module(write_plugin: Write, registry: Callable[[], Registry]) -> None:
    module = write_plugin("first-dist", HEAD + game("moon"))
    write_plugin("second-dist", "", target=module)
    found = registry()
    second = plugin(found, "second-dist")
    assert second.status == "broken"
    assert "already" in second.faults[0].message
    assert found.find("game", "moon")[0].dist == "first-dist"


def test_two_games_of_one_name(write_plugin: Write, registry: Callable[[], Registry]) -> None:
    write_plugin("Team_Red", HEAD + game("moon"))
    write_plugin("team-blue", HEAD + game("moon"))
    found = registry()
    with pytest.raises(PluginError) as e:
        found.get("game", "moon")
    assert "team-red:moon" in str(e.value)
    assert "team-blue:moon" in str(e.value)
    assert found.find("game", "team-blue:moon")[0].dist == "team-blue"
    assert found.find("game", "team-red:moon")[0].dist == "team-red"


def test_a_plugin_that_offers_one_name_twice(write_plugin: Write, registry: Callable[[], Registry]) -> None:
    twice = game("moon").replace("return [", "return 2 * [")
    write_plugin("stutter", HEAD + twice)
    found = registry()
    with pytest.raises(PluginError, match="unknown game 'moon'"):
        found.get("game", "moon")
    assert "autopilot_games offers 'moon' twice" in plugin(found, "stutter").faults[0].message


def test_unknown_names_suggest_and_list_broken_plugins(write_plugin: Write, registry: Callable[[], Registry]) -> None:
    write_plugin("good-one", HEAD + game("moonlight"))
    write_plugin("bad-one", "raise RuntimeError('x')")
    found = registry()
    with pytest.raises(PluginError) as e:
        found.get("game", "monlight")
    assert "unknown game 'monlight'; did you mean moonlight?" in str(e.value)
    assert "bad-one" in str(e.value)
    assert "autopilot plugins --errors" in str(e.value)
    with pytest.raises(PluginError, match="moonlight"):
        found.get("game", "zzzzzz")
    with pytest.raises(PluginError, match="unknown game"):
        found.get("game", "no-such-dist:moonlight")


def test_safe_mode_loads_none(write_plugin: Write, tmp_path: Path, registry: object) -> None:
    write_plugin("bad-one", f"open({str(tmp_path / 'touched')!r}, 'w')")
    found = registry(safe_mode=True)  # type: ignore[operator]
    assert found.plugins == []
    assert not (tmp_path / "touched").exists()
    with pytest.raises(PluginError, match="--safe-mode leaves all plugins out"):
        found.get("game", "ctr")


def test_loading_a_target_that_fails_names_the_plugin(write_plugin: Write, registry: Callable[[], Registry]) -> None:
    write_plugin("good-one", HEAD + game("moon"))
    found = registry()
    for target in ("no_such_module_xyz:f", "json:no_such_attribute"):
        with pytest.raises(PluginError, match="good-one: cannot load game 'moon'"):
            found.load("game", "moon", target)


def test_a_module_that_exits_when_it_is_loaded(write_plugin: Write, registry: Callable[[], Registry]) -> None:
    write_plugin("quitter", HEAD + game("moon"), modules={"quitter_game": "raise SystemExit(0)"})
    with pytest.raises(PluginError, match="quitter: cannot load game 'moon': SystemExit"):
        registry().load("game", "moon", "quitter_game:open_world")


COMMANDS = """
@hookimpl
def autopilot_commands():
    return [
        CommandSpec("train", "shadows core", "MODULE:shadow"),
        CommandSpec("moonwalk", "walk", "MODULE:walk"),
        CommandSpec("stumble", "cannot be imported", "no_such_module_xyz:command"),
    ]


def __getattr__(name):
    import click

    if name == "walk":
        return click.Command("moonwalk", callback=lambda: click.echo("walking"))
    raise AttributeError(name)
"""


def test_commands_of_plugins(write_plugin: Write, autopilot: Cli, tmp_path: Path) -> None:
    write_plugin("walker", HEAD + COMMANDS)
    site = tmp_path / "site"
    helped = autopilot("--help", path=site)
    assert helped.returncode == 0, helped.stderr
    assert "moonwalk" in helped.stdout
    assert "shadows core" not in helped.stdout
    assert autopilot("moonwalk", path=site).stdout == "walking\n"
    failed = autopilot("stumble", path=site)
    assert failed.returncode == 2
    assert failed.stderr.startswith("autopilot: walker: cannot load command 'stumble'")
    assert failed.stderr.count("\n") == 1
    shadowed = autopilot("train", "--help", path=site)
    assert "Train a network on recorded sessions" in shadowed.stdout
    safe = autopilot("--safe-mode", "moonwalk", path=site)
    assert safe.returncode == 2
    listed = autopilot("plugins", "--json", path=site)
    walker = next(p for p in json.loads(listed.stdout) if p["distribution"] == "walker")
    assert walker["status"] == "faulty"
    assert walker["provides"] == {"command": ["moonwalk", "stumble"]}
    says = "offers the command 'train', which is autopilot's own: rename it"
    assert walker["faults"] == [{"stage": "autopilot_commands", "message": says}]


BELOW = """
import click
from autopilot.commands import common


@hookimpl
def autopilot_commands():
    return [CommandSpec("plugins dance", "Dance along.", "MODULE:dance")]


@click.command()
@common
def dance(app):
    app.print({"dances": app.home.root.name}, "dancing")
"""


def test_a_plugin_adds_a_command_below_plugins(write_plugin: Write, autopilot: Cli, tmp_path: Path) -> None:
    write_plugin("dancer", HEAD + BELOW)
    write_plugin("lost", HEAD + BELOW.replace("plugins dance", "record dance"), name="lost")
    write_plugin("broken", "import nosuchmodule")
    site = tmp_path / "site"
    assert "Dance along." in autopilot("plugins", "--help", path=site).stdout
    assert "dance" not in autopilot("--help", path=site).stdout
    assert autopilot("plugins", "dance", path=site).stdout == "dancing\n"
    above = autopilot("plugins", "--json", "--home", "hall", "dance", path=site)
    assert json.loads(above.stdout) == {"dances": "hall"}, "options may stand before the command"
    unknown = autopilot("plugins", "danse", path=site)
    assert (unknown.returncode, unknown.stdout) == (2, "")
    assert "no command 'danse'; did you mean dance" in unknown.stderr
    assert autopilot("plugins", "--safe-mode", "dance", path=site).returncode == 2
    rows = {row["distribution"]: row for row in json.loads(autopilot("plugins", "--json", path=site).stdout)}
    assert rows["dancer"]["provides"] == {"command": ["plugins dance"]}
    assert rows["broken"]["status"] == "broken"
    (fault,) = rows["lost"]["faults"]
    assert (
        fault["message"]
        == "CommandSpec 'record dance': name: must be a word, or `plugins` and a word, not 'record dance'"
    )


def test_plugins_lists_each_with_its_faults(write_plugin: Write, autopilot: Cli, tmp_path: Path) -> None:
    write_plugin("bad-one", "raise RuntimeError('out of\\nfuel')")
    write_plugin("good-one", HEAD + game("moon"))
    site = tmp_path / "site"
    plain = autopilot("plugins", path=site)
    assert plain.returncode == 0
    lines = plain.stdout.splitlines()
    assert any(x.split() == ["good-one", "2.5", "ok", "game:", "moon"] for x in lines)
    at = next(i for i, x in enumerate(lines) if x.startswith("bad-one"))
    assert lines[at].split() == ["bad-one", "2.5", "broken"]
    assert lines[at + 1].strip() == "import: RuntimeError: out of fuel"
    assert "Traceback" not in plain.stdout
    assert "Traceback" in autopilot("plugins", "--errors", path=site).stdout
    rows = json.loads(autopilot("plugins", "--json", path=site).stdout)
    bad = next(r for r in rows if r["distribution"] == "bad-one")
    assert bad["faults"] == [{"stage": "import", "message": "RuntimeError: out of fuel"}]
    rows = json.loads(autopilot("plugins", "--json", "--errors", path=site).stdout)
    bad = next(r for r in rows if r["distribution"] == "bad-one")
    assert "out of\nfuel" in bad["faults"][0]["details"]
    safe = json.loads(autopilot("plugins", "--json", "--safe-mode", path=site).stdout)
    assert safe == []


def test_a_plugin_that_prints_or_warns_does_not_break_json(write_plugin: Write, autopilot: Cli, tmp_path: Path) -> None:
    write_plugin("loud", "import warnings\nwarnings.warn('old')\n" + HEAD + game("moon"))
    done = autopilot("plugins", "--json", path=tmp_path / "site")
    assert "loud" in [r["distribution"] for r in json.loads(done.stdout)]


WAITS = """
import time

from autopilot.api.specs import FrameSourceSpec


class Eye:
    def read(self):
        time.sleep(0.1)

    def close(self):
        pass


def learn(frames):
    for frame in frames:
        pass
    time.sleep(1)


def open_eye(settings):
    time.sleep(1)
    return Eye()


@hookimpl
def autopilot_frame_sources():
    return [FrameSourceSpec("eye", "e", "MODULE:open_eye")]
"""


def test_who_waits_for_us_or_for_a_person_is_not_told_to_hang(
    write_plugin: Write,
    registry: Callable[[], Registry],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    module = write_plugin("waits", HEAD + WAITS + game("moon"))
    found = registry()
    learn = found.load("game", "moon", f"{module}:learn", str | None)
    open_eye = found.load("frame source", "eye", f"{module}:open_eye", FrameSource)
    monkeypatch.setattr(guard, "PATIENCE_S", 0.5)
    open_eye(None)  # which a person may have to click on
    frames = Guard("ours").function(lambda: time.sleep(0.1), "frame", taker(Any))
    learn(frames() for _ in range(12))
    assert {m.partition(" no answer for")[0] for m in caplog.messages} == {"autopilot: waits: game 'moon': learn:"}
