"""A training run from start, or from its last checkpoint, to a bundle."""

from __future__ import annotations

import hashlib
import json
import shutil
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import filelock
import jax
import numpy as np
from autopilot_check.check import admit
from flax import nnx
from jax.sharding import Mesh
from safetensors.numpy import load, save

from autopilot.api.errors import UserError
from autopilot.api.registry import Registry
from autopilot.api.versions import versions
from autopilot.bundle.manifest import read_manifest, read_weights, save_bundle
from autopilot.drive.game import Game
from autopilot.learn import network, schedule
from autopilot.learn.augment import make_augment
from autopilot.learn.checkpoint import Checkpoint, Checkpoints
from autopilot.learn.data import Dataset, batches, load_dataset
from autopilot.learn.devices import make_mesh, own_rows, replicate, spread
from autopilot.learn.forecast import Forecast
from autopilot.learn.options import TrainOptions, TrainProgress
from autopilot.learn.plots import plot_confusion, plot_curves, plot_labels
from autopilot.learn.step import TrainState, learning_rate, make_evaluate, make_step, optimiser
from autopilot.learn.team import Team, on_ctrl_c
from autopilot.sessions.home import Home, check_name, write_atomic, write_json

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
    bundle_from: Sequence[int] | None = None,
    say: Callable[[str], None] = lambda line: None,
    stop: Callable[[], bool] = lambda: False,
    processes: int = 1,
    check: bool = True,
) -> TrainResult:
    """Train a network on recorded sessions and write a bundle, of the best epoch or of `bundle_from`.

    That is another whose weights are kept, or the mean from a first to a last one (arXiv:1803.05407).

    With `check` the sessions are looked through first: what is refused ends it, what is only worth a look is said.
    A run of the same name and options that was cut short goes on from its last checkpoint, to the
    very weights that it would have reached. `say` is told what the user should know before it goes
    on. Where `processes` were joined by `jax.distributed`, all call this, and the first one writes.
    Ctrl-C, or `stop()` in any of them, ends it with a checkpoint and KeyboardInterrupt. Raises
    UserError when the data or the options cannot work, PluginError for an unknown model, BundleError where
    the weights to begin with do not fit it.
    """
    options.check()
    if bundle_from is not None and not (options.keep_best > 1 and max(bundle_from) <= options.epochs):
        raise UserError(f"--bundle-from: epochs from 1 to {options.epochs}, with --keep-best 2 or more")
    game = Game(registry, options.game)
    plugin, model = registry.find("model", options.model)
    mesh = make_mesh(options.devices, options.batch_size, processes)
    name = check_name(options.name or f"{game.spec.name}-{model.name}", "bundle")
    data = load_dataset(game, home, options)
    if data.laps:
        times = f"{data.laps[0].time_s:.2f} to {max(lap.time_s for lap in data.laps):.2f} s"
        say(f"laps: {len(data.laps)} in {len(data.sessions)} sessions, {times}")
    run = home.runs / name
    module = network.build(registry, options.model, options.config, data.preprocess.size, data.space, options.seed)
    team, what, made_by = Team(mesh), _what(data, options, mesh.size, processes), versions([game.plugin, plugin])
    if options.start is not None:
        names = [check_name(one.strip(), "bundle") for one in options.start.split(",")]
        what["start"] = _start(module, [home.bundles / one for one in names], data)
    team.agree({**what, "versions": {**made_by, "jax": jax.__version__}})
    if check:
        admit(registry, data.recordings, home.cache, say if team.leads else lambda line: None)
    with _alone(run) if team.leads else nullcontext():
        checkpoints = Checkpoints(run / "checkpoints", what)
        found = team.share(_begin(run, checkpoints, what, restart, say) if team.leads else b"")
        if team.leads:
            plot_labels(run / "labels.png", {p: data.counts(getattr(data, p)) for p in ("train", "validation")})
        watch = Forecast(registry, options, data, watch, say)
        fit = _Fit(module, data, options, mesh, team, run, checkpoints, watch)
        fit.run(Checkpoint.parse(found) if found else None, stop)
        best, weights = fit.kept(bundle_from)
        if team.leads:
            manifest = {
                "name": name,
                "game": game.spec.name,
                "label_map": game.label_map_name(options.actions),
                "model": f"{plugin.dist}:{model.name}",
                "config": {**model.config, **options.config},
                "action_space": data.space.to_json(),
                "preprocess": data.preprocess.to_json(),
                "hz": data.hz,
                "sessions": data.sessions,
                "options": options.recipe(),
                "metrics": best,
                "versions": made_by,
            }
            save_bundle(home.bundles / name, manifest, weights)
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


