"""The devices of a training: each batch is split over the axis `data` of a mesh."""

from __future__ import annotations

import ctypes
import os
import platform
from collections.abc import Callable, Sequence
from typing import Any

import jax
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from autopilot.errors import UserError
from autopilot.policy import xla

ROWS, WHOLE = PartitionSpec("data"), PartitionSpec()
"""Split by rows over the devices; a whole copy on each."""

MOST_BY_DEFAULT = 8
"""CPU devices that are taken unasked: each keeps a copy of weights and optimiser."""


def make_mesh(count: int | None, batch_size: int) -> Mesh:
    """Return a mesh of `count` devices; None takes all, on a CPU one per core, that divide the batch.

    A CPU's cores become devices of their own, since XLA keeps them busier with a share of the batch
    each than with a share of each operation; that works only before JAX first runs something.
    Raises UserError when there are not so many devices, or they cannot share the batch evenly.
    """
    if count is not None and (count < 1 or batch_size % count):
        raise UserError(f"--devices {count} cannot share --batch-size {batch_size} evenly")
    cores = min(len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1, MOST_BY_DEFAULT)
    _keep_memory()
    try:
        jax.config.update("jax_num_cpu_devices", count or _divisor(batch_size, cores))
    except RuntimeError:  # JAX runs already: as many as it has
        pass
    there = jax.devices()
    count = count or _divisor(batch_size, len(there))
    if count > len(there):
        raise UserError(f"--devices {count}: JAX has {len(there)} ({there[0].device_kind})")
    return Mesh(there[:count], ("data",))


def single() -> Mesh:
    """Return a mesh of the first device."""
    return Mesh(jax.devices()[:1], ("data",))


def _divisor(whole: int, most: int) -> int:
    return next(n for n in range(most, 0, -1) if whole % n == 0)


def _keep_memory() -> None:
    """Let glibc keep what is freed: a step's fresh buffers would cost a page fault each 4 KiB."""
    if platform.libc_ver()[0] != "glibc":
        return
    mallopt = ctypes.CDLL(None).mallopt
    for option, value in ((-8, 1), (-4, 0), (-1, 2**31 - 1), (-2, 1 << 26)):
        mallopt(option, value)  # M_ARENA_MAX, M_MMAP_MAX, M_TRIM_THRESHOLD, M_TOP_PAD of malloc.h


def shard(
    function: Callable[..., Any], mesh: Mesh, inputs: Sequence[PartitionSpec], outputs: Any, donate: Sequence[int] = ()
) -> Any:
    """Return `function` jitted; it runs on every device with that device's share of the inputs.

    `inputs` and `outputs` say of each whether it is split (ROWS) or whole (WHOLE).
    """
    spread = jax.shard_map(function, mesh=mesh, in_specs=tuple(inputs), out_specs=outputs, check_vma=False)
    return xla.jit(spread, donate)


def replicate(tree: Any, mesh: Mesh) -> Any:
    """Return the tree with a copy of every array on every device."""
    return jax.device_put(tree, NamedSharding(mesh, WHOLE))
