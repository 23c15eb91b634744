"""Convolution, ReLU and max-pooling whose gradients are fast on the CPU; plain primitives elsewhere.

XLA's own gradients are slow on the CPU: that of the filter (it reads the whole batch once per
tap from memory), that of a strided convolution's input (it multiplies the zeros between the
strides) and that of max-pooling (a scatter). Here the filter gradient is one matrix product per
few images, while they are in the cache; the input gradient is one dense convolution per phase
of the stride; pooling's gradient goes through pairwise maxima. On other back-ends everything is
the plain primitive. Where the batch is spread over devices, call the network under
`jax.shard_map(..., check_vma=False)`: the loop over images must not cross devices.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from functools import partial, reduce
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx
from jax import lax

Pair = tuple[int, int]
Pads = tuple[Pair, ...]
Padding = str | Sequence[Pair]
"""`SAME`, `VALID`, or (before, after) for height and width."""

POSITIONS = 1024
"""Output positions per matrix product: enough to keep it busy, few enough for the cache."""


_plain = ContextVar("plain", default=False)


@contextmanager
def plain() -> Iterator[None]:
    """Within it, what is traced uses the plain primitives: other engines know no other ones."""
    before = _plain.set(True)
    try:
        yield
    finally:
        _plain.reset(before)


def _fast() -> bool:
    return jax.default_backend() == "cpu" and not _plain.get()


def _pads(x: jax.Array, window: Sequence[int], strides: Pair, padding: Padding) -> Pads:
    if isinstance(padding, str):
        padding = lax.padtype_to_pads(x.shape[1:3], window, strides, padding)
    return tuple((int(before), int(after)) for before, after in padding)


def conv2d(x: jax.Array, kernel: jax.Array, strides: Pair = (1, 1), padding: Padding = "SAME") -> jax.Array:
    """Return the convolution (N, H', W', O) of x (N, H, W, I) with kernel (kh, kw, I, O).

    Equal to `lax.conv_general_dilated` up to rounding, gradients included. Reverse mode only on
    the CPU: `jax.jvp` raises TypeError there.
    """
    pads = _pads(x, kernel.shape[:2], strides, padding)
    return (_cpu_conv if _fast() else _plain_conv)(x, kernel, (strides[0], strides[1]), pads)


def _plain_conv(x: jax.Array, kernel: jax.Array, strides: Pair, pads: Pads) -> jax.Array:
    return lax.conv_general_dilated(x, kernel, strides, pads, dimension_numbers=("NHWC", "HWIO", "NHWC"))


def _dense_conv(x: jax.Array, kernel: jax.Array, strides: Pair, pads: Pads) -> jax.Array:
    """Return the plain convolution, by a way that stays fast where the kernel exceeds the image."""
    if any(k > size for k, size in zip(kernel.shape[:2], x.shape[1:3], strict=True)):
        x, pads = lax.optimization_barrier(jnp.pad(x, ((0, 0), *pads, (0, 0)))), ((0, 0), (0, 0))
    return _plain_conv(x, kernel, strides, pads)


def _forward(
    x: jax.Array, kernel: jax.Array, strides: Pair, pads: Pads
) -> tuple[jax.Array, tuple[jax.Array, jax.Array]]:
    x = lax.optimization_barrier(x)  # stored once for both passes, not computed again for the second
    return _dense_conv(x, kernel, strides, pads), (x, kernel)


def _backward(
    strides: Pair, pads: Pads, saved: tuple[jax.Array, jax.Array], g: jax.Array
) -> tuple[jax.Array, jax.Array]:
    x, kernel = saved
    around = [(k - 1 - before, k - 1 - after) for k, (before, after) in zip(kernel.shape[:2], pads, strict=True)]
    if strides == (1, 1) and min(map(min, around)) >= 0:
        dx = _dense_conv(g, kernel[::-1, ::-1].swapaxes(2, 3), strides, tuple(around))
    else:
        dx = _strided_input_gradient(g, kernel, x.shape, strides, pads)
    return dx, _filter_gradient(x, g, kernel.shape, strides, pads)


_cpu_conv = jax.custom_vjp(_dense_conv, nondiff_argnums=(2, 3))
_cpu_conv.defvjp(_forward, _backward)


def _strided_input_gradient(
    g: jax.Array, kernel: jax.Array, shape: tuple[int, ...], strides: Pair, pads: Pads
) -> jax.Array:
    """Return the gradient of the input: one convolution of g per phase of the vertical stride.

    The phases of the horizontal stride are further output features of the same convolution, so
    that they come out in memory order.
    """
    n, ho, wo, o = g.shape
    _, h, w, c = shape
    kw = kernel.shape[1]
    (sh, sw), ((top, bottom), (left, right)) = strides, pads
    rows, columns = -(-(h + top + bottom) // sh), -(-(w + left + right) // sw)
    mw = -(-kw // sw)
    taps = jnp.pad(kernel, ((0, 0), (0, mw * sw - kw), (0, 0), (0, 0)))
    phases = []
    for a in range(sh):
        phase = taps[a::sh]
        r = len(phase)
        if not r:
            phases.append(jnp.zeros((n, rows, columns, sw * c), g.dtype))
            continue
        phase = phase.reshape(r, mw, sw, c, o)[::-1, ::-1].transpose(0, 1, 4, 2, 3)
        around = ((r - 1, rows - ho), (mw - 1, columns - wo))
        phases.append(_plain_conv(g, phase.reshape(r, mw, o, sw * c), (1, 1), around))
    dx = jnp.stack(phases, axis=2).reshape(n, rows * sh, columns * sw, c)
    return dx[:, top : top + h, left : left + w]


def _filter_gradient(x: jax.Array, g: jax.Array, shape: tuple[int, ...], strides: Pair, pads: Pads) -> jax.Array:
    """Return the gradient of a kernel of `shape`: a sum over small groups of images.

    The rows of the kernel lie side by side as features of x, its columns as features of g, so that
    each phase of the horizontal stride is one matrix product.
    """
    n, ho, wo, o = g.shape
    _, h, w, c = x.shape
    (kh, kw), (sh, sw) = shape[:2], strides
    if (kh, kw, sh, sw) == (1, 1, 1, 1) and pads == ((0, 0), (0, 0)):
        return _product(x, g).reshape(shape)
    (top, _), (left, _) = pads
    around = ((0, 0, 0), (top, (ho - 1) * sh + kh - top - h, 0), (left, (wo - 1) * sw + kw - left - w, 0), (0, 0, 0))
    across = [-(-(kw - phase) // sw) for phase in range(min(sw, kw))]

    def group(total: list[jax.Array], images: tuple[jax.Array, jax.Array]) -> tuple[list[jax.Array], None]:
        x, g = images
        x = lax.pad(x, jnp.zeros((), x.dtype), around)
        sums = []
        for phase, columns in enumerate(across):
            ends = (ho - 1) * sh + 1, phase + (wo + columns - 2) * sw + 1
            rows = [x[:, i : i + ends[0] : sh, phase : ends[1] : sw] for i in range(kh)]
            shifted = [jnp.pad(g, ((0, 0), (0, 0), (j, columns - 1 - j), (0, 0))) for j in range(columns)]
            # The barrier keeps XLA from fusing all this into a slow element-wise loop.
            tall, wide = lax.optimization_barrier((jnp.concatenate(rows, -1), jnp.concatenate(shifted, -1)))
            sums.append(total[phase] + _product(tall, wide))
        return sums, None

    size = max(d for d in range(1, n + 1) if n % d == 0 and (d == 1 or d * ho * wo <= POSITIONS))
    groups = (x.reshape(-1, size, *x.shape[1:]), g.reshape(-1, size, *g.shape[1:]))
    total, _ = lax.scan(group, [jnp.zeros((kh * c, columns * o), x.dtype) for columns in across], groups)
    taps = [t.reshape(kh, c, -1, o) for t in total]
    return jnp.stack([taps[j % sw][:, :, j // sw] for j in range(kw)], axis=1)


def _product(a: jax.Array, b: jax.Array) -> jax.Array:
    """Return the transpose of a (…, K) times b (…, L), summed over all but the last axis, shape (K, L)."""
    a, b = a.reshape(-1, a.shape[-1]), b.reshape(-1, b.shape[-1])
    return lax.dot_general(a, b, (((0,), (0,)), ((), ())))


def relu(x: jax.Array) -> jax.Array:
    """Return max(x, 0), any shape; for its gradient the CPU keeps the result, which the next layer keeps too."""
    y: jax.Array = (_cpu_relu if _fast() else nnx.relu)(x)
    return y


_cpu_relu = jax.custom_vjp(lambda x: jnp.maximum(x, 0))
_cpu_relu.defvjp(lambda x: (y := jnp.maximum(x, 0), y), lambda y, g: (jnp.where(y > 0, g, 0),))


def max_pool(x: jax.Array, window: Pair, strides: Pair = (1, 1), padding: Padding = "VALID") -> jax.Array:
    """Return the largest value of each window of x (N, H, W, C), shape (N, H', W', C).

    Ties: where several inputs of a window share the maximum, the plain primitive sends the
    gradient to the first; the CPU's sends half each way whenever two equal numbers meet, so it
    is shared. The sum is the same. Behind a ReLU, where ties are zeros, both end in nothing.
    """
    pads = _pads(x, window, strides, padding)
    pool = _cpu_pool if _fast() else nnx.max_pool
    y: jax.Array = pool(x, tuple(window), tuple(strides), pads)
    return y


def _maxima(x: jax.Array, window: Pair, strides: Pair, pads: Pads) -> jax.Array:
    """Return the pool as maxima of shifted slices, rows then columns."""
    x = jnp.pad(x, ((0, 0), *pads, (0, 0)), constant_values=-jnp.inf)
    for axis, (size, stride) in enumerate(zip(window, strides, strict=True), start=1):
        last = x.shape[axis] - size + 1
        x = reduce(jnp.maximum, [lax.slice_in_dim(x, i, i + last, stride, axis=axis) for i in range(size)])
    return x


def _pool_forward(x: jax.Array, window: Pair, strides: Pair, pads: Pads) -> tuple[jax.Array, jax.Array]:
    return lax.map(lambda x: _maxima(x[None], window, strides, pads)[0], x), x


def _pool_backward(window: Pair, strides: Pair, pads: Pads, x: jax.Array, g: jax.Array) -> tuple[jax.Array]:
    def image(xg: tuple[jax.Array, jax.Array]) -> jax.Array:
        x, g = xg
        dx: jax.Array = jax.vjp(lambda x: _maxima(x, window, strides, pads), x[None])[1](g[None])[0]
        return dx[0]

    return (lax.map(image, (x, g)),)


_cpu_pool = jax.custom_vjp(lambda *a: _pool_forward(*a)[0], nondiff_argnums=(1, 2, 3))
_cpu_pool.defvjp(_pool_forward, _pool_backward)


def _conv_general(x: jax.Array, kernel: jax.Array, strides: Pair, padding: Padding, **options: Any) -> jax.Array:
    """Stand in for `lax.conv_general_dilated` where `conv2d` can; call it otherwise."""
    dilations = (*options["lhs_dilation"], *options["rhs_dilation"])
    special = [options.get(k) for k in ("precision", "preferred_element_type", "out_sharding")]
    dense = set(dilations) == {1} and options["feature_group_count"] == 1
    if kernel.ndim == 4 and dense and special == [None] * 3:
        return conv2d(x, kernel, strides, padding)
    y: jax.Array = lax.conv_general_dilated(x, kernel, strides, padding, **options)
    return y


Conv = partial(nnx.Conv, conv_general_dilated=_conv_general)
"""`nnx.Conv`, computed by `conv2d`: same arguments, parameters and initialisers."""
