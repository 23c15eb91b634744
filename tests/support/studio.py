"""What the studio is tested on: sessions, runs and races made up, and a client that asks it."""

from __future__ import annotations

import contextlib
import http.client
import json
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

import numpy as np
from autopilot.api.types import Frame, Reading
from autopilot.race.result import RaceResult, RunResult
from autopilot.sessions.home import Home, write_json
from autopilot.sessions.segments import Row
from autopilot.sessions.writer import SessionWriter
from autopilot_carracing.labels import make_label_map
from autopilot_studio.server import Server

from support.sessions import make_info

ROWS, WIDTH, HEIGHT = 60, 64, 36
LABELS = make_label_map()
HELD = ({"accelerate"}, {"accelerate", "left"}, {"brake"}, {"right"}, {"left", "right"})
LEFT_RIGHT = 4
"""Where `HELD` is a contradiction, which has no label."""


def make_session(home: Home, id: str, rows: int = ROWS, **changes: Any) -> None:
    kart = {"game": "carracing", "label_map": "carracing", "action_space": LABELS.action_space.to_json()}
    kart |= {"controls": ("left", "right", "accelerate", "brake"), "width": WIDTH, "height": HEIGHT, "lockstep": True}
    info = make_info(id, **{**kart, "versions": {}, "ended": "saved", **changes})
    with SessionWriter(home.sessions, info) as writer:
        for i in range(rows):
            held = frozenset(HELD[i // 5 % len(HELD)])
            reading = Reading(i // 25, (2.5, 2.25)[: i // 25], i / 10, incident=30 <= i < 33, score=i / 2)
            row = Row(Frame(frame(i), i * 100_000_000), held, held, LABELS.action(held), reading)
            writer.append(row)


def frame(i: int) -> np.ndarray:
    """A picture that says its number: its first row is that colour."""
    image = np.full((HEIGHT, WIDTH, 3), (40, 90, 60), np.uint8)
    image[0] = (i, 255 - i, 100)
    image[8:28, i % WIDTH : i % WIDTH + 6] = (220, 40, 40)
    return image


def make_run(home: Home, name: str, losses: list[float]) -> None:
    """A run as `autopilot train` leaves it: run.json and a checkpoint with its books."""
    from safetensors.numpy import save_file

    confusion = {"steer": [[8, 1, 1], [0, 9, 1], [2, 2, 6]]}
    history = [
        {"epoch": i + 1, "train_loss": loss * 0.9, "loss": loss, "accuracy": 1 - loss / 2, "confusion": confusion}
        for i, loss in enumerate(losses)
    ]
    sessions = ["20260101-000000-a", "20260101-000001-b"]
    write_json(
        home.runs / name / "run.json", {"model": "nvidia", "epochs": 9, "sessions": sessions, "seed": len(losses)}
    )
    books = json.dumps([7, {}, {"history": history}]).encode()
    (home.runs / name / "checkpoints").mkdir()
    save_file(
        {"file:books.json": np.frombuffer(books, np.uint8)}, home.runs / name / "checkpoints" / "7-abc.safetensors"
    )


def make_race(home: Home, name: str) -> None:
    runs = [
        {"driver": d, "track": "7", "race": 0, "laps_s": laps, "incident_laps": [1], "incidents": 1, "finished": True}
        | {"score": None}
        for d, laps in (("human", [30.5, 31.25]), ("net", [33.0, 70.5]))
    ]
    summary = [
        {"driver": d, "finished": 1, "runs": 1, "median_lap_s": lap, "median_race_s": 2 * lap, "incident_laps": 1}
        | {"incidents": 1, "mean_score": None, "lap_ratio": 1.0, "score_ratio": None}
        for d, lap in (("human", 31.0), ("net", 52.0))
    ]
    race = {"game": "carracing", "title": "Car <Racing>", "drivers": ["human", "net"], "tracks": ["7"], "laps": 2}
    race |= {"races": 1, "hz": 12.5}
    write_json(home.races / name / "race.json", race | {"runs": runs, "summary": summary, "stamp": "AI / emulator"})
    for driver in ("human", "net"):
        (home.races / name / f"{driver}-7-1.mp4").write_bytes(bytes(range(256)) * 8)


def make_scored_race(home: Home, name: str) -> None:
    """Scores of -3 and 12, and no laps, as `autopilot race` writes them."""
    scores = {"human": 12.0, "net": -3.0}
    runs = tuple(RunResult(driver, "7", 0, (), (), 0, True, score) for driver, score in scores.items())
    write_json(
        home.races / name / "race.json",
        RaceResult("enduro", "Enduro", tuple(scores), ("7",), 0, 1, 15.0, runs).to_json(),
    )
    (home.races / name / "net-7-1.mp4").write_bytes(b"film")


@dataclass
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def text(self) -> str:
        return self.body.decode()

    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class Client:
    """Asks a studio, as its own page does unless told otherwise."""

    server: Server

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self.server.port}"

    @property
    def headers(self) -> dict[str, str]:
        cookie = f"autopilot-studio-{self.server.port}={self.server.token}"
        return {"Host": self.host, "Origin": f"http://{self.host}", "Cookie": cookie}

    def ask(self, method: str, path: str, headers: dict[str, str | None] | None = None, body: str = "") -> Answer:
        """Send one request; `headers` replace the page's own, None leaves one out.

        A refusal may come before the body was read: then the system may throw the answer away, and it is asked again.
        """
        for _ in range(5):
            with contextlib.suppress(ConnectionResetError, BrokenPipeError):
                return self._ask(method, path, headers or {}, body)
        raise ConnectionResetError(path)

    def _ask(self, method: str, path: str, headers: dict[str, str | None], body: str) -> Answer:
        connection = http.client.HTTPConnection("127.0.0.1", self.server.port, timeout=60)
        connection.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
        for name, value in {**self.headers, **headers}.items():
            if value is not None:
                connection.putheader(name, value)
        if body:
            connection.putheader("Content-Length", str(len(body)))
        connection.endheaders(body.encode() or None)
        found = connection.getresponse()
        answer = Answer(found.status, {k.lower(): v for k, v in found.getheaders()}, found.read())
        connection.close()
        return answer

    def get(self, path: str, **query: str) -> Answer:
        return self.ask("GET", path + ("?" + urlencode(query) if query else ""))

    def post(self, path: str, **fields: object) -> Answer:
        return self.ask("POST", path, body=urlencode(fields))
