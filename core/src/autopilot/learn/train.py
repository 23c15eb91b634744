"""A training run from start, or from its last checkpoint, to a bundle."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import filelock
import jax
from flax import nnx

from autopilot.api.errors import UserError
from autopilot.api.files import patiently
from autopilot.api.game import Game
from autopilot.api.guard import Calling
from autopilot.api.registry import Registry, versions
from autopilot.bundle.manifest import read_manifest, read_weights, save_bundle
from autopilot.learn import network
from autopilot.learn.checkpoint import Checkpoint, Checkpoints
from autopilot.learn.cluster import ProcessGroup
from autopilot.learn.data import Dataset, load_dataset
from autopilot.learn.devices import make_mesh
from autopilot.learn.fit import Fit, Place
from autopilot.learn.forecast import Forecast
from autopilot.learn.options import Choose, Invocation, TrainListener, TrainOptions
from autopilot.learn.plots import plot_confusion, plot_curves, plot_labels
from autopilot.sessions.home import Home, check_name, write_json


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


ONCE, NOBODY = Invocation(), TrainListener()
"""The usual call, which nobody listens to."""


def train(
    registry: Registry, home: Home, options: TrainOptions, how: Invocation = ONCE, listener: TrainListener = NOBODY
) -> TrainResult:
    """Train a network on recorded sessions and write a bundle, of the best epoch or as `how` says.

    The sessions are looked through first: what is refused ends it, what is only worth a look is said.
    A run of the same name and options that was cut short goes on from its last checkpoint, to the
    very weights that it would have reached. Of several processes all call this, and the first one writes.
    Ctrl-C, or the listener's `stop()` in any of them, ends it with a checkpoint and KeyboardInterrupt. Raises
    UserError when the data or the options cannot work, PluginError for an unknown model, BundleError where
    the weights to begin with do not fit it.
    """
    options.check()
    if how.average_epochs is not None and not (options.keep_best > 1 and max(how.average_epochs) <= options.epochs):
        raise UserError(f"--average-epochs: epochs from 1 to {options.epochs}, with --keep-best 2 or more")
    return _Training(registry, home, options, how, listener).run()


class _Training:
    """One training, prepared: its game, network, data and devices, and what decides its weights."""

    def __init__(
        self, registry: Registry, home: Home, options: TrainOptions, how: Invocation, listener: TrainListener
    ) -> None:
        self._registry, self._home, self._options, self._how, self._listener = registry, home, options, how, listener
        self._game = Game(registry, options.games[0])
        self._plugin, self._model = registry.find("model", options.model)
        self._mesh = make_mesh(options.devices, options.batch_size, how.processes)
        self._name = check_name(options.bundle, "bundle")
        self._data = data = load_dataset(self._game, home, options)
        if data.laps:
            times = f"{data.laps[0].time_s:.2f} to {max(lap.time_s for lap in data.laps):.2f} s"
            listener.say(f"laps: {len(data.laps)} in {len(data.sessions)} sessions, {times}")
        self._run = home.runs / self._name
        size = data.preprocess.size
        self._module = network.build(registry, options.model, options.config, size, data.space, options.seed)
        data.frames = network.frames_of(self._module)
        self._team = ProcessGroup(self._mesh)
        self._fingerprint = run_fingerprint(data, options, self._mesh.size, how.processes)
        self._made_by = versions([*(registry.find("game", name)[0] for name in options.games), self._plugin])
        if options.start is not None:
            names = [check_name(one.strip(), "bundle") for one in options.start.split(",")]
            self._fingerprint["start"] = _start(self._module, [home.bundles / one for one in names], data)
        elif hasattr(self._module, "pretrained"):
            with Calling(f"{self._plugin.dist}: network {self._model.name!r} cannot be pretrained"):
                self._fingerprint["pretrained"] = network.pretrain(self._module)

    def run(self) -> TrainResult:
        """Agree with the other processes, look through the sessions, make the steps, write the bundle."""
        data, team, run = self._data, self._team, self._run
        team.agree({**self._fingerprint, "versions": {**self._made_by, "jax": jax.__version__}})
        self._check_sessions()
        with _alone(run) if team.leads else nullcontext():
            checkpoints = Checkpoints(run / "checkpoints", self._fingerprint)
            newest = team.share(self._begin(checkpoints) if team.leads else b"")
            if team.leads:
                plot_labels(run / "labels.png", {p: data.counts(getattr(data, p)) for p in ("train", "validation")})
            watch = Forecast(self._registry, self._options, data, self._listener)
            fit = Fit(self._module, data, self._options, Place(run, self._mesh, team, checkpoints), watch)
            fit.run(Checkpoint.parse(newest) if newest else None, self._listener.stop)
            best, weights = fit.kept(self._how.average_epochs)
            selects: dict[str, Any] = {}
            if team.leads:
                if self._how.choose is not None:
                    best, weights, selects = self._chosen(fit, self._how.choose)
                save_bundle(self._home.bundles / self._name, {**self._manifest(best), **selects}, weights)
                plot_confusion(run / "confusion.png", best["confusion"], data.space)
                plot_curves(run / "curves.png", fit.history)
        return self._result(fit, best)

    def _check_sessions(self) -> None:
        """Let every plugin that offers a check look through the sessions."""
        say: Callable[[str], None] = self._listener.say if self._team.leads else lambda line: None
        for _, spec in self._registry.provided("check") if self._how.check else ():
            check = self._registry.load("check", spec.name, spec.check, None)
            check(self._registry, self._data.recordings, self._home.cache, say)

    def _begin(self, checkpoints: Checkpoints) -> bytes:
        """Return the checkpoint to go on from, none for a run that begins, and then with an empty folder."""
        run, what = self._run, self._fingerprint
        data, damaged = (b"", []) if self._how.restart else checkpoints.newest()
        if not data:
            if run.exists():
                _remove(run)
            write_json(run / "run.json", what)
            return b""
        newest = Checkpoint.parse(data)
        if newest.run != what:
            words = {k: f"{k} ({newest.run.get(k)} of them)" for k in ("devices", "processes")}
            changed = [words.get(k, k.replace("_", "-")) for k in sorted(what) if newest.run.get(k) != what[k]]
            raise UserError(
                f"a training called {run.name} was made with other {' and '.join(changed)}: "
                "choose another --name, or --restart to throw it away"
            )
        if damaged:
            self._listener.say(
                f"damaged checkpoint {' and '.join(damaged)}: going on from the one before, step {newest.step}"
            )
        return data

    def _chosen(self, fit: Fit, choose: Choose) -> tuple[dict[str, Any], network.Weights, dict[str, Any]]:
        """Let the kept epochs be tried as bundles; return metrics and weights of one, and how it selects actions."""
        candidates, folder = fit.candidates(), self._run / "candidates"
        folders = [folder / f"epoch-{best['epoch']:04d}" for best, _ in candidates]
        try:
            for path, (best, weights) in zip(folders, candidates, strict=True):
                save_bundle(path, self._manifest(best), weights)
            number, says = choose(folders, [session.info for session in self._data.recordings])
        finally:
            shutil.rmtree(folder, ignore_errors=True)
        best, weights = candidates[number]
        return {**best, "driving": says.pop("driving")}, weights, says

    def _manifest(self, best: dict[str, Any]) -> dict[str, Any]:
        data, options, model = self._data, self._options, self._model
        return {
            "name": self._name,
            "game": self._game.spec.name,
            "label_map": data.label_maps[self._game.spec.name],
            "games": {game: labels for game, labels in data.label_maps.items() if game != self._game.spec.name},
            "model": f"{self._plugin.dist}:{model.name}",
            "config": {**model.config, **options.config},
            "action_space": data.space.to_json(),
            "preprocess": data.preprocess.to_json(),
            "hz": data.hz,
            "sessions": data.sessions,
            "options": options.recipe(),
            "metrics": best,
            "versions": self._made_by,
            "frames": data.frames,
        }

    def _result(self, fit: Fit, best: dict[str, Any]) -> TrainResult:
        data = self._data
        return TrainResult(
            name=self._name,
            bundle=self._home.bundles / self._name,
            run=self._run,
            best=best,
            frames={"train": len(data.train), "validation": len(data.validation)},
            left_out=data.left_out,
            split=data.split,
            samples_per_s=fit.samples_per_s,
            waiting=fit.waiting,
            epochs=len(fit.history),
            resumed_at=fit.resumed_at,
        )


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


def run_fingerprint(data: Dataset, options: TrainOptions, devices: int, processes: int) -> dict[str, Any]:
    """Return all that decides the weights, as plain data."""
    frames = hashlib.sha256(json.dumps([c.crc32 for c in data.caches]).encode())
    for part in (data.labels, data.train, data.validation):
        frames.update(part.tobytes())
    if data.importance is not None:
        frames.update(data.importance.tobytes())
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


def _remove(run: Path) -> None:
    try:
        patiently(lambda: shutil.rmtree(run))
    except OSError as e:
        raise UserError(f"cannot remove {run} ({e.strerror}): close what reads it, such as TensorBoard") from e
