"""The loop over the steps of a training, with its checkpoints and its books."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh
from safetensors.numpy import load, save

from autopilot.api.errors import UserError
from autopilot.api.files import patiently
from autopilot.learn import network, schedule
from autopilot.learn.augment import make_augment
from autopilot.learn.checkpoint import Checkpoint, Checkpoints
from autopilot.learn.cluster import ProcessGroup, on_ctrl_c
from autopilot.learn.data import Dataset, batches
from autopilot.learn.devices import own_rows, replicate, spread
from autopilot.learn.options import TrainOptions, TrainProgress
from autopilot.learn.step import TrainState, learning_rate, make_evaluate, make_step, optimiser
from autopilot.sessions.home import write_atomic

BEST = "best.safetensors"
CHECKPOINT_S = 120.0
"""Within a long epoch a checkpoint is written this often, in seconds."""

Watch = Callable[[TrainProgress], None]


def epoch_file(entry: schedule.Entry) -> str:
    """Return the name of the file in the run's folder that keeps the weights of an epoch."""
    return f"epoch-{entry['epoch']:04d}.safetensors"


@dataclass(frozen=True)
class Place:
    """Where a training runs: its folder and checkpoints, its devices, the processes that share it."""

    run: Path
    mesh: Mesh
    team: ProcessGroup
    checkpoints: Checkpoints


@contextmanager
def _interrupts() -> Iterator[Callable[[], bool]]:
    """Turn Ctrl-C into a question asked between steps: within one, buffers are being donated."""
    asked: list[int] = []
    if threading.current_thread() is not threading.main_thread():
        yield lambda: False
        return
    with on_ctrl_c(lambda number, frame: asked.append(number)):
        yield lambda: bool(asked)


