"""ONNX: a bundle's network exported by jax2onnx and run by onnxruntime, quickest for one frame."""

from __future__ import annotations

import hashlib
import json
import logging
import math
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np
from autopilot.api.errors import BundleError
from autopilot.api.types import Image
from autopilot.bundle.manifest import Manifest
from autopilot.learn import fastops
from autopilot.sessions.home import check_output, new_output, write_atomic
from flax import nnx
from jax import lax
from jax.extend.core import Literal

if TYPE_CHECKING:
    from autopilot.learn.policy import Policy, Run
    from numpy.typing import NDArray

MODEL = "model.onnx"
LIMIT = 1e-4
"""How much a probability may differ from JAX's."""

THREADS = 2
"""Threads for one frame: more cost more in waiting for each other than they save."""


def accelerate(policy: Policy, folder: Path, say: Callable[[str], None]) -> Run:
    """Return what answers for a policy by onnxruntime, if it answers the same.

    Takes the bundle's `model.onnx`, or exports one first where there is none; tells `say` what it
    did, a line each. Raises BundleError for an export that is damaged, is of other weights or gives
    other probabilities.
    """
    path = folder / MODEL
    if not path.exists():
        export(policy, path)
        say(f"exported {path}")
    again = f"export it again: autopilot export --bundle {folder.name} --format onnx"
    try:
        run = _open(path.read_bytes(), policy)
    except OSError as e:
        raise BundleError(f"bundle {folder.name}: {MODEL} cannot be read ({e.strerror}); remove it") from e
    except ValueError as e:
        raise BundleError(f"bundle {folder.name}: {MODEL} {e}; {again}") from e
    difference = _agree(run, policy, f"{again}; or drive with --engine jax")
    say(f"engine onnx: probabilities differ from jax's by {difference:.1e} at most")
    return run


def export(policy: Policy, path: Path, force: bool = True) -> tuple[float, float]:
    """Write a policy's network as ONNX: `image` uint8 (H, W, 3) to a vector (size,) per axis.

    Where it sees windows, `image` is (frames, H, W, 3); what it carries from frame to frame is more inputs, `carry_0`
    and so on, and outputs, `next_carry_0`.
    Returns the largest difference from JAX over `trial_frames`, and LIMIT. Raises BundleError when the
    network cannot be written as ONNX or then gives other probabilities, and as `new_output` does.
    """
    check_output(path, force)
    name = policy.manifest.model
    try:
        data = _sealed(_convert(policy), policy.manifest)
        run = _open(data, policy)
    except (AttributeError, LookupError, RuntimeError, TypeError, ValueError) as e:
        what = " ".join(f"{type(e).__name__}: {e}".split())[:200]
        raise BundleError(f"network {name!r} cannot be exported as ONNX, drive with --engine jax: {what}") from e
    difference = _agree(run, policy, "drive with --engine jax")
    with new_output(path, force) as part:
        write_atomic(part, data)
    return difference, LIMIT


def trial_frames(width: int, height: int) -> list[Image]:
    """Return the frames, uint8 (height, width, 3), on which engines are compared: noise and extremes."""
    rng = np.random.default_rng(0)
    shape = (height, width, 3)
    board = np.indices(shape).sum(0) % 2 * 255
    ramp = np.broadcast_to(np.linspace(0, 255, width)[:, None], shape)
    extremes = [np.zeros(shape), np.full(shape, 255), board, ramp, ramp[:, ::-1]]
    noise = [rng.integers(0, top + 1, shape) for top in (255, 255, 255, 64)]
    return [np.ascontiguousarray(frame, np.uint8) for frame in (*extremes, *noise)]


def _agree(run: Run, policy: Policy, otherwise: str) -> float:
    """Return the largest difference from JAX, frame after frame; raises BundleError when it is above LIMIT."""
    worst, streams = 0.0, [policy.stream(of) for of in (run, policy.run_jax)]
    for image in trial_frames(*policy.preprocess.size):
        for ours, jaxs in zip(*(stream.answer(image) for stream in streams), strict=True):
            difference = float(np.abs(ours - jaxs).max()) if ours.shape == jaxs.shape else math.inf
            worst = max(worst, math.inf if math.isnan(difference) else difference)
    if worst > LIMIT:
        raise BundleError(
            f"bundle {policy.manifest.name}: ONNX gives other probabilities than JAX (by {worst:.1e}, above "
            f"{LIMIT:.0e}): {otherwise}"
        )
    return worst


