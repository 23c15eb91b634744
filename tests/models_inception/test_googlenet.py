"""GoogLeNet: documented shapes, parameter counts, auxiliary heads, training, errors."""

from __future__ import annotations

import functools
import math
import re
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from autopilot.api.errors import UserError
from autopilot.api.registry import Registry
from autopilot.api.specs import load
from autopilot.api.types import ActionSpace, Axis
from autopilot.learn import network
from autopilot_models_inception import googlenet
from flax import nnx

README = Path(__file__).parents[2] / "plugins/models_inception/README.md"


def _build(height=90, width=160, outputs=(3,), seed=0, **config):
    space = ActionSpace(tuple(Axis(f"a{i}", tuple("abcd"[:n]), tuple(range(n))) for i, n in enumerate(outputs)))
    return network.build(Registry(), "inception", config, (width, height), space, seed)


@functools.cache
def _built():
    return _build(32, 48, (3, 2))


def _small():
    """Return a network of the smallest kind with two axes, a copy of its own: building one takes seconds."""
    return nnx.clone(_built())


def _abstract(height=90, width=160, **config):
    return nnx.eval_shape(lambda: googlenet.build(height, width, (3,), nnx.Rngs(0), **config))


@nnx.jit
def _call(net, images):
    return net(images)


def _parameters(module) -> int:
    return sum(p.size for p in jax.tree.leaves(nnx.state(module, nnx.Param)))


def _rows(text: str) -> list[tuple[str, str, int]]:
    found = re.findall(r"\| (\w+) \|[^|\n]*\| ([\dx]+) \| ([\d,]+) \|", text)
    return [(name, shape, int(count.replace(",", ""))) for name, shape, count in found]


@pytest.mark.parametrize("text", [googlenet.GoogLeNet.__doc__, README.read_text()], ids=["docstring", "readme"])
def test_documented_table_is_what_the_network_does(text):
    net = _abstract()
    net.eval()
    modules = {name: getattr(net, name) for name in ("conv1", "reduce2", "conv2", "heads")}
    modules |= dict(net.blocks.items())

    def outputs(net):
        x = jnp.zeros((2, 90, 160, 3))
        return [(x := layer(x)) for _, layer in net.stages()]

    actual = []
    for (name, _), x in zip(net.stages(), nnx.eval_shape(outputs, net), strict=True):
        shape = "x".join(str(n) for n in jax.tree.leaves(x)[0].shape[1:])
        actual.append((name, shape, _parameters(modules[name]) if name in modules else 0))
    assert _rows(text) == actual


def test_parameter_count_with_three_outputs():
    assert _parameters(_abstract()) == 5_976_627
    assert "5,976,627 parameters with one axis of 3 values" in README.read_text()


def test_the_plugin_offers_it_with_its_defaults():
    spec = Registry().get("model", "inception")
    net = nnx.eval_shape(lambda: load(spec.build)(90, 160, (3,), nnx.Rngs(0), **spec.config))
    assert _parameters(net) == 5_976_627
    assert net.dropout.rate == spec.config["dropout"] == 0.4


def test_without_aux_the_loss_has_one_part():
    parts = nnx.eval_shape(lambda net: net.training_logits(jnp.zeros((1, 32, 32, 3))), _abstract(32, 32))
    assert len(parts) == 1


def test_auxiliary_heads_feed_the_lower_blocks_only():
    net = _build(65, 70, (3, 2), aux=True)
    net.eval()
    images = jax.random.uniform(jax.random.key(0), (2, 65, 70, 3)) * 255
    both = nnx.jit(lambda net: (net.training_logits(images), net(images)))

    def heard(block):
        """Return whether the auxiliary heads hear of a change to a block."""
        other = nnx.clone(net)
        kernel = other.blocks[block].one.kernel
        kernel[...] = kernel[...] + 1.0
        return [not np.allclose(a[0], b[0]) for (_, a), (_, b) in zip(parts[1:], both(other)[0][1:], strict=True)]

    parts, logits = both(net)
    assert [float(weight) for weight, _ in parts] == pytest.approx([1.0, 0.3, 0.3])
    assert all([y.shape for y in logits] == [(2, 3), (2, 2)] for _, logits in parts)
    np.testing.assert_allclose(parts[0][1][0], logits[0], atol=1e-4)
    assert heard("inception4a") == [True, True]
    assert heard("inception4d") == [False, True]
    assert heard("inception4e") == [False, False]


