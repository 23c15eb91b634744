"""Exported networks: the same probabilities as JAX's, and no other file is run."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from autopilot.api.errors import BundleError, UserError
from autopilot.api.registry import Registry
from autopilot.api.types import ActionSpace, Axis
from autopilot.bundle.manifest import save_bundle
from autopilot.bundle.preprocess import Preprocess
from autopilot.learn import network
from autopilot.learn.policy import Policy
from autopilot_onnx import engine
from autopilot_onnx.engine import LIMIT, MODEL, accelerate, export, trial_frames
from flax import nnx
from onnx import TensorProto, numpy_helper

SPACE = ActionSpace(
    (
        Axis("steer", ("left", "forward", "right"), (2, 1, 0)),
        Axis("pedal", ("off", "gas", "brake", "both"), (0, 1, 2, 3)),
    )
)
ROUNDING = 2e-5
NETS = Path(__file__).parents[1] / "third_party/nets"

Make = Callable[..., Path]


@pytest.fixture(scope="module")
def registry(ribbon: Path) -> Any:
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(ribbon)
        patch.syspath_prepend(NETS)
        yield Registry()


@pytest.fixture
def bundle(tmp_path: Path, registry: Registry) -> Make:
    """Save a bundle with random weights, as large as He's initialisation would make them."""

    def make(model: str = "tiny", seed: int = 0, **config: Any) -> Path:
        module = network.build(registry, model, config, (160, 90), SPACE, seed=None)
        rng = np.random.default_rng(seed)
        weights = {}
        for name, array in nnx.to_flat_state(network.split(module)[1]):
            fan_in = max(1, int(np.prod(array.shape[:-1])))
            drawn = rng.normal(0, (2 / fan_in) ** 0.5, array.shape).astype(array.dtype)
            weights[".".join(map(str, name))] = abs(drawn) if name[-1] == "var" else drawn
        save_bundle(
            tmp_path / "bundles" / "b",
            {
                "name": "b",
                "game": "ribbon",
                "label_map": "ribbon",
                "model": model,
                "config": config,
                "action_space": SPACE.to_json(),
                "preprocess": Preprocess((160, 90), (160, 90)).to_json(),
                "hz": 10.0,
                "sessions": ["a"],
                "options": {},
                "metrics": {},
                "versions": {},
                "frames": network.frames_of(module),
            },
            weights,
        )
        return tmp_path / "bundles" / "b"

    return make


def exported_io(path: Path) -> tuple[Any, Any]:
    graph = onnx.load(path).graph
    return graph.input, graph.output


def pictures(n: int) -> Any:
    return np.random.default_rng(99).integers(0, 256, (n, 90, 160, 3), np.uint8)


@pytest.mark.parametrize("model", ["tiny", "nvidia", "inception"])
def test_onnxruntime_answers_as_jax_does(bundle: Make, registry: Registry, model: str) -> None:
    folder = bundle(model)
    policy = Policy.load(folder, registry)
    told: list[str] = []
    policy.run = accelerate(policy, folder, told.append)
    assert told[0] == f"exported {folder / MODEL}"
    assert "engine onnx: probabilities differ from jax's by" in told[1]
    assert policy.run != policy.run_jax
    answers = []
    for image in [*pictures(3), *pictures(6)[3:, :, ::-1]]:
        ours, jaxs = policy.probabilities(image), policy.run_jax(image)
        assert [(p.shape, p.dtype) for p in ours] == [((3,), np.float32), ((4,), np.float32)]
        for a, b in zip(ours, jaxs, strict=True):
            assert a == pytest.approx(b, abs=ROUNDING)
        answers.append(np.concatenate(ours))
    assert np.ptp(answers, axis=0).max() > 100 * ROUNDING, "different pictures, different answers"

    told.clear()
    accelerate(Policy.load(folder, registry), folder, told.append)
    assert len(told) == 1, "the export is there already"


@pytest.mark.parametrize("model", ["stack", "gru", "resnet"])
def test_what_a_network_remembers_goes_through_the_export(bundle: Make, registry: Registry, model: str) -> None:
    folder = bundle(model)
    policy = Policy.load(folder, registry)
    export(policy, folder / MODEL)
    names = [[value.name for value in side] for side in exported_io(folder / MODEL)]
    carry = [["carry_0"], ["next_carry_0"]] if model == "gru" else [[], []]
    assert names == [["image", *carry[0]], ["steer", "pedal", *carry[1]]]
    streams = [policy.stream(run) for run in (accelerate(policy, folder, print), policy.run_jax)]
    for round in range(2):
        answers = []
        for image in pictures(6):
            ours, jaxs = (stream.probabilities(image) for stream in streams)
            for a, b in zip(ours, jaxs, strict=True):
                assert a == pytest.approx(b, abs=ROUNDING)
            answers.append(np.concatenate(ours))
        if round == 0:
            first = answers
            for stream in streams:
                stream.reset()
    assert np.array_equal(first, answers), "after a reset it all begins anew"


