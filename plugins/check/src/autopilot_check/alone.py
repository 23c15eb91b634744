"""Checks of one session by itself."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import numpy as np
from autopilot.api import LabelMap

from autopilot_check.findings import LOOK, REFUSE, Finding, in_words, ranges
from autopilot_check.look import Flags, Look

MANY = 0.5
"""A session is refused when more than this share of its frames is no picture of the game."""
SHORT_S = 5.0
FROZEN_S = 2.0
"""A picture that stands still for so long, to the last pixel, is not the game's."""
DUPLICATES = 0.1
DROPPED = 0.02
JITTER = 0.1
"""Shares of frames from which on a line is worth reading."""
PACE = 0.1
PAUSE_S = 1.0
"""A longer gap is a pause, not a dropped frame."""
SKIPPED = 0.2
NO_LABELS = 0.9
COMMON = 0.9
"""The share of one value of the steering from which on a network may learn that value alone."""
ENOUGH = 100
"""Labelled frames that a judgement of the labels takes."""
WRONG_WAY, INCIDENTS = (0.2, 0.6), (0.4, 0.75)
"""Shares of the frames from which on a line is worth reading: of a normal session, and of one that was made for
recoveries (another mode than N, or a network that drove and a teacher that labelled)."""
FAR = 24.0
"""Grey levels between mean colours from which on a frame is like no other of its session."""
APART_S = 5.0
"""Frames so close in time are left out when a frame is compared with the others."""
FLEETING = 2
"""Frames so few may be of a tree before the camera."""
OUT_OF_PLACE = 0.75
"""A frame of the game is more like the template than that share of what most frames are."""


def check_alone(look: Look, label_map: LabelMap | None) -> Iterator[Finding]:
    """Yield what is wrong with a session, whatever the others are like."""
    yield from _health(look)
    if not len(look):
        return
    yield from _pictures(look)
    yield from _times(look)
    yield from _labels(look, label_map)
    yield from _readings(look)


def found(look: Look, code: str, text: str, figure: float, flags: Flags | None = None, severity: str = LOOK) -> Finding:
    """Return a finding; `flags` (N,) are the frames that it is about."""
    rows = [] if flags is None else ranges(look.index, flags)
    return Finding(look.info.id, code, severity, text, float(figure), rows)


def _delete(look: Look, flags: Flags) -> str:
    rows = ranges(look.index, flags)
    start, stop = max(rows, key=lambda r: r[1] - r[0])
    again = ", and so on" if len(rows) > 1 else ""
    return f"`autopilot sessions {look.info.id} --delete {start}-{stop - 1}` leaves them out{again}"


def _health(look: Look) -> Iterator[Finding]:
    health, n = look.health, len(look)
    if health.damaged:
        text = f"{health.damaged} rows are damaged and left out: check the disk, or copy the session anew"
        yield found(look, "damaged", text, health.damaged)
    if health.torn:
        text = f"{health.torn} segments were not finished: all intact frames are used, "
        yield found(look, "torn", text + f"`autopilot sessions {look.info.id} --purge` tidies up", health.torn)
    if n < SHORT_S * look.info.hz:
        text = f"{n} frames, {n / look.info.hz:.1f} s: too short to learn from; record longer sessions"
        yield found(look, "short", text, n)


def _spoilt(look: Look, code: str, flags: Flags, what: str) -> Iterator[Finding]:
    """Yield a finding of frames that are no picture of the game, if there are any."""
    if (share := float(flags.mean())) > 0:
        rows = ranges(look.index, flags)
        text = f"{flags.sum()} of {len(look)} frames {what} ({in_words(rows)}): " + _delete(look, flags)
        yield found(look, code, text, share, flags, REFUSE if share > MANY else LOOK)


def _pictures(look: Look) -> Iterator[Finding]:
    yield from _spoilt(look, "black", look.blank, "show nothing")
    look.foreign[:] = foreign(look)
    yield from _spoilt(look, "foreign", look.foreign, "are of a desktop or a menu")
    same = look.same & ~look.blank & ~look.foreign
    still = long_runs(same, round(FROZEN_S * look.info.hz))
    yield from _spoilt(look, "frozen", still, "repeat one picture that stands still")
    if (share := (same & ~still).mean()) > DUPLICATES:
        text = f"{100 * share:.0f} % of the frames repeat the one before: the game draws fewer than "
        text += f"{look.info.hz:g} pictures a second; give it less to do, or record with a smaller --hz"
        yield found(look, "duplicates", text, share, same & ~still)


