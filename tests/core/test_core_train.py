"""The parts of training: balance, order, augmentation, the learning rate, evaluation."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from autopilot.api.errors import UserError
from autopilot.api.registry import Registry
from autopilot.api.types import ActionSpace, Axis
from autopilot.bundle.preprocess import Preprocess
from autopilot.learn.augment import make_augment
from autopilot.learn.data import BALANCE_LIMIT, Dataset, balanced, batches
from autopilot.learn.devices import own_rows
from autopilot.learn.forecast import LONG_S, Forecast, in_words
from autopilot.learn.options import TrainListener, TrainOptions, TrainProgress
from autopilot.learn.step import cross_entropy, learning_rate, make_evaluate, make_step, optimiser
from autopilot.sessions.cache import Cached
from flax import nnx

STEER = Axis("steer", ("left", "forward", "right"), (2, 1, 0))
PEDAL = Axis("pedal", ("gas", "brake"), (0, 1))
SPACE = ActionSpace((STEER, PEDAL))


def dataset(counts: dict[tuple[int, int], int], validation: int = 4) -> Dataset:
    """A dataset of 16x8 pictures with so many frames of each action, in blocks."""
    labels = np.array([a for a, n in counts.items() for _ in range(n)], np.int32)
    n = len(labels)
    images = np.random.default_rng(0).integers(0, 256, (n, 8, 16, 3), np.uint8)
    cache = Cached(images)
    rows = np.arange(n)
    return Dataset(
        space=SPACE,
        hz=10,
        preprocess=Preprocess((16, 8), (16, 8)),
        sessions=["s"],
        caches=[cache],
        labels=labels,
        train=rows,
        validation=rows[:validation],
        split="",
    )


RARE = {(1, 0): 600, (0, 0): 200, (2, 1): 6}


def test_counts_name_every_action() -> None:
    data = dataset(RARE)
    assert data.counts(data.train) == {
        "left+gas": 200,
        "left+brake": 0,
        "forward+gas": 600,
        "forward+brake": 0,
        "right+gas": 0,
        "right+brake": 6,
    }


def balance(data: Dataset, how: str, mirror: bool = False) -> tuple[Any, Any]:
    return balanced(data, TrainOptions("m", balance=how, mirror=mirror))


def test_no_balance_changes_nothing() -> None:
    data = dataset(RARE)
    rows, weights = balance(data, "none")
    assert np.array_equal(rows, data.train)
    assert all((of == 1).all() for of in weights)


def test_oversampling_equalises_up_to_the_limit() -> None:
    data = dataset(RARE)
    rows, weights = balance(data, "oversample")
    assert all((of == 1).all() for of in weights)
    counts = Counter(map(tuple, data.labels[rows].tolist()))
    assert counts == {(1, 0): 600, (0, 0): 600, (2, 1): 6 * BALANCE_LIMIT}
    repeats = Counter(rows.tolist())
    assert set(repeats) == set(data.train.tolist()), "no frame is lost"
    for action, times in (((0, 0), 3), ((1, 0), 1), ((2, 1), 10)):
        own = {n for row, n in repeats.items() if tuple(data.labels[row]) == action}
        assert own == {times}


def test_oversampling_spreads_a_rest_over_the_whole_recording() -> None:
    data = dataset({(1, 0): 150, (0, 0): 100})
    rows, _ = balance(data, "oversample")
    repeats = np.bincount(rows)[150:]
    assert repeats.sum() == 150
    assert set(repeats.tolist()) == {1, 2}
    assert abs(repeats[:50].sum() - repeats[50:].sum()) <= 1


def test_a_rare_combination_of_common_values_is_not_rare() -> None:
    data = dataset({(0, 0): 500, (1, 1): 499, (0, 1): 1})
    rows, _ = balance(data, "oversample")
    assert (rows == 999).sum() == 1, "a slip of the finger is not shown ten times"
    assert len(rows) == pytest.approx(1000, abs=5)


def test_mirroring_makes_the_mirrored_action_less_rare() -> None:
    data = dataset({(1, 0): 600, (0, 0): 298, (2, 0): 2})
    rows, _ = balance(data, "oversample", mirror=True)
    counts = Counter(data.labels[rows][:, 0].tolist())
    assert counts == {1: 600, 0: 298 * 4, 2: 8}, "left and right come to 600 each once half are flipped"
    weights = balance(data, "weights", mirror=True)[1][0]
    assert weights[0] == weights[2] == pytest.approx(4 * weights[1])


def test_weights_give_the_values_of_each_axis_the_same_say_up_to_the_limit() -> None:
    data = dataset({(1, 0): 600, (0, 0): 200, (2, 1): 100, (1, 1): 30, (0, 1): 1})
    rows, weights = balance(data, "weights")
    assert np.array_equal(rows, data.train)
    for a, of in enumerate(weights):
        each = of[data.labels[:, a]]
        assert each.mean() == pytest.approx(1, abs=1e-5)
        said = [each[data.labels[:, a] == value].sum() for value in np.unique(data.labels[:, a])]
        assert said == pytest.approx([said[0]] * len(said), rel=1e-4)
    steep = balance(dataset(RARE), "weights")[1][0]
    assert steep[2] / steep[1] == pytest.approx(BALANCE_LIMIT, rel=1e-5)
    batch = data.batch(np.array([0, 930]), weights)
    assert batch.weights.tolist() == [[weights[0][1], weights[1][0]], [weights[0][0], weights[1][1]]]


def test_the_mean_over_batches_is_the_loss_over_all_of_the_data() -> None:
    """With weights, rare labels would lose their say if each batch were divided by its own sum."""
    data = dataset(RARE)
    _, weights = balance(data, "weights")
    logits = tuple(jax.random.normal(jax.random.key(a), (806, n)) for a, n in enumerate(SPACE.sizes))
    _, labels, weighed = data.batch(data.train, weights)
    whole = cross_entropy(logits, jnp.asarray(labels), jnp.asarray(weighed))
    order = np.random.default_rng(0).permutation(806).reshape(31, 26)
    each = [cross_entropy(tuple(x[o] for x in logits), jnp.asarray(labels[o]), jnp.asarray(weighed[o])) for o in order]
    assert float(np.mean(each)) == pytest.approx(float(whole), rel=1e-5)


def test_only_training_rows_are_balanced() -> None:
    data = dataset(RARE)
    data.train, data.validation = data.train[100:], data.train[:100]
    rows, _ = balance(data, "oversample")
    assert not set(rows.tolist()) & set(data.validation.tolist())


def order(data: Dataset, options: TrainOptions, own: slice = slice(None)) -> list[Any]:
    found, steps = batches(data, options, own)
    every = [next(found) for _ in range(steps)]
    with pytest.raises(StopIteration):
        next(found)
    return every


def test_each_epoch_holds_every_frame_once_in_a_new_order() -> None:
    data = dataset({(1, 0): 40, (0, 0): 24})
    key = {images.tobytes(): i for i, images in enumerate(data.caches[0].images)}
    options = TrainOptions("m", epochs=3, batch_size=16)
    drawn = [key[x.tobytes()] for b in order(data, options) for x in b.images]
    epochs = [drawn[i : i + 64] for i in range(0, 192, 64)]
    assert all(sorted(e) == list(range(64)) for e in epochs)
    assert epochs[0] != epochs[1] != epochs[2]
    first = order(data, options)[0]
    assert first.images.dtype == np.uint8
    assert first.images.shape == (16, 8, 16, 3)
    assert [data.labels[key[x.tobytes()]].tolist() for x in first.images] == first.labels.tolist()


def test_the_order_depends_on_the_seed_alone_and_can_be_resumed() -> None:
    data = dataset({(1, 0): 40, (0, 0): 24})

    def images(seed: int) -> list[bytes]:
        options = TrainOptions("m", epochs=2, batch_size=16, seed=seed)
        return [b.images.tobytes() for b in order(data, options)]

    assert images(1) == images(1) != images(2)
    options = TrainOptions("m", epochs=2, batch_size=16, seed=1)
    one, steps = batches(data, options)
    for _ in range(3):
        next(one)
    state = one.get_state()
    two, _ = batches(data, options)
    two.set_state(state)
    rest = [next(two).images.tobytes() for _ in range(steps - 3)]
    assert rest == images(1)[3:]


@pytest.mark.parametrize("processes", [1, 2, 4, 16])
def test_what_the_processes_read_is_disjoint_and_makes_up_each_batch(
    monkeypatch: pytest.MonkeyPatch, processes: int
) -> None:
    data = dataset({(1, 0): 40, (0, 0): 24})
    options = TrainOptions("m", epochs=2, batch_size=16, balance="oversample")
    parts = []
    for process in range(processes):
        monkeypatch.setattr(jax, "process_count", lambda: processes)
        monkeypatch.setattr(jax, "process_index", lambda process=process: process)
        parts.append(order(data, options, own_rows(options.batch_size)))
    whole = order(data, options)
    assert {len(part) for part in parts} == {len(whole)}
    for pieces, batch in zip(zip(*parts, strict=True), whole, strict=True):
        for field, wanted in enumerate(batch):
            assert np.array_equal(np.concatenate([piece[field] for piece in pieces]), wanted)


def augment(
    seed: int, images: Any, labels: Any, space: ActionSpace, options: TrainOptions, rows: Any = None
) -> tuple[Any, Any]:
    rows = np.arange(len(images)) if rows is None else rows
    made = jax.jit(make_augment(space, options))(jax.random.key(seed), rows, images, labels)
    return tuple(np.asarray(x) for x in made)


def test_what_happens_to_an_image_depends_on_its_row_and_not_on_the_others() -> None:
    images = np.random.default_rng(1).integers(0, 256, (64, 8, 12, 3), np.uint8)
    labels = np.stack([np.arange(64) % 3, np.arange(64) % 2], 1)
    options = TrainOptions("m", shift=3)
    whole = augment(3, images, labels, SPACE, options)
    for device in range(4):
        mine = np.arange(16) + 16 * device
        share = augment(3, images[mine], labels[mine], SPACE, options, mine)
        for a, b in zip(whole, share, strict=True):
            np.testing.assert_array_equal(a[mine], b)
    other = augment(4, images, labels, SPACE, options)
    assert not np.array_equal(whole[0], other[0])


def test_mirroring_flips_picture_and_label_together() -> None:
    space = ActionSpace((STEER, PEDAL, Axis("slide", ("l1", "r1", "no"), (1, 0, 2))))
    images = np.random.default_rng(1).integers(0, 256, (64, 4, 6, 3), np.uint8)
    labels = np.stack([np.arange(64) % 3, np.arange(64) % 2, np.arange(64) // 3 % 3], 1)
    options = TrainOptions("m", brightness=0)
    pixels, found = augment(0, images, labels, space, options)
    flipped = 0
    for image, pixel, label, new in zip(images, pixels, labels.tolist(), found, strict=True):
        if np.array_equal(pixel, image):
            assert new.tolist() == label
        else:
            flipped += 1
            assert np.array_equal(pixel, image[:, ::-1])
            assert tuple(new.tolist()) == space.mirror(tuple(label))
    assert 16 < flipped < 48
    plain, same = augment(0, images, labels, space, TrainOptions("m", mirror=False, brightness=0))
    assert np.array_equal(plain, images)
    assert np.array_equal(same, labels)


def test_shift_and_light_keep_size_range_and_label() -> None:
    images = np.random.default_rng(1).integers(0, 256, (32, 4, 12, 3), np.uint8)
    labels = np.zeros((32, 2), np.int32)
    options = TrainOptions("m", mirror=False, brightness=0, shift=3)
    pixels, same = augment(1, images, labels, SPACE, options)
    assert not same.any()
    found = set()
    for image, pixel in zip(images, pixels, strict=True):
        for by in range(-3, 4):
            columns = np.clip(np.arange(12) + by, 0, 11)
            if np.array_equal(pixel, image[:, columns]):
                found.add(by)
                break
        else:
            pytest.fail("not a shift")
    assert len(found) >= 5
    lit, _ = augment(2, images, labels, SPACE, TrainOptions("m", mirror=False, brightness=0.3))
    assert 0 <= float(lit.min()) <= float(lit.max()) <= 255
    assert len({round(float(m), 3) for m in lit.mean((1, 2, 3))}) == 32


def test_the_loss_is_the_weighted_mean_of_the_sum_over_the_axes() -> None:
    logits = (jnp.log(jnp.array([[0.2, 0.5, 0.3], [0.1, 0.1, 0.8]])), jnp.zeros((2, 2)))
    labels = jnp.array([[1, 0], [2, 1]])
    each = np.array([-np.log(0.5) + np.log(2), -np.log(0.8) + np.log(2)])
    by_axis = np.array([[-np.log(0.5), np.log(2)], [-np.log(0.8), np.log(2)]])
    assert by_axis.sum(1) == pytest.approx(each)
    for weights in ([[1.0, 1.0], [1.0, 1.0]], [[1.5, 0.2], [0.1, 3.0]]):
        found = cross_entropy(logits, labels, jnp.array(weights))
        assert float(found) == pytest.approx((by_axis * weights).sum() / 2, rel=1e-5)


class Small(nnx.Module):
    def __init__(self, rngs: nnx.Rngs) -> None:
        self.heads = nnx.List([nnx.Linear(8 * 16 * 3, n, rngs=rngs) for n in SPACE.sizes])

    def __call__(self, images: jax.Array) -> tuple[jax.Array, ...]:
        x = images.reshape(images.shape[0], -1) / 255
        return tuple(head(x) for head in self.heads)


def test_the_learning_rate_that_is_applied_follows_the_schedule() -> None:
    data = dataset({(1, 0): 40, (0, 0): 24})
    options = TrainOptions("m", epochs=25, batch_size=16, learning_rate=1e-2)
    state, step = make_step(Small(nnx.Rngs(0)), optimiser(options, 100), make_augment(SPACE, options), 0)
    rates, weights = [], [np.asarray(jax.tree.leaves(state.weights)[0])]
    found, steps = batches(data, options)
    assert steps == 100
    for number in range(steps):
        state.weights, state.other, state.optimiser, _ = step(
            state.weights, state.other, state.optimiser, np.int32(number), next(found)
        )
        rates.append(learning_rate(state))
        weights.append(np.asarray(jax.tree.leaves(state.weights)[0]))
    assert rates[0] == pytest.approx(1e-3)
    assert max(rates) == pytest.approx(1e-2)
    assert rates.index(max(rates)) == 2
    assert all(a > b for a, b in pairwise(rates[2:]))
    assert rates[-1] == pytest.approx(1e-4, rel=0.2)
    moves = [np.abs(b - a).max() for a, b in pairwise(weights)]
    assert max(moves[-3:]) < 0.2 * max(moves), "the decay reaches the weights"


def test_bfloat16_computes_and_float32_keeps() -> None:
    data, options = dataset({(1, 0): 40, (0, 0): 24}), TrainOptions("m", batch_size=16)
    losses = {}
    for precision in ("float32", "bfloat16"):
        augment = make_augment(SPACE, options)
        state, step = make_step(Small(nnx.Rngs(0)), optimiser(options, 10), augment, 0, precision=precision)
        batch = data.batch(data.train[:16])
        program = step.lower(state.weights, state.other, state.optimiser, np.int32(0), batch).as_text()
        assert ("bf16" in program) == (precision == "bfloat16")
        *after, loss = step(state.weights, state.other, state.optimiser, np.int32(0), batch)
        assert not [x for x in jax.tree.leaves(after) if x.dtype == "bfloat16"]
        losses[precision] = float(loss)
    assert losses["bfloat16"] == pytest.approx(losses["float32"], rel=0.02)  # a CPU widens, and gives the same


def test_evaluation_counts_what_it_says() -> None:
    data = dataset({(1, 0): 40, (0, 0): 21, (2, 1): 9}, validation=70)
    module = Small(nnx.Rngs(0))
    state, _ = make_step(module, optimiser(TrainOptions("m"), 10), make_augment(SPACE, TrainOptions("m")), 0)
    found = make_evaluate(module, data, batch_size=32)(state)
    logits = [np.asarray(x, np.float64) for x in module(np.float32(data.caches[0].images))]
    picked = np.stack([x.argmax(1) for x in logits], 1)
    assert found["frames"] == 70
    assert found["accuracy"] == pytest.approx((picked == data.labels).all(1).mean())
    loss = sum((np.log(np.exp(x).sum(1)) - x[np.arange(70), data.labels[:, a]]).mean() for a, x in enumerate(logits))
    assert found["loss"] == pytest.approx(loss, rel=1e-4)
    confusion = np.array(found["confusion"]["steer"])
    assert confusion.sum(1).tolist() == [21, 40, 9], "rows are labels"
    assert confusion.sum(0).tolist() == np.bincount(picked[:, 0], minlength=3).tolist()
    assert found["accuracy_by_axis"]["pedal"] == pytest.approx((picked[:, 1] == data.labels[:, 1]).mean())


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"epochs": 0}, "--epochs"),
        ({"brightness": float("nan")}, "--brightness"),
        ({"brightness": 1.5}, "--brightness"),
        ({"batch_size": -1}, "--batch-size"),
        ({"balance": "luck"}, "--balance"),
        ({"precision": "float8"}, "--precision"),
        ({"learning_rate": 0.0}, "--learning-rate"),
        ({"learning_rate": float("nan")}, "--learning-rate"),
        ({"validation": 1.0}, "--validation"),
        ({"warmup": 1.5}, "--warmup"),
        ({"warmup": float("nan")}, "--warmup"),
        ({"patience": -1}, "--patience"),
        ({"keep_best": 0}, "--keep-best"),
        ({"rotate": 46.0}, "--rotate"),
        ({"label_shift": float("nan")}, "--label-shift"),
        ({"seed": -1}, "--seed"),
        ({"seed": 2**40}, "--seed"),
    ],
)
def test_options_that_make_no_sense(change: dict[str, Any], says: str) -> None:
    with pytest.raises(UserError, match=says):
        TrainOptions("m", **change).check()


def forecast(model: str, left_s: float) -> list[str]:
    """What is said of a training of 400 steps, a tenth of which were done before, after some steps more."""
    data = dataset({(1, 0): 600, (0, 0): 200})
    data.preprocess = Preprocess((160, 90), (160, 90))
    seen: list[TrainProgress] = []
    said: list[str] = []
    listener = TrainListener(seen.append, said.append)
    watch = Forecast(Registry(), TrainOptions(model, epochs=20, batch_size=32), data, listener)
    for step, left in ((40, None), (42, None), (50, left_s), (60, left_s / 2), (400, 0.0)):
        watch(TrainProgress(step=step, steps=400, epoch=3, epochs=20, samples_per_s=9.0, left_s=left))
    assert [p.step for p in seen] == [40, 42, 50, 60, 400]
    return said


def test_a_training_is_told_once_before_it_begins_and_once_when_it_was_measured() -> None:
    assert forecast("inception", 560.0) == [
        "800 frames to train on, 4 to validate on: 400 steps of 32 frames in 20 epochs, of which 40 are done",
        "measured 1.6 s a step: about 9 min for the 350 left, validation not counted",
    ]


def test_what_would_be_quicker_is_told_where_it_is_long_and_true() -> None:
    assert LONG_S <= 700
    quicker = forecast("inception", 700.0)[1].partition("; quicker: ")[2]
    assert quicker == "fewer --epochs (about 40 s each), --model nvidia (computes 12 times less), a GPU"
    quicker = forecast("nvidia", 70_000.0)[1].partition("; quicker: ")[2]
    assert quicker == "fewer --epochs (about 67 min each), a GPU", "no network that is installed computes half as much"


@pytest.mark.parametrize(
    ("seconds", "words"), [(0.4, "0 s"), (99, "99 s"), (100, "2 min"), (5900, "98 min"), (8700, "2 h 25 min")]
)
def test_times_in_words(seconds: float, words: str) -> None:
    assert in_words(seconds) == f"about {words}"