def _convert(policy: Policy) -> Any:
    """Return the network as an ONNX ModelProto."""
    logging.getLogger("jax2onnx").setLevel(logging.CRITICAL)  # it logs the traceback of each optional part
    from jax2onnx import to_onnx

    inputs = [jax.ShapeDtypeStruct(array.shape, array.dtype) for array in _nothing(policy).values()]
    with fastops.plain():
        network = jax.make_jaxpr(lambda *inputs: policy.function(policy.weights, *inputs))(*inputs)
    names, carry = [axis.name for axis in policy.manifest.space.axes], list(_nothing(policy))[1:]
    model = to_onnx(
        lambda *inputs: _replay(network, inputs),
        inputs,
        model_name=policy.manifest.name,
        input_names=["image", *carry],
        output_names=[*names, *(f"next_{name}" for name in carry)],
    )
    _fold_padding(model.graph)
    return model


def _nothing(policy: Policy) -> dict[str, NDArray[Any]]:
    """Return the inputs by name, of a black picture as the first of a race."""
    carry = {f"carry_{i}": array for i, array in enumerate(policy.carry)}
    return {"image": np.zeros(policy.shape, np.uint8), **carry}


def _replay(network: Any, arguments: Sequence[Any]) -> list[Any]:
    """Compute what was traced, in operations for which jax2onnx knows the good translation."""
    values = dict(zip(network.jaxpr.constvars, network.consts, strict=True))
    values |= dict(zip(network.jaxpr.invars, arguments, strict=True))

    def value(atom: Any) -> Any:
        return atom.val if isinstance(atom, Literal) else values[atom]

    for eqn in network.jaxpr.eqns:
        outputs = _compute(eqn, [value(atom) for atom in eqn.invars])
        values |= dict(zip(eqn.outvars, outputs, strict=True))
    return [value(atom) for atom in network.jaxpr.outvars]


def _compute(eqn: Any, inputs: Sequence[Any]) -> Sequence[Any]:
    """Compute one operation.

    Nested functions and scans are laid flat. A maximum with nought becomes a ReLU, and pooling of NHWC, which
    jax2onnx would write as pooling over four dimensions that no runtime has, a `nnx.max_pool`.
    """
    name, params = eqn.primitive.name, eqn.params
    if name in ("jit", "pjit", "closed_call", "custom_jvp_call", "custom_vjp_call"):
        return _replay(next(params[key] for key in ("jaxpr", "call_jaxpr") if key in params), inputs)
    if name == "scan":
        return _unroll(eqn, inputs)
    if name == "stop_gradient":
        return inputs
    if name == "max" and isinstance(eqn.invars[1], Literal) and np.all(inputs[1] == 0):
        return [jax.nn.relu(inputs[0])]
    if name == "reduce_window_max" and _pools_nhwc(params):
        low = np.finfo(inputs[0].dtype).min
        padded = lax.pad(inputs[0], low, [(*pad, 0) for pad in params["padding"]])
        window, strides = params["window_dimensions"][1:3], params["window_strides"][1:3]
        return [nnx.max_pool(padded, window_shape=window, strides=strides, padding="VALID")]
    outputs = eqn.primitive.bind(*inputs, **params)
    return list(outputs) if eqn.primitive.multiple_results else [outputs]


def _unroll(eqn: Any, inputs: Sequence[Any]) -> list[Any]:
    """Compute a `lax.scan` step by step: a recurrent network's, of one frame or a window.

    Of its inputs, the constants come first, then what is carried, then what is scanned: the last have an axis more
    outside than inside. Of its outputs, what is carried comes first.
    """
    body, length = eqn.params["jaxpr"], eqn.params["length"]
    scanned = sum(v.aval.ndim > inside.ndim for v, inside in zip(eqn.invars, body.in_avals, strict=True))
    carried = sum(v.aval.ndim == inside.ndim for v, inside in zip(eqn.outvars, body.out_avals, strict=True))
    split = len(inputs) - scanned
    fixed, carry, over = inputs[: split - carried], list(inputs[split - carried : split]), inputs[split:]
    found = {}
    for i in reversed(range(length)) if eqn.params["reverse"] else range(length):
        made = _replay(body, [*fixed, *carry, *(x[i] for x in over)])
        carry, found[i] = made[:carried], made[carried:]
    return [*carry, *(jnp.stack(each) for each in zip(*(found[i] for i in range(length)), strict=True))]


