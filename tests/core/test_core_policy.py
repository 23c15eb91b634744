"""Selector, preprocessing and bundles: from probabilities and pixels to files and back."""

from __future__ import annotations

import hashlib
import json
import pickle
import shutil
import struct
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from autopilot.api.errors import AutopilotError, BundleError, PluginError, UserError
from autopilot.api.registry import Registry
from autopilot.api.types import ActionSpace, Axis
from autopilot.bundle.manifest import read_manifest, read_weights, save_bundle
from autopilot.bundle.preprocess import Preprocess, boxes
from autopilot.bundle.selector import Selector
from autopilot.learn import network
from autopilot.learn.policy import Policy
from autopilot.sessions.home import Home
from autopilot_sharing.bundles import pack_bundle
from autopilot_sharing.unpack import unpack
from support.plugins import BRITTLE

SPACE = ActionSpace((Axis("steer", ("left", "forward", "right"), (2, 1, 0)),))
P = np.array([0.2, 0.5, 0.3], np.float32)
NO_NUMBERS = (float("nan"), float("inf"), -float("inf"))


def draws(selector: Selector, p: Any, n: int) -> list[int]:
    return [selector.select([p])[0] for _ in range(n)]


def test_argmax_takes_the_largest_on_every_axis() -> None:
    chosen = Selector("argmax", temperature=5).select([P, np.array([0.9, 0.1])])
    assert chosen == (1, 0)


def test_weighted_draws_in_proportion() -> None:
    n = 6000
    counts = Counter(draws(Selector("weighted", 1.0, seed=5), P, n))
    chi_square = sum((counts[i] - n * p) ** 2 / (n * p) for i, p in enumerate(P.tolist()))
    assert chi_square < 13.8, "0.1 % of fair draws exceed that at two degrees of freedom"


@pytest.mark.parametrize(("temperature", "power"), [(0.5, 2.0), (2.0, 0.5)])
def test_temperature_sharpens_and_flattens(temperature: float, power: float) -> None:
    n, wanted = 6000, P.astype(float) ** power
    wanted /= wanted.sum()
    counts = Counter(draws(Selector("weighted", temperature, seed=6), P, n))
    assert sum((counts[i] - n * w) ** 2 / (n * w) for i, w in enumerate(wanted)) < 13.8


def test_the_limits_of_temperature() -> None:
    assert set(draws(Selector("weighted", 0.0, seed=1), P, 50)) == {1}
    assert set(draws(Selector("weighted", 1e-3, seed=1), P, 50)) == {1}
    flat = Counter(draws(Selector("weighted", 1e9, seed=1), P, 3000))
    assert max(flat.values()) - min(flat.values()) < 200


def test_the_same_seed_draws_the_same_and_another_does_not() -> None:
    first, again = (draws(Selector(seed=3), P, 200) for _ in range(2))
    assert first == again
    assert first != draws(Selector(seed=4), P, 200)


def test_certain_probabilities_are_no_trouble() -> None:
    certain = np.array([0.0, 0.0, 1.0], np.float32)
    for temperature in (0.01, 1.0, 3.0):
        assert set(draws(Selector("weighted", temperature), certain, 100)) == {2}


@pytest.mark.parametrize(
    "args", [("dice", 1.0), ("weighted", -0.1), ("weighted", float("nan")), ("weighted", float("inf"))]
)
def test_bad_selectors_are_refused(args: tuple[str, float]) -> None:
    with pytest.raises(UserError):
        Selector(*args)


@pytest.mark.parametrize("kind", ["argmax", "weighted"])
@pytest.mark.parametrize("number", NO_NUMBERS)
def test_what_is_not_finite_is_never_chosen(kind: str, number: float) -> None:
    for place in range(3):
        p = P.copy()
        p[place] = number
        with pytest.raises(BundleError, match="choose no action"):
            Selector(kind).select([np.array([0.5, 0.5]), p])


def picture(width: int, height: int) -> Any:
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)


