"""A game by name: tracks, modes, bindings, and worlds with every part in place."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from autopilot.errors import PluginError, UserError
from autopilot.game import DeviceChoice, Game
from autopilot.plugins import Registry
from autopilot.types import SourceSettings, WorldRequest

SOURCE = """
import json
from pathlib import Path

from autopilot.hookspecs import hookimpl
from autopilot.interfaces import World
from autopilot.specs import DeviceSpec, FrameSourceSpec, GameSpec, LabelMapSpec

AUTOPILOT_API = 1
LOG = []


class Part:
    def __init__(self, name, *args):
        self.name, self.args = name, args
        LOG.append(("open", name, *args))

    def close(self):
        LOG.append(("close", self.name))


def open_world(request):
    return World(on_close=lambda: LOG.append(("on_close",)))


def whole_world(request):
    return World(source=Part("own source"), device=Part("own device"), clock=Part("own clock"))


def open_source(settings):
    return Part("source", settings)


def emitter(bindings):
    return Part("emitter", bindings)


def reader(bindings, hotkeys):
    return Part("reader", bindings, hotkeys)


def refuse(*args):
    raise RuntimeError("no such wheel")


@hookimpl
def autopilot_games():
    common = dict(controls=("left",), label_map="moon")
    return [
        GameSpec(
            "moon", "Moon", **common, frame_source="eye", device="hand", reader="hand",
            open_world="MODULE:open_world", tracks=("Crater One", "Tycho"),
            aliases={"tyc": "Tycho"}, modes={"N": "normal", "A": "adjust"},
            bindings={"hand": {"emu": {"left": "q"}, "other": {"left": "w"}}},
            hotkeys={"quit": "p"},
        ),
        GameSpec("mars", "Mars", **common, open_world="MODULE:whole_world", track_pattern=r"\\d+"),
        GameSpec("bare", "Bare", **common),
        GameSpec(
            "unlucky", "Unlucky", **common, frame_source="eye", device="lame", tracks=("t",),
            bindings={"lame": {"emu": {"left": "q"}}},
        ),
    ]


@hookimpl
def autopilot_label_maps():
    return [LabelMapSpec("moon", "m", "moon", "builtins:object")]


@hookimpl
def autopilot_frame_sources():
    return [FrameSourceSpec("eye", "e", "MODULE:open_source")]


@hookimpl
def autopilot_devices():
    return [
        DeviceSpec("hand", "h", emitter="MODULE:emitter", reader="MODULE:reader"),
        DeviceSpec("ear", "reads only", reader="MODULE:reader"),
        DeviceSpec("lame", "fails", emitter="MODULE:refuse"),
    ]