def long_runs(flags: Flags, length: int) -> Flags:
    """Return the flags that belong to a run of at least `length`; (N,)."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], flags.astype(np.int8), [0]])))
    out = np.zeros_like(flags)
    for a, b in edges.reshape(-1, 2):
        out[a:b] = b - a >= length
    return out


def foreign(look: Look) -> Flags:
    """Return which frames show something else than the game, (N,): a desktop, a menu.

    Such a frame has colours that no other frame of the session has, a few seconds around it left out; it has
    lost what stands still in the session (see `Template`), or, where nothing does, it stands still itself; and
    the game leaves the screen at once: a cut lies before and after it, or an end of the session.
    """
    n, apart = len(look), APART_S * look.info.hz
    sample = np.unique(np.linspace(0, n - 1, 300).astype(int))
    rest = look.grid[sample].astype(np.int16)
    lost = look.agreement < OUT_OF_PLACE * float(np.median(look.agreement))
    if look.template.edges.sum() < 25:
        still = look.step < 1
        lost = still | np.append(still[1:], False)
    odd = np.zeros(n, np.bool_)
    for i in np.flatnonzero(lost & ~look.blank):
        others = rest[abs(sample - i) > apart]
        odd[i] = len(others) > 0 and np.abs(others - look.grid[i]).mean(1).min() > FAR
    cut = look.step > max(FAR, 4 * float(np.median(look.step)))
    edges = np.flatnonzero(np.diff(np.concatenate([[0], odd.astype(np.int8), [0]])))
    for a, b in edges.reshape(-1, 2):
        odd[a:b] = (a == 0 or cut[a]) and (b == n or cut[b]) and FLEETING < b - a < n
    return odd


def _times(look: Look) -> Iterator[Finding]:
    gap = (np.diff(look.t_ns) * look.info.hz / 1e9)[np.diff(look.index) == 1]
    if len(gap) < 2:
        return
    if back := int((gap <= 0).sum()):
        yield found(look, "clock", f"{back} frames are no later than the one before: record again", back)
        return
    driven = gap[gap < PAUSE_S * look.info.hz]
    pace = float(np.median(driven)) if len(driven) else 1.0
    if abs(pace - 1) > PACE:
        text = f"recorded at {look.info.hz / pace:.1f} frames a second, not at the {look.info.hz:g} of its description"
        yield found(look, "pace", text + ": record again, with an --hz that this machine keeps", pace)
        return
    missing = int((driven[driven > 1.5].round() - 1).sum())
    if (share := missing / (len(look) + missing)) > DROPPED:
        text = f"{100 * share:.0f} % of the frames were dropped: close other programs, or record with a smaller --hz"
        yield found(look, "dropped", text, share)
    regular = driven[driven <= 1.5]
    if (share := float((abs(regular - 1) > 0.25).mean())) > JITTER:
        text = f"{100 * share:.0f} % of the frames came more than a quarter of a period early or late: "
        yield found(look, "jitter", text + "close other programs, or record with a smaller --hz", share)


def _labels(look: Look, label_map: LabelMap | None) -> Iterator[Finding]:
    info, n = look.info, len(look)
    counts = Counter(look.held)
    if unknown := sorted(frozenset().union(*counts) - set(info.controls)):
        text = f"holds {', '.join(unknown)}, which {info.game} does not have: is it a session of another game?"
        yield found(look, "controls", text, len(unknown))
    labelled = look.actions[:, 0] >= 0
    driven = info.policy or info.auto  # then rows are without a label by intention
    if label_map is not None and not driven and label_map.action_space.to_json() == info.action_space:
        yield from _relabelled(look, label_map)
    if (share := float((~labelled).mean())) > SKIPPED and not driven:
        text = f"{100 * share:.0f} % of the frames have no label: keys were held that contradict each other, "
        text += "or the label map knows no such action"
        yield found(look, "skipped", text, share, ~labelled, REFUSE if share > NO_LABELS else LOOK)
    if len(counts) == 1 and n >= ENOUGH:
        what = " and ".join(sorted(look.held[0])) or "nothing"
        text = f"all {n} frames hold {what}: did the keys arrive? `autopilot doctor` types one, --profile binds them"
        yield found(look, "keys", text, n, severity=REFUSE)
    elif look.steer is not None and labelled.sum() >= ENOUGH:
        yield from _balance(look, labelled)


def _relabelled(look: Look, label_map: LabelMap) -> Iterator[Finding]:
    none = (-1,) * look.actions.shape[1]
    now = {held: label_map.action(held) or none for held in set(look.held)}
    other = (np.array([now[h] for h in look.held]) != look.actions).any(1)
    if share := other.mean():
        text = f"{100 * share:.0f} % of the labels are not what {look.info.label_map} makes of the keys held: "
        text += "it has changed since; training takes the new labels"
        yield found(look, "labels", text, share, other)


def _balance(look: Look, labelled: Flags) -> Iterator[Finding]:
    assert look.steer is not None
    number, axis = look.steer
    shares = np.bincount(look.actions[labelled, number], minlength=len(axis.values)) / labelled.sum()
    common = int(shares.argmax())
    if shares[common] > COMMON:
        text = f"{100 * shares[common]:.0f} % of the frames are {axis.values[common]!r}: record more bends and "
        text += "recoveries, or train with --balance oversample"
        yield found(look, "imbalance", text, shares[common])
    pairs = [([value], [mirror]) for value, mirror in enumerate(axis.mirror)]
    if set(np.abs(look.turn)) - {0.0, 1.0}:  # levels, of which a side as a whole is held or not
        low, high = np.flatnonzero(look.turn < 0).tolist(), np.flatnonzero(look.turn > 0).tolist()
        pairs = [(low, high), (high, low)]
    for never, often in pairs:
        if not shares[never].any() and shares[often].sum() > 0.05:
            these, those = (" ".join(axis.values[value] for value in values) for values in (often, never))
            text = f"{these!r} is held and {those!r} never: is its key bound? "
            yield found(
                look, "one-sided", text + "`autopilot doctor` reads keys; --bind changes one", shares[often].sum()
            )


def _readings(look: Look) -> Iterator[Finding]:
    made_for_recoveries = look.info.mode != "N" or look.info.teacher is not None
    if (share := look.wrong_way.mean()) > WRONG_WAY[made_for_recoveries]:
        text = f"{100 * share:.0f} % of the frames go the wrong way ({in_words(ranges(look.index, look.wrong_way))}): "
        yield found(look, "wrong-way", text + _delete(look, look.wrong_way), share, look.wrong_way)
    if (share := look.incident.mean()) > INCIDENTS[made_for_recoveries]:
        text = f"{100 * share:.0f} % of the frames are off the road or at a wall: record more of clean driving"
        yield found(look, "incidents", text, share, look.incident)