def test_preprocessing_may_change_nothing_crop_or_rescale() -> None:
    image = picture(160, 90)
    assert np.array_equal(Preprocess((160, 90), (160, 90))(image), image)
    cropped = Preprocess((160, 90), (60, 40), (10, 20, 60, 40))(image)
    assert np.array_equal(cropped, image[20:60, 10:70])
    assert cropped.flags.c_contiguous
    half = Preprocess((160, 90), (80, 45))(image)
    assert half.shape == (45, 80, 3)
    means = image.reshape(45, 2, 80, 2, 3).mean((1, 3))
    assert np.abs(half - means).max() <= 1, "shrinking averages"


def test_frames_of_another_size_are_refused() -> None:
    with pytest.raises(BundleError, match=r"frames are 90x160.*for 160x90"):
        Preprocess((160, 90), (160, 90))(picture(90, 160))


def test_preprocessing_round_trip_and_key() -> None:
    one = Preprocess((160, 90), (80, 40), (0, 10, 160, 80))
    data = json.loads(json.dumps(one.to_json()))
    assert Preprocess.from_json(data) == one
    others = [
        Preprocess((160, 90), (80, 40)),
        Preprocess((160, 90), (80, 41), (0, 10, 160, 80)),
        Preprocess((160, 90), (80, 40), (0, 10, 160, 79)),
    ]
    assert len({p.key for p in [one, *others]}) == 4
    assert Preprocess.from_json(data).key == one.key


def test_masks_blacken_and_leave_the_recorded_frame_whole() -> None:
    image = picture(160, 90) | 1
    before = image.copy()
    masks = boxes([(0.0, 0.9, 0.1, 0.1), (0.501, 0.0, 0.01, 1.0)], (160, 90))
    assert masks == ((0, 81, 16, 9), (80, 0, 2, 90)), "every pixel that is touched"
    image.flags.writeable = False
    for crop in (None, (0, 0, 160, 90)):
        seen = Preprocess((160, 90), (160, 90), crop, masks)(image)
        assert np.array_equal(image, before)
        assert not seen[81:, :16].any()
        assert not seen[:, 80:82].any()
        seen[81:, :16] = image[81:, :16]
        seen[:, 80:82] = image[:, 80:82]
        assert np.array_equal(seen, image)
    half = Preprocess((160, 90), (80, 45), None, ((0, 0, 80, 5),))(image)
    assert not half[:5].any()
    assert half[5:].all()


def test_masks_change_key_and_recipe_and_older_bundles_read_as_before() -> None:
    plain = Preprocess((160, 90), (160, 90))
    masked = Preprocess((160, 90), (160, 90), None, ((0, 80, 20, 10),))
    assert plain.key != masked.key != Preprocess((160, 90), (160, 90), None, ((0, 80, 20, 9),)).key
    assert masked.to_json()["recipe"] != plain.to_json()["recipe"], "an autopilot without masks refuses it"
    assert Preprocess.from_json(json.loads(json.dumps(masked.to_json()))) == masked
    older = {"source": [160, 90], "size": [160, 90], "crop": None, "recipe": "crop-rescale-1"}
    assert plain.to_json() == older
    assert Preprocess.from_json(older) == plain


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"recipe": "crop-rescale-2"}, "another preprocessing"),
        ({"recipe": None}, "another preprocessing"),
        ({"size": [1]}, "cannot be read"),
        ({"size": ["a", 2]}, "cannot be read"),
        ({"source": None}, "cannot be read"),
        ({"crop": [0, 0]}, "cannot be read"),
        ({"size": [float("inf"), 2]}, "cannot be read"),
        ({"size": [0, 90]}, "cannot be read"),
        ({"size": [10**9, 10**9]}, "cannot be read"),
        ({"crop": [0, 0, 161, 90]}, "cannot be read"),
        ({"crop": [-4, 0, 16, 9]}, "cannot be read"),
        ({"recipe": "crop-rescale-mask-2"}, "cannot be read"),
        ({"recipe": "crop-rescale-mask-2", "masks": [[0, 0, 161, 1]]}, "cannot be read"),
        ({"recipe": "crop-rescale-mask-2", "masks": [[-1, 0, 5, 5]]}, "cannot be read"),
        ({"recipe": "crop-rescale-mask-2", "masks": [[1, 2, 3]]}, "cannot be read"),
    ],
)
def test_damaged_preprocessing_is_refused(change: dict[str, Any], says: str) -> None:
    data = Preprocess((160, 90), (160, 90)).to_json() | change
    with pytest.raises(BundleError, match=says):
        Preprocess.from_json(data)