def test_the_graph_is_plain_and_lean(bundle: Make, registry: Registry, tmp_path: Path) -> None:
    difference, limit = export(Policy.load(bundle("inception"), registry), tmp_path / "out.onnx")
    assert 0 <= difference < ROUNDING < limit == LIMIT
    model = onnx.load(tmp_path / "out.onnx")
    onnx.checker.check_model(model, full_check=True)
    kinds = [node.op_type for node in model.graph.node]
    assert not {"Loop", "Scan", "If", "Pad", "Slice", "Unsqueeze"} & set(kinds)
    assert kinds.count("MaxPool") == 13
    assert kinds.count("Conv") == 57
    assert kinds.count("Relu") == 30
    (image,) = model.graph.input
    assert image.name == "image"
    assert image.type.tensor_type.elem_type == TensorProto.UINT8
    assert [d.dim_value for d in image.type.tensor_type.shape.dim] == [90, 160, 3]
    assert [output.name for output in model.graph.output] == ["steer", "pedal"]


def test_an_export_of_other_weights_is_refused(bundle: Make, registry: Registry) -> None:
    folder = bundle(seed=1)
    export(Policy.load(folder, registry), folder / MODEL)
    old = (folder / MODEL).read_bytes()
    bundle(seed=2)
    assert not (folder / MODEL).exists(), "training again takes it away"
    (folder / MODEL).write_bytes(old)
    policy = Policy.load(folder, registry)
    with pytest.raises(BundleError, match=r"another training; export it again: autopilot export --bundle b --form"):
        accelerate(policy, folder, print)
    assert policy.run == policy.run_jax
    export(policy, folder / MODEL)
    accelerate(policy, folder, print)


@pytest.fixture
def exported(bundle: Make, registry: Registry) -> tuple[Policy, Path]:
    folder = bundle()
    policy = Policy.load(folder, registry)
    export(policy, folder / MODEL)
    return policy, folder


def flip(data: bytes) -> bytes:
    return data[:5000] + bytes([data[5000] ^ 16]) + data[5001:]


@pytest.mark.parametrize(
    "spoil",
    [flip, lambda data: data[:-1], lambda data: data[: len(data) // 2], lambda data: b"", lambda data: b"not onnx"],
    ids=["bit", "byte", "half", "empty", "text"],
)
def test_a_damaged_export_is_refused(exported: tuple[Policy, Path], spoil: Callable[[bytes], bytes]) -> None:
    policy, folder = exported
    data = (folder / MODEL).read_bytes()
    (folder / MODEL).write_bytes(spoil(data))
    with pytest.raises(BundleError, match=r"model.onnx is damaged; export it again") as e:
        accelerate(policy, folder, print)
    assert "\n" not in str(e.value)


def test_places_that_cannot_be_read_or_written(exported: tuple[Policy, Path], tmp_path: Path) -> None:
    policy, folder = exported
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match=r"cannot write .*x\.onnx \(.+\): free space, or take another folder"):
        export(policy, tmp_path / "file" / "x.onnx")
    (folder / MODEL).unlink()
    (folder / MODEL).mkdir()
    with pytest.raises(BundleError, match=r"model\.onnx cannot be read \(.+\); remove it"):
        accelerate(policy, folder, print)


def rewrite(policy: Policy, folder: Path, change: Callable[[Any], None]) -> None:
    """Change an export and seal it again, as somebody who knows how may."""
    model = onnx.load(folder / MODEL)
    change(model)
    (folder / MODEL).write_bytes(engine._sealed(model, policy.manifest))


def largest(model: Any) -> Any:
    return max(model.graph.initializer, key=lambda tensor: np.prod(tensor.dims))


def test_other_probabilities_are_refused(exported: tuple[Policy, Path]) -> None:
    def change(model: Any) -> None:
        tensor = largest(model)
        array = numpy_helper.to_array(tensor)
        tensor.CopyFrom(numpy_helper.from_array(array * np.float32(1.01), tensor.name))

    policy, folder = exported
    rewrite(policy, folder, change)
    with pytest.raises(BundleError, match=r"other probabilities than JAX \(by .*, above 1e-04\): .*--engine jax") as e:
        accelerate(policy, folder, print)
    assert "\n" not in str(e.value)
    assert policy.run == policy.run_jax
    assert LIMIT == 1e-4


def test_nan_is_refused(exported: tuple[Policy, Path]) -> None:
    def change(model: Any) -> None:
        tensor = largest(model)
        tensor.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(tensor) * np.float32("nan"), tensor.name))

    policy, folder = exported
    rewrite(policy, folder, change)
    with pytest.raises(BundleError, match=r"other probabilities than JAX \(by inf"):
        accelerate(policy, folder, print)


