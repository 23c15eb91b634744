"""From sessions to batches: selection, split by session, labels, balance, order."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from autopilot.api.errors import UserError
from autopilot.api.game import Game
from autopilot.api.interfaces import LabelMap
from autopilot.api.specs import SteerCorrection
from autopilot.api.types import ActionSpace, Axis
from autopilot.bundle.preprocess import Box, Preprocess, boxes
from autopilot.learn.importance import importance
from autopilot.learn.options import TrainOptions
from autopilot.learn.selection import choose_sessions
from autopilot.sessions.cache import Cached, cached, gather
from autopilot.sessions.home import Home
from autopilot.sessions.index import Index
from autopilot.sessions.info import SessionInfo
from autopilot.sessions.laps import Lap
from autopilot.sessions.session import Session

BALANCE_LIMIT = 10.0
"""No frame is repeated, and no value weighted, more than this many times as much as the commonest."""


class Batch(NamedTuple):
    """Images uint8 (B, H, W, 3) or windows (B, frames, H, W, 3), labels int32 (B, axes), weights float32 (B, axes)."""

    images: NDArray[np.uint8]
    labels: NDArray[np.int32]
    weights: NDArray[np.float32]


ValueWeights = tuple[NDArray[np.float32], ...]
"""For each axis the weight of each of its values, float32 (values,)."""


@dataclass
class Dataset:
    """The frames of all chosen sessions, as one numbering; `train` and `validation` are rows.

    `labels` is int32 (N, axes), -1 where the label map skips the frame. `left_out` says in words
    which sessions could not be used, and why; `laps` are those that a rule chose. `steering` is the
    game's correction for a moved picture of this size, `static_regions` are the pixels that do not move with it.
    `frames` is how many the network sees at a time, None without windows; `since_cut`, int64 (N,), is `Index`'s.
    `label_maps` has each game's label map, by name. `importance`, float32 (N,), says how much a frame counts in the
    loss, 1 on the average over `train`; None: all the same.
    """

    space: ActionSpace
    hz: float
    preprocess: Preprocess
    sessions: list[str]
    caches: list[Cached]
    labels: NDArray[np.int32]
    train: NDArray[np.int64]
    validation: NDArray[np.int64]
    split: str
    left_out: list[str] = field(default_factory=list)
    laps: list[Lap] = field(default_factory=list)
    steering: SteerCorrection | None = None
    static_regions: tuple[Box, ...] = ()
    recordings: list[Session] = field(default_factory=list)
    frames: int | None = None
    since_cut: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))
    label_maps: dict[str, str] = field(default_factory=dict)
    importance: NDArray[np.float32] | None = None

    def joint(self, rows: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the labels of `rows` as one number each."""
        return np.asarray(np.ravel_multi_index(tuple(self.labels[rows].T), self.space.sizes), np.int64)

    def counts(self, rows: NDArray[np.int64]) -> dict[str, int]:
        """Return how often each action occurs among `rows`, in words."""
        counts = np.bincount(self.joint(rows), minlength=self.space.joint_size)
        return {self.space.describe(self.space.split(i)): int(n) for i, n in enumerate(counts)}

    def batch(self, rows: NDArray[np.int64], weights: ValueWeights | None = None) -> Batch:
        """Read the frames of `rows`, or their windows; without `weights` all of them count the same.

        A window ends with its row; where a cut leaves it short, it begins with the first frame repeated.
        """
        width, height = self.preprocess.size
        seen = rows
        if self.frames is not None:
            seen = rows[:, None] - np.minimum(np.arange(self.frames)[::-1], self.since_cut[rows, None])
        images = np.empty((*seen.shape, height, width, 3), np.uint8)
        gather(self.caches, seen.ravel(), images.reshape(-1, height, width, 3))
        labels = self.labels[rows]
        weighed = np.ones(labels.shape, np.float32)
        for a, of in enumerate(weights or ()):
            weighed[:, a] = of[labels[:, a]]
        if weights is not None and self.importance is not None:
            weighed *= self.importance[rows, None]
        return Batch(images, labels, weighed)


