"""A game by name: tracks, modes, bindings, and worlds with every part in place."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from autopilot.api.errors import DeviceError, PluginError, UserError
from autopilot.api.game import Game
from autopilot.api.registry import Registry
from autopilot.api.types import Frame, Reading, SourceSettings, WorldRequest
from autopilot.desktop.desktop import DEFAULTS, Desktop, DeviceChoice, Readers, chosen_source
from autopilot.desktop.emitter import Emitter
from autopilot.drive.world import HudReferee, NoDevice, OpenWorld, WatchedSource, Worlds
from autopilot.sessions.home import Home

SOURCE = """
import json
from pathlib import Path

import numpy as np
from autopilot.api import DeviceSpec, Frame, FrameSourceSpec, GameSpec, HudSpec, LabelMapSpec, Reading, ScreenSpec
from autopilot.api import SimulatorSpec, Tracks, World, hookimpl

AUTOPILOT_API = 2
LOG = []


class Part:
    lockstep = True

    def __init__(self, name, *args):
        self.name, self.args = name, args
        LOG.append(("open", name, *args))

    def read(self):
        return Frame(np.zeros((9, 16, 3), np.uint8), 7)

    def tick(self, *args):
        pass

    hold = release_all = tick

    def close(self):
        LOG.append(("close", self.name))


def open_world(request):
    return World(on_close=lambda: LOG.append(("on_close",)))


def whole_world(request, **options):
    LOG.append(("options", options))
    return World(source=Part("own source"), device=Part("own device"), clock=Part("own clock"))


def make_hud(folder, profile):
    LOG.append(("hud", str(folder), profile))
    return Counter() if (folder / profile).exists() else None


def learn_hud(frames, folder, profile):
    LOG.append(("learned", profile, [frame.t_ns for frame in frames]))
    folder.mkdir(parents=True)
    (folder / profile).touch()
    return "seven"


def either_world(request):
    LOG.append(("lockstep", request.lockstep))
    return World(source=Part("screen"), device=Part("own device"), hud=Counter())


class Counter:
    frames = 0

    def read(self, frame):
        self.frames += frame.t_ns
        return Reading(lap=self.frames)


def open_source(settings):
    return Part("source", settings)


class Hand:
    sticky, devices = False, ("/dev/hand",)

    def __init__(self, names):
        if "?" in names:
            raise RuntimeError("no such wheel")

    def press(self, name):
        pass

    release = press

    def flush(self):
        pass

    close = flush


def reader(bindings, hotkeys, ours):
    part = Part("reader", bindings, hotkeys)
    part.ours = ours
    part.held = lambda: frozenset(("left",) if bindings else ())
    part.hotkeys = lambda: tuple(hotkeys)
    return part


def deaf(bindings, hotkeys, ours):
    from autopilot.api.errors import DeviceError

    raise DeviceError("no ears here")


