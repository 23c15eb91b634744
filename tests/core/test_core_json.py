"""JSON is strict: no number that is not finite is written, and none is read."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from autopilot.api.errors import SessionError
from autopilot.commands.app import App
from autopilot.sessions.home import read_json, write_json
from autopilot.sessions.session import Session
from support.sessions import record

NUMBERS = (float("nan"), float("inf"), -float("inf"))


@pytest.mark.parametrize("number", NUMBERS)
@pytest.mark.parametrize("where", [lambda n: n, lambda n: [1, {"a": n}]])
def test_what_is_not_finite_is_not_written(tmp_path: Path, number: float, where: Any) -> None:
    write_json(tmp_path / "it.json", {"before": 1})
    with pytest.raises(ValueError, match="JSON"):
        write_json(tmp_path / "it.json", where(number))
    assert [p.name for p in tmp_path.iterdir()] == ["it.json"]
    assert read_json((tmp_path / "it.json").read_bytes()) == {"before": 1}
    with pytest.raises(ValueError, match="JSON"):
        App(json=True).print(where(number), "")


@pytest.mark.parametrize("text", ["NaN", "[Infinity]", '{"a": -Infinity}', "1e999", '{"a": [-1e999]}', "[" * 5000, ""])
def test_what_is_not_finite_or_no_json_is_not_read(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        read_json(text.encode())


def test_what_json_says_is_read() -> None:
    data = {"a": [1, 2.5, 1e300, -0.0, None, True, "NaN"], "b": {"c": 10**30}}
    assert read_json(json.dumps(data).encode()) == data


@pytest.mark.parametrize("change", ['"hz": 1e999', '"noise": NaN', '"noise": Infinity', '"lap_time_s": 1e999'])
def test_a_session_with_a_number_that_is_not_finite_is_not_opened(tmp_path: Path, change: str) -> None:
    folder = record(tmp_path, 4, id="one").path
    path = folder / "session.json"
    path.write_text(path.read_text().rstrip()[:-1] + f", {change}}}")
    with pytest.raises(SessionError, match="damaged") as e:
        Session.open(folder)
    assert "\n" not in str(e.value)
