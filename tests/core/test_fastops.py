"""The fast convolution and pooling against the plain primitives: values and gradients."""

from __future__ import annotations

import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from autopilot.learn import fastops
from flax import nnx
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from jax import lax

CPU = pytest.mark.skipif(jax.default_backend() != "cpu", reason="the fast way is for the CPU")


def _plain(x, kernel, strides, padding):
    return lax.conv_general_dilated(x, kernel, strides, padding, dimension_numbers=("NHWC", "HWIO", "NHWC"))


def _normal(*shape):
    return np.random.default_rng(sum(shape)).standard_normal(shape, dtype=np.float32)


def _vjp(f, *args):
    """Return the value and, for a fixed random direction of the output, every gradient."""
    g = _normal(*jax.eval_shape(f, *args).shape)

    @jax.jit
    def both(*args):
        y, back = jax.vjp(f, *args)
        return y, *back(g)

    return both(*args)


pads = st.one_of(st.sampled_from(["SAME", "VALID"]), st.tuples(*[st.tuples(st.integers(0, 3), st.integers(0, 3))] * 2))
pair = st.tuples(st.integers(1, 3), st.integers(1, 3))


@settings(max_examples=30, deadline=None)
@given(
    st.integers(1, 5),
    st.tuples(st.integers(2, 14), st.integers(2, 14)),
    st.tuples(st.integers(1, 5), st.integers(1, 4)),
    st.tuples(st.integers(1, 5), st.integers(1, 5)),
    pair,
    pads,
    st.sampled_from([1, 40, 1024]),
)
def test_conv2d_equals_the_primitive(n, size, features, kernel, strides, padding, positions):
    x, k = _normal(n, *size, features[0]), _normal(*kernel, *features)
    assume(jax.eval_shape(lambda x, k: _plain(x, k, strides, padding), x, k).size)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fastops, "POSITIONS", positions)
        got = _vjp(lambda x, k: fastops.conv2d(x, k, strides, padding), x, k)
    want = _vjp(lambda x, k: _plain(x, k, strides, padding), x, k)
    for a, b in zip(got, want, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-5 * max(1, float(np.abs(b).max())))


@settings(max_examples=20, deadline=None)
@given(
    st.integers(1, 4),
    st.tuples(st.integers(4, 12), st.integers(4, 12)),
    st.tuples(st.integers(1, 4), st.integers(1, 4)),
    pair,
    st.one_of(st.sampled_from(["SAME", "VALID"]), st.tuples(*[st.tuples(st.integers(0, 1), st.integers(0, 1))] * 2)),
)
def test_max_pool_equals_the_primitive(n, size, window, strides, padding):
    if not isinstance(padding, str):  # a window of padding alone has no maximum
        padding = tuple(p if w > 1 else (0, 0) for p, w in zip(padding, window, strict=True))
    count = n * size[0] * size[1] * 3
    x = np.random.default_rng(0).permutation(count).astype(np.float32).reshape(n, *size, 3)
    got = _vjp(lambda x: fastops.max_pool(x, window, strides, padding), x)
    want = _vjp(lambda x: nnx.max_pool(x, window, strides, padding), x)
    np.testing.assert_array_equal(got[0], want[0])
    np.testing.assert_allclose(got[1], want[1], rtol=1e-5, atol=1e-5)


def test_relu_equals_the_primitive_at_nought_too():
    x = np.concatenate([_normal(50), np.zeros(3, np.float32), [-np.inf, np.inf]]).astype(np.float32)
    for got, want in zip(_vjp(fastops.relu, x), _vjp(nnx.relu, x), strict=True):
        np.testing.assert_array_equal(got, want)


@CPU
def test_ties_share_the_gradient_of_their_window():
    x = jnp.zeros((1, 2, 2, 1))
    dx = jax.grad(lambda x: fastops.max_pool(x, (2, 2), (2, 2)).sum())(x)
    np.testing.assert_array_equal(dx, jnp.full((1, 2, 2, 1), 0.25))
    first = jax.grad(lambda x: nnx.max_pool(x, (2, 2), (2, 2)).sum())(x)
    assert float(first.sum()) == float(dx.sum()) == 1


def test_conv_layer_is_nnx_conv():
    for options in (
        {"strides": 2, "padding": "VALID"},
        {"strides": (1, 2), "padding": 1},
        {"padding": "SAME", "use_bias": False},
        {"feature_group_count": 2},
        {"kernel_dilation": 2},
    ):
        ours = fastops.Conv(4, 6, (3, 3), rngs=nnx.Rngs(5), **options)
        theirs = nnx.Conv(4, 6, (3, 3), rngs=nnx.Rngs(5), **options)
        own, their = nnx.to_pure_dict(nnx.state(ours)), nnx.to_pure_dict(nnx.state(theirs))
        assert jax.tree.structure(own) == jax.tree.structure(their)
        for a, b in zip(jax.tree.leaves(own), jax.tree.leaves(their), strict=True):
            np.testing.assert_array_equal(a, b)
        x = _normal(2, 9, 11, 4)
        np.testing.assert_allclose(ours(x), theirs(x), atol=1e-5)
        grads = [nnx.grad(lambda m, x: (m(x) ** 2).sum())(m, x) for m in (ours, theirs)]
        for a, b in zip(*map(jax.tree.leaves, grads), strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-3)


def test_elsewhere_than_on_a_cpu_the_primitives_are_used(monkeypatch):
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
    x, k = jnp.ones((1, 8, 8, 2)), jnp.ones((3, 3, 2, 2))
    text = str(jax.make_jaxpr(lambda x: fastops.max_pool(fastops.conv2d(x, k), (2, 2)))(x))
    assert "custom_vjp" not in text
    assert "conv_general_dilated" in text
    assert "reduce_window_max" in text


SHARDED = """
import jax
jax.config.update("jax_num_cpu_devices", 2)
import numpy as np
from autopilot.learn import fastops
from jax.sharding import Mesh, PartitionSpec as P

x = np.random.default_rng(0).standard_normal((6, 9, 9, 3), dtype=np.float32)
k = np.random.default_rng(1).standard_normal((5, 5, 3, 4), dtype=np.float32)

def gradient(x, k):
    pool = lambda y: fastops.max_pool(y, (2, 2))
    return jax.grad(lambda k: (pool(fastops.conv2d(x, k, (2, 2), "VALID")) ** 2).sum())(k)

mesh = Mesh(np.array(jax.devices()), ("data",))
sharded = jax.shard_map(
    lambda x, k: jax.lax.psum(gradient(x, k), "data"),
    mesh=mesh, in_specs=(P("data"), P()), out_specs=P(), check_vma=False,
)
got = jax.jit(sharded)(x, k)
assert len(got.sharding.device_set) == 2
np.testing.assert_allclose(got, gradient(x, k), rtol=1e-4)
"""


def test_the_batch_spread_over_two_devices_gives_the_same_gradient():
    done = subprocess.run([sys.executable, "-c", SHARDED], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