def _start(module: nnx.Module, folders: Sequence[Path], data: Dataset) -> str:
    """Give a network the mean weights of bundles that choose among the same actions; return their digests."""
    own, manifests = network.split(module)[1], [read_manifest(folder) for folder in folders]
    for its in manifests:
        if its.space != data.space:
            raise UserError(f"bundle {its.name} has other actions, of label map {its.label_map}: see --actions")
    every = [read_weights(folder, manifest) for folder, manifest in zip(folders, manifests, strict=True)]
    states = [network.with_weights(own, weights) for weights in every]  # raises BundleError
    nnx.update(module, jax.tree.map(lambda *of: sum(of) / len(of), *states))
    return ",".join(manifest.weights_sha256 for manifest in manifests)


@contextmanager
def _alone(run: Path) -> Iterator[None]:
    """Keep a second training out of the run's folder; a killed one holds nothing."""
    run.parent.mkdir(parents=True, exist_ok=True)
    try:
        with filelock.FileLock(run.parent / f".{run.name}.lock", timeout=0):
            yield
    except filelock.Timeout:
        raise UserError(f"a training called {run.name} is running: wait for it, or choose another --name") from None


def _what(data: Dataset, options: TrainOptions, devices: int, processes: int) -> dict[str, Any]:
    """Return all that decides the weights, as plain data."""
    frames = hashlib.sha256(json.dumps([c.crc32 for c in data.caches]).encode())
    for part in (data.labels, data.train, data.validation):
        frames.update(part.tobytes())
    what = {
        **options.recipe(),
        "model": options.model,
        "config": dict(options.config),
        "sessions": data.sessions,
        "frames": frames.hexdigest(),
        "devices": devices,
        "processes": processes,
    }
    return dict(json.loads(json.dumps(what, allow_nan=False)))


def _begin(
    run: Path, checkpoints: Checkpoints, what: dict[str, Any], restart: bool, say: Callable[[str], None]
) -> bytes:
    """Return the checkpoint to go on from, none for a run that begins, and then with an empty folder."""
    found, damaged = (b"", []) if restart else checkpoints.newest()
    if not found:
        if run.exists():
            shutil.rmtree(run)
        write_json(run / "run.json", what)
        return b""
    newest = Checkpoint.parse(found)
    if newest.run != what:
        words = {k: f"{k} ({newest.run.get(k)} of them)" for k in ("devices", "processes")}
        changed = [words.get(k, k.replace("_", "-")) for k in sorted(what) if newest.run.get(k) != what[k]]
        raise UserError(
            f"a training called {run.name} was made with other {' and '.join(changed)}: "
            "choose another --name, or --restart to throw it away"
        )
    if damaged:
        say(f"damaged checkpoint {' and '.join(damaged)}: going on from the one before, step {newest.step}")
    return found


@contextmanager
def _interrupts() -> Iterator[Callable[[], bool]]:
    """Turn Ctrl-C into a question asked between steps: within one, buffers are being donated."""
    asked: list[int] = []
    if threading.current_thread() is not threading.main_thread():
        yield lambda: False
        return
    with on_ctrl_c(lambda number, frame: asked.append(number)):
        yield lambda: bool(asked)