class Fit:
    """The loop over steps, with its checkpoints and its books."""

    def __init__(self, module: Any, data: Dataset, options: TrainOptions, place: Place, listener: Watch) -> None:
        self._data, self._options, self._run, self._watch = data, options, place.run, listener
        self._mesh, self._team, self._checkpoints = place.mesh, place.team, place.checkpoints
        mesh = place.mesh
        self._batches, self._steps = batches(data, options, own_rows(options.batch_size))
        self._per_epoch = max(1, self._steps // options.epochs)
        adam = optimiser(options, self._steps, module)
        self._evaluate = make_evaluate(module, data, options.batch_size, mesh)
        own = getattr(module, "augment", None)
        augment = make_augment(data.space, options, data.steering, data.static_regions, own)
        self._state, self._step = make_step(module, adam, augment, options.seed, mesh, options.precision)
        self.history: list[dict[str, Any]] = []
        self.files: dict[str, bytes] = {}
        self.samples_per_s = 0.0
        self.resumed_at = 0
        self.waiting = 0.0
        self._measured = 0
        self._seconds = self._waited = 0.0

    def run(self, checkpoint: Checkpoint | None, stop: Callable[[], bool]) -> None:
        """Make the steps that are left; Ctrl-C, or `stop()` in any process, ends it as `Training.run` says."""
        losses = self._resume(checkpoint)
        number = self.resumed_at
        saved = time.monotonic()
        if number < self._steps and not self._stopped():
            self._report(number)  # the first step compiles, which takes a while
        with self._open_board() as board, _interrupts() as interrupted:
            while number < self._steps and not self._stopped():
                if self._team.any(interrupted() or stop()):
                    self._save(number, losses)
                    raise KeyboardInterrupt
                losses.append(self._make_step(number, losses))
                number += 1
                if ended := self._epoch_ends(number):
                    losses = self._end_epoch(number, losses, board)
                self._report(number)
                if ended or time.monotonic() - saved > CHECKPOINT_S:
                    self._save(number, losses)
                    saved = time.monotonic()

    def _make_step(self, number: int, losses: list[Any]) -> Any:
        """Start step `number` and return its loss, which may still be computed."""
        begun = time.monotonic()
        rows = next(self._batches)
        waited = time.monotonic() - begun
        idle = not losses or getattr(losses[-1], "is_ready", bool)()  # else it had work meanwhile
        batch = [spread(part, self._mesh) for part in rows]
        self._settle(number, losses)  # one step ahead at most: memory stays flat, the rate is real
        state = self._state
        state.weights, state.other, state.optimiser, loss = self._step(
            state.weights, state.other, state.optimiser, np.int32(number), batch
        )
        self._pace(number + 1 - self.resumed_at, time.monotonic() - begun, waited if idle else 0.0)
        return loss

    def _epoch_ends(self, number: int) -> bool:
        whole, rest = divmod(number, self._per_epoch)
        return number == self._steps or (rest == 0 and whole < self._options.epochs)

    def _open_board(self) -> Any:
        if not self._team.leads:
            return nullcontext()
        from tensorboardX import SummaryWriter

        return SummaryWriter(str(self._run / "tensorboard"), purge_step=self.resumed_at)

    def _pace(self, steps: int, seconds: float, waited: float) -> None:
        """Measure the rate and the share of waiting; the first two steps compile and fill the queue."""
        if steps > 2:
            self._measured = steps - 2
            self._seconds += seconds
            self._waited += waited
            self.samples_per_s = self._measured * self._options.batch_size / self._seconds
            self.waiting = self._waited / self._seconds

    def _settle(self, number: int, losses: list[Any]) -> None:
        """Wait for the last of `number` steps; raises UserError where its loss is not finite."""
        if losses:
            self._check_finite(number, "the loss", float(losses[-1]))

    def _check_finite(self, number: int, what: str, *arrays: Any) -> None:
        """Raise UserError, with what to try, unless all numbers are finite; `number` steps were done.

        What is not finite in a gradient stays in Adam's mean of them, and through the weights spoils the next loss.
        """
        if all(np.isfinite(array).all() for array in arrays):
            return
        rate, slower = f"{learning_rate(self._state):.2g}", f"{self._options.learning_rate / 10:.2g}"
        fault = f"network {self._options.model} is at fault, or its --set or --init-from"
        mend = f"try --learning-rate {slower} or a longer --warmup, with --restart; if that does not help, {fault}"
        if number == 1:  # nothing was learned before
            mend = fault
        raise UserError(f"step {number}: {what} is not a finite number, at a learning rate of {rate}: {mend}")

    def _measure(self, number: int, state: TrainState) -> dict[str, Any]:
        metrics = self._evaluate(state)
        self._check_finite(number, "the loss on the validation frames", metrics["loss"])
        return metrics

    def _stopped(self) -> bool:
        return schedule.out_of_patience(self.history, self._options.patience)

    def kept(self, chosen: Sequence[int] | None) -> tuple[dict[str, Any], network.Weights]:
        """Return metrics and weights of the best epoch, or the mean of those from one to another, all of them kept."""
        kept = {h["epoch"]: dict(h) for h in schedule.best(self.history, self._options.keep_best)}
        if chosen is None:
            return next(iter(kept.values())), load(self.files[BEST])
        epochs = range(min(chosen), max(chosen) + 1)
        if gone := set(epochs) - set(kept):
            raise UserError(f"epoch {min(gone)} was not kept; --average-epochs takes those of {sorted(kept)}")
        every = [load(self.files[epoch_file(kept[epoch])]) for epoch in epochs]
        weights = {name: np.mean([of[name] for of in every], axis=0, dtype=a.dtype) for name, a in every[0].items()}
        states = self._state.weights, self._state.other
        mean = [network.with_weights(s, {name: weights[name] for name in network.to_weights(s)}) for s in states]
        metrics = self._measure(self._steps, TrainState(*replicate((*mean, None), self._mesh)))
        return kept[epochs[-1]] | metrics | ({"mean_of": list(epochs)} if len(epochs) > 1 else {}), weights

    def candidates(self) -> list[tuple[dict[str, Any], network.Weights]]:
        """Return metrics and weights of all kept epochs, the most accurate first."""
        kept = schedule.best(self.history, self._options.keep_best)
        file = epoch_file if self._options.keep_best > 1 else lambda entry: BEST
        return [(dict(h), load(self.files[file(h)])) for h in sorted(kept, key=lambda h: -h["accuracy"])]

    def _resume(self, checkpoint: Checkpoint | None) -> list[Any]:
        """Take up what a checkpoint holds, the files of its step included."""
        if checkpoint is None:
            return []
        self.resumed_at, self._state = checkpoint.step, checkpoint.state(self._state)
        self._batches.set_state(checkpoint.progress["order"])
        self.history = list(checkpoint.progress["history"])
        for name, data in checkpoint.files.items():
            self._keep(name, data)
        return list(checkpoint.progress["losses"])

    def _save(self, number: int, losses: list[Any]) -> None:
        self._settle(number, losses)
        state = self._state
        learned = jax.tree.leaves((state.weights, state.other, state.optimiser))
        self._check_finite(number, "a weight or gradient", *learned)
        if not self._team.leads:
            return
        progress = {"order": self._batches.get_state(), "history": self.history, "losses": [float(x) for x in losses]}
        self._checkpoints.save(number, self._state, progress, self.files)

    def _keep(self, name: str, data: bytes) -> None:
        """Write a file of the run that belongs to this step: checkpoints bring it back."""
        self.files[name] = data
        if self._team.leads:
            write_atomic(self._run / name, data)

    def _end_epoch(self, number: int, losses: list[Any], board: Any) -> list[Any]:
        self._settle(number, losses)
        entry = {
            **self._measure(number, self._state),
            "epoch": min(number // self._per_epoch, self._options.epochs),
            "step": number,
            "train_loss": float(np.mean([float(x) for x in losses])),
            "learning_rate": learning_rate(self._state),
        }
        self.history.append(entry)
        if board is not None:
            for key in ("loss", "accuracy", "train_loss", "learning_rate"):
                board.add_scalar(key, entry[key], number)
            board.flush()
        kept = schedule.best(self.history, self._options.keep_best)
        if entry in kept:
            weights = save(network.to_weights(self._state.weights) | network.to_weights(self._state.other))
            if entry is kept[0]:
                self._keep(BEST, weights)
            if self._options.keep_best > 1:
                self._keep(epoch_file(entry), weights)
        for other in {epoch_file(h) for h in self.history} - {epoch_file(h) for h in kept}:
            if self.files.pop(other, None) and self._team.leads:
                patiently(partial((self._run / other).unlink, missing_ok=True))
        return []

    def _report(self, number: int) -> None:
        last = self.history[-1] if self.history else None
        sure = self._measured >= 3 and self._seconds >= 1
        self._watch(
            TrainProgress(
                step=number,
                steps=self._steps,
                epoch=min(number // self._per_epoch + 1, self._options.epochs),
                epochs=self._options.epochs,
                samples_per_s=self.samples_per_s,
                left_s=(self._steps - number) * self._seconds / self._measured if sure else None,
                loss=None if last is None else last["train_loss"],
                validation=last,
            )
        )
