"""A training run from start, or from its last checkpoint, to a bundle."""

from __future__ import annotations

import json
import shutil
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh
from safetensors.numpy import load_file, save_file

from autopilot.errors import UserError
from autopilot.game import Game
from autopilot.home import Home, check_name, write_json
from autopilot.plugins import Registry
from autopilot.policy import network, save_bundle
from autopilot.sessions import SessionStore
from autopilot.train import schedule
from autopilot.train.augment import make_augment
from autopilot.train.checkpoint import Checkpoints
from autopilot.train.data import Dataset, batches, load_dataset
from autopilot.train.devices import make_mesh
from autopilot.train.options import TrainOptions, TrainProgress
from autopilot.train.plots import plot_confusion, plot_curves, plot_labels
from autopilot.train.step import learning_rate, make_evaluate, make_step, optimiser
from autopilot.versions import versions

BEST = "best.safetensors"
CHECKPOINT_S = 120.0
"""Within a long epoch a checkpoint is written this often, in seconds."""


@dataclass
class TrainResult:
    """What a training left behind.

    `waiting` is the share of the steps' time in which the device had nothing to do because the next
    batch was not there; `epochs` how many were trained; `resumed_at` the step from which this run went on.
    """

    name: str
    bundle: Path
    run: Path
    best: dict[str, Any]
    frames: dict[str, int]
    left_out: list[str]
    split: str
    samples_per_s: float
    waiting: float
    epochs: int
    resumed_at: int


def train(
    registry: Registry,
    home: Home,
    options: TrainOptions,
    watch: Callable[[TrainProgress], None] = lambda progress: None,
    restart: bool = False,
    bundle_from: int | None = None,
) -> TrainResult:
    """Train a network on recorded sessions and write a bundle, of the best epoch or of `bundle_from`.

    A run of the same name and options that was cut short goes on from its last checkpoint, to the
    very weights that it would have reached. Raises UserError when the data or the options cannot
    work, PluginError for an unknown model.
    """
    options.check()
    game = Game(registry, options.game or _only_game(home))
    plugin, model = registry.find("model", options.model)
    mesh = make_mesh(options.devices, options.batch_size)
    name = check_name(options.name or f"{game.spec.name}-{model.name}", "bundle")
    data = load_dataset(game, home, options)
    run = home.runs / name
    module = network.build(
        registry, options.model, options.config, data.preprocess.size, data.space.sizes, options.seed
    )
    _begin(run, data, options, restart)
    plot_labels(run / "labels.png", {"train": data.counts(data.train), "validation": data.counts(data.validation)})
    fit = _Fit(module, data, options, mesh, run, watch)
    fit.run()
    best = fit.kept(bundle_from)
    weights = load_file(run / (BEST if bundle_from is None else epoch_file(best)))
    save_bundle(
        home.bundles / name,
        {
            "name": name,
            "game": game.spec.name,
            "label_map": game.spec.label_map,
            "model": f"{plugin.dist}:{model.name}",
            "config": {**model.config, **options.config},
            "action_space": data.space.to_json(),
            "preprocess": data.preprocess.to_json(),
            "hz": data.hz,
            "sessions": data.sessions,
            "options": options.recipe(),
            "metrics": best,
            "versions": versions([game.plugin, plugin]),
        },
        weights,
    )
    plot_confusion(run / "confusion.png", best["confusion"], data.space)
    plot_curves(run / "curves.png", fit.history)
    return TrainResult(
        name=name,
        bundle=home.bundles / name,
        run=run,
        best=best,
        frames={"train": len(data.train), "validation": len(data.validation)},
        left_out=data.left_out,
        split=data.split,
        samples_per_s=fit.samples_per_s,
        waiting=fit.waiting,
        epochs=len(fit.history),
        resumed_at=fit.resumed_at,
    )


def epoch_file(entry: schedule.Entry) -> str:
    """Return the name of the file in the run's folder that keeps the weights of an epoch."""
    return f"epoch-{entry['epoch']:04d}.safetensors"


def _only_game(home: Home) -> str:
    games = sorted({s.info.game for s in SessionStore(home.sessions).all()[0]})
    if len(games) == 1:
        return games[0]
    if games:
        raise UserError(f"there are sessions of {', '.join(games)}: choose with --game")
    raise UserError(f"no sessions in {home.sessions}: record some with `autopilot record`")


def _begin(run: Path, data: Dataset, options: TrainOptions, restart: bool) -> None:
    """Make the run's folder, or check that the one that is there is of the same run."""
    config = {
        "model": options.model,
        "config": dict(options.config),
        "recipe": options.recipe(),
        "sessions": data.sessions,
        "frames": len(data.labels),
    }
    path = run / "run.json"
    if path.exists() and not restart:
        try:
            before = json.loads(path.read_text(encoding="utf-8"))
        except ValueError:
            raise UserError(f"{path} is damaged: --restart throws this training away") from None
        if before != json.loads(json.dumps(config)):
            changed = sorted(k for k in config if before.get(k) != json.loads(json.dumps(config[k])))
            raise UserError(
                f"a training called {run.name} was made with other {' and '.join(changed)}: "
                "choose another --name, or --restart to throw it away"
            )
        return
    if run.exists():
        shutil.rmtree(run)
    run.mkdir(parents=True)
    write_json(path, config)


@contextmanager
def _interrupts() -> Iterator[Callable[[], bool]]:
    """Turn Ctrl-C into a question asked between steps: within one, buffers are being donated."""
    asked: list[int] = []
    if threading.current_thread() is not threading.main_thread():
        yield lambda: False
        return
    before = signal.signal(signal.SIGINT, lambda number, frame: asked.append(number))
    try:
        yield lambda: bool(asked)
    finally:
        signal.signal(signal.SIGINT, before)


