"""Windows by what a user says of them: the one that is meant, or those that there are."""

from __future__ import annotations

import difflib
import re
import sys
from collections.abc import Callable, Sequence

from autopilot.api import UserError, Window, load

from autopilot_screen.desk import Desk, one_line


def open_desk() -> Desk:
    """Return the windows of this system; raises DeviceError where there are none to be had."""
    systems = {"linux": "x11:X11Desk", "win32": "win32:WindowsDesk", "darwin": "winctl:LibraryDesk"}
    system = systems.get(sys.platform, "winctl:LibraryDesk")
    desk: Desk = load(f"autopilot_screen.{system}")()
    return desk


def windows(query: str | None = None) -> list[Window]:
    """Return all windows, the topmost first, or the one that a query means; raises as `choose` does."""
    desk = open_desk()
    try:
        return desk.windows() if query is None else [choose(query, desk)]
    finally:
        desk.close()


def choose(query: str, desk: Desk) -> Window:
    """Return the one window that `query` means.

    `click` asks for a click; `id:N` is a number from `autopilot windows`; `process:NAME` (or
    `pid:NUMBER`) a program; `re:PATTERN` a regular expression for the title; anything else, with
    or without `title:`, is part of the title. Case does not matter; a whole title wins.

    Raises UserError, with what there is instead, for none or several.
    """
    if query == "click":
        return _clicked(desk)
    windows = desk.windows()
    found = _matching(query, windows)
    if len(found) == 1:
        return found[0]
    if found:
        raise UserError(f"{len(found)} windows match {query!r}: {_some(found)}; take one by its id")
    names = {name.casefold(): w for w in windows for name in (w.process, w.title)}
    near = difflib.get_close_matches(_parts(query)[1].casefold(), names, n=3, cutoff=0.5)
    if near:
        raise UserError(f"no window matches {query!r}; did you mean {_some([names[n] for n in near])}?")
    raise UserError(f"no window matches {query!r}; there are: {_some(windows) or 'none'}")


def _clicked(desk: Desk) -> Window:
    print("click on the game's window (Escape cancels)", file=sys.stderr, flush=True)
    clicked = desk.click()
    if clicked is None:
        raise UserError("no window was clicked on; try again, or name one: `autopilot windows` lists them")
    return clicked


def _parts(query: str) -> tuple[str, str]:
    """Return by what the window is looked for, and the words for it."""
    kind, colon, wanted = query.partition(":")
    return (kind, wanted) if colon and kind in MATCHES else ("title", one_line(query))


def _matching(query: str, windows: Sequence[Window]) -> list[Window]:
    """Return the windows that a query fits; one whose whole title it is, alone."""
    kind, wanted = _parts(query)
    if not wanted:
        raise UserError(f"--window {query!r} names nothing: `autopilot windows` lists what there is")
    try:
        found = [w for w in windows if MATCHES[kind](w, wanted)]
    except (ValueError, re.error) as e:
        raise UserError(f"--window {query!r} cannot be understood: {e}") from e
    whole = [w for w in found if w.title.casefold() == wanted.casefold()]
    return whole if kind == "title" and whole else found


def _some(windows: Sequence[Window]) -> str:
    shown = list(dict.fromkeys(map(str, windows)))
    return ", ".join(shown[:5]) + (" and more (see `autopilot windows`)" if len(shown) > 5 else "")


MATCHES: dict[str, Callable[[Window, str], bool]] = {
    "title": lambda w, s: s.casefold() in w.title.casefold(),
    "re": lambda w, s: re.search(s, w.title, re.IGNORECASE) is not None,
    "process": lambda w, s: any(s.casefold() in name.casefold() for name in (w.process, w.kind)),
    "pid": lambda w, s: w.pid == int(s),
    "id": lambda w, s: w.id == int(s, 0),
}
