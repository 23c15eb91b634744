"""The registry: each plugin is loaded separately, and each fault is reported under the plugin's name."""

from __future__ import annotations

import importlib.metadata
import re
import traceback
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pluggy

from autopilot import __version__
from autopilot.api import hookspecs, specs
from autopilot.api.errors import PluginError, suggest
from autopilot.api.guard import Calling, Guard, one_line
from autopilot.api.values import Misfit, taker

KINDS: dict[str, tuple[str, Any]] = {
    "game": ("autopilot_games", specs.GameSpec),
    "frame source": ("autopilot_frame_sources", specs.FrameSourceSpec),
    "label map": ("autopilot_label_maps", specs.LabelMapSpec),
    "model": ("autopilot_models", specs.ModelSpec),
    "device": ("autopilot_devices", specs.DeviceSpec),
    "command": ("autopilot_commands", specs.CommandSpec),
    "check": ("autopilot_checks", specs.CheckSpec),
    "engine": ("autopilot_engines", specs.EngineSpec),
    "zoo": ("autopilot_zoos", specs.ZooSpec),
}
"""Kind of thing -> the hook that provides it and the descriptor that the hook returns."""


@dataclass(frozen=True, slots=True)
class Fault:
    """An error of a plugin: its stage, a message of one line, and the traceback."""

    stage: str
    message: str
    details: str = ""


@dataclass
class Plugin:
    """One entry point of one distribution, loaded or not."""

    dist: str
    name: str
    version: str
    target: str
    module: Any = None
    faults: list[Fault] = field(default_factory=list)

    @property
    def key(self) -> str:
        """How pluggy knows it; unique even where two distributions use one entry-point name."""
        return f"{self.dist}:{self.name}"

    @property
    def status(self) -> str:
        """`ok`, `faulty` (some hook failed) or `broken` (left out altogether)."""
        return "broken" if self.module is None else "faulty" if self.faults else "ok"