def test_no_other_file_is_read(exported: tuple[Policy, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    policy, folder = exported

    def change(model: Any) -> None:
        tensor = largest(model)
        Path("weights.bin").write_bytes(numpy_helper.to_array(tensor).tobytes())
        onnx.external_data_helper.set_external_data(tensor, "weights.bin")
        tensor.data_location = TensorProto.EXTERNAL
        tensor.ClearField("raw_data")

    rewrite(policy, folder, change)
    with pytest.raises(BundleError, match="refers to other files"):
        accelerate(policy, folder, print)


def test_operations_of_others_are_refused(exported: tuple[Policy, Path]) -> None:
    def change(model: Any) -> None:
        model.graph.node[0].domain = "com.example"
        model.opset_import.append(onnx.helper.make_opsetid("com.example", 1))

    policy, folder = exported
    rewrite(policy, folder, change)
    with pytest.raises(BundleError, match="does not run") as e:
        accelerate(policy, folder, print)
    assert "\n" not in str(e.value)


def test_a_failed_export_leaves_the_old_file(exported: tuple[Policy, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    policy, folder = exported
    old = (folder / MODEL).read_bytes()
    function = policy.function
    monkeypatch.setattr(policy, "function", lambda *a: tuple(p[::-1] for p in function(*a)))
    with pytest.raises(BundleError, match="other probabilities than JAX"):
        export(policy, folder / MODEL)
    assert (folder / MODEL).read_bytes() == old
    assert sorted(p.name for p in folder.iterdir()) == ["manifest.json", MODEL, "weights.safetensors"]


def test_a_network_that_cannot_be_exported_says_so(bundle: Make, registry: Registry) -> None:
    import jax

    policy = Policy.load(bundle(), registry)
    function = policy.function
    policy.function = lambda *a: jax.pure_callback(lambda p: p, jax.eval_shape(function, *a), function(*a))
    with pytest.raises(BundleError, match=r"network 'tiny' cannot be exported as ONNX.*--engine jax") as e:
        export(policy, Path("never.onnx"))
    assert "\n" not in str(e.value)
    assert not Path("never.onnx").exists()


def test_the_same_bundle_gives_the_same_bytes(exported: tuple[Policy, Path], tmp_path: Path) -> None:
    policy, folder = exported
    export(policy, tmp_path / "again.onnx")
    assert (tmp_path / "again.onnx").read_bytes() == (folder / MODEL).read_bytes()


def test_trial_frames_are_the_same_each_time_and_reach_the_extremes() -> None:
    frames = trial_frames(160, 90)
    assert all(frame.shape == (90, 160, 3) and frame.dtype == np.uint8 for frame in frames)
    assert {(int(f.min()), int(f.max())) for f in frames} >= {(0, 0), (255, 255), (0, 255)}
    assert all(np.array_equal(a, b) for a, b in zip(frames, trial_frames(160, 90), strict=True))


@pytest.mark.parametrize("module", ["onnxruntime", "jax2onnx"])
def test_a_missing_package_is_one_line(bundle: Make, ribbon: Path, module: str) -> None:
    folder = bundle()
    program = f"import sys; sys.modules[{module!r}] = None; from autopilot.cli import main; main()"
    args = ["export", "--home", str(folder.parents[1]), "--bundle", "b", "--format", "onnx"]
    done = subprocess.run(
        [sys.executable, "-c", program, *args], capture_output=True, text=True, env={"PYTHONPATH": str(ribbon)}
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.count("\n") == 1, done.stderr
    assert "autopilot-onnx: engine 'onnx': export: ModuleNotFoundError: " in done.stderr
    assert module in done.stderr
    assert not (folder / MODEL).exists()


def test_the_source_is_readable(exported: tuple[Policy, Path]) -> None:
    policy, folder = exported
    props = {p.key: p.value for p in onnx.load(folder / MODEL).metadata_props}
    source = json.loads(props["autopilot.source"])
    assert source["weights_sha256"] == policy.manifest.weights_sha256
    assert source["action_space"] == SPACE.to_json()
