"""The errors that a user sees: one line each, what happened and what to do next."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class AutopilotError(Exception):
    """A failure of ours or of the machine; the command line exits with 1."""

    exit_code = 1


class UserError(AutopilotError):
    """An error that the user can correct; the command line exits with 2."""

    exit_code = 2


class PluginError(UserError):
    """A plugin failed, or a name that plugins provide is unknown or ambiguous."""


class SessionError(UserError):
    """A session cannot be written, opened or used."""


class BundleError(UserError):
    """A bundle cannot be loaded, or does not fit the game that it should drive."""


class DeviceError(UserError):
    """A screen, keyboard or gamepad cannot be opened on this machine."""


class Away(DeviceError):
    """The game is not visible, or does not have the focus, at the moment: nothing may be held or recorded."""


def suggest(name: str, known: Iterable[str], otherwise: str | None = None) -> str:
    """Return `did you mean A or B?` if known names are similar, else `otherwise`, by default a list of all."""
    names = list(dict.fromkeys(known))
    near = difflib.get_close_matches(name, names, n=3, cutoff=0.5)
    if near or otherwise is None:
        return f"did you mean {' or '.join(near)}?" if near else f"there are: {', '.join(names)}"
    return otherwise
