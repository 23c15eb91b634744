"""An outside plugin that does wrong: told in one line, by its name, whatever it does; and nothing is lost."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from autopilot.sessions.session import Session
from support.apart import Result, Running

EVIL = {"PYTHONPATH": str(Path(__file__).parents[1] / "third_party/evil")}
RECORD = "record --game evil --driver demonstrator --seconds 2"
DRIVE = "drive --game evil --bundle random --seconds 2"
RACE = "race --game evil --drivers random --laps 2 --reference ghost"
SEEN = "drive --game evil-seen --bundle random --seconds 2 --seed 1"
SMALLER = "Frame(np.zeros((90 if me[0].steps < 5 else 80, 160, 3), np.uint8), 0)"
BUSY = "labels=ChoiceLabelMap([ChoiceAxis(a, [Choice('no'), Choice('yes', frozenset({a}))]) for a in 'abcdefghijklm'])"

Run = Callable[..., Result]
Begin = Callable[..., Running]


def line(done: Result, code: int = 2) -> str:
    """Return the one line of an error: a plugin's says how to see more."""
    assert done.code == code, done.err
    shown = [text for text in done.err.splitlines() if text.startswith("autopilot: ")]
    assert len(shown) == 1, done.err
    assert done.err.endswith(shown[0] + "\n"), done.err
    return shown[0].removeprefix("autopilot: ").removesuffix(" (run again with --debug to see where)")


def kept(tmp_path: Path) -> list[Session]:
    return [Session.open(path) for path in (tmp_path / "home/sessions").iterdir()]


@pytest.mark.parametrize(
    ("args", "evil", "says"),
    [
        (RECORD, "tick=boom(KeyError('physics'))", "tick: KeyError: 'physics'"),
        (RECORD, "tick=3 <= 'x'", "tick: TypeError: '<=' not supported between instances of 'int' and 'str'"),
        (RECORD, "tick=boom(OSError(5, 'Input/output error'))", "tick: OSError: [Errno 5] Input/output error"),
        (RECORD, "tick=boom(EOFError())", "tick: EOFError"),
        (RECORD, "tick=boom(SystemExit(3))", "tick: SystemExit: 3"),
        (RECORD, "open_world=None", "open_world: must be a World, not None"),
        (RECORD, "open_world=World(5)", "open_world: source: must be a FrameSource, with read(), not 5"),
        (RECORD, "open_world=World(on_close=5)", "open_world: on_close: must be a function, not 5"),
        (
            RECORD,
            "read=boom(FileNotFoundError(2, 'gone', 'road.png'))",
            "read: FileNotFoundError: [Errno 2] gone: 'road",
        ),
        (RECORD, "read=None", "read: must be a Frame, not None"),
        (RECORD, "read=Frame(None, 0)", "read: image: must be uint8 (H, W, 3), not None"),
        (RECORD, "read=Frame(np.zeros((90, 160, 3)), 0)", "image: must be uint8 (H, W, 3), not float64 (90, 160, 3)"),
        (RECORD, "read=Frame(np.zeros((90, 160, 4), 'u1'), 0)", "must be uint8 (H, W, 3), not uint8 (90, 160, 4)"),
        (RECORD, "read=Frame(np.zeros((90, 160, 3), 'u1'), 0.5)", "read: t_ns: must be a whole number, not 0.5"),
        (RECORD, f"read={SMALLER}", "read: image: is 160x80 now, it was 160x90"),
        (RECORD, "decide=['left']", "decide: must be a frozenset, not ['left']"),
        (RECORD, "decide=frozenset({1})", "decide: must be text, not 1"),
        (RECORD, "reading=Reading(lap='1')", "reading: lap: must be a whole number, not '1'"),
        (RECORD, "reading=Reading(score=float('nan'))", "reading: score: must be a finite number, not nan"),
        (RECORD, "hud_read=boom(EOFError('no digits'))", "read: EOFError: no digits"),
        (RECORD, "hold=boom(ConnectionResetError('gone'))", "hold: ConnectionResetError: gone"),
        (RECORD, "close=boom(ValueError('shut'))", "close: ValueError: shut"),
        (RECORD, "on_close=boom(KeyError('door'))", "on_close: KeyError: 'door'"),
        (DRIVE, "held=['left']", "held: must be a frozenset, not ['left']"),
        (DRIVE, "hotkeys='quit'", "hotkeys: must be a tuple, not 'quit'"),
        (RACE, "ghost=3", "ghost: must be a Reference, not 3"),
        (RACE, "ghost=Reference('0', 2, {'me': ('quick',)}, 'x')", "ghost: drivers: must be lap times such as"),
    ],
)
def test_a_fault_in_a_game_is_told_with_its_plugin_and_its_method(run: Run, args: str, evil: str, says: str) -> None:
    said = line(run(*args.split(), **EVIL, EVIL=evil))
    assert said.startswith("autopilot-evil: game 'evil': ")
    assert says in said


