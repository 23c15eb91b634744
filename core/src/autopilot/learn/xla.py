"""How XLA compiles for this machine's CPU: oneDNN for convolutions and products, where it is."""

from __future__ import annotations

import platform
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

import jax

ONEDNN = {
    "xla_cpu_use_onednn": True,
    "xla_cpu_experimental_onednn_custom_call": True,
    # YNNPACK keeps single products and reductions; its convolutions are the slower ones.
    "xla_cpu_experimental_ynn_fusion_type": "LIBRARY_FUSION_TYPE_INDIVIDUAL_DOT,LIBRARY_FUSION_TYPE_REDUCE",
}
"""Options of XLA's compiler; they are experimental, so a JAX that knows other ones is met with none."""


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
