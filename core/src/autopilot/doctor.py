"""Trying what recording and driving need on this machine, part by part."""

from __future__ import annotations

import os
import shutil
import sys
import time
from collections.abc import Iterator

from autopilot.home import Home
from autopilot.plugins import Registry
from autopilot.types import Probe

ENOUGH_GB = 2.0


def examine(registry: Registry, home: Home) -> list[Probe]:
    """Return every probe: this Python, the disk, the clock, JAX, plugins, and their back-ends."""
    probes = [_python(), _disk(home), _clock(), _jax(), *_plugins(registry)]
    for kind in ("frame source", "device"):
        for plugin, spec in registry.provided(kind):
            if spec.probe is None:
                continue
            try:
                probes += registry.load(kind, f"{plugin.dist}:{spec.name}", spec.probe)()
            except Exception as e:  # noqa: BLE001 - a probe of a plugin may fail in any way
                what = " ".join(f"{type(e).__name__}: {e}".split())
                probes.append(Probe(spec.name, False, what, f"report this to {plugin.dist}"))
    return probes


def _python() -> Probe:
    version = ".".join(map(str, sys.version_info[:3]))
    ok = sys.version_info >= (3, 12)
    return Probe("Python", ok, version, "" if ok else "install Python 3.12 or newer", required=True)


def _disk(home: Home) -> Probe:
    path = home.root / f".doctor-{os.getpid()}"
    block = os.urandom(1 << 20)
    try:
        home.root.mkdir(parents=True, exist_ok=True)
        begun = time.monotonic()
        with path.open("wb") as f:
            for _ in range(32):
                f.write(block)
            f.flush()
            os.fsync(f.fileno())
        speed = 32 / max(time.monotonic() - begun, 1e-6)
        free = shutil.disk_usage(home.root).free / 1e9
    except OSError as e:
        return Probe("disk", False, f"{home.root}: {e.strerror or e}", "choose another --home", required=True)
    finally:
        path.unlink(missing_ok=True)
    detail = f"{home.root}: {free:.0f} GB free, writes {speed:.0f} MB/s"
    if free < ENOUGH_GB:
        fix = "free some space or choose another --home"
        return Probe("disk", False, detail, fix, required=True)
    return Probe("disk", True, detail, required=True)


def _clock() -> Probe:
    step = min(b - a for a, b in _instants()) / 1e3
    late = []
    for _ in range(20):
        due = time.monotonic() + 0.005
        time.sleep(0.005)
        late.append((time.monotonic() - due) * 1e3)
    worst = sorted(late)[-2]
    detail = f"resolution {step:.2f} us, a sleep ends up to {worst:.2f} ms late"
    return Probe("clock", worst < 5, detail, "" if worst < 5 else "close what keeps the CPU busy")


def _instants() -> Iterator[tuple[int, int]]:
    for _ in range(200):
        a = time.monotonic_ns()
        b = time.monotonic_ns()
        while b == a:
            b = time.monotonic_ns()
        yield a, b


def _jax() -> Probe:
    try:
        from autopilot.policy.network import engine

        return Probe("JAX", True, engine(), required=True)
    except Exception as e:  # noqa: BLE001 - a broken installation fails in its own way
        return Probe("JAX", False, f"{type(e).__name__}: {e}", "install again", required=True)


def _plugins(registry: Registry) -> list[Probe]:
    return [
        Probe(p.dist, False, p.faults[0].message, "see `autopilot plugins --errors`")
        for p in registry.plugins
        if p.faults
    ]
