"""Checks of one session against the others of its game."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from autopilot_check.alone import found
from autopilot_check.findings import LOOK, REFUSE, Finding
from autopilot_check.lag import LATE, Lag
from autopilot_check.look import Flags, Floats, Look, likeness

PIXELS = 20
"""Edges that the other sessions must have in common before a session is compared with them."""
COLOURED = 4
"""And pixels of a colour in which red and blue differ."""
HUD = 0.5
"""A session that is less like the others than this has another HUD; see `likeness`."""
PLACED = 0.8
"""A picture is flipped or moved when it is so much like the others once it is put right."""
MOVES = [(dy, dx) for dy in range(-8, 9) for dx in range(-16, 17) if abs(dy) + abs(dx) > 1]
"""Pixels down and to the right by which a picture is tried to be moved."""
MOST = 0.6
"""The share of the other sessions that must agree before a session is measured by them."""
COPY, LEAK = 0.5, 0.15
"""Shares of frames that are in another session as well."""
NOISE, DIFFERENT = 12, 0.003
"""Grey levels that a codec may change, and the share of values that may differ by more, in the same frame."""
QUERIES = 2000
"""Frames, of all sessions together, that are looked for in the other sessions."""

FLIPS: dict[str, tuple[str, Callable[[Any], Any]]] = {
    "upside-down": ("upside down", lambda a: a[::-1]),
    "turned": ("turned by half", lambda a: a[::-1, ::-1]),
    "mirrored": ("mirrored", lambda a: a[:, ::-1]),
}


def check_together(looks: Sequence[Look], lags: Sequence[Lag | None]) -> Iterator[Finding]:
    """Yield what sets sessions of one game apart from each other, and what all of them lack."""
    yield from _settings(looks)
    yield from _unused(looks)
    shape = Counter((k.info.width, k.info.height) for k in looks).most_common(1)
    alike = [i for i, k in enumerate(looks) if len(k) and (k.info.width, k.info.height) == shape[0][0]]
    for i in alike:
        others = [j for j in alike if j != i]
        odd = list(_appearance(looks[i], [looks[j] for j in others])) if len(others) >= 2 else []
        yield from odd
        if not any(finding.code in FLIPS for finding in odd):
            yield from _steering(looks[i], lags[i], [lags[j] for j in others])
    yield from _twins([looks[i] for i in alike])


def _settings(looks: Sequence[Look]) -> Iterator[Finding]:
    """What must be the same in all sessions: most of them have it right."""

    def space(k: Look) -> str:
        return " x ".join(f"{a['name']}: {' '.join(a['values'])}" for a in k.info.action_space)

    kinds: list[tuple[str, str, Callable[[Look], str], str]] = [
        ("geometry", "frames of", lambda k: f"{k.info.width}x{k.info.height}", REFUSE),
        ("rate", "a rate of", lambda k: f"{k.info.hz:g} Hz", REFUSE),
        ("label-map", "the labels", lambda k: f"{k.info.label_map} ({space(k)})", LOOK),
    ]
    for code, what, value, severity in kinds:
        counts = Counter(map(value, looks))
        usual, n = counts.most_common(1)[0]
        for k in looks:
            if (its := value(k)) != usual:
                text = f"has {what} {its}, {n} of {len(looks)} sessions {usual}: choose with --session"
                if severity == LOOK:
                    text = f"was labelled by {its}, {n} of {len(looks)} sessions by {usual}: training labels all alike"
                yield found(k, code, text, counts[its], severity=severity)


def _unused(looks: Sequence[Look]) -> Iterator[Finding]:
    """Values that no session has, nor their mirrored ones."""
    first = looks[0].info.action_space
    mine = [k.actions[k.actions[:, 0] >= 0] for k in looks if k.info.action_space == first]
    labels = np.concatenate(mine)
    if len(labels) < 500:
        return
    for number, axis in enumerate(first):
        counts = np.bincount(labels[:, number], minlength=len(axis["values"]))
        none = [v for v, m in zip(axis["values"], axis["mirror"], strict=True) if not counts[m]]
        lacking = [v for v, c in zip(axis["values"], counts, strict=True) if v in none and not c]
        if lacking:
            text = f"no session has {axis['name']} {' or '.join(lacking)}: a network will never choose it; "
            text += "record some, or train with --actions that lack it"
            yield Finding(None, "unused", LOOK, text, len(lacking), [])


def _appearance(look: Look, others: Sequence[Look]) -> Iterator[Finding]:
    """Compare what stands still in a session with what stands still, in the same place, in most others."""
    mine = look.template
    colours = np.stack([k.template.colour for k in others]).astype(np.int16)
    usual = np.median(colours, 0)
    agreed = (abs(colours - usual).max(3) < 25).mean(0) >= MOST
    coloured = agreed & (abs(usual[..., 0] - usual[..., 2]) > 40)
    plain, swapped = (abs(its - usual).max(2)[coloured] for its in (mine.colour, mine.colour[..., ::-1]))
    if coloured.sum() >= COLOURED and (share := float((swapped < plain / 2).mean())) > PLACED:
        text = "red and blue are swapped, compared with the other sessions: record again, from the same source"
        yield found(look, "channels", text, share, severity=REFUSE)
        return
    edges = (np.mean([k.template.edges for k in others], 0) >= MOST) & agreed
    if edges.sum() < PIXELS:
        return
    grey = np.median([k.template.grey for k in others], 0).astype(np.float32)
    like = _like(mine.grey, grey, edges)
    if like >= HUD:
        return
    flipped = {code: _like(flip(mine.grey), grey, edges) for code, (_, flip) in FLIPS.items()}
    code = max(flipped, key=lambda code: flipped[code])
    if flipped[code] > PLACED:
        text = f"the picture is {FLIPS[code][0]}, compared with the other sessions: record again, from the same source"
        yield found(look, code, text, like, severity=REFUSE)
        return
    moved = {by: _like(np.roll(mine.grey, (-by[0], -by[1]), (0, 1)), grey, edges) for by in MOVES}
    best = max(moved, key=lambda by: moved[by])
    if (placed := moved[best]) > PLACED:
        down, right = best[0] * look.info.height / mine.grey.shape[0], best[1] * look.info.width / mine.grey.shape[1]
        text = f"the picture lies {right:+.0f} pixels to the right and {down:+.0f} down, compared with the other "
        yield found(look, "shifted", text + "sessions: another --region or window? record again", placed)
        return
    text = "what stands still on the screen in the other sessions is not there, or different (likeness "
    text += f"{like:.2f} of 1): another HUD, or another view? choose one, and record the rest again"
    yield found(look, "hud", text, like)


def _like(its: Floats, usual: Floats, edges: Flags) -> float:
    return float(likeness(its[None], usual, edges)[0])


def _steering(look: Look, own: Lag | None, others: Sequence[Lag | None]) -> Iterator[Finding]:
    """Compare how the picture answers to the steering; see `lag`."""
    if own is None:
        return
    usual = _Usual.of([k for k in others if k is not None and k.frames is not None])
    # In lock-step the game waits for what was held: no label can be late.
    late = None if look.info.lockstep else own.frames
    if usual.curve is not None:
        yield from _against(look, own, usual, late)
    # Alone, it can only be said that no picture turns before the keys are held.
    elif late is not None and late < -LATE and abs(own.strength) > 0.3 and own.beyond(0):
        yield _late(look, -late, "the picture turns before the keys are held, by so much at least")


@dataclass(frozen=True)
class _Usual:
    """How the picture answers to the steering in other sessions, by their medians; no curve: they do not agree."""

    strength: float
    frames: float
    curve: Floats | None

    @classmethod
    def of(cls, clear: Sequence[Lag]) -> _Usual:
        strength = float(np.median([k.strength for k in clear] or [0.0]))
        frames = float(np.median([k.frames or 0.0 for k in clear] or [0.0]))
        agreed = [k for k in clear if k.strength * strength > 0 and abs((k.frames or 0.0) - frames) <= LATE / 2]
        few = len(agreed) < max(2.0, MOST * len(clear))
        return cls(strength, frames, None if few else np.median([k.curve for k in agreed], 0))


def _against(look: Look, own: Lag, usual: _Usual, late: float | None) -> Iterator[Finding]:
    assert usual.curve is not None, "the other sessions agree"
    there = own.curve[int(np.abs(usual.curve).argmax())]
    opposite = own.strength * usual.strength < 0
    if own.frames is not None and opposite and there * usual.strength < 0:
        text = f"the picture turns the other way than in the other sessions (correlation {own.strength:+.2f}, "
        text += f"{usual.strength:+.2f} there): it is mirrored, or left and right are swapped; record again"
        yield found(look, "mirrored", text, own.strength, severity=REFUSE)
    elif abs(there) < abs(usual.strength) / 4 and abs(own.strength) < abs(usual.strength) * 0.75:
        text = (
            f"the labels have nothing to do with the picture (correlation {there:+.2f}, {usual.strength:+.2f} in the "
        )
        yield found(look, "unrelated", text + "other sessions): did the keys go to another window?", there)
    elif late is not None and not opposite and abs(late - usual.frames) > LATE and own.beyond(usual.frames):
        yield _late(look, usual.frames - late, "compared with the other sessions")


def _late(look: Look, frames: float, why: str) -> Finding:
    ms = round(1000 * frames / look.info.hz, -1)
    text = f"labels come {abs(ms):.0f} ms too {'late' if ms > 0 else 'early'} ({why}): train with "
    return found(look, "lag", text + f"--label-shift {ms:.0f} on this session and its like", ms)


@dataclass(frozen=True)
class _Pile:
    """Frames of several sessions, sorted by their brightness, in which one is quickly found again."""

    light: Floats
    which: NDArray[np.int64]
    row: NDArray[np.int64]

    @classmethod
    def of(cls, looks: Sequence[Look]) -> _Pile:
        light = np.concatenate([k.grid.mean(1) for k in looks])
        which = np.repeat(np.arange(len(looks)), [len(k) for k in looks])
        row = np.concatenate([np.arange(len(k)) for k in looks])
        order = np.argsort(light, kind="stable")
        return cls(light[order], which[order], row[order])

    def near(self, light: float) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        a, b = np.searchsorted(self.light, [light - 0.5, light + 0.5])
        return self.which[a:b], self.row[a:b]


def _twins(looks: Sequence[Look]) -> Iterator[Finding]:
    """Frames that are in two sessions: on both sides of the split, validation would measure memory."""
    pile = _Pile.of(looks)
    count = int(np.clip(QUERIES // max(len(looks), 1), 16, 64))
    shares: dict[tuple[int, int], float] = {}
    for mine, look in enumerate(looks):
        rows = np.flatnonzero(~look.same & ~look.blank & ~look.foreign)
        rows = rows[np.unique(np.linspace(0, len(rows) - 1, count).astype(int))] if len(rows) else rows
        twins = Counter(other for row in rows for other in _others(looks, pile, mine, int(row)))
        for other, n in twins.items():
            pair = min(mine, other), max(mine, other)
            shares[pair] = max(shares.get(pair, 0), n / len(rows))
    for (first, second), share in shares.items():
        if share > LEAK:
            copy = share > COPY
            text = f"has {100 * share:.0f} % of its frames in common with {looks[first].info.id}: "
            text += "use one of the two" if copy else "keep both on one side of the split, or delete them in one"
            text += ", or validation measures memory"
            yield found(looks[second], "copy" if copy else "leak", text, share)


def _others(looks: Sequence[Look], pile: _Pile, mine: int, row: int) -> set[int]:
    """Return which other sessions have nearly the same frame."""
    image, grid = looks[mine].images[row].astype(np.int16), looks[mine].grid[row].astype(np.int16)
    which, rows = pile.near(float(grid.mean()))
    out: set[int] = set()
    for other in set(which[which != mine].tolist()):
        there = rows[which == other]
        apart = abs(looks[other].grid[there] - grid).mean(1)
        best = int(apart.argmin())
        change = abs(looks[other].images[there[best]] - image)
        if apart[best] < 1 and change.mean() < 1 and (change > NOISE).mean() < DIFFERENT:
            out.add(other)
    return out
