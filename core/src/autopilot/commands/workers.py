"""Many drives of a game in lock-step at once: each is made by another process, or by another machine.

A `Job` says all of one drive as plain data; whatever runs functions elsewhere (`concurrent.futures.Executor`) can carry
it out. What comes of them is the same, in the same order, as if one process had made them one after another.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Executor, Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

from autopilot.api.errors import AutopilotError, UserError
from autopilot.api.game import Game
from autopilot.commands.opened import OpenHome
from autopilot.desktop.desktop import DeviceChoice
from autopilot.drive.drive import Drive, DriveOptions, DriveReport
from autopilot.drive.lineup import Entrant
from autopilot.drive.world import Worlds
from autopilot.race.race import IncidentCounter

STOP_S = 30.0
"""So long a worker has to keep what it recorded when it is to end."""
_over = threading.Event()
"""Set in a worker when it heard a Ctrl-C."""

Outcome = tuple[DriveReport, IncidentCounter]


@dataclass(frozen=True)
class Job:
    """One drive: in which home, of which game by which devices, who drives, and its options.

    `lineup` is what `OpenHome.lineup` takes besides the game, `scripted` what `Lineup.scripted` takes besides the name
    where the driver is looked up so.
    """

    home: Path
    safe_mode: bool
    game: str
    devices: DeviceChoice
    driver: str
    options: DriveOptions
    lineup: Mapping[str, Any] = field(default_factory=dict)
    scripted: tuple[str | None, float | None] | None = None


def carry_out(job: Job) -> Outcome:
    """Make the drive of a job, and return what came of it. Raises as `Drive` does, KeyboardInterrupt after a Ctrl-C."""
    if _over.is_set():  # this job was handed out before
        raise KeyboardInterrupt
    home = _home(job.home, job.safe_mode)
    entrant = _entrant(home, job.game, job.driver, tuple(sorted(job.lineup.items())), job.scripted)
    counter = IncidentCounter()
    options = replace(job.options, screens=replace(job.options.screens, lost=home.lost))
    drive = Drive(Worlds(Game(home.registry, job.game), home.folders, job.devices), entrant, options)
    with _on_ctrl_c(_end_once):
        return drive.go([counter]), counter


@lru_cache(1)
def _home(folder: Path, safe_mode: bool) -> OpenHome:
    return OpenHome(folder, safe_mode)


@lru_cache(8)
def _entrant(home: OpenHome, game: str, driver: str, lineup: tuple[tuple[str, Any], ...], scripted: Any) -> Entrant:
    """Return who drives, whom each process loads once."""
    offers = home.lineup(Game(home.registry, game), **dict(lineup))
    return offers.find(driver) if scripted is None else offers.scripted(driver, *scripted)


def carry_out_all(jobs: Sequence[Job], workers: int | Literal["ray"]) -> Iterator[Outcome]:
    """Yield what came of each job, in their order, from so many processes or from the machines that Ray knows.

    Raises what the first drive that failed raised. The others are ended then, as by Ctrl-C: what they have is kept.
    """
    with nullcontext(RayExecutor()) if workers == "ray" else _processes(workers) as executor:
        try:
            with _on_ctrl_c(signal.SIG_IGN):  # which the processes that it starts inherit
                outcomes = executor.map(carry_out, jobs)
            yield from outcomes
        except BrokenProcessPool as e:
            raise AutopilotError("a worker was killed: if memory was short, ask for fewer --workers") from e


class RayExecutor(Executor):
    """Runs functions on the cluster of Ray that `RAY_ADDRESS` names, or on one of this machine's cores.

    All machines need the same packages and the same home, such as a folder that they share. Raises UserError where
    there is no Ray.
    """

    def __init__(self) -> None:
        try:
            import ray
        except ImportError:
            raise UserError("--workers ray needs Ray: install autopilot-core[ray]") from None
        if not ray.is_initialized():
            ray.init(log_to_driver=False, include_dashboard=False)
        self._ray = ray

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Let a function run where a core is free; the future raises what it raised."""
        future: Future[Any] = self._ray.remote(fn).remote(*args, **kwargs).future()
        return future


@contextmanager
def _processes(count: int) -> Iterator[Executor]:
    others = set(multiprocessing.active_children())
    with ProcessPoolExecutor(count, multiprocessing.get_context("spawn"), _begin) as pool:
        try:
            yield pool
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            ours = set(multiprocessing.active_children()) - others
            for process in ours:
                if process.pid is not None:
                    os.kill(process.pid, signal.SIGINT)
            for process in ours:
                process.join(STOP_S)
                process.terminate()
            raise


def _begin() -> None:
    """Let this process end with its parent; Ctrl-C ends it only while it drives."""
    signal.signal(signal.SIGINT, lambda number, frame: _over.set())
    parent = multiprocessing.parent_process()
    assert parent is not None, "a worker was started by somebody"

    def watch() -> None:
        parent.join()
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def _end_once(number: int, frame: Any) -> None:
    """End a drive at the first Ctrl-C, and let no second one disturb how what it has is kept."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _over.set()
    raise KeyboardInterrupt


@contextmanager
def _on_ctrl_c(handler: Any) -> Iterator[None]:
    if threading.current_thread() is not threading.main_thread():  # it hears no signal
        yield
        return
    before = signal.signal(signal.SIGINT, handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
