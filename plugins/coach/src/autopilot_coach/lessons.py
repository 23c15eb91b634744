"""A lesson: the network learns from what was played so far, in a process of its own, and is tried in races."""

from __future__ import annotations

import contextlib
import json
import math
import os
import subprocess
import sys
import threading
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from autopilot.api.errors import AutopilotError
from autopilot.sessions.home import Home, write_json

if TYPE_CHECKING:
    from autopilot.commands.opened import OpenHome

NICE = 15
"""How far a lesson stands back behind the game."""
WAYS = (("argmax", 1.0), ("weighted", 0.5))
"""How a candidate's actions may be selected, with which temperature."""
GRACE_S = 10.0
"""How long a lesson that is told to end has for it."""


@dataclass(frozen=True)
class Task:
    """What a lesson is about: a candidate's name, its sessions, whose weights it begins with, and where it is tried.

    It goes over so many `samples`, in whole epochs; `corrections` is how much more these weigh.
    """

    game: str
    model: str
    name: str
    sessions: tuple[str, ...]
    samples: int
    start: str | None = None
    exam: tuple[str, ...] = ()
    corrections: float = 1.0
    seed: int = 0
    config: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Mark:
    """How a candidate drove in its exam: the share of races that it finished, their mean score or minus the mean time.

    Greater is better. `accuracy` on held-out frames only breaks ties; without an exam it is all that there is.
    """

    finished: float = 0.0
    pace: float = 0.0
    accuracy: float = 0.0
    raced: bool = False

    def better(self, other: Mark | None) -> bool:
        """Return whether it drove as well at least. Without an exam there is nothing to say: the road will tell."""
        if other is None or not self.raced:
            return True
        return (self.finished, self.pace, self.accuracy) >= (other.finished, other.pace, other.accuracy)

    def __str__(self) -> str:
        """Return it in words."""
        known = f"accuracy {100 * self.accuracy:.1f} %"
        if not self.raced:
            return known
        pace = f"score {self.pace:.0f}" if self.pace > 0 else f"race {-self.pace:.1f} s"
        return f"{100 * self.finished:.0f} % of its races finished, {pace}, {known}"


@dataclass
class Lesson:
    """A lesson that is going on, or is over; `fault` says in a line why it came to nothing.

    `seconds` are of wall time, `cpu_s` of one core.
    """

    task: Task
    mark: Mark | None = None
    fault: str = ""
    seconds: float = 0.0
    cpu_s: float = 0.0
    frames: int = 0
    races: list[dict[str, Any]] = field(default_factory=list)


class Classroom:
    """Gives one lesson at a time, in a process that ends with this one; `beside` a game it stands back."""

    def __init__(self, home: Home, folder: Path, beside: bool) -> None:
        self._home, self._folder, self._nice = home, folder, NICE if beside else 0
        self._process: subprocess.Popen[bytes] | None = None
        self._lesson: Lesson | None = None

    @property
    def busy(self) -> Task | None:
        """What is being taught now."""
        return None if self._lesson is None else self._lesson.task

    def progress(self) -> str:
        """Return how far the lesson is, in words."""
        try:
            return (self._folder / "progress.txt").read_text(encoding="utf-8")
        except OSError:
            return "beginning"

    def begin(self, task: Task) -> None:
        """Start a lesson; raises OSError where its folder cannot be written."""
        self._folder.mkdir(parents=True, exist_ok=True)
        for name in ("result.json", "progress.txt"):
            (self._folder / name).unlink(missing_ok=True)
        write_json(self._folder / "task.json", asdict(task))
        # A lesson compiles what the one before compiled; on a GPU it must leave room for the network that drives.
        env = {
            "JAX_COMPILATION_CACHE_DIR": str(self._home.cache / "compiled"),
            "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0.5",
            "XLA_PYTHON_CLIENT_PREALLOCATE": "false",
        }
        command = [sys.executable, "-P", "-m", "autopilot_coach.lessons", str(self._home.root)]
        command += [str(self._folder), str(self._nice)]
        with (self._folder / "lesson.log").open("wb") as log:
            self._process = subprocess.Popen(  # noqa: S603 - ourselves
                command, stdin=subprocess.PIPE, stdout=log, stderr=log, env=env | os.environ, start_new_session=True
            )
        self._lesson = Lesson(task)

    def over(self, wait_s: float = 0.0) -> Lesson | None:
        """Return the lesson that has ended, if one has, or does so within `wait_s` seconds."""
        if self._process is None or self._lesson is None:
            return None
        try:
            code = self._process.wait(wait_s or None) if wait_s else self._process.poll()
        except subprocess.TimeoutExpired:
            return None
        if code is None:
            return None
        lesson = self._lesson
        self.close()
        try:
            result = json.loads((self._folder / "result.json").read_bytes())
        except (OSError, ValueError):
            lesson.fault = self._why(code)
            return lesson
        mark = result.pop("mark")
        lesson.mark = Mark(**mark) if mark else None
        vars(lesson).update(result)
        return lesson

    def _why(self, code: int) -> str:
        """Return why a lesson left no result: the last line that it printed says most."""
        path = self._folder / "lesson.log"
        with contextlib.suppress(OSError):
            lines = path.read_text(encoding="utf-8", errors="replace").split("\n")
            said = [line for line in lines if line.strip() and line[0] not in " \t"]
            if said:
                return f"it ended with {code}: {said[-1].strip()[:200]} ({path})"
        return f"it ended with {code}: {path}"

    def close(self) -> None:
        """End the lesson that goes on; nothing that was driven before is touched."""
        if self._process is not None:
            with contextlib.suppress(OSError):
                if self._process.stdin is not None:
                    self._process.stdin.close()  # which it notices
            try:
                self._process.wait(GRACE_S)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        self._process = self._lesson = None