def _pools_nhwc(params: dict[str, Any]) -> bool:
    window, strides, padding = (params[key] for key in ("window_dimensions", "window_strides", "padding"))
    dilations = {*params["base_dilation"], *params["window_dilation"]}
    along = (window[0], window[-1], strides[0], strides[-1]) == (1, 1, 1, 1)
    return len(window) == 4 and along and dilations == {1} and {*padding[0], *padding[-1]} == {0}


def _fold_padding(graph: Any) -> None:
    """Give each pool the padding of the Pad in front of it: onnxruntime would stop at every one."""
    from onnx import numpy_helper

    made = {output: node for node in graph.node for output in node.output}
    constants = {tensor.name: tensor for tensor in graph.initializer}
    for pool in graph.node:
        if pool.op_type != "MaxPool":
            continue
        turn = made[pool.input[0]]  # NHWC to NCHW
        pad = made.get(turn.input[0])
        if pad is None or (turn.op_type, pad.op_type) != ("Transpose", "Pad"):
            continue
        _, top, left, _, _, bottom, right, _ = numpy_helper.to_array(constants[pad.input[1]]).tolist()
        _set_pads(pool, [top, left, bottom, right])
        turn.input[0] = pad.input[0]
    used = {name for node in graph.node for name in node.input}
    for pad in [node for node in graph.node if node.op_type == "Pad" and node.output[0] not in used]:
        graph.node.remove(pad)
    del graph.value_info[:]  # shapes in between, some of which were the padded ones


def _set_pads(pool: Any, pads: list[int]) -> None:
    from onnx import helper

    for attribute in [a for a in pool.attribute if a.name in ("auto_pad", "pads")]:
        pool.attribute.remove(attribute)
    pool.attribute.append(helper.make_attribute("pads", pads))


def _source(manifest: Manifest) -> str:
    """Return what an export is made from; it is stale when this has changed."""
    kept = {"model", "config", "action_space", "preprocess", "hz", "weights_sha256"}
    return json.dumps(manifest.model_dump(include=kept), sort_keys=True)


def _digest(model: Any) -> str:
    bare = type(model)()
    bare.CopyFrom(model)
    del bare.metadata_props[:]
    return hashlib.sha256(bare.SerializeToString(deterministic=True)).hexdigest()


def _sealed(model: Any, manifest: Manifest) -> bytes:
    """Return the file: the model, what it was made from, and its own digest."""
    from onnx import helper

    helper.set_model_props(model, {"autopilot.source": _source(manifest), "autopilot.sha256": _digest(model)})
    data: bytes = model.SerializeToString(deterministic=True)
    return data


def _tensors(graph: Any) -> Iterator[Any]:
    yield from graph.initializer
    for attribute in (a for node in graph.node for a in node.attribute):
        yield from [attribute.t, *attribute.tensors]
        for inner in [*attribute.graphs, *([attribute.g] if attribute.HasField("g") else [])]:
            yield from _tensors(inner)


def _open(data: bytes, policy: Policy) -> Run:
    """Return what runs an exported model.

    Raises ValueError, in words that follow the file's name, unless it is a whole model made of this
    bundle that needs no other file.
    """
    import onnx
    import onnxruntime
    from google.protobuf.message import DecodeError

    try:
        model = onnx.load_model_from_string(data)
    except DecodeError as e:
        raise ValueError("is damaged") from e
    props = {prop.key: prop.value for prop in model.metadata_props}
    if props.get("autopilot.sha256") != _digest(model):
        raise ValueError("is damaged")
    if props.get("autopilot.source") != _source(policy.manifest):
        raise ValueError("was made from another training")
    if model.functions or any(tensor.external_data for tensor in _tensors(model.graph)):
        raise ValueError("refers to other files or functions")
    onnxruntime.disable_telemetry_events()
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = THREADS, 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")  # the game needs the processor too
    options.log_severity_level = 4
    inputs = _nothing(policy)
    try:
        session = onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
        session.run(None, inputs)
    except Exception as e:  # onnxruntime's errors share no other base
        raise ValueError(f"does not run: {' '.join(str(e).split())[:200]}") from e
    return lambda *arrays: tuple(session.run(None, dict(zip(inputs, map(np.ascontiguousarray, arrays), strict=True))))
