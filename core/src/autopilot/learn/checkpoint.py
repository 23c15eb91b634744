"""Checkpoints: all that a training is at one step, in one file that is whole or is not used."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load, save

from autopilot.api.errors import UserError
from autopilot.api.files import patiently
from autopilot.learn.step import TrainState
from autopilot.sessions.home import read_json, write_atomic

KEPT = 2
FILE, BOOKS = "file:", "books.json"
"""Arrays with this prefix are files, one of them the books; all others are leaves of the state, by path."""


@dataclass(frozen=True)
class Checkpoint:
    """A checkpoint, intact.

    `run` says what decides the weights, `progress` how far it came (the order of the frames, the
    history), both as plain data. `files` are files of this step.
    """

    step: int
    arrays: Mapping[str, NDArray[Any]]
    run: Mapping[str, Any]
    progress: Mapping[str, Any]
    files: Mapping[str, bytes]

    @classmethod
    def parse(cls, data: bytes) -> Checkpoint:
        """Return the checkpoint that a file of these bytes holds; raises UserError where it is not finite."""
        arrays = load(data)
        files = {n.removeprefix(FILE): arrays.pop(n).tobytes() for n in list(arrays) if n.startswith(FILE)}
        try:
            step, run, progress = read_json(files.pop(BOOKS))
            if not all(np.isfinite(a).all() for a in arrays.values()):
                raise ValueError("a weight is not finite")
        except ValueError as e:
            raise UserError(f"the newest checkpoint cannot be gone on from ({e}): --restart begins anew") from e
        return cls(step, arrays, run, progress, files)

    def state(self, like: TrainState) -> TrainState:
        """Return the state, each leaf placed as in `like`; raises UserError when it does not fit."""
        own, tree = jax.tree.flatten_with_path(_parts(like))
        wanted = {jax.tree_util.keystr(path): leaf for path, leaf in own}
        if _shapes(wanted) != _shapes(self.arrays):
            raise UserError(
                "the checkpoint was written by another version of autopilot, JAX or the network: "
                "go back to that, or --restart to begin this training anew"
            )
        leaves = [jax.device_put(self.arrays[name], leaf.sharding) for name, leaf in wanted.items()]
        return TrainState(*jax.tree.unflatten(tree, leaves))


class Checkpoints:
    """The newest two checkpoints of a run.

    `run` is plain data that goes into each: what decides the weights. A file is called
    STEP-DIGEST.safetensors, where DIGEST begins the SHA-256 of all its bytes. So it takes one
    rename to add a checkpoint, and damage of any kind is seen.
    """

    def __init__(self, folder: Path, run: Mapping[str, Any]) -> None:
        self._folder, self._run = folder, run
        self._intact: list[Path] = []

    def newest(self) -> tuple[bytes, list[str]]:
        """Return the newest intact checkpoint's bytes, none where there is none, and which are damaged.

        Raises UserError when there are some and all are damaged.
        """
        damaged: list[str] = []
        for path in sorted(self._folder.glob("*-*.safetensors"), reverse=True):
            try:
                data = path.read_bytes()
            except OSError:  # a disk that cannot read it has damaged it too
                data = b""
            if data and path.stem.endswith(f"-{_digest(data)}"):
                self._intact = [path]
                return data, damaged
            damaged.append(path.name)
        if damaged:
            raise UserError(
                f"all checkpoints in {self._folder} are damaged: put them back from a copy, or --restart "
                "to begin this training anew"
            )
        return b"", []

    def save(self, step: int, state: TrainState, progress: Mapping[str, Any], files: Mapping[str, bytes]) -> None:
        """Write a checkpoint, then remove all but the newest two intact ones.

        Raises UserError when the disk is full or fails; earlier checkpoints stay.
        """
        leaves, _ = jax.tree.flatten_with_path(_parts(state))
        arrays = {jax.tree_util.keystr(path): np.asarray(leaf, order="C") for path, leaf in leaves}
        files = {**files, BOOKS: json.dumps([step, self._run, progress], allow_nan=False).encode()}
        arrays |= {FILE + name: np.frombuffer(data, np.uint8) for name, data in files.items()}
        data = save(arrays)
        path = self._folder / f"{step:010d}-{_digest(data)}.safetensors"
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            write_atomic(path, data)
            self._intact = [*(p for p in self._intact if p != path), path][-KEPT:]
            for other in self._folder.iterdir():
                if other not in self._intact:
                    patiently(other.unlink)
        except OSError as e:
            raise UserError(
                f"cannot write a checkpoint in {self._folder} ({e.strerror}): free some space, then "
                "give the same command again"
            ) from e


def _shapes(arrays: Mapping[str, Any]) -> dict[str, Any]:
    return {name: (a.shape, a.dtype) for name, a in arrays.items()}


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()[:16]


def _parts(state: TrainState) -> tuple[Any, Any, Any]:
    return state.weights, state.other, state.optimiser
