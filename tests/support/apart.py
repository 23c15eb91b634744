"""Runs the command line in a process forked from one that has imported what is slow to import."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import Any

FORK = multiprocessing.get_context("forkserver")
FORK.set_forkserver_preload(
    ["autopilot.learn.train", "autopilot.race.race", "autopilot.drive.drive", "autopilot.commands.ui", "tensorboardX"]
)


@dataclass
class Running:
    """A command that runs; `out` and `err` are the files that it prints to."""

    process: ForkServerProcess
    out: Path
    err: Path

    def wait(self, timeout: float = 2400) -> Result:
        """Return how it ended; a negative code is the signal that killed it."""
        self.process.join(timeout)
        if self.process.exitcode is None:
            self.process.kill()
            raise TimeoutError(f"{self.err.read_text()[-2000:]}")
        return Result(self.process.exitcode, self.out.read_text(), self.err.read_text())

    def until(self, there: Callable[[], object]) -> bool:
        """Wait until something is there; False when the command ended before."""
        deadline = time.monotonic() + 2000
        while not there():
            if not self.process.is_alive():
                return False
            assert time.monotonic() < deadline, self.err.read_text()[-2000:]
            time.sleep(0.005)
        return True

    def interrupt(self) -> None:
        """Press Ctrl-C."""
        assert self.process.pid is not None
        os.kill(self.process.pid, signal.SIGINT)

    def suspend(self, on: bool = True) -> None:
        """Stop it where it is, or let it go on."""
        assert self.process.pid is not None
        os.kill(self.process.pid, signal.SIGSTOP if on else signal.SIGCONT)


@dataclass
class Result:
    """How a command ended, and what it printed."""

    code: int
    out: str
    err: str


def start(args: list[str], env: dict[str, str], folder: Path, jax_cache: Path | None) -> Running:
    """Start `autopilot args…` with a PYTHONPATH and other variables of its own."""
    folder.mkdir(parents=True, exist_ok=True)
    number = len(list(folder.glob("*.out")))
    out, err = folder / f"{number}.out", folder / f"{number}.err"
    for path in (out, err):
        path.touch()
    cache = None if jax_cache is None else str(jax_cache)
    process = FORK.Process(target=_main, args=(args, env, str(folder), str(out), str(err), cache))
    process.start()
    return Running(process, out, err)


def _main(args: list[str], env: dict[str, str], folder: str, out: str, err: str, cache: str | None) -> Any:
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(env)
    for path, number in ((os.devnull, 0), (out, 1), (err, 2)):
        file = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        os.dup2(file, number)
        os.close(file)
    sys.stdout, sys.stderr = (os.fdopen(n, "w", closefd=False) for n in (1, 2))
    sys.path[:0] = env["PYTHONPATH"].split(os.pathsep)
    sys.argv = ["autopilot", *args]
    if cache is not None:
        _cache_compiled(cache)
    import autopilot.commands.ui as ui  # made its consoles when the streams were others
    from autopilot.cli import main

    ui.err.file, ui.out.file = sys.stderr, sys.stdout
    main()


def _cache_compiled(folder: str) -> None:
    """Let XLA keep what it compiles: most of what a little training costs."""
    import jax

    # What oneDNN computes cannot be kept, and JAX says so.
    warnings.filterwarnings("ignore", message="Error writing persistent compilation cache entry")
    jax.config.update("jax_compilation_cache_dir", folder)
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0)
    jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)