@pytest.mark.parametrize(
    ("args", "evil", "says"),
    [
        (SEEN, "open_eye=None", "frame source 'evil-eye': open_eye: must be a FrameSource, with read(), not None"),
        (SEEN, "read=boom(KeyError('eye'))", "frame source 'evil-eye': read: KeyError: 'eye'"),
        (SEEN, "open_reader=boom(KeyError('ear'))", "device 'evil-hand': open_reader: KeyError: 'ear'"),
        (SEEN, "held=None", "device 'evil-hand': held: must be a frozenset, not None"),
        (RECORD, "labels=LostMap()", "label map 'evil': forward holds ['left'], which means left"),
        (RECORD, "labels=3", "label map 'evil': labels: must be a LabelMap, with action_space, not 3"),
        (RECORD, BUSY, "at most 4096 can be told apart"),
        (
            RECORD,
            "labels=ChoiceLabelMap([steer(mirror={'left': 'rigth'})])",
            "label map 'evil': labels: ValueError: axis steer: mirror names 'rigth', but its values are",
        ),
        (
            RECORD,
            "labels=ChoiceLabelMap([steer(precedence=['lfet'])])",
            "label map 'evil': labels: ValueError: axis steer: precedence names 'lfet'",
        ),
        (
            RECORD,
            "labels=ChoiceLabelMap([steer()], always=frozenset({'gas'}))",
            "label map 'evil': 'gas' is no control of the game, which has left, right",
        ),
        (
            RECORD,
            "labels=ChoiceLabelMap([steer(conflicts=[frozenset({'lfet', 'right'})])])",
            "label map 'evil': 'lfet' is no control of the game, which has left, right",
        ),
        (
            "evil",
            "run=boom(OSError(28, 'No space left on device'))",
            "command 'evil': OSError: [Errno 28] No space left",
        ),
    ],
)
def test_a_fault_elsewhere_is_told_with_its_plugin(run: Run, args: str, evil: str, says: str) -> None:
    said = line(run(*args.split(), **EVIL, EVIL=evil))
    assert said.startswith("autopilot-evil: ")
    assert says in said
    assert "--home" not in said


@pytest.mark.parametrize(
    ("evil", "says"),
    [
        ("evil_build=boom(KeyError('layer'))", "autopilot-evil: model 'evil-net': Net: KeyError: 'layer'"),
        (
            "evil_call=boom(OSError(5, 'no weights'))",
            "autopilot-evil: network 'evil-net' cannot be run: OSError: [Errno 5] no",
        ),
    ],
)
def test_a_fault_in_a_network_is_told_with_its_plugin(run: Run, home: Path, site: Path, evil: str, says: str) -> None:
    path = {"PYTHONPATH": f"{site}{os.pathsep}{EVIL['PYTHONPATH']}"}
    assert line(run(*"train --model evil-net --batch-size 8".split(), home=home, **path, EVIL=evil)).startswith(says)


def test_what_a_plugin_raises_on_purpose_is_said_as_it_is(run: Run, tmp_path: Path) -> None:
    for kind in ("UserError", "DeviceError"):
        evil = f"tick=boom(errors.{kind}('the disc is not in: put it in'))"
        assert line(run(*RECORD.split(), **EVIL, EVIL=evil)) == "the disc is not in: put it in"
    done = run(*RECORD.split(), "--json", **EVIL, EVIL="read=plain() if me[0].steps < 7 else boom(EOFError())")
    assert [(s["ending"], s["frames"]) for s in json.loads(done.out)] == [("ended", 7)]
    usage = run("evil", **EVIL, EVIL="run=boom(click.UsageError('say more'))")
    assert line(usage).startswith("say more (see `")
    assert run("evil", **EVIL, EVIL="run=boom(SystemExit(7))").code == 7