def load_dataset(game: Game, home: Home, options: TrainOptions) -> Dataset:
    """Return the dataset that the options name, of `game` and of what further games they name.

    Raises UserError when there is too little of it, or it cannot teach anything.
    """
    games = [game, *(Game(game.registry, name) for name in options.games[1:])]
    label_maps = _label_maps(games, options.actions)
    chosen = choose_sessions(games, home, options)
    sessions, laps = chosen.sessions, chosen.laps
    info = sessions[0].info
    size, steering = (info.width, info.height), _steering(games, info.width, options)
    shown = {rectangle for its in games for rectangle in its.spec.hidden}
    # A mask on one side, or in one game, only would tell mirrored pictures, or those of a game, from others.
    hidden = shown | {(1 - x - w, y, w, h) for x, y, w, h in shown if options.mirror}
    preprocess = Preprocess(size, size, masks=boxes(sorted(hidden), size))
    every = [cached(s, home.cache, preprocess.key, preprocess.size, preprocess) for s in sessions]
    caches = [cache for cache, _ in every]
    per_session = [
        _later(_labels(rows, label_maps[s.info.game]), rows.t_ns, info.hz, options.label_shift)
        for s, (_, rows) in zip(sessions, every, strict=True)
    ]
    for session, (_, rows), of_it in zip(sessions, every, per_session, strict=True):
        of_it[~_wanted(session.info, rows, laps if options.laps else None)] = -1
    labels = np.concatenate(per_session)
    train, validation, how = _split(caches, options)
    usable = labels[:, 0] >= 0
    train, validation = train[usable[train]], validation[usable[validation]]
    data = Dataset(
        space=label_maps[game.spec.name].action_space,
        hz=info.hz,
        preprocess=preprocess,
        sessions=[s.info.id for s in sessions],
        caches=caches,
        labels=labels,
        train=train,
        validation=validation,
        split=how,
        left_out=chosen.left_out,
        laps=laps,
        steering=steering,
        static_regions=preprocess.masks + boxes(steering.static_regions if steering else (), size),
        recordings=sessions,
        since_cut=np.concatenate([rows.since_cut(info.hz) for _, rows in every]),
        label_maps={its.spec.name: its.label_map_name(options.actions) for its in games},
    )
    _check(data, options)
    data.importance = importance(sessions, [rows for _, rows in every], train, options)
    return data


def _label_maps(games: Sequence[Game], actions: str | None) -> dict[str, LabelMap]:
    """Return each game's label map; raises UserError where they have not the same axes: a network has one set."""
    first, *others = games
    found = {game.spec.name: game.label_map(actions) for game in games}
    space = found[first.spec.name].action_space
    for game in others:
        if (its := found[game.spec.name].action_space) != space:
            name, other = first.spec.name, game.spec.name
            raise UserError(f"{name} has the actions [{space}], {other} [{its}]: name label maps alike by --actions")
    return found


def _steering(games: Sequence[Game], width: int, options: TrainOptions) -> SteerCorrection | None:
    """Return the games' correction for a moved picture, of frames so wide; None where they have different ones."""
    found = [
        its and replace(its, per_pixel=its.per_pixel * game.spec.frame_size[0] / width)
        for game, its in ((game, game.spec.steering) for game in games)
    ]
    if all(its == found[0] for its in found):
        return found[0]
    if options.shift or options.rotate:
        raise UserError("--shift, --rotate: these games do not correct a moved picture alike; leave both out")
    return None


def _wanted(info: SessionInfo, rows: Index, laps: Sequence[Lap] | None) -> NDArray[np.bool_]:
    """Return for each frame whether it may teach: on one of the laps, and not what a policy did on its own."""
    wanted = np.full(len(rows), laps is None)
    for lap in laps or ():
        if lap.session == info.id:
            wanted[lap.start : lap.stop] = True
    if info.policy or info.auto:
        wanted &= rows.action >= 0
    return wanted


def _labels(rows: Index, label_map: LabelMap) -> NDArray[np.int32]:
    """Return what the label map makes of what was held, int32 (N, axes); -1 where it skips the row."""
    actions = np.full((len(rows.sets), len(label_map.action_space.axes)), -1, np.int32)
    for i in np.unique(rows.held):
        if (action := label_map.action(rows.sets[i])) is not None:
            actions[i] = action
    return actions[rows.held]


def _later(labels: NDArray[np.int32], t: NDArray[np.int64], hz: float, shift_ms: float) -> NDArray[np.int32]:
    """Return for each frame the label of the frame nearest to `shift_ms` later, -1 where there is none.

    There is none past the ends of the session, nor beyond a gap of more than 1.5 periods: a pause or
    deleted frames.
    """
    period = 1e9 / hz
    if not shift_ms or not len(t):
        return labels
    wanted = t + round(shift_ms * 1e6)
    after = np.searchsorted(t, wanted).clip(min(1, len(t) - 1), len(t) - 1)
    nearest = after - (wanted - t[after - 1] <= t[after] - wanted)
    stretch = np.concatenate([[0], np.cumsum(np.diff(t) > 1.5 * period)])
    there = (stretch[nearest] == stretch) & (abs(t[nearest] - wanted) <= 0.75 * period)
    return np.where(there[:, None], labels[nearest], np.int32(-1))


