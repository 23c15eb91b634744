"""Where things live, and which names may become folders."""

from __future__ import annotations

import json
import subprocess
import sys
from functools import partial
from pathlib import Path

import platformdirs
import pytest
from autopilot.api import files
from autopilot.api.errors import UserError
from autopilot.api.files import patiently
from autopilot.sessions.home import Home, check_name, new_folder, put_in_place, write_json


def test_the_option_wins_over_the_environment_over_the_platform(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("AUTOPILOT_HOME", str(tmp_path / "env"))
    assert Home.find(str(tmp_path / "given")).root == tmp_path / "given"
    assert Home.find().root == tmp_path / "env"
    assert Home.find("~/x").root == Path.home() / "x"
    for empty in (None, ""):
        monkeypatch.delenv("AUTOPILOT_HOME", raising=False)
        if empty is not None:
            monkeypatch.setenv("AUTOPILOT_HOME", empty)
        assert Home.find().root == platformdirs.user_data_path("autopilot", appauthor=False)


@pytest.mark.parametrize("name", ["coco", "a", "2026-01-31.try_2", "A" * 100])
def test_plain_names_are_taken(name: str) -> None:
    assert check_name(name, "bundle") == name


@pytest.mark.parametrize(
    "name", [*"/ . .. ../x a/b /etc a\\b a..b .hidden -x ü C:x ~".split(), "", "a b", "a\n", "\0", "x" * 101]
)
def test_names_that_could_leave_the_folder_are_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"bundle name .* cannot be used") as e:
        Home(tmp_path).bundle(name)
    assert "\n" not in str(e.value)


@pytest.mark.parametrize("name", "CON nul aux.txt com1 LPT9.a.b prn anna. a..".split())
def test_names_that_windows_cannot_have_are_refused_everywhere(name: str) -> None:
    with pytest.raises(UserError, match=r"session name .* cannot be used"):
        check_name(name, "session")
    for near in (f"x{name.rstrip('.')}", "com10", "nul-1", "auxiliary", "a.con"):
        assert check_name(near, "session") == near


def test_json_is_replaced_at_once(tmp_path: Path) -> None:
    path = tmp_path / "new" / "x.json"
    write_json(path, {"b": 1, "a": [1, 2]})
    assert json.loads(path.read_text()) == {"a": [1, 2], "b": 1}
    with pytest.raises(TypeError):
        write_json(path, {"a": object()})
    assert json.loads(path.read_text()) == {"a": [1, 2], "b": 1}
    assert [p.name for p in path.parent.iterdir()] == ["x.json"], "no half-written file is left"


def test_what_windows_refuses_for_a_moment_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    tries = []

    def refused(times: int) -> int:
        tries.append(1)
        if len(tries) <= times:
            raise PermissionError(13, "another program has it open")
        return 7

    with monkeypatch.context() as elsewhere:
        elsewhere.setattr(files.os, "name", "posix")
        with pytest.raises(PermissionError):
            patiently(partial(refused, 1))
    assert len(tries) == 1, "elsewhere a refusal is meant"
    with monkeypatch.context() as windows:
        windows.setattr(files.os, "name", "nt")
        assert patiently(partial(refused, 4)) == 7
        windows.setattr(files, "PATIENCE_S", 0.05)
        with pytest.raises(PermissionError):
            patiently(partial(refused, 10_000))
        assert 5 < len(tries) < 100


def test_a_folder_that_cannot_be_replaced_stays(tmp_path: Path) -> None:
    target, old = tmp_path / "bundle", tmp_path / ".old"
    target.mkdir()
    (target / "weights").write_text("1")
    with pytest.raises(FileNotFoundError):
        put_in_place(tmp_path / "part", target, old)
    assert (target / "weights").read_text() == "1"
    assert not old.exists()


def test_two_processes_may_write_one_file_at_once(tmp_path: Path) -> None:
    writes = "import sys; from pathlib import Path; from autopilot.sessions.home import write_atomic"
    code = f"{writes}\nfor i in range(150): write_atomic(Path(sys.argv[1]), sys.argv[2].encode() * 50_000)"
    both = [subprocess.Popen([sys.executable, "-c", code, tmp_path / "model", letter]) for letter in "ab"]
    assert [process.wait(60) for process in both] == [0, 0]
    assert set((tmp_path / "model").read_bytes()) in ({ord("a")}, {ord("b")})
    assert [p.name for p in tmp_path.iterdir()] == ["model"]


def test_two_who_begin_at_once_get_a_folder_each_and_an_empty_one_goes_again(tmp_path: Path) -> None:
    with new_folder(tmp_path, "cup") as first, new_folder(tmp_path, "cup") as second:
        assert (first.name, second.name) == ("cup", "cup-2")
        (first / "race.json").write_text("{}")
    assert [p.name for p in tmp_path.iterdir()] == ["cup"]
    with pytest.raises(ValueError, match="no"), new_folder(tmp_path, "cup"):
        raise ValueError("no")
    assert [p.name for p in tmp_path.iterdir()] == ["cup"]
