"""Checkpoints: weights, optimiser, order of data and history in one Orbax step."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import jax
import numpy as np
import orbax.checkpoint as ocp

from autopilot.errors import UserError
from autopilot.train.step import TrainState


class Checkpoints:
    """The newest two checkpoints of a run; a half-written one is never seen."""

    def __init__(self, folder: Path) -> None:
        options = ocp.CheckpointManagerOptions(max_to_keep=2, enable_async_checkpointing=False)
        self._manager = ocp.CheckpointManager(folder.absolute(), options=options)

    def save(self, step: int, state: TrainState, progress: dict[str, Any]) -> None:
        """Write a checkpoint of `step`; `progress` is JSON: Grain's state, metrics, history.

        Raises UserError when the disk is full or fails; earlier checkpoints stay.
        """
        if step in self._manager.all_steps():
            return
        try:
            self._manager.save(
                step,
                args=ocp.args.Composite(
                    state=ocp.args.StandardSave(_leaves(state)), progress=ocp.args.JsonSave(progress)
                ),
            )
            self._manager.wait_until_finished()
        except (OSError, ValueError) as e:  # Orbax reports a full disk as either
            raise UserError(
                f"cannot write a checkpoint in {self._manager.directory}: free some space, then "
                "give the same command again"
            ) from e

    def restore(self, like: TrainState) -> tuple[int, TrainState, dict[str, Any]] | None:
        """Return the newest checkpoint, or None where there is none."""
        step = self._manager.latest_step()
        if step is None:
            return None
        abstract = jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype), _leaves(like))
        found = self._manager.restore(
            step, args=ocp.args.Composite(state=ocp.args.StandardRestore(abstract), progress=ocp.args.JsonRestore())
        )
        tree = jax.tree.structure(_parts(like))
        leaves = [jax.numpy.asarray(found["state"][key]) for key in sorted(found["state"])]
        weights, other, optimiser = jax.tree.unflatten(tree, leaves)
        return step, TrainState(weights, other, optimiser), found["progress"]

    def close(self) -> None:
        """Let go of the folder."""
        self._manager.close()


def _parts(state: TrainState) -> tuple[Any, Any, Any]:
    return state.weights, state.other, state.optimiser


def _leaves(state: TrainState) -> dict[str, Any]:
    return {f"{i:05d}": np.asarray(x) for i, x in enumerate(jax.tree.leaves(_parts(state)))}