class Registry:
    """All plugins of this environment and what they provide.

    `safe_mode` loads none; `own_commands` are names that no plugin's command may have; `home` returns the user's
    folder, once a hook asks for it. Only the plugins' entry modules are imported.
    """

    def __init__(
        self,
        safe_mode: bool = False,
        own_commands: Collection[str] = (),
        home: Callable[[], Path | None] = lambda: None,
    ) -> None:
        self.safe_mode, self._home = safe_mode, home
        self._own = {"command": own_commands, "engine": ("jax",)}
        self.plugins: list[Plugin] = []
        self._pm = pluggy.PluginManager("autopilot")
        self._pm.add_hookspecs(hookspecs)
        self._provided: dict[str, list[tuple[Plugin, Any]]] = {}
        if not safe_mode:
            for plugin, entry_point in _entry_points():
                self.plugins.append(plugin)
                self._load(plugin, entry_point)

    def _load(self, plugin: Plugin, entry_point: importlib.metadata.EntryPoint) -> None:
        try:
            module = entry_point.load()
        except (Exception, SystemExit) as e:  # noqa: BLE001 - anything may happen in foreign code
            plugin.faults.append(_fault("import", e))
            return
        api = getattr(module, "AUTOPILOT_API", None)
        if type(api) is not int or api != hookspecs.API_VERSION:
            said = "does not set AUTOPILOT_API" if api is None else f"was built for hook API {api!r}"
            plugin.faults.append(Fault("api", f"{said}; this autopilot has hook API {hookspecs.API_VERSION}, a number"))
            return
        try:
            self._pm.register(module, name=plugin.key)
            self._pm.check_pending()
        except Exception as e:  # noqa: BLE001 - pluggy's own errors and those of odd modules
            if self._pm.has_plugin(plugin.key):
                self._pm.unregister(name=plugin.key)
            plugin.faults.append(_fault("hooks", e))
            return
        plugin.module = module

    def provided(self, kind: str) -> list[tuple[Plugin, Any]]:
        """Return every descriptor of a kind with the plugin that provides it, in plugin order."""
        if kind not in self._provided:
            self._provided[kind] = [
                (plugin, spec)
                for plugin in self.plugins
                if plugin.module is not None
                for spec in self._call(plugin, kind)
            ]
        return self._provided[kind]

    def _call(self, plugin: Plugin, kind: str) -> list[Any]:
        hook_name, wanted = KINDS[kind]
        others = [p.module for p in self.plugins if p.module not in (None, plugin.module)]
        caller = self._pm.subset_hook_caller(hook_name, others)
        told = {"home": self._home()} if caller.spec and "home" in caller.spec.argnames else {}
        try:
            results = caller(**told)
            if len(results) < len(caller.get_hookimpls()):  # pluggy leaves None out
                raise TypeError(f"{hook_name} returned nothing: it must return a list of {wanted.__name__} objects")
            offered = [spec for result in results for spec in result]
            _check(hook_name, wanted, offered)
        except (Exception, SystemExit) as e:  # noqa: BLE001 - foreign code
            plugin.faults.append(_fault(hook_name, e))
            return []
        refused = {spec.name for spec in offered} & set(self._own.get(kind, ()))
        for name in sorted(refused):
            plugin.faults.append(Fault(hook_name, f"offers the {kind} {name!r}, which is autopilot's own: rename it"))
        return [spec for spec in offered if spec.name not in refused]

    def find(self, kind: str, name: str) -> tuple[Plugin, Any]:
        """Return what `name` or `dist:name` means.

        Raises PluginError when nothing or more than one thing has that name.
        """
        dist, _, bare = name.rpartition(":")
        everything = self.provided(kind)
        matches = [(plugin, spec) for plugin, spec in everything if spec.name == bare and dist in ("", plugin.dist)]
        if len(matches) == 1:
            return matches[0]
        if matches:
            choices = " or ".join(f"{p.dist}:{bare}" for p, _ in matches)
            raise PluginError(f"two plugins offer the {kind} {bare!r}: say {choices}")
        raise PluginError(self._unknown(kind, name, [*self._own.get(kind, ()), *(spec.name for _, spec in everything)]))

    def get(self, kind: str, name: str) -> Any:
        """Return the descriptor that `name` or `dist:name` means; errors as in `find`."""
        return self.find(kind, name)[1]

    def load(self, kind: str, name: str, target: str, returns: Any = Any) -> Any:
        """Import `target`, an import string of the descriptor `name`, and return that function, guarded.

        `returns` is the annotation of its return value, which is checked; returned objects are guarded too. Raises
        PluginError, naming the plugin, when it cannot be imported, and later whenever plugin code raises anything but
        an AutopilotError. A command is not called here and is returned unguarded, if it is of the type `returns`.
        """
        plugin, spec = self.find(kind, name)
        guard = Guard(f"{plugin.dist}: {kind} {spec.name!r}")
        with Calling(f"{plugin.dist}: cannot load {kind} {name!r}", watched=False):
            thing, take = specs.load(target), taker(returns)
            if kind == "command":
                return take(thing, guard)
            if not callable(thing):
                raise Misfit(f"{target} must be a function")
        watched = kind not in ("frame source", "check", "engine")  # which may wait for a click; which may take long
        return guard.function(thing, target.rpartition(":")[2], take, watched=watched)

    def _unknown(self, kind: str, name: str, known: list[str]) -> str:
        hint = suggest(name, sorted(known)) if known else f"no plugin offers any {kind}"
        message = f"unknown {kind} {name!r}; {hint}"
        broken = [p.dist for p in self.plugins if p.faults]
        if broken:
            message += f" (broken plugins: {', '.join(broken)}; see `autopilot plugins --errors`)"
        if self.safe_mode:
            message += " (--safe-mode leaves all plugins out)"
        return message


def _check(hook_name: str, wanted: Any, offered: list[Any]) -> None:
    for spec in offered:
        if not isinstance(spec, wanted):
            raise TypeError(f"{hook_name} must return {wanted.__name__} objects, not {type(spec)}")
        try:
            taker(wanted)(spec, Guard(hook_name))
        except Misfit as e:
            raise Misfit(f"{wanted.__name__} {spec.name!r}: {e}") from None
    names = [spec.name for spec in offered]
    if twice := {name for name in names if names.count(name) > 1}:
        raise ValueError(f"{hook_name} offers {min(twice)!r} twice")


def _entry_points() -> Iterable[tuple[Plugin, importlib.metadata.EntryPoint]]:
    """Yield each entry point of the group once, in order of distribution and name."""
    seen: dict[str, tuple[Plugin, importlib.metadata.EntryPoint]] = {}
    for ep in importlib.metadata.entry_points(group=hookspecs.GROUP):
        dist = re.sub(r"[-_.]+", "-", ep.dist.name if ep.dist else "unknown").lower()
        version = ep.dist.version if ep.dist else "?"
        plugin = Plugin(dist, ep.name, version, ep.value)
        seen.setdefault(plugin.key, (plugin, ep))
    return [seen[key] for key in sorted(seen)]


def _fault(stage: str, e: BaseException) -> Fault:
    said = str(e) if isinstance(e, Misfit) else one_line(e)
    return Fault(stage, said, "".join(traceback.format_exception(e)))


def versions(plugins: Iterable[Plugin]) -> dict[str, str]:
    """Return which versions made something: distribution -> version, of core and the plugins that took part."""
    return {"autopilot-core": __version__} | {p.dist: p.version for p in plugins}