@pytest.fixture(scope="module")
def registry(ribbon: Path) -> Any:
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(ribbon)
        yield Registry()


def manifest(**change: Any) -> dict[str, Any]:
    return {
        "name": "b",
        "game": "ribbon",
        "label_map": "ribbon",
        "model": "tiny",
        "config": {"width": 4},
        "action_space": SPACE.to_json(),
        "preprocess": Preprocess((160, 90), (160, 90)).to_json(),
        "hz": 10.0,
        "sessions": ["a"],
        "options": {"seed": 1},
        "metrics": {"loss": 0.5},
        "versions": {"autopilot-core": "0.1.0"},
    } | change


@pytest.fixture(scope="module")
def weights(registry: Registry) -> dict[str, Any]:
    module = network.build(registry, "tiny", {"width": 4}, (160, 90), SPACE, seed=2)
    return network.to_weights(network.split(module)[1])


Bundle = Callable[..., Path]


@pytest.fixture
def bundle(tmp_path: Path, weights: dict[str, Any]) -> Bundle:
    def make(name: str = "b", **change: Any) -> Path:
        folder = tmp_path / "bundles" / name
        save_bundle(folder, manifest(**change), weights)
        return folder

    return make


def test_a_bundle_that_was_sent_decides_as_it_did(bundle: Bundle, registry: Registry, tmp_path: Path) -> None:
    pack_bundle(bundle(), tmp_path / "b.pack")
    home = Home(tmp_path / "theirs")
    unpack(tmp_path / "b.pack", home)
    image = picture(160, 90)
    sent, came = (Policy.load(f, registry).probabilities(image) for f in (tmp_path / "bundles/b", home.bundle("b")))
    assert np.array_equal(sent[0], came[0])


def test_a_bundle_round_trip(bundle: Bundle, registry: Registry, weights: dict[str, Any]) -> None:
    folder = bundle()
    found = read_manifest(folder)
    assert found.model_dump(exclude_defaults=True) == manifest(
        format=1, weights_sha256=hashlib.sha256((folder / "weights.safetensors").read_bytes()).hexdigest()
    )
    read = read_weights(folder, found)
    assert read.keys() == weights.keys()
    assert all(np.array_equal(read[k], weights[k]) for k in weights)
    policy = Policy.load(folder, registry)
    image = picture(160, 90)
    (p,) = policy.probabilities(image)
    assert p.shape == (3,)
    assert p.sum() == pytest.approx(1, abs=1e-5)
    module = network.build(registry, "tiny", {"width": 4}, (160, 90), SPACE, seed=2)
    (logits,) = module(np.float32(image)[None])
    wanted = np.exp(logits[0] - logits[0].max())
    assert p == pytest.approx(wanted / wanted.sum(), abs=1e-5), "the very weights that were saved"


def test_float16_weights_are_cast_and_decide_nearly_alike(
    bundle: Bundle, registry: Registry, weights: dict[str, Any], tmp_path: Path
) -> None:
    whole = Policy.load(bundle(), registry)
    save_bundle(tmp_path / "half", manifest(), {name: array.astype(np.float16) for name, array in weights.items()})
    half = Policy.load(tmp_path / "half", registry)
    cast = read_weights(tmp_path / "half", half.manifest)
    assert {array.dtype for array in cast.values()} == {np.dtype(np.float32)}
    assert all(np.array_equal(cast[name], weights[name].astype(np.float16)) for name in weights)
    for seed in range(5):
        image = np.random.default_rng(seed).integers(0, 256, whole.shape[-3:], np.uint8)
        for one, other in zip(whole.probabilities(image), half.probabilities(image), strict=True):
            np.testing.assert_allclose(one, other, atol=2e-3)


