"""Learns which key each control is, by asking for one after the other."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence

from autopilot.api import Held, UserError

KEEP = ("enter", "esc")
"""Keys that leave a control as it is."""
LOOK_S = 0.01
PRESS_S = 60.0
"""How long a key is waited for."""


def learn_keys(
    controls: Sequence[str],
    known: Mapping[str, str],
    taken: Mapping[str, str],
    read: Callable[[], Held],
    say: Callable[[str], None],
) -> dict[str, str]:
    """Return control -> key for `controls`, each as pressed, or as `known` where Enter or Escape is pressed.

    `read` gives the names of the keys that are held; `taken` maps keys that cannot be used to what they
    are. A key that is taken, or was pressed for another control, is refused and asked for again; several
    at once are none. Raises UserError when no key is pressed for a minute.
    """
    learned: dict[str, str] = {}
    used = dict(taken)
    for control in controls:
        default = known.get(control)
        keep = f" (Enter: it is {default})" if default and default not in used else ""
        say(f"press the key for {control}{keep}")
        while control not in learned:
            key = _press(read)
            if key in KEEP and keep and default is not None:
                key = default
            if key is None:
                say("  several keys at once; press one alone")
            elif key in KEEP:
                say(f"  {key} cannot be used; press the key for {control}")
            elif key in used:
                say(f"  {key} is {used[key]} already; press another for {control}")
            else:
                say(f"  {control} is {key}")
                learned[control], used[key] = key, control
    return learned


def _press(read: Callable[[], Held]) -> str | None:
    """Return the one key that goes down and up again; None when there were several."""
    until = time.monotonic() + PRESS_S
    while read():  # what was pressed before
        _wait(until)
    seen: set[str] = set()
    while not seen:
        _wait(until)
        seen.update(read())
    while now := read():
        _wait(until)
        seen.update(now)
    return seen.pop() if len(seen) == 1 else None


def _wait(until: float) -> None:
    if time.monotonic() > until:
        raise UserError("no key was pressed for a minute, so nothing was stored; run setup again")
    time.sleep(LOOK_S)
