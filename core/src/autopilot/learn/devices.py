"""Devices: each batch of a training is split over the axis `data` of a mesh; how XLA compiles for a CPU."""

from __future__ import annotations

import os
import platform
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import cache
from typing import Any

import jax
from jax.sharding import Mesh, NamedSharding, PartitionSpec
from numpy.typing import NDArray

from autopilot.api.errors import UserError
from autopilot.learn import memory

ROWS, WHOLE = PartitionSpec("data"), PartitionSpec()
"""Split by rows over the devices; a whole copy on each."""

MOST_BY_DEFAULT = 8
"""CPU devices that are taken unasked: each keeps a copy of weights and optimiser."""

ONEDNN = {
    "xla_cpu_use_onednn": True,
    "xla_cpu_experimental_onednn_custom_call": True,
    # YNNPACK keeps single products and reductions; its convolutions are the slower ones.
    "xla_cpu_experimental_ynn_fusion_type": "LIBRARY_FUSION_TYPE_INDIVIDUAL_DOT,LIBRARY_FUSION_TYPE_REDUCE",
}
"""Options of XLA's compiler; they are experimental, so a JAX that knows other ones is met with none."""


def make_mesh(count: int | None, batch_size: int, processes: int = 1) -> Mesh:
    """Return a mesh of `count` devices of each process, in the order of the processes.

    None takes all, on a CPU one per core, that divide a process's share of the batch. A CPU's cores
    become devices of their own, since XLA keeps them busier with a share of the batch each than with
    a share of each operation; that works only before JAX first runs something. Raises UserError when
    there are not so many devices, or they cannot share the batch evenly.
    """
    share, rest = divmod(batch_size, processes)
    if rest or (count is not None and (count < 1 or share % count)):
        by = f"--processes {processes}" if rest else f"--devices {count}"
        raise UserError(f"{by} cannot share --batch-size {batch_size} evenly")
    memory.keep_freed()
    with suppress(RuntimeError):  # JAX runs already: as many as it has
        jax.config.update("jax_num_cpu_devices", count or _divisor(share, min(_cores(), MOST_BY_DEFAULT)))
    there = [[d for d in jax.devices() if d.process_index == i] for i in range(processes)]
    fewest = min(there, key=len)
    count = count or _divisor(share, len(fewest))
    if count > len(fewest):
        raise UserError(f"--devices {count}: JAX has {len(fewest)} ({fewest[0].device_kind})")
    return Mesh([d for own in there for d in own[:count]], ("data",))


def single() -> Mesh:
    """Return a mesh of the first device."""
    return Mesh(jax.devices()[:1], ("data",))


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _divisor(whole: int, most: int) -> int:
    return next(n for n in range(most, 0, -1) if whole % n == 0)


def shard(
    function: Callable[..., Any], mesh: Mesh, inputs: Sequence[PartitionSpec], outputs: Any, donate: Sequence[int] = ()
) -> Any:
    """Return `function` jitted; it runs on every device with that device's share of the inputs.

    `inputs` and `outputs` say of each whether it is split (ROWS) or whole (WHOLE).
    """
    spread = jax.shard_map(function, mesh=mesh, in_specs=tuple(inputs), out_specs=outputs, check_vma=False)
    return jit(spread, donate)


def replicate(tree: Any, mesh: Mesh) -> Any:
    """Return the tree with a copy of every array on every device."""
    return jax.device_put(tree, NamedSharding(mesh, WHOLE))


def own_rows(batch_size: int) -> slice:
    """Return which rows of a batch this process reads: its devices come in one piece."""
    each = batch_size // jax.process_count()
    return slice(each * jax.process_index(), each * (jax.process_index() + 1))


def spread(rows: NDArray[Any], mesh: Mesh) -> jax.Array:
    """Return the array that the processes have in pieces, each its own rows, split over the devices."""
    whole: jax.Array = jax.make_array_from_process_local_data(NamedSharding(mesh, ROWS), rows)
    return whole


@cache
def compiler_options() -> dict[str, Any]:
    """Return what to give `jax.jit` as `compiler_options`; nothing elsewhere than on an x86 CPU."""
    if jax.default_backend() != "cpu" or platform.machine() not in ("x86_64", "AMD64"):
        return {}
    try:
        jax.jit(lambda x: x + 1, compiler_options=ONEDNN)(0)
    except (RuntimeError, ValueError):  # XLA's word for an option that it does not know
        return {}
    return ONEDNN


def jit(function: Callable[..., Any], donate: Sequence[int] = ()) -> Any:
    """Return `jax.jit(function)` with these options; not for use inside another jitted function."""
    return jax.jit(function, donate_argnums=tuple(donate), compiler_options=compiler_options())