def test_the_same_input_gives_the_same_bytes(tmp_path: Path, weights: dict[str, Any]) -> None:
    for folder, names in (("one", sorted(weights)), ("two", sorted(weights, reverse=True))):
        save_bundle(tmp_path / folder, manifest(), {n: weights[n] for n in names})
    for file in ("manifest.json", "weights.safetensors"):
        one, two = ((tmp_path / f / file).read_bytes() for f in ("one", "two"))
        assert one == two


def test_saving_replaces_a_bundle_and_leaves_no_litter(bundle: Bundle) -> None:
    folder = bundle()
    (folder / "stale").write_text("x")
    bundle(hz=12.5)
    assert read_manifest(folder).hz == 12.5
    assert sorted(p.name for p in folder.iterdir()) == ["manifest.json", "weights.safetensors"]
    assert [p.name for p in folder.parent.iterdir()] == ["b"]


def test_a_missing_bundle_names_the_others(bundle: Bundle, tmp_path: Path) -> None:
    bundle("coco")
    with pytest.raises(BundleError, match=r"no bundle 'cocoa' in .*there are: coco"):
        read_manifest(tmp_path / "bundles" / "cocoa")
    with pytest.raises(BundleError, match="autopilot train"):
        read_manifest(tmp_path / "nowhere" / "cocoa")


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"format": 2}, "newer autopilot.*upgrade"),
        ({"surprise": 1}, "surprise"),
        ({"hz": "fast"}, "hz"),
        ({"hz": 0.0}, "hz"),
        ({"hz": -1.0}, "hz"),
        ({"config": []}, "config"),
        ({"action_space": [{"name": "steer"}]}, "not an action space"),
        ({"action_space": []}, "axes"),
        ({"preprocess": {"recipe": "magic"}}, "another preprocessing"),
        ({"model": "no-such-net"}, "unknown model"),
        ({"config": {"depth": 3}}, "no setting 'depth'"),
        ({"config": {"width": 5}}, "do not fit the network"),
        ({"config": {"width": 0}}, "do not fit the network"),
        ({"config": {"width": "wide"}}, "tiny"),
        ({"weights_sha256": "0" * 64}, "damaged"),
    ],
)
def test_a_changed_manifest_is_refused_in_one_line(
    bundle: Bundle, registry: Registry, change: dict[str, Any], says: str
) -> None:
    folder = bundle()
    path = folder / "manifest.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises((BundleError, PluginError), match=says) as e:
        Policy.load(folder, registry)
    assert "\n" not in str(e.value)


@pytest.mark.parametrize("text", ["", "{", "[]", "null", '"x"', "{}", "\xff\xfe", '{"format": "1"}'])
def test_a_manifest_that_is_none_is_refused(bundle: Bundle, text: str) -> None:
    folder = bundle()
    (folder / "manifest.json").write_bytes(text.encode("latin-1"))
    with pytest.raises(BundleError, match="bundle b") as e:
        read_manifest(folder)
    assert "\n" not in str(e.value)


def rewrite(folder: Path, data: bytes) -> None:
    """Put other weights into a bundle, with a digest that agrees."""
    (folder / "weights.safetensors").write_bytes(data)
    path = folder / "manifest.json"
    found = json.loads(path.read_text()) | {"weights_sha256": hashlib.sha256(data).hexdigest()}
    path.write_text(json.dumps(found))


def header(tensors: dict[str, Any], data: bytes = b"") -> bytes:
    text = json.dumps(tensors).encode()
    return struct.pack("<Q", len(text)) + text + data


def bomb() -> bytes:
    huge = {"dtype": "F32", "shape": [10**9, 10**9], "data_offsets": [0, 4 * 10**18]}
    return header({"conv1.kernel": huge})