def test_jit_with_split_and_merge_gives_the_same_logits_an_array_per_axis():
    net = _small()
    net.eval()
    images = jax.random.uniform(jax.random.key(0), (2, 32, 48, 3)) * 255
    graph, state = nnx.split(net)
    jitted = jax.jit(lambda state, x: nnx.merge(graph, state)(x))(state, images)
    assert [y.shape for y in jitted] == [(2, 3), (2, 2)]
    for a, b in zip(jitted, _call(net, images), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-4)


def test_dropout_acts_in_training_only_and_reads_its_own_stream():
    images = jax.random.uniform(jax.random.key(0), (2, 32, 48, 3)) * 255
    a = _small()
    b, c = nnx.clone(a), nnx.clone(a)
    nnx.reseed(c, dropout=2)
    first = _call(a, images)[0]
    np.testing.assert_array_equal(first, _call(b, images)[0])
    assert not np.array_equal(first, _call(c, images)[0])
    assert not np.array_equal(first, _call(a, images)[0])
    a.eval()
    np.testing.assert_array_equal(_call(a, images)[0], _call(a, images)[0])


@pytest.mark.parametrize(("smallest", "aux"), [(32, False), (65, True)])
def test_too_small_images_are_refused(smallest, aux):
    net = _abstract(smallest, smallest, aux=aux)
    nnx.eval_shape(lambda net: net.training_logits(jnp.zeros((1, smallest, smallest, 3))), net)
    for height, width in ((smallest - 1, 160), (90, smallest - 1)):
        with pytest.raises(UserError, match=f"pixels or more, not {width}x{height}"):
            _abstract(height, width, aux=aux)


@pytest.mark.parametrize("dropout", [1, 1.5, -0.1, math.nan])
def test_a_dropout_that_is_no_share_is_refused(dropout):
    with pytest.raises(UserError, match=f"inception network's dropout is {dropout}: give a share from 0 to below 1"):
        _abstract(dropout=dropout)


def _trainer():
    """Return a jitted Adam step on 8 fixed images with random labels, and where it starts."""
    net = _small()
    net.eval()
    graph, params, rest = nnx.split(net, nnx.Param, ...)
    coarse = jax.random.uniform(jax.random.key(1), (8, 3, 4, 3)) * 255
    images = jax.image.resize(coarse, (8, 32, 48, 3), "linear")
    labels = jax.random.randint(jax.random.key(2), (8,), 0, 3)
    adam = optax.adam(3e-4)

    def loss(params):
        logits = nnx.merge(graph, params, rest)(images)[0]
        return optax.softmax_cross_entropy_with_integer_labels(logits, labels).mean()

    @jax.jit
    def step(params, opt):
        value, grads = jax.value_and_grad(loss)(params)
        updates, opt = adam.update(grads, opt)
        return optax.apply_updates(params, updates), opt, value

    return step, params, adam.init(params)


@pytest.mark.slow
def test_a_few_steps_overfit_random_labels_and_twice_they_give_the_same_bits():
    step, params, opt = _trainer()

    def train(steps: int) -> tuple[list[float], list[bytes]]:
        now, state, losses = params, opt, []
        for _ in range(steps):
            now, state, value = step(now, state)
            losses.append(float(value))
        return losses, [np.asarray(p).tobytes() for p in jax.tree.leaves(now)]

    losses, _ = train(20)
    assert 0.3 < losses[0] < 3 * math.log(3), "a fresh network knows nothing and is not wild"
    assert losses[-1] < 0.1 * losses[0]
    assert train(3)[1] == train(3)[1]