class _Fit:
    """The loop over steps, with its checkpoints and its books."""

    def __init__(
        self,
        module: Any,
        data: Dataset,
        options: TrainOptions,
        mesh: Mesh,
        team: Team,
        run: Path,
        checkpoints: Checkpoints,
        watch: Callable[[TrainProgress], None],
    ) -> None:
        self._data, self._options, self._run, self._watch = data, options, run, watch
        self._mesh, self._team, self._checkpoints = mesh, team, checkpoints
        self._batches, self._steps = batches(data, options, own_rows(options.batch_size))
        self._per_epoch = max(1, self._steps // options.epochs)
        adam = optimiser(options, self._steps)
        self._evaluate = make_evaluate(module, data, options.batch_size, mesh)
        augment = make_augment(data.space, options, data.steering, data.still)
        self._state, self._step = make_step(module, adam, augment, options.seed, mesh, options.precision)
        self.history: list[dict[str, Any]] = []
        self.files: dict[str, bytes] = {}
        self.samples_per_s = 0.0
        self.resumed_at = 0
        self.waiting = 0.0
        self._measured = 0
        self._seconds = self._waited = 0.0

    def run(self, found: Checkpoint | None, stop: Callable[[], bool]) -> None:
        losses = self._resume(found)
        number = self.resumed_at
        saved = time.monotonic()
        if number < self._steps and not self._stopped():
            self._report(number)  # the first step compiles, which takes a while
        with self._open_board() as board, _interrupts() as interrupted:
            while number < self._steps and not self._stopped():
                if self._team.any(interrupted() or stop()):
                    self._save(number, losses)
                    raise KeyboardInterrupt
                begun = time.monotonic()
                rows = next(self._batches)
                waited = time.monotonic() - begun
                idle = not losses or getattr(losses[-1], "is_ready", bool)()  # else it had work meanwhile
                batch = [spread(part, self._mesh) for part in rows]
                self._settle(number, losses)  # one step ahead at most: memory stays flat, the rate is real
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
                    self._save(number, losses)
                    saved = time.monotonic()

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
        fault = f"network {self._options.model} is at fault, or its --set or --from"
        mend = f"try --learning-rate {slower} or a longer --warmup, with --restart; if that does not help, {fault}"
        if number == 1:  # nothing was learned before
            mend = fault
        raise UserError(f"step {number}: {what} is not a finite number, at a learning rate of {rate}: {mend}")

    def _measure(self, number: int, state: TrainState) -> dict[str, Any]:
        found = self._evaluate(state)
        self._check_finite(number, "the loss on the validation frames", found["loss"])
        return found

    def _stopped(self) -> bool:
        return schedule.out_of_patience(self.history, self._options.patience)

    def kept(self, chosen: Sequence[int] | None) -> tuple[dict[str, Any], network.Weights]:
        """Return metrics and weights of the best epoch, or the mean of those from one to another, all of them kept."""
        found = {h["epoch"]: dict(h) for h in schedule.best(self.history, self._options.keep_best)}
        if chosen is None:
            return next(iter(found.values())), load(self.files[BEST])
        epochs = range(min(chosen), max(chosen) + 1)
        if gone := set(epochs) - set(found):
            raise UserError(f"epoch {min(gone)} was not kept; --bundle-from takes those of {sorted(found)}")
        every = [load(self.files[epoch_file(found[epoch])]) for epoch in epochs]
        weights = {name: np.mean([of[name] for of in every], axis=0, dtype=a.dtype) for name, a in every[0].items()}
        states = self._state.weights, self._state.other
        mean = [network.with_weights(s, {name: weights[name] for name in network.to_weights(s)}) for s in states]
        metrics = self._measure(self._steps, TrainState(*replicate((*mean, None), self._mesh)))
        return found[epochs[-1]] | metrics | ({"mean_of": list(epochs)} if len(epochs) > 1 else {}), weights

    def _resume(self, found: Checkpoint | None) -> list[Any]:
        """Take up what a checkpoint holds, the files of its step included."""
        if found is None:
            return []
        self.resumed_at, self._state = found.step, found.state(self._state)
        self._batches.set_state(found.progress["order"])
        self.history = list(found.progress["history"])
        for name, data in found.files.items():
            self._keep(name, data)
        return list(found.progress["losses"])

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
        found = self._measure(number, self._state)
        entry = {
            **found,
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
                (self._run / other).unlink(missing_ok=True)
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
