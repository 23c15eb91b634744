"""autopilot: a network learns to drive a racing game from the screen alone.

What a script or a notebook needs is here, each name imported when it is first used: `autopilot.open`.
"""

from __future__ import annotations

__version__ = "0.1.0"

TYPE_CHECKING = False  # typing's own would take as long to import as all of this
if TYPE_CHECKING:
    from autopilot.api.errors import AutopilotError, UserError
    from autopilot.commands.arrays import SessionArrays
    from autopilot.commands.asking import NamedDecision, NamedPolicy
    from autopilot.commands.opened import OpenHome, open
    from autopilot.drive.stepping import SteppedWorld

__all__ = [
    "AutopilotError", "NamedDecision", "NamedPolicy", "OpenHome", "SessionArrays", "SteppedWorld", "UserError", "open",
]  # fmt: skip

_MODULES = {
    "api.errors": ("AutopilotError", "UserError"),
    "commands.arrays": ("SessionArrays",),
    "commands.asking": ("NamedDecision", "NamedPolicy"),
    "commands.opened": ("OpenHome", "open"),
    "drive.stepping": ("SteppedWorld",),
}

if not TYPE_CHECKING:  # or a type checker would take every name for one of these

    def __getattr__(name: str) -> object:
        """Import what is asked for; by name, since these modules import this one."""
        for module, names in _MODULES.items():
            if name in names:
                from importlib import import_module

                return getattr(import_module(f"autopilot.{module}"), name)
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return [*globals(), *__all__]