class Evil:
    def __reduce__(self) -> tuple[Any, ...]:
        return (Path("pwned").touch, ())


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"not safetensors",
        struct.pack("<Q", 2**63) + b"{}",
        bomb(),
        pickle.dumps(Evil()),
        header({"conv1.kernel": {"dtype": "F32", "shape": [2], "data_offsets": [0, 4]}}, b"1234"),
        header({"conv1.kernel": {"dtype": "OBJ", "shape": [1], "data_offsets": [0, 8]}}, b"12345678"),
    ],
    ids=["empty", "text", "long-header", "bomb", "pickle", "wrong-size", "object"],
)
def test_weights_that_are_none_are_refused_and_run_nothing(
    bundle: Bundle, registry: Registry, data: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    folder = bundle()
    rewrite(folder, data)
    with pytest.raises(BundleError, match=r"bundle b: weights\.safetensors cannot be read"):
        Policy.load(folder, registry)
    assert not (tmp_path / "pwned").exists()


def test_weights_of_another_network_are_refused(bundle: Bundle, registry: Registry, weights: dict[str, Any]) -> None:
    from safetensors.numpy import save

    folder = bundle()
    first = min(weights)
    for changed, says in (
        ({k: v for k, v in weights.items() if k != first}, "on one side only"),
        (weights | {"extra": np.zeros(1, np.float32)}, "'extra' is on one side only"),
        (weights | {first: np.zeros((1, 2), np.float32)}, r"is float32 \(1, 2\), not"),
        (weights | {first: weights[first].astype(np.int8)}, "int8"),
    ):
        rewrite(folder, save(changed))
        with pytest.raises(BundleError, match=says):
            Policy.load(folder, registry)


@pytest.mark.parametrize("number", NO_NUMBERS)
def test_weights_that_are_not_finite_become_no_bundle_and_none_is_made_of_them(
    bundle: Bundle, registry: Registry, weights: dict[str, Any], number: float, tmp_path: Path
) -> None:
    from safetensors.numpy import save

    first = min(weights)
    broken = {name: array.copy() for name, array in weights.items()}
    broken[first].flat[-1] = number
    folder = bundle()
    before = {p.name: p.read_bytes() for p in folder.iterdir()}
    says = f"bundle b: the weights '{first}' are not all finite numbers"
    with pytest.raises(BundleError, match=says):
        save_bundle(folder, manifest(), broken)
    assert {p.name: p.read_bytes() for p in folder.iterdir()} == before
    assert [p.name for p in folder.parent.iterdir()] == ["b"]
    rewrite(folder, save(broken))
    for use in (lambda: Policy.load(folder, registry), lambda: pack_bundle(folder, tmp_path / "b.pack")):
        with pytest.raises(BundleError, match=says):
            use()


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999"])
def test_a_manifest_with_a_number_that_is_not_finite(bundle: Bundle, number: str, tmp_path: Path) -> None:
    folder = bundle(metrics={"loss": 0.125})
    path = folder / "manifest.json"
    path.write_text(path.read_text().replace("0.125", number))
    with pytest.raises(BundleError, match=r"bundle b: manifest\.json cannot be read") as e:
        read_manifest(folder)
    assert "\n" not in str(e.value)
    with pytest.raises(BundleError):
        pack_bundle(folder, tmp_path / "b.pack")


def test_a_manifest_is_not_written_with_a_number_that_is_not_finite(bundle: Bundle) -> None:
    with pytest.raises(ValueError, match="JSON"):
        bundle(options={"brightness": float("nan")})


@pytest.mark.parametrize("part", ["weights", "manifest"])
def test_a_pack_with_numbers_that_are_not_finite_is_not_unpacked(
    bundle: Bundle, tmp_path: Path, part: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Somebody else's autopilot has packed it, which does not look."""
    from autopilot_sharing import bundles
    from safetensors.numpy import load_file, save

    folder = bundle(metrics={"loss": 0.125})
    found = read_manifest(folder)
    if part == "weights":
        broken = load_file(folder / "weights.safetensors")
        broken[min(broken)].flat[0] = np.nan
        rewrite(folder, save(broken))
        found = read_manifest(folder)
    else:
        found.metrics["loss"] = float("inf")
        monkeypatch.setattr(type(found), "model_dump_json", lambda self, **how: json.dumps(self.model_dump()))
    with monkeypatch.context() as patch:
        patch.setattr(bundles, "_read", lambda folder: found)
        pack_bundle(folder, tmp_path / "b.pack")
    with pytest.raises(AutopilotError, match=r"finite|cannot be read") as e:
        unpack(tmp_path / "b.pack", Home(tmp_path / "theirs"))
    assert "\n" not in str(e.value)
    assert not (tmp_path / "theirs/bundles/b").exists()


@pytest.fixture
def brittle(
    write_plugin: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[[str], tuple[Path, Registry]]:
    """Returns a bundle of a network with a fault that no shape shows, and a registry that knows it."""

    def make(fault: str) -> tuple[Path, Registry]:
        monkeypatch.syspath_prepend(tmp_path / "site")
        write_plugin("autopilot-brittle", BRITTLE)
        registry = Registry()
        module = network.build(registry, "brittle", {}, (160, 90), SPACE)
        about = manifest(model="brittle", config={"fault": fault})
        save_bundle(tmp_path / "bundles/b", about, network.to_weights(network.split(module)[1]))
        return tmp_path / "bundles/b", registry

    return make


def test_a_network_that_gives_no_numbers_is_not_loaded(brittle: Callable[[str], tuple[Path, Registry]]) -> None:
    with pytest.raises(BundleError, match=r"bundle b: its network gives probabilities that are no numbers"):
        Policy.load(*brittle("nan"))


def test_a_network_that_gives_no_numbers_for_one_frame_chooses_nothing(
    brittle: Callable[[str], tuple[Path, Registry]],
) -> None:
    policy = Policy.load(*brittle("white"))
    assert policy.probabilities(picture(160, 90))[0].sum() == pytest.approx(1, abs=1e-5)
    with pytest.raises(BundleError, match="no numbers"):
        policy.probabilities(np.full((90, 160, 3), 255, np.uint8))


def test_a_bundle_of_a_network_with_other_heads_is_refused(brittle: Callable[[str], tuple[Path, Registry]]) -> None:
    with pytest.raises(PluginError, match=r"^autopilot-brittle: network 'brittle' gives logits \(N, 3\), no tuple"):
        Policy.load(*brittle("single"))


def test_a_flipped_bit_or_missing_weights(bundle: Bundle, registry: Registry) -> None:
    folder = bundle()
    path = folder / "weights.safetensors"
    data = bytearray(path.read_bytes())
    data[-5] ^= 4
    path.write_bytes(data)
    with pytest.raises(BundleError, match="damaged"):
        Policy.load(folder, registry)
    path.unlink()
    with pytest.raises(BundleError, match="cannot be read"):
        Policy.load(folder, registry)


def test_a_bundle_that_does_not_fit_says_so_in_words(bundle: Bundle, registry: Registry) -> None:
    policy = Policy.load(bundle(), registry)
    policy.check_fits("ribbon", SPACE, (160, 90))
    other = ActionSpace((Axis("steer", ("left", "right"), (1, 0)),))
    with pytest.raises(BundleError, match=r"steer: left forward right.*wants \[steer: left right\]"):
        policy.check_fits("kart", other, (160, 90))
    with pytest.raises(BundleError, match="160x90 frames, but kart gives 320x180"):
        policy.check_fits("kart", SPACE, (320, 180))


def test_a_bundle_may_be_moved_and_copied(bundle: Bundle, registry: Registry, tmp_path: Path) -> None:
    shutil.copytree(bundle(), tmp_path / "elsewhere")
    (p,) = Policy.load(tmp_path / "elsewhere", registry).probabilities(picture(160, 90))
    assert np.isfinite(p).all()


def test_saving_a_manifest_that_makes_no_sense_is_an_error(tmp_path: Path, weights: dict[str, Any]) -> None:
    with pytest.raises((ValueError, TypeError, AutopilotError)):
        save_bundle(tmp_path / "b", manifest(surprise=1), weights)
    assert not (tmp_path / "b").exists()
