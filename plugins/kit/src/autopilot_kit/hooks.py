"""Checks of a distribution as a whole: what importing it costs, its hooks, its descriptors, its commands' help."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
from functools import cached_property
from types import SimpleNamespace
from typing import Any, get_args, get_type_hints

from autopilot.api import KINDS, Plugin, Registry, Target

from autopilot_kit.subject import Options, Subject

HEAVY = {
    *("av", "cv2", "flax", "grain", "gymnasium", "jax", "matplotlib", "mss", "numpy", "onnxruntime", "optax", "pandas"),
    *("pyarrow", "pydantic", "pygame", "pynput", "rich", "scipy", "tensorflow", "torch", "vgamepad"),
}
"""What nobody may import at every start of the command line."""

QUICK_MS, HELP_MS, PATIENCE_S = 100, 1000, 20
"""What hooks, and a command's --help, may take: milliseconds of the processor's; and in all, seconds."""

PROGRAM = """
import json, os, sys, time
out = os.fdopen(os.dup(1), "w")
os.dup2(2, 1)
target, hooks, commands = json.loads(sys.argv[1])
import autopilot.api, autopilot.cli, importlib
def measured(what):
    before, began, cpu = set(sys.modules), time.monotonic(), time.process_time()
    try:
        what()
    except (Exception, SystemExit) as e:
        if getattr(e, "code", 1):
            return {"error": f"{type(e).__name__}: {e}"}
    new = {name.partition(".")[0] for name in set(sys.modules) - before}
    return {"ms": (time.monotonic() - began) * 1e3, "cpu_ms": (time.process_time() - cpu) * 1e3, "modules": sorted(new)}
found = {"import": measured(lambda: importlib.import_module(target))}
module = sys.modules.get(target)
for name in hooks:
    if hasattr(module, name):
        found[name] = measured(getattr(module, name))
print("\\0", file=sys.stderr, flush=True)  # what comes now are the commands' helps
for name in commands:
    words = [*name.split(), "--help"]
    found[name] = measured(lambda: autopilot.cli.cli.main(words, standalone_mode=False))
out.write(json.dumps(found))
out.close()
"""


class PluginChecks(Subject):
    """One entry point of a distribution."""

    checks = ("loads", "descriptors", "quick", "help", "quiet")

    def __init__(self, registry: Registry, plugin: Plugin, options: Options) -> None:
        super().__init__(registry, plugin, "plugin", SimpleNamespace(name=plugin.name), options)

    def loads(self) -> Iterator[str]:
        """Its module is imported and each hook returns right descriptors."""
        for kind in KINDS:
            self.registry.provided(kind)
        fixes = {"import": "let the module import", "api": "write AUTOPILOT_API as it says", "hooks": "mend its name"}
        for fault in self.plugin.faults:
            yield f"{fault.stage}: {fault.message}; {fixes.get(fault.stage, 'mend what that hook returns')}"

    def descriptors(self) -> Iterator[str]:
        """Each import string leads somewhere."""
        for kind in KINDS:
            for plugin, spec in self.registry.provided(kind):
                for target in targets(spec) if plugin is self.plugin else ():
                    try:
                        self.registry.load(kind, f"{plugin.dist}:{spec.name}", target)
                    except Exception as e:  # noqa: BLE001 - a plugin's import may fail in any way
                        yield f"{' '.join(str(e).split())}; name what is there, or install what it needs"

    @cached_property
    def measured(self) -> dict[str, Any]:
        """What importing, each hook and each command's help cost in a process of its own, and what was printed."""
        hooks = [hook for hook, _ in KINDS.values()]
        commands = [spec.name for plugin, spec in self.registry.provided("command") if plugin is self.plugin]
        job = json.dumps([self.plugin.target.partition(":")[0], hooks, commands])
        done = subprocess.run(  # noqa: S603 - our own program
            [sys.executable, "-c", PROGRAM, job], capture_output=True, text=True, timeout=PATIENCE_S, check=False
        )
        found: dict[str, Any] = json.loads(done.stdout or "{}")
        return {"": {"printed": done.stderr.partition("\0")[0]}, **found}

    def quick(self) -> Iterator[str]:
        """Importing it and its hooks cost little, and import nothing heavy: every command waits for them."""
        if self.plugin.module is None:
            return
        if fault := self._in_time():
            yield fault
            return
        for name, cost in self.measured.items():
            if "ms" not in cost or " " in name or not (name == "import" or name.startswith("autopilot_")):
                continue
            what = "importing its module" if name == "import" else f"{name}()"
            if heavy := sorted(HEAVY & set(cost["modules"])):
                yield f"{what} imports {', '.join(heavy)}; import these in the functions that use them"
            if cost["cpu_ms"] > QUICK_MS or cost["ms"] > 5 * QUICK_MS:
                yield f"{what} takes {cost['ms']:.0f} ms, and every command waits; return descriptors alone"

    def _in_time(self) -> str:
        try:
            return "" if self.measured else "?"
        except subprocess.TimeoutExpired:
            return f"its hooks give no answer for {PATIENCE_S} s; return descriptors alone"

    def help(self) -> Iterator[str]:
        """Each command's --help is quick and imports nothing heavy."""
        if self.plugin.module is None or self._in_time():
            return
        for plugin, spec in self.registry.provided("command"):
            cost = self.measured.get(spec.name, {}) if plugin is self.plugin else {}
            what = f"`autopilot {spec.name} --help`"
            if "error" in cost:
                yield f"{what} raises {cost['error']}; mend that command"
            elif heavy := sorted(HEAVY & set(cost.get("modules", ()))):
                yield f"{what} imports {', '.join(heavy)}; import these in the command's function"
            elif cost and cost["cpu_ms"] > HELP_MS:
                yield f"{what} takes {cost['cpu_ms']:.0f} ms; do the work in the command's function"

    def quiet(self) -> Iterator[str]:
        """Importing it and its hooks print nothing."""
        if self.plugin.module is None or self._in_time():
            return
        printed = [line for line in self.measured[""]["printed"].splitlines() if line.strip()]
        if printed:
            yield f"importing it prints {printed[0][:60]!r}; leave the print out"


def targets(spec: Any) -> Iterator[str]:
    """Yield every import string of a descriptor."""
    hints = get_type_hints(type(spec), include_extras=True)
    for field in fields(spec):
        value, hint = getattr(spec, field.name), hints[field.name]
        if is_dataclass(value) and not isinstance(value, type):
            yield from targets(value)
        elif value is not None and (hint == Target or Target in get_args(hint)):
            yield from value.values() if isinstance(value, Mapping) else (value,)
