"""Which versions made something: core, and the plugins that took part."""

from __future__ import annotations

from collections.abc import Iterable

from autopilot import __version__
from autopilot.api.registry import Plugin


def versions(plugins: Iterable[Plugin]) -> dict[str, str]:
    """Return distribution -> version for core and the given plugins."""
    return {"autopilot-core": __version__} | {p.dist: p.version for p in plugins}