def test_what_was_recorded_before_a_fault_is_kept_and_everything_released(run: Run, tmp_path: Path) -> None:
    log = tmp_path / "log"
    evil = "tick=plain() if me[0].steps < 9 else boom(KeyError('physics'))"
    run(*RECORD.split(), **EVIL, EVIL=evil, EVIL_LOG=str(log))
    (session,) = kept(tmp_path)
    assert (session.info.ended, len(session)) == ("interrupted", 10)
    assert log.read_text().splitlines()[-5:] == ["release", "close", "close", "close", "on_close"]


def test_a_picture_that_stands_upright_is_refused_and_one_in_strange_memory_is_not(run: Run) -> None:
    upright = line(run(*RECORD.split(), **EVIL, EVIL="read=Frame(np.zeros((160, 90, 3), np.uint8), 0)"))
    assert upright.startswith("the picture is 90x160, and the game's 160x90: it would be squashed; ")
    strange = "read=Frame(np.full((3, 160, 180), me[0].steps, 'u1').transpose(2, 1, 0)[::-2], me[0].steps)"
    done = run(*RECORD.split(), "--json", **EVIL, EVIL=strange)
    assert json.loads(done.out)[0]["frames"] == 20, done.err


def test_a_probe_that_returns_something_else_is_its_plugin_s_fault(run: Run) -> None:
    done = run("doctor", "--source", "evil-eye", "--patience", "60", "--json", **EVIL, EVIL="probe=True")
    (row,) = (p for p in json.loads(done.out)["probes"] if p["name"] == "evil-eye")
    assert row["detail"] == "autopilot-evil: frame source 'evil-eye': probe: must be a list, not True"
    assert row["fix"] == "report this to autopilot-evil"


def test_a_wrong_descriptor_is_listed_and_a_command_of_ours_is_none_of_theirs(run: Run) -> None:
    (row,) = (
        p for p in json.loads(run("plugins", "--json", **EVIL, EVIL_SPEC="{'hz': '10'}").out) if p["plugin"] == "evil"
    )
    assert row["status"] == "faulty"
    says = "GameSpec 'evil': hz: must be a finite number, not '10'"
    assert row["faults"] == [{"stage": "autopilot_games", "message": says}]
    unknown = line(run(*RECORD.split(), **EVIL, EVIL_SPEC="{'hz': '10'}"))
    assert unknown.startswith("unknown game 'evil'")
    assert "broken plugins: autopilot-evil" in unknown
    evil = "autopilot_commands=[CommandSpec('train', 'mine', 'autopilot_evil:command')]"
    listed = run("plugins", **EVIL, EVIL=evil).out
    assert "offers the command 'train', which is autopilot's own: rename it" in listed
    assert "command: train" not in listed


def test_who_hangs_is_said_after_ten_seconds_and_again_and_ctrl_c_ends_it(begin: Begin, tmp_path: Path) -> None:
    log = tmp_path / "log"
    hangs = "=plain() if me[0].steps < 5 else time.sleep(1000)"
    games = {where: begin(*RECORD.split(), **EVIL, EVIL=where + hangs) for where in ("tick", "decide", "read")}
    begun = time.monotonic()
    games["seen"] = begin(*SEEN.split(), **EVIL, EVIL="read" + hangs, EVIL_LOG=str(log))
    said = {where: f"autopilot-evil: game 'evil': {where}: no answer for" for where in games}
    said["seen"] = "autopilot-evil: frame source 'evil-eye': read: no answer for"
    for where, running in games.items():
        assert running.until(lambda where=where, running=running: running.err.read_text().count(said[where]) == 2)
    assert time.monotonic() - begun > 19
    for running in games.values():
        running.interrupt()
    for where, running in games.items():
        done = running.wait(60)
        assert done.code == 130, done.err
        assert f"{said[where]} 1" in done.err
        assert f"{said[where]} 2" in done.err
    assert "everything released: no decision for" in games["seen"].err.read_text(), (
        "after a quarter of a second, as ever"
    )
    assert [s.info.ended for s in kept(tmp_path)] == ["interrupted"] * 3
    presses = [text for text in log.read_text().splitlines() if text.startswith(("press ", "release "))]
    assert len(presses) >= 2
    assert presses[-1].startswith("release ")