"""

Open = Callable[[str], tuple[Game, list[Any]]]


@pytest.fixture
def find(write_plugin: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Open:
    module = write_plugin("lunar", SOURCE)
    monkeypatch.syspath_prepend(tmp_path / "site")
    registry = Registry()

    def game(name: str) -> tuple[Game, list[Any]]:
        found = Game(registry, name)
        return found, __import__(module).LOG

    return game


def request(**change: Any) -> WorldRequest:
    return WorldRequest(**({"track": "Tycho", "mode": "N", "hz": 10.0} | change))


def test_tracks_by_name_alias_and_number(find: Open) -> None:
    moon, _ = find("moon")
    assert moon.tracks(None) == ["Crater One"]
    assert moon.tracks("TYC, crater one") == ["Tycho", "Crater One"]
    mars, _ = find("mars")
    assert mars.tracks(None) == ["0"]
    assert mars.tracks("3-5,9") == ["3", "4", "5", "9"]


@pytest.mark.parametrize(
    ("game", "tracks", "says"),
    [
        ("moon", "Tyco", "did you mean tycho"),
        ("moon", "../../x", "there are: Crater One, Tycho"),
        ("moon", "1-3", "no track"),
        ("moon", "", "no track in ''"),
        ("moon", ",", "no track in ','"),
        ("mars", "9-3", "no track"),
        ("mars", "0-99999999", "at most 10,000"),
        ("mars", "-1", "no track"),
        ("mars", "1 2", "no track"),
    ],
)
def test_tracks_that_are_none(find: Open, game: str, tracks: str, says: str) -> None:
    with pytest.raises(UserError, match=says) as e:
        find(game)[0].tracks(tracks)
    assert "\n" not in str(e.value)


def test_modes_by_letter_or_name(find: Open) -> None:
    moon, _ = find("moon")
    assert [moon.mode(m) for m in (None, "a", "Normal", "A")] == ["N", "A", "N", "A"]
    with pytest.raises(UserError, match=r"no mode 'D': there are N \(normal\), A \(adjust\)"):
        moon.mode("D")


def test_core_fills_in_what_the_game_leaves_out(find: Open) -> None:
    moon, log = find("moon")
    settings = SourceSettings(region=(0, 0, 8, 8))
    with moon.open(request(), DeviceChoice(profile="other", settings=settings)) as world:
        assert world.clock.lockstep is False
        assert ("open", "source", settings) in log
        assert ("open", "emitter", {"left": "w"}) in log
        assert ("open", "reader", {"left": "w"}, {"quit": "p"}) in log
    assert [x for x in log if x[0] != "open"] == [
        ("close", "emitter"),
        ("close", "reader"),
        ("close", "source"),
        ("on_close",),
    ]


def test_a_human_needs_no_emitter(find: Open) -> None:
    moon, log = find("moon")
    with moon.open(request(human=True)) as world:
        world.device.hold(frozenset({"left"}))
    assert "emitter" not in [x[1] for x in log if len(x) > 1]


def test_a_game_with_its_own_parts_keeps_them(find: Open) -> None:
    mars, log = find("mars")
    with pytest.raises(UserError, match="leave out --input"):
        mars.open(request(track="1"), DeviceChoice(device="hand"))
    assert ("close", "own device") in log
    assert ("close", "own source") in log
    with pytest.raises(UserError, match="cannot be played by a human"):
        mars.open(request(track="1", human=True))


def test_whatever_was_opened_is_closed_when_a_later_part_fails(find: Open) -> None:
    unlucky, log = find("unlucky")
    with pytest.raises(RuntimeError, match="no such wheel"):
        unlucky.open(request(track="t"))
    assert [x[:2] for x in log] == [("open", "source"), ("close", "source")]


def test_a_part_that_fails_to_close_keeps_no_other_open(find: Open) -> None:
    moon, log = find("moon")

    def fail() -> None:
        raise OSError("pipe")

    with pytest.raises(OSError, match="pipe"), moon.open(request()) as world:
        world.device.close = fail  # type: ignore[method-assign]
    assert [x for x in log if x[0] != "open"][-3:] == [("close", "reader"), ("close", "source"), ("on_close",)]


@pytest.mark.parametrize(
    ("game", "choice", "says"),
    [
        ("bare", DeviceChoice(), "names no frame source"),
        ("bare", DeviceChoice(source="eye"), "names no output device"),
        ("bare", DeviceChoice(source="nose"), "unknown frame source 'nose'"),
        ("moon", DeviceChoice(device="foot"), "unknown device 'foot'"),
        ("moon", DeviceChoice(device="ear"), "can only read"),
        ("moon", DeviceChoice(profile="nes"), "no profile 'nes' for hand: there are emu, other"),
    ],
)
def test_choices_that_do_not_exist(find: Open, game: str, choice: DeviceChoice, says: str) -> None:
    with pytest.raises((UserError, PluginError), match=says):
        find(game)[0].open(request(), choice)


def test_a_label_map_of_another_game(find: Open) -> None:
    with pytest.raises(UserError, match="belongs to moon, not mars"):
        find("mars")[0].label_map()
    with pytest.raises(PluginError, match="unknown label map"):
        find("moon")[0].label_map("nope")


def test_a_game_under_its_full_name(find: Open) -> None:
    game, _ = find("lunar:moon")
    assert json.dumps(game.plugin.dist) == '"lunar"'
    with game.open(request()):
        pass