def _split(caches: Sequence[Cached], options: TrainOptions) -> tuple[NDArray[np.int64], NDArray[np.int64], str]:
    """Hold out whole sessions; of a single one its end, with a gap, since neighbours leak."""
    sizes = [len(c) for c in caches]
    starts = np.concatenate([[0], np.cumsum(sizes)])
    total = int(starts[-1])
    if len(caches) == 1:
        cut = int(total * (1 - options.validation))
        gap = min(20, total // 20)
        return np.arange(cut - gap), np.arange(cut, total), "the end of the only session"
    held_out: set[int] = set()
    for i in np.random.default_rng(options.seed).permutation(len(caches)):
        if held_out and sum(sizes[j] for j in held_out) >= options.validation * total:
            break
        if len(held_out) + 1 < len(caches):
            held_out.add(int(i))
    rows = [np.arange(starts[i], starts[i + 1]) for i in range(len(caches))]
    train = np.concatenate([r for i, r in enumerate(rows) if i not in held_out])
    validation = np.concatenate([rows[i] for i in sorted(held_out)])
    return train, validation, f"{len(held_out)} of {len(caches)} sessions held out"


def _check(data: Dataset, options: TrainOptions) -> None:
    if len(data.train) == 0 or len(data.validation) == 0:
        raise UserError("too few labelled frames to train and validate on: record more")
    present = Counter(data.joint(data.train).tolist())
    if len(present) == 1:
        only = data.space.describe(data.space.split(next(iter(present))))
        raise UserError(
            f"all {len(data.train)} frames are labelled {only!r}: nothing to learn; check that the keys were recorded"
        )
    if options.batch_size > len(data.train):
        raise UserError(
            f"--batch-size {options.batch_size} is larger than the {len(data.train)} training "
            "frames: make it smaller or record more"
        )


def balanced(data: Dataset, options: TrainOptions) -> tuple[NDArray[np.int64], ValueWeights]:
    """Return the rows of one epoch, and the weights that the loss gives the values of each axis.

    Rare is judged axis by axis, as each has its own loss: of many axes nearly every combination is
    rare. Where pictures are mirrored, a label counts half as its mirror's. `weights` makes the
    values of an axis weigh the same in all, 1 on the average over the data. `oversample` repeats a
    frame as often as the rarest of its values asks for; a rest goes to frames spread evenly over
    the recording. Both go up to BALANCE_LIMIT.
    """
    labels = data.labels[data.train]
    rarity = [_rarity(labels[:, a], axis, options.mirror) for a, axis in enumerate(data.space.axes)]
    if options.balance == "weights":
        means = [of[labels[:, a]].mean() for a, of in enumerate(rarity)]
        return data.train, tuple((of / mean).astype(np.float32) for of, mean in zip(rarity, means, strict=True))
    plain = tuple(np.ones(n, np.float32) for n in data.space.sizes)
    if options.balance == "none":
        return data.train, plain
    joint, rows = data.joint(data.train), []
    for action in np.unique(joint):
        mine = data.train[joint == action]
        times = max(of[value] for of, value in zip(rarity, data.space.split(int(action)), strict=True))
        count = round(len(mine) * times)
        rows.append(mine[np.arange(count) * len(mine) // count])
    return np.sort(np.concatenate(rows)), plain


def _rarity(values: NDArray[np.int32], axis: Axis, mirror: bool) -> NDArray[np.float64]:
    """Return for each value how many times rarer than the commonest one it is, up to the limit."""
    counts = np.bincount(values, minlength=len(axis.values)).astype(np.float64)
    if mirror:
        counts = (counts + counts[list(axis.mirror)]) / 2
    return np.minimum(counts.max() / np.maximum(counts, 1e-9), BALANCE_LIMIT)


def batches(data: Dataset, options: TrainOptions, own: slice = slice(None)) -> tuple[Any, int]:
    """Return a resumable iterator of `Batch` over all epochs, and the number of its steps.

    Grain gives the order, shuffled anew each epoch; its state is part of a checkpoint. Of each batch
    only the rows `own` are read: another process has the others. Batches are read ahead on one
    thread while the network trains. Raises UserError where there is no Grain.
    """
    try:
        import grain
    except ImportError as e:
        raise UserError("training needs grain, which has no wheel for Intel Macs: train on another machine") from e
    rows, weights = balanced(data, options)
    order = grain.MapDataset.range(len(rows)).seed(options.seed).shuffle().repeat(options.epochs)
    dataset = order.batch(options.batch_size, drop_remainder=True)
    ahead = grain.ReadOptions(num_threads=1, prefetch_buffer_size=4)
    read = dataset.map(lambda positions: data.batch(rows[positions[own]], weights))
    return iter(read.to_iter_dataset(ahead)), len(dataset)


def validation_batches(data: Dataset, size: int) -> list[NDArray[np.int64]]:
    """Return the validation rows in pieces of at most `size`."""
    return [data.validation[i : i + size] for i in range(0, len(data.validation), size)]
