"""The errors that reach a person: one line each, what happened and what to do next."""

from __future__ import annotations


class AutopilotError(Exception):
    """A failure of ours or of the machine; the command line exits with 1."""

    exit_code = 1


class UserError(AutopilotError):
    """Something that the user can put right; the command line exits with 2."""

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
    """The game cannot be seen or has not the focus for now: nothing may be held or recorded."""