def give(home: OpenHome, task: Task, tell: Path) -> dict[str, Any]:
    """Give a lesson and return what came of it as plain data; `tell` is where it says how far it is."""
    begun = time.monotonic()
    result: dict[str, Any] = {"fault": "", "mark": None, "frames": 0, "races": []}
    try:
        accuracy, result["frames"] = _train(home, task, tell)
        _tell(tell, "its exam")
        mark, result["races"] = _examine(home, task, accuracy)
        result["mark"] = asdict(mark)
    except AutopilotError as e:
        result["fault"] = str(e)
    return result | {"seconds": round(time.monotonic() - begun, 1), "cpu_s": round(time.process_time(), 1)}


def _tell(path: Path, text: str) -> None:
    with contextlib.suppress(OSError):
        path.write_text(text, encoding="utf-8")


def _train(home: OpenHome, task: Task, tell: Path) -> tuple[float, int]:
    from autopilot.sessions.store import SessionStore

    store = SessionStore.of(home.folders)
    labelled = sum(int((store.open(id).remaining().action >= 0).sum()) for id in task.sessions)
    rate = home.registry.get("model", task.model).learning_rate
    done = home.train(
        task.model,
        task.game,
        sessions=task.sessions,
        name=task.name,
        epochs=max(2, min(40, math.ceil(task.samples / max(labelled, 1)))),
        batch_size=min(32, max(1, labelled // 4)),
        brightness=0.0,
        start=task.start,
        learning_rate=rate if task.start is None else rate / 2,
        corrections=task.corrections,
        seed=task.seed,
        config=task.config,
        restart=True,
        on_progress=lambda now: _tell(tell, f"epoch {now.epoch} of {now.epochs}"),
    )
    return float(done.best["accuracy"]), done.frames["train"]


def _examine(home: OpenHome, task: Task, accuracy: float) -> tuple[Mark, list[dict[str, Any]]]:
    """Race the candidate in lock-step on the exam's tracks, in each of `WAYS`; its bundle says by which it drove best.

    Without an exam it is loaded at least.
    """
    from autopilot.api.game import Game
    from autopilot.bundle.manifest import read_manifest, read_weights, save_bundle
    from autopilot.drive.world import Worlds
    from autopilot.learn.policy import load_policy
    from autopilot.race.choosing import Course
    from autopilot.race.choosing import Mark as Drove

    game = Game(home.registry, task.game)
    policy = load_policy(home.folders.bundle(task.name), game)
    if not task.exam:
        return Mark(accuracy=accuracy), []
    course = Course(Worlds(game, home.folders), ",".join(task.exam))
    runs = {way: course.race(policy, way, 0, task.exam) for way in WAYS}
    best = max(WAYS, key=lambda way: Drove.of(runs[way], course.longest_s))
    drove = Drove.of(runs[best], course.longest_s)
    folder, (select, temperature) = home.folders.bundle(task.name), best
    manifest = read_manifest(folder)
    kept = manifest.model_dump(exclude={"format", "weights_sha256"})
    save_bundle(folder, {**kept, "select": select, "temperature": temperature}, read_weights(folder, manifest))
    rows = [{"track": r.track, "finished": r.finished, "laps_s": list(r.laps_s), "score": r.score} for r in runs[best]]
    return Mark(drove.finished, drove.pace, accuracy, raced=True), rows


def _end_with_parent() -> None:
    """End this process when the sitting does, however that ends: its end of the pipe closes."""

    def watch() -> None:
        sys.stdin.buffer.read()
        os._exit(3)

    threading.Thread(target=watch, daemon=True).start()


def main() -> None:
    """Give the lesson of the folder that the command line names, and write what came of it there."""
    import autopilot

    _end_with_parent()
    if hasattr(os, "nice"):
        os.nice(int(sys.argv[3]))
    home, folder = autopilot.open(sys.argv[1]), Path(sys.argv[2])
    data = json.loads((folder / "task.json").read_bytes())
    data |= {key: tuple(data[key]) for key in ("sessions", "exam")}
    task = Task(**data)
    write_json(folder / "result.json", give(home, task, folder / "progress.txt"))


if __name__ == "__main__":
    main()
