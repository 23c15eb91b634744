"""Windows of successive frames, and what a network carries: training and driving see the same."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest
from autopilot.api.errors import BundleError, PluginError
from autopilot.api.labels import Choice, ChoiceAxis, ChoiceLabelMap
from autopilot.api.registry import Registry
from autopilot.api.types import Frame
from autopilot.bundle.manifest import save_bundle
from autopilot.bundle.preprocess import Preprocess
from autopilot.bundle.selector import Selector
from autopilot.drive.drivers import PolicyDriver
from autopilot.drive.timing import Timing
from autopilot.learn import network
from autopilot.learn.augment import make_augment
from autopilot.learn.data import Dataset
from autopilot.learn.options import TrainOptions
from autopilot.learn.policy import Policy
from autopilot.sessions.cache import cached
from autopilot.sessions.session import Session
from autopilot.sessions.writer import SessionWriter
from flax import nnx
from support.sessions import HEIGHT, SPACE, WIDTH, make_info, make_row

SIZE = (WIDTH, HEIGHT)
NETS = Path(__file__).parents[1] / "third_party/nets"


def session(root: Path, id: str, first: int, pauses: tuple[int, ...] = ()) -> Session:
    """Ten frames at 10 Hz whose colour is their number, from `first` on; before some of them, three were missed."""
    with SessionWriter(root, make_info(id)) as writer:
        t = 0
        for i in range(10):
            t += 4 * 100_000_000 if i in pauses else 100_000_000
            writer.append(replace(make_row(i), frame=Frame(np.full((HEIGHT, WIDTH, 3), first + i, np.uint8), t)))
    return Session.open(writer.path)


@pytest.fixture
def data(tmp_path: Path) -> Dataset:
    """Frames 0 to 9, a pause before 4; 100 to 109, of which 103 and 104 are deleted."""
    sessions = [session(tmp_path, "one", 0, (4,)), session(tmp_path, "two", 100)]
    sessions[1].delete(3, 5)
    every = [cached(s, tmp_path / "cache", "", SIZE, lambda image: image) for s in sessions]
    rows = np.arange(18)
    return Dataset(
        space=SPACE,
        hz=10,
        preprocess=Preprocess(SIZE, SIZE),
        sessions=["one", "two"],
        caches=[cache for cache, _ in every],
        labels=np.zeros((18, 2), np.int32),
        train=rows,
        validation=rows,
        split="",
        since_cut=np.concatenate([index.since_cut(10) for _, index in every]),
    )


def test_a_window_never_reaches_over_a_cut_and_begins_with_its_first_frame_repeated(data: Dataset) -> None:
    order = np.random.default_rng(0).permutation(18)
    numbers = np.array([*range(10), 100, 101, 102, *range(105, 110)])
    assert data.batch(order).images.shape == (18, HEIGHT, WIDTH, 3)
    for frames in (1, 2, 3, 5):
        data.frames = frames
        images = data.batch(order).images
        assert images.shape == (18, frames, HEIGHT, WIDTH, 3)
        assert (images == images[:, :, :1, :1, :1]).all()
        for window, last in zip(images[..., 0, 0, 0].tolist(), numbers[order].tolist(), strict=True):
            begin = max(first for first in (0, 4, 100, 105) if first <= last)
            assert window == [max(begin, last - back) for back in reversed(range(frames))]


def test_the_same_is_done_to_all_frames_of_a_window_as_to_a_single_one() -> None:
    images = np.random.default_rng(0).integers(0, 256, (32, 3, 9, 12, 3), np.uint8)
    labels, rows = np.zeros((32, 2), np.int32), np.arange(32)
    augment = jax.jit(make_augment(SPACE, TrainOptions("m", shift=3, brightness=0.3), None, ((2, 3, 4, 2),)))
    pixels, found = augment(jax.random.key(1), rows, images, labels)
    assert pixels.shape == images.shape
    for i in range(3):
        single, label = augment(jax.random.key(1), rows, images[:, i], labels)
        np.testing.assert_allclose(pixels[:, i], single, atol=1e-4)
        np.testing.assert_array_equal(found, label)
    assert 0 < int(found[:, 0].sum()) < 64, "some are mirrored"


@pytest.fixture
def registry(monkeypatch: pytest.MonkeyPatch) -> Registry:
    monkeypatch.syspath_prepend(NETS)
    return Registry()


def policy(registry: Registry, folder: Path, model: str, frames: int, told: int | None) -> Policy:
    """A policy of windows with random weights, whose manifest tells of so many frames."""
    size, config, rng = (160, 90), {"frames": frames}, np.random.default_rng(0)
    state = network.split(network.build(registry, model, config, size, SPACE, seed=None))[1]
    arrays = [(".".join(map(str, path)), array) for path, array in nnx.to_flat_state(state)]
    weights = {name: np.float32(rng.normal(0, 3 / (1 + array.size) ** 0.5, array.shape)) for name, array in arrays}
    manifest: dict[str, Any] = {"name": "b", "game": "toy", "label_map": "toy", "model": model, "config": config}
    manifest |= {"action_space": SPACE.to_json(), "preprocess": Preprocess(size, size).to_json(), "frames": told}
    manifest |= {"hz": 10.0, "sessions": [], "options": {}, "metrics": {}, "versions": {}}
    save_bundle(folder / "b", manifest, weights)
    return Policy.load(folder / "b", registry)


def pictures(n: int) -> Any:
    return np.random.default_rng(5).integers(0, 256, (n, 90, 160, 3), np.uint8)


def in_training(of: Policy, window: Any) -> Any:
    """What the network says of a whole window, as training shows it."""
    return [
        jax.nn.softmax(axis) for axis in network.logits_of(of.function.network(of.weights), np.float32(window[None]))
    ]


@pytest.mark.parametrize("model", ["stack", "gru"])
def test_driving_sees_the_windows_of_training(registry: Registry, tmp_path: Path, model: str) -> None:
    of, seen = policy(registry, tmp_path, model, 3, 3), pictures(4)
    stream, buffer = of.stream(), np.empty_like(seen[0])
    for i in range(4):
        buffer[:] = seen[i]  # as of a game that draws each frame into the same memory
        found = stream.probabilities(buffer)
        first = 2 if model == "stack" else i + 2  # what is carried has seen all frames since the first, three times
        window = seen[[max(0, i - back) for back in reversed(range(first + 1))]]
        for axis, p in zip(in_training(of, window), found, strict=True):
            assert p == pytest.approx(np.asarray(axis[0]), abs=1e-5)
    alone = of.probabilities(seen[2])
    assert not np.allclose(alone[0], stream.probabilities(seen[2])[0], atol=1e-4), "a stream knows what was before"
    stream.reset()
    for one, two in zip(alone, stream.probabilities(seen[2]), strict=True):
        assert np.array_equal(one, two), "nothing is left of it"


def test_a_driver_that_was_interrupted_begins_anew(registry: Registry, tmp_path: Path) -> None:
    of = policy(registry, tmp_path, "gru", 2, 2)
    labels = ChoiceLabelMap([ChoiceAxis(axis.name, [Choice(v) for v in axis.values]) for axis in SPACE.axes])
    frame = Frame(pictures(1)[0], 0)

    def begin() -> PolicyDriver:
        return PolicyDriver(of, Selector(), labels, Timing(10, True))

    def decide(driver: PolicyDriver) -> list[float]:
        return np.concatenate(driver.decide(frame).probabilities or ()).tolist()

    driver = begin()
    first = decide(driver)
    assert decide(driver) != first
    driver.released()
    assert decide(driver) == first
    assert decide(begin()) == first, "and so does the driver of the next race"


def test_what_is_carried_outlasts_any_window(registry: Registry, tmp_path: Path) -> None:
    for model, remembers in (("gru", True), ("stack", False)):
        of = policy(registry, tmp_path, model, 2, 2)
        one, two = of.stream(), of.stream()
        first, *others = pictures(4)
        one.probabilities(first)
        two.probabilities(255 - first)
        last = [(one.probabilities(image)[0], two.probabilities(image)[0]) for image in others][-1]
        assert (not np.array_equal(*last)) == remembers


def test_a_bundle_of_other_windows_is_refused(registry: Registry, tmp_path: Path) -> None:
    with pytest.raises(BundleError, match=r"bundle b was trained on 1 frames at a time, but its network takes 2: "):
        policy(registry, tmp_path, "stack", 2, None)


@pytest.mark.parametrize(
    ("model", "config", "says"),
    [
        ("stack", {"frames": 0}, "network 'stack' asks for windows of 0 frames: it can have 1 to 64"),
        ("stack", {"frames": 65}, "network 'stack' asks for windows of 65 frames: it can have 1 to 64"),
        ("gru", {"fault": "frames"}, "network 'gru' has an initial_carry: set its `frames`, of how many"),
        ("gru", {"fault": "carry"}, "network 'gru' carries on float32 (2, 15), where initial_carry gives float32 (2, "),
    ],
)
def test_windows_that_cannot_be(registry: Registry, model: str, config: dict[str, Any], says: str) -> None:
    with pytest.raises(PluginError) as e:
        network.build(registry, model, config, (160, 90), SPACE)
    assert f"autopilot-nets: {says}" in str(e.value)
    assert "\n" not in str(e.value)
