"""PilotNet: documented shapes, parameter counts, training, errors."""

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
from autopilot_models_nvidia import pilotnet
from flax import nnx

README = Path(__file__).parents[2] / "plugins/models_nvidia/README.md"


def _build(height=90, width=160, outputs=(3,), seed=0, **config):
    return pilotnet.build(height, width, outputs, nnx.Rngs(seed), **config)


def _parameters(module) -> int:
    return sum(p.size for p in jax.tree.leaves(nnx.state(module, nnx.Param)))


def _rows(text: str) -> list[tuple[str, str, int]]:
    found = re.findall(r"\| (\w+) \|[^|\n]*\| ([\dx]+) \| ([\d,]+) \|", text)
    return [(name, shape, int(count.replace(",", ""))) for name, shape, count in found]


@pytest.mark.parametrize("text", [pilotnet.PilotNet.__doc__, README.read_text()], ids=["docstring", "readme"])
def test_documented_table_is_what_the_network_does(text):
    net = _build()
    net.eval()
    modules = {f"conv{i + 1}": m for i, m in enumerate(net.convs)}
    modules |= {f"dense{i + 1}": m for i, m in enumerate(net.denses)} | {"heads": net.heads}
    actual = []
    x = jax.ShapeDtypeStruct((2, 90, 160, 3), jnp.float32)
    for name, layer in net.stages():
        x = jax.eval_shape(layer, x)
        shape = "x".join(str(n) for n in jax.tree.leaves(x)[0].shape[1:])
        actual.append((name, shape, _parameters(modules[name]) if name in modules else 0))
    assert _rows(text) == actual


def test_readme_names_the_parameter_count():
    assert f"{_parameters(_build()):,} parameters with one axis of 3 values" in README.read_text()


def test_the_plugin_offers_it_with_its_defaults():
    spec = Registry().get("model", "nvidia")
    net = load(spec.build)(90, 160, (3,), nnx.Rngs(0), **spec.config)
    assert _parameters(net) == _parameters(_build())
    assert {d.rate for d in net.dropouts} == {spec.config["dropout"]}


@pytest.mark.parametrize("outputs", [(3,), (3, 3), (2, 5, 4)])
def test_one_array_of_logits_per_axis(outputs):
    net = _build(66, 200, outputs)
    logits = net(jnp.zeros((2, 66, 200, 3)))
    assert [y.shape for y in logits] == [(2, n) for n in outputs]
    assert net.denses[0].in_features == 1152, "the paper's own flattened size at 66x200"


def test_the_network_sees_about_minus_one_to_one():
    normalise = dict(_build(61, 61).stages())["normalise"]
    assert normalise(np.array([0.0, 127.5, 255.0])).tolist() == [-1, 0, 1]


def test_jit_with_split_and_merge_gives_the_same_logits():
    net = _build(64, 64, (3, 2))
    net.eval()
    images = jax.random.uniform(jax.random.key(0), (2, 64, 64, 3)) * 255
    graph, state = nnx.split(net)
    jitted = jax.jit(lambda state, x: nnx.merge(graph, state)(x))(state, images)
    for a, b in zip(jitted, net(images), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-5)


def test_dropout_acts_in_training_only():
    net = _build(64, 64)
    images = jax.random.uniform(jax.random.key(0), (2, 64, 64, 3)) * 255
    net.train()
    assert not np.array_equal(net(images)[0], net(images)[0])
    net.eval()
    np.testing.assert_array_equal(net(images)[0], net(images)[0])


def test_dropout_takes_its_key_from_the_stream_of_that_name():
    images = jnp.full((2, 64, 64, 3), 200.0)
    a, b, c = (pilotnet.build(64, 64, (3,), nnx.Rngs(params=0, dropout=d))(images)[0] for d in (1, 1, 2))
    np.testing.assert_array_equal(a, b)
    assert not np.array_equal(a, c)


def test_the_same_seed_gives_the_same_network():
    states = [jax.tree.leaves(nnx.state(_build(64, 64, seed=s), nnx.Param)) for s in (7, 7, 8)]
    assert all(np.array_equal(a, b) for a, b in zip(states[0], states[1], strict=True))
    assert not all(np.array_equal(a, b) for a, b in zip(states[0], states[2], strict=True))


def test_too_small_images_are_refused():
    _build(61, 61)
    for height, width in ((60, 160), (90, 60), (1, 1)):
        with pytest.raises(UserError, match=f"61x61 pixels or more, not {width}x{height}"):
            _build(height, width)


@pytest.mark.parametrize("dropout", [1, 1.5, -0.1, math.nan])
def test_a_dropout_that_is_no_share_is_refused(dropout):
    with pytest.raises(UserError, match=f"nvidia network's dropout is {dropout}: give a share from 0 to below 1"):
        _build(dropout=dropout)


@functools.cache
def _trainer():
    """Return a jitted Adam step on 16 fixed images with random labels, and where it starts."""
    net = _build(64, 80, (3,), dropout=0.0)
    graph, params, rest = nnx.split(net, nnx.Param, ...)
    coarse = jax.random.uniform(jax.random.key(1), (16, 3, 4, 3)) * 255
    images = jax.image.resize(coarse, (16, 64, 80, 3), "linear")
    labels = jax.random.randint(jax.random.key(2), (16,), 0, 3)
    adam = optax.adam(1e-3)

    def loss(params):
        logits = nnx.merge(graph, params, rest)(images)[0]
        return optax.softmax_cross_entropy_with_integer_labels(logits, labels).mean()

    @jax.jit
    def step(params, opt):
        value, grads = jax.value_and_grad(loss)(params)
        updates, opt = adam.update(grads, opt)
        return optax.apply_updates(params, updates), opt, value

    return step, params, adam.init(params)


def _train(steps: int) -> tuple[list[float], list[bytes]]:
    step, params, opt = _trainer()
    losses = []
    for _ in range(steps):
        params, opt, value = step(params, opt)
        losses.append(float(value))
    return losses, [np.asarray(p).tobytes() for p in jax.tree.leaves(params)]


def test_a_few_steps_overfit_random_labels():
    losses, _ = _train(60)
    assert 0.3 < losses[0] < 3 * math.log(3), "a fresh network knows nothing and is not wild"
    assert losses[-1] < 0.1 * losses[0]


def test_training_twice_gives_the_same_bits():
    assert _train(3)[1] == _train(3)[1]