@hookimpl
def autopilot_games():
    common = dict(controls=("left",), label_map="moon")
    return [
        GameSpec(
            "moon", "Moon", **common, tracks=Tracks(("Crater One", "Tycho"), {"tyc": "Tycho"}),
            modes={"N": "normal", "A": "adjust"},
            bindings={
                "hand": {"emu": {"left": "q"}, "other": {"left": "w"}},
                "foot": {"emu": {"left": "pedal"}}, "stump": {"emu": {"left": "toe"}},
            },
            hotkeys={"quit": "p"},
            screen=ScreenSpec("eye", "hand", "hand"), simulator=SimulatorSpec("MODULE:open_world", ("wall",)),
        ),
        GameSpec(
            "mars", "Mars", **common, tracks=Tracks(pattern=r"\\d+"), simulator=SimulatorSpec("MODULE:whole_world")
        ),
        GameSpec(
            "mars-dusk", "Mars at dusk", **common,
            simulator=SimulatorSpec("MODULE:whole_world", config={"sun": 0}, options={"stars": 3, "sky": "red"}),
        ),
        GameSpec(
            "twin", "Twin", **common, bindings={"hand": {"emu": {"left": "q"}}}, screen=ScreenSpec(reader="hand"),
            simulator=SimulatorSpec("MODULE:either_world", ("lockstep", "wall")),
        ),
        GameSpec("bare", "Bare", **common),
        GameSpec(
            "sight", "Sight", **common, bindings={"hand": {"emu": {"left": "q"}, "other": {"left": "w"}}},
            screen=ScreenSpec("eye", "hand"), simulator=SimulatorSpec("MODULE:open_world", ("wall",)),
            hud=HudSpec("MODULE:make_hud", "MODULE:learn_hud", advice="show it first"),
        ),
        GameSpec(
            "unlucky", "Unlucky", **common, tracks=Tracks(("t",)), bindings={"lame": {"emu": {"left": "?"}}},
            screen=ScreenSpec("eye", "lame"), simulator=SimulatorSpec("MODULE:open_world", ("wall",)),
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
        DeviceSpec("hand", "h", backend="MODULE:Hand", reader="MODULE:reader"),
        DeviceSpec("glove", "as the hand", backend="MODULE:Hand", bindings="hand"),
        DeviceSpec("foot", "reads too", reader="MODULE:reader"),
        DeviceSpec("stump", "cannot be opened", reader="MODULE:deaf"),
        DeviceSpec("ear", "reads only", reader="MODULE:reader"),
        DeviceSpec("lame", "fails", backend="MODULE:Hand"),
    ]
"""

LEFT = frozenset({"left"})
Open = Callable[[str], tuple[Game, list[Any]]]


@pytest.fixture
def find(write_plugin: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Open:
    module = write_plugin("lunar", SOURCE)
    monkeypatch.syspath_prepend(tmp_path / "site")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "site"))  # for the emitter's process
    registry = Registry()

    def game(name: str) -> tuple[Game, list[Any]]:
        found = Game(registry, name)
        return found, __import__(module).LOG

    return game


def opens(game: Game, request: WorldRequest, choice: DeviceChoice = DEFAULTS, home: Path = Path("none")) -> OpenWorld:
    return Worlds(game, Home(home), choice).open(request)


def request(**change: Any) -> WorldRequest:
    return WorldRequest(**({"track": "Tycho", "mode": "N", "hz": 10.0} | change))


def test_tracks_by_name_alias_and_number(find: Open) -> None:
    moon, _ = find("moon")
    assert moon.tracks(None) == ["Crater One"]
    assert moon.tracks("TYC, crater one") == ["Tycho", "Crater One"]
    mars, _ = find("mars")
    assert mars.tracks(None) == ["0"]
    assert mars.tracks("3-5,9") == ["3", "4", "5", "9"]
    bare, _ = find("bare")
    assert bare.tracks(None) == bare.tracks("0") == ["0"], "the one track of a game that names none"


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
        ("bare", "x", "there are: 0"),
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


def test_a_mode_that_is_a_game_of_its_own(find: Open) -> None:
    registry = find("mars")[0].registry
    dusk = Game(registry, "mars", "dusk")
    assert (dusk.spec.name, dusk.mode("dusk"), dusk.mode(None)) == ("mars-dusk", "N", "N")
    assert Game(registry, "mars", "N").spec.name == "mars"
    with pytest.raises(UserError, match="no mode 'dawn'"):
        Game(registry, "mars", "dawn").mode("dawn")


def test_settings_of_a_world(find: Open) -> None:
    game, log = find("mars-dusk")
    opens(game, request(track="0"), DeviceChoice(world={"stars": 5})).close()
    assert ("options", {"sun": 0, "stars": 5, "sky": "red"}) in log
    for name, world, says in (
        ("mars-dusk", {"sun": 1}, r"the world of mars-dusk has no setting 'sun'; there are: stars, sky"),
        ("mars-dusk", {"stars": "many"}, r"setting stars is 'many': give one like 3"),
        ("mars-dusk", {"sky": 7}, r'setting sky is 7: give one like "red"'),
        ("bare", {"stars": 1}, r"the world of bare has no setting 'stars'; there are: none"),
    ):
        with pytest.raises(PluginError, match=says):
            opens(find(name)[0], request(track="0"), DeviceChoice(world=world))


def test_core_fills_in_what_the_game_leaves_out(find: Open) -> None:
    moon, log = find("moon")
    settings = SourceSettings(region=(0, 0, 8, 8))
    hotkeys = {"panic": "f12", "quit": "p"}
    with opens(moon, request(), DeviceChoice(profile="other", settings=settings)) as world:
        assert world.clock.lockstep is False
        assert ("open", "source", replace(settings, folder=str(Home(Path("none")).granted))) in log
        assert ("open", "reader", {"left": "w"}, hotkeys) in log
        assert ("open", "reader", {"left": "pedal"}, {}) in log, "all devices that can be opened are read"
        device = world.device
        assert isinstance(device, Emitter)
        device.hold(LEFT)
        assert device.ours() == {"w", "/dev/hand"}
        with pytest.raises(UserError, match="bound to jump; bound are: left"):
            device.hold(frozenset({"jump"}))
        assert world.reader is not None
        assert world.reader.held() == LEFT
        assert world.reader.hotkeys() == ("panic", "quit")
    assert [x for x in log if x[0] != "open"] == [
        ("close", "reader"),
        ("close", "reader"),
        ("close", "source"),
        ("on_close",),
    ]
    with pytest.raises(DeviceError, match="was closed"):
        device.hold(LEFT)


def test_a_reader_is_told_what_is_ours_on_its_own_device_only(find: Open) -> None:
    moon, _ = find("moon")
    for name in ("hand", "glove"):
        with opens(moon, request(), DeviceChoice(device=name)) as world:
            world.device.hold(LEFT)
            assert isinstance(world.reader, Readers)
            hand, foot = world.reader._readers
            assert hand.ours() == {"q", "/dev/hand"}  # type: ignore[attr-defined]
            assert foot.ours() == frozenset()  # type: ignore[attr-defined]


def opened(log: list[Any]) -> list[Any]:
    return [x[2:] for x in log if x[:2] == ("open", "reader")]


def test_a_human_may_play_on_one_device_and_press_hotkeys_on_another(find: Open) -> None:
    moon, log = find("moon")
    hotkeys = {"panic": "f12", "quit": "p"}
    for device, readers in (
        (None, [({"left": "q"}, hotkeys), ({"left": "pedal"}, {})]),
        ("hand", [({"left": "q"}, hotkeys)]),
        ("foot", [({}, hotkeys), ({"left": "pedal"}, {})]),
    ):
        log.clear()
        opens(moon, request(human=True), DeviceChoice(device=device)).__exit__()
        assert opened(log) == readers
    with pytest.raises(DeviceError, match="no ears"):
        opens(moon, request(human=True), DeviceChoice(device="stump"))


BINDINGS = """
[moon.hand]
left = "u"
[moon.hand.mine]
left = "m"
[moon.hotkeys]
quit = "f1"
[other-game.hand]
whatever = 3
"""


@pytest.mark.parametrize(
    ("profile", "bind", "left", "quits"),
    [
        (None, {}, "u", "f1"),
        ("other", {}, "u", "f1"),
        ("mine", {}, "m", "f1"),
        ("mine", {"left": "z", "quit": "f2"}, "z", "f2"),
    ],
)
def test_the_user_s_file_overrides_the_game_and_the_command_line_both(
    find: Open, tmp_path: Path, profile: str | None, bind: dict[str, str], left: str, quits: str
) -> None:
    moon, log = find("moon")
    (tmp_path / "bindings.toml").write_text(BINDINGS)
    opens(moon, request(human=True), DeviceChoice(profile=profile, bind=bind), tmp_path).__exit__()
    assert opened(log)[0] == ({"left": left}, {"panic": "f12", "quit": quits})


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[moon", "bindings.toml cannot be used"),
        ("moon = 3", r"\[moon\] must be a table"),
        ("[moon.hnd]\nleft='x'", "did you mean hand"),
        ("[moon.hand]\nlefft='x'", "did you mean left"),
        ("[moon.hand]\nleft=3", "moon.hand.left must be the name of a key"),
        ("[moon.hand.emu]\njump='x'", "unknown name 'jump'; there are: left"),
        ("[moon.hotkeys]\nsafe='x'", "did you mean save"),
        ("moon.hand = 'x'", r"\[moon.hand\] must be a table"),
        ("[moon.hand.emu]\nleft=3", "moon.hand.emu.left must be the name of a key"),
        ("[moon.hotkeys]\nquit=3", "moon.hotkeys.quit must be the name of a key"),
        ("[moon]\nscreen=3", r"\[moon.screen\] must be a table"),
        ("[moon.screen]\nmonitor=true", "moon.screen.monitor must be a number"),
        ("[moon.screen]\nregion=[0, 0, 8, '8']", "moon.screen.region must be 4 numbers"),
    ],
)
def test_a_file_of_bindings_that_says_something_else(find: Open, tmp_path: Path, text: str, says: str) -> None:
    moon, _ = find("moon")
    (tmp_path / "bindings.toml").write_text(text)
    with pytest.raises(UserError, match=says) as e:
        Desktop(moon, Home(tmp_path))
    assert "\n" not in str(e.value)


@pytest.mark.parametrize(
    ("bind", "says"),
    [
        ({"lft": "x"}, "--bind: unknown name 'lft'; did you mean left"),
        ({"left": "p"}, "the key 'p' is both left and quit"),
        ({"pause": "p"}, "the key 'p' is both quit and pause"),
    ],
)
def test_bindings_of_the_command_line_that_make_no_sense(find: Open, bind: dict[str, str], says: str) -> None:
    with pytest.raises(UserError, match=says):
        opens(find("moon")[0], request(human=True), DeviceChoice(bind=bind))


def test_a_film_is_played_by_the_source_that_says_so(find: Open) -> None:
    film = DeviceChoice(settings=SourceSettings(video="lap.mp4"))
    registry = find("moon")[0].registry
    players = {spec.name for _, spec in registry.provided("frame source") if spec.films}
    assert chosen_source(registry, film) in players
    assert chosen_source(registry, DeviceChoice(source="nose", settings=film.settings)) == "nose"
    assert chosen_source(registry, DEFAULTS) is None
    with pytest.raises(UserError, match="no plugin plays films"):
        chosen_source(Registry(safe_mode=True), film)


def test_a_human_needs_no_emitter(find: Open) -> None:
    moon, _ = find("moon")
    with opens(moon, request(human=True)) as world:
        world.device.hold(frozenset({"left"}))
        assert isinstance(world.device, NoDevice)


def test_a_game_with_its_own_parts_keeps_them(find: Open) -> None:
    mars, log = find("mars")
    with pytest.raises(UserError, match="leave out --input and --bind"):
        opens(mars, request(track="1"), DeviceChoice(device="hand"))
    assert ("close", "own device") in log
    assert ("close", "own source") in log
    with pytest.raises(UserError, match="cannot be played by a human"):
        opens(mars, request(track="1", human=True))


@pytest.mark.parametrize(
    ("clock", "human", "lockstep"),
    [(None, False, True), ("wall", False, False), ("lockstep", True, True), (None, True, False)],
)
def test_a_game_with_two_clocks_runs_by_the_one_asked_and_a_human_by_the_walls(
    find: Open, clock: str | None, human: bool, lockstep: bool
) -> None:
    game, log = find("twin")
    opens(game, request(human=human), DeviceChoice(clock=clock)).__exit__()
    assert ("lockstep", lockstep) in log
    with pytest.raises(UserError, match="mars runs by --clock lockstep only"):
        opens(find("mars")[0], request(track="1"), DeviceChoice(clock="wall"))


def test_a_hud_reader_is_shown_every_frame_and_is_the_referee(find: Open) -> None:
    game, log = find("twin")
    with opens(game, request()) as world:
        assert world.referee is not None
        assert world.referee.reading().lap == 0
        assert [world.source.read().t_ns for _ in range(2)] == [7, 7]
        assert world.referee.reading().lap == 14
    assert ("close", "screen") in log


def test_a_game_on_the_screen_has_a_referee_once_its_display_was_learned(
    find: Open, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    game, log = find("sight")
    home, other = Home(tmp_path), DeviceChoice(profile="other")
    with opens(game, request(human=False), home=tmp_path) as world:
        assert world.referee is None
    assert caplog.messages == ["autopilot: show it first"]
    assert Desktop(game, home).learn_hud([Frame(None, 7)]) == "seven"  # type: ignore[arg-type]
    assert ("learned", "emu", [7]) in log
    with opens(game, request(human=False), home=tmp_path) as world:
        assert world.referee is not None
    assert Desktop(game, home, other).hud_reader() is None
    assert ("hud", str(tmp_path / "hud/sight"), "other") in log
    with pytest.raises(UserError, match=r"profile name '\.\./up' cannot be used"):
        Desktop(game, home, DeviceChoice(profile="../up")).hud_reader()
    with pytest.raises(UserError, match="mars has nothing to learn"):
        Desktop(find("mars")[0], home).learn_hud([])


def test_whatever_was_opened_is_closed_when_a_later_part_fails(find: Open) -> None:
    unlucky, log = find("unlucky")
    with pytest.raises(DeviceError, match="no such wheel"):
        opens(unlucky, request(track="t"))
    assert [x[:2] for x in log] == [("open", "source"), ("close", "source"), ("on_close",)]


def test_a_part_that_fails_to_close_keeps_no_other_open(find: Open) -> None:
    moon, log = find("moon")

    def fail() -> None:
        raise OSError("pipe")

    with pytest.raises(OSError, match="pipe"), opens(moon, request()) as world:
        world.device.close = fail  # type: ignore[method-assign]
    assert [x for x in log if x[0] != "open"][-3:] == [("close", "reader"), ("close", "source"), ("on_close",)]


@pytest.mark.parametrize(
    ("game", "choice", "says"),
    [
        ("bare", DeviceChoice(), "names no frame source"),
        ("bare", DeviceChoice(source="eye"), "names no output device"),
        ("bare", DeviceChoice(source="nose"), "unknown frame source 'nose'"),
        ("moon", DeviceChoice(device="nose"), "unknown device 'nose'"),
        ("moon", DeviceChoice(device="ear"), "can only read"),
        ("moon", DeviceChoice(profile="nes"), "no profile 'nes' for hand: there are emu, other"),
    ],
)
def test_choices_that_do_not_exist(find: Open, game: str, choice: DeviceChoice, says: str) -> None:
    with pytest.raises((UserError, PluginError), match=says):
        opens(find(game)[0], request(), choice)


def test_a_label_map_of_another_game(find: Open) -> None:
    with pytest.raises(UserError, match="belongs to moon, not mars"):
        find("mars")[0].label_map()
    with pytest.raises(PluginError, match="unknown label map"):
        find("moon")[0].label_map("nope")


def test_a_game_under_its_full_name(find: Open) -> None:
    game, _ = find("lunar:moon")
    assert json.dumps(game.plugin.dist) == '"lunar"'
    with opens(game, request()):
        pass


@pytest.mark.parametrize(("laps", "finished"), [(0, [False, False, False, True]), (2, [False, False, True, True])])
def test_a_screen_s_race_is_over_after_the_laps_that_were_asked_for(laps: int, finished: list[bool]) -> None:
    class Three:
        """Source and reader: a race of three laps, a lap for each frame."""

        lap = 0

        def read(self, frame: Frame | None = None) -> Any:
            if frame is None:
                return Frame(None, 0)  # type: ignore[arg-type]
            self.lap += 1
            return Reading(lap=self.lap - 1, lap_times_s=(9.0,) * (self.lap - 1), finished=self.lap == 4)

        def close(self) -> None: ...

    three = Three()
    referee = HudReferee(three, laps)
    source, seen = WatchedSource(three, referee.show), []
    for _ in range(4):
        source.read()
        seen.append(referee.reading().finished)
    assert seen == finished