class _Fit:
    """The loop over steps, with its checkpoints and its books."""

    def __init__(
        self,
        module: Any,
        data: Dataset,
        options: TrainOptions,
        mesh: Mesh,
        run: Path,
        watch: Callable[[TrainProgress], None],
    ) -> None:
        self._data, self._options, self._run, self._watch = data, options, run, watch
        self._batches, self._steps = batches(data, options)
        self._per_epoch = max(1, self._steps // options.epochs)
        adam = optimiser(options, self._steps)
        self._evaluate = make_evaluate(module, data, options.batch_size, mesh)
        augment = make_augment(data.space, options, data.steering, data.still)
        self._state, self._step = make_step(module, adam, augment, options.seed, mesh)
        self.history: list[dict[str, Any]] = []
        self.samples_per_s = 0.0
        self.resumed_at = 0
        self.waiting = 0.0
        self._seconds = self._waited = 0.0

    def run(self) -> None:
        from tensorboardX import SummaryWriter

        checkpoints = Checkpoints(self._run / "checkpoints")
        losses = self._resume(checkpoints)
        number = self.resumed_at
        saved = time.monotonic()
        board = SummaryWriter(str(self._run / "tensorboard"), purge_step=number)
        with board, _interrupts() as interrupted:
            try:
                while number < self._steps and not self._stopped():
                    if interrupted():
                        self._save(checkpoints, number, losses)
                        raise KeyboardInterrupt
                    begun = time.monotonic()
                    batch = next(self._batches)
                    waited = time.monotonic() - begun
                    idle = not losses or getattr(losses[-1], "is_ready", bool)()  # else it had work meanwhile
                    if losses:  # one step ahead at most: memory stays flat, the rate is real
                        jax.block_until_ready(losses[-1])
                    state = self._state
                    state.weights, state.other, state.optimiser, loss = self._step(
                        state.weights, state.other, state.optimiser, np.int32(number), *batch
                    )
                    losses.append(loss)
                    number += 1
                    self._pace(number - self.resumed_at, time.monotonic() - begun, waited if idle else 0.0)
                    whole, rest = divmod(number, self._per_epoch)
                    ended = number == self._steps or (rest == 0 and whole < self._options.epochs)
                    if ended:
                        losses = self._end_epoch(number, losses, board)
                    self._report(number)
                    if ended or time.monotonic() - saved > CHECKPOINT_S:
                        self._save(checkpoints, number, losses)
                        saved = time.monotonic()
            finally:
                checkpoints.close()

    def _pace(self, steps: int, seconds: float, waited: float) -> None:
        """Measure the rate and the share of waiting; the first two steps compile and fill the queue."""
        if steps > 2:
            self._seconds += seconds
            self._waited += waited
            self.samples_per_s = (steps - 2) * self._options.batch_size / self._seconds
            self.waiting = self._waited / self._seconds

    def _stopped(self) -> bool:
        return schedule.out_of_patience(self.history, self._options.patience)

    def kept(self, epoch: int | None) -> dict[str, Any]:
        """Return the metrics of the best epoch, or of another whose weights are kept."""
        count = self._options.keep_best
        found = {h["epoch"]: dict(h) for h in schedule.best(self.history, count)}
        if epoch is None:
            return next(iter(found.values()))
        if count == 1 or epoch not in found:
            there = ", ".join(map(str, found)) if count > 1 else "none but the best: --keep-best K keeps K"
            raise UserError(f"the weights of epoch {epoch} were not kept; there are {there}")
        return found[epoch]

    def _resume(self, checkpoints: Checkpoints) -> list[Any]:
        found = checkpoints.restore(self._state)
        if found is None:
            return []
        self.resumed_at, self._state, progress = found
        self._batches.set_state(progress["order"])
        self.history = progress["history"]
        return list(progress["losses"])

    def _save(self, checkpoints: Checkpoints, number: int, losses: list[Any]) -> None:
        progress = {"order": self._batches.get_state(), "history": self.history, "losses": [float(x) for x in losses]}
        checkpoints.save(number, self._state, progress)

    def _end_epoch(self, number: int, losses: list[Any], board: Any) -> list[Any]:
        found = self._evaluate(self._state)
        entry = {
            **found,
            "epoch": min(number // self._per_epoch, self._options.epochs),
            "step": number,
            "train_loss": float(np.mean([float(x) for x in losses])) if losses else float("nan"),
            "learning_rate": learning_rate(self._state),
        }
        self.history.append(entry)
        for key in ("loss", "accuracy", "train_loss", "learning_rate"):
            board.add_scalar(key, entry[key], number)
        board.flush()
        kept = schedule.best(self.history, self._options.keep_best)
        if entry in kept:
            names = [BEST] if entry is kept[0] else []
            names += [epoch_file(entry)] if self._options.keep_best > 1 else []
            weights = network.to_weights(self._state.weights) | network.to_weights(self._state.other)
            for name in names:
                part = self._run / f".{name}.part"
                save_file(weights, part)
                part.replace(self._run / name)
        for other in {epoch_file(h) for h in self.history} - {epoch_file(h) for h in kept}:
            (self._run / other).unlink(missing_ok=True)
        return []

    def _report(self, number: int) -> None:
        last = self.history[-1] if self.history else None
        self._watch(
            TrainProgress(
                step=number,
                steps=self._steps,
                epoch=min(number // self._per_epoch + 1, self._options.epochs),
                epochs=self._options.epochs,
                samples_per_s=self.samples_per_s,
                loss=None if last is None else last["train_loss"],
                validation=last,
            )
        )
