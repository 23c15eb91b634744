"""The conformance kit: all checks of what a distribution, or one of its parts by name, provides."""

from __future__ import annotations

from collections.abc import Iterator

from autopilot.api import PluginError, Registry, suggest

from autopilot_kit.devices import DeviceChecks
from autopilot_kit.games import GameChecks
from autopilot_kit.hooks import PluginChecks
from autopilot_kit.labels import LabelMapChecks
from autopilot_kit.networks import NetworkChecks
from autopilot_kit.sources import SourceChecks
from autopilot_kit.subject import Options, Subject

KINDS: dict[str, type[Subject]] = {
    "label map": LabelMapChecks,
    "game": GameChecks,
    "model": NetworkChecks,
    "device": DeviceChecks,
    "frame source": SourceChecks,
}
"""Kind of thing -> its checks; commands are checked with their plugin."""


def subjects(registry: Registry, name: str, options: Options | None = None) -> Iterator[Subject]:
    """Yield what is to be checked: of a distribution (`autopilot-ribbon`) all, or what has that name.

    Raises PluginError for a name that nothing has.
    """
    options = options or Options()
    plugins = [plugin for plugin in registry.plugins if plugin.dist == name]
    for plugin in plugins:
        yield PluginChecks(registry, plugin, options)
    dist, _, bare = name.rpartition(":")
    found, known = bool(plugins), {plugin.dist for plugin in registry.plugins}
    for kind, checks in KINDS.items():
        for plugin, spec in registry.provided(kind):
            known.add(spec.name)
            if plugin in plugins or (not plugins and spec.name == bare and dist in ("", plugin.dist)):
                found = True
                yield checks(registry, plugin, kind, spec, options)
    if not found:
        raise PluginError(f"nothing that is installed is called {name!r}; {suggest(name, sorted(known))}")
