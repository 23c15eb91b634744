"""Trying what recording and driving need on this machine, part by part.

What may hang or crash runs in a process of its own, started as `python -m autopilot_setup.doctor JOB`,
which answers with one line of JSON. All of them together take ten seconds at most.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from autopilot.api import (
    AutopilotError,
    DeviceSpec,
    FrameSource,
    FrameSourceSpec,
    Game,
    GameSpec,
    Plugin,
    PluginError,
    Probe,
    Reader,
    Registry,
    ScreenSpec,
    SourceSettings,
    Trial,
)
from autopilot.desktop.desktop import BLACK, Desktop, DeviceChoice, chosen_source
from autopilot.desktop.emitter import Emitter
from autopilot.drive.world import Worlds
from autopilot.sessions.home import Home

ENOUGH_GB = 2.0
ALL_S = 8.0
"""For everything together, the start of the command left out."""
SEEN = 0.65
"""By this share of that time the frame sources must have shown a picture."""
CLICK_S = 60.0
"""More than both where the user is asked to click on a window."""
LONG_S = 60.0
"""Who gives no answer for so long hangs, as a rule."""
LOOK_S = 1.0
"""How long a frame source is watched for its rate, and for whether its picture changes."""
_Part = tuple[str, Plugin, Any, dict[str, Any]]
"""Kind, plugin, descriptor, and what else its job is told."""


@dataclass(frozen=True, slots=True)
class NoAnswer(Probe):
    """A part that gave no answer in time: whether it works is not known."""


def state(probe: Probe) -> str:
    """Return `ok`, `unknown` (no answer in time), `broken` (and required) or `missing`."""
    if isinstance(probe, NoAnswer):
        return "unknown"
    return "ok" if probe.ok else "broken" if probe.required else "missing"


@dataclass(frozen=True)
class GameVerdict:
    """Whether a game can be recorded by a human and driven here; None, or what is missing.

    `unknown` names those of the two, `record` and `drive`, for which nothing is missing but an answer in time.
    """

    game: str
    record: str | None
    drive: str | None
    unknown: tuple[str, ...]

    @property
    def able(self) -> bool:
        """Whether nothing is missing for either, for all that is known."""
        lacks = {"record": self.record, "drive": self.drive}
        return all(lack is None or name in self.unknown for name, lack in lacks.items())


@dataclass(frozen=True)
class Diagnosis:
    """What `examine` found. `picture` is a PNG file of what the frame source shows."""

    probes: tuple[Probe, ...]
    games: tuple[GameVerdict, ...]
    picture: Path | None
    seconds: float

    @property
    def ok(self) -> bool:
        """Whether nothing that is required failed, and some game can be recorded and driven, for all that is known."""
        broken = any(state(p) == "broken" for p in self.probes)
        return not broken and (not self.games or any(g.able for g in self.games))


def examine(
    registry: Registry, home: Home, choice: DeviceChoice, game: str | None = None, patience_s: float = ALL_S
) -> Diagnosis:
    """Try this Python, the disk, the clock, JAX, and the games, frame sources and devices of plugins.

    A picture is taken by the frame source that `choice` or the game names, else by every one that
    has a probe; what the user names is required. Raises PluginError for an unknown name.
    """
    started = time.monotonic()
    found = None if game is None else Game(registry, game)
    examination = _Examination(registry, home, choice, found)
    clock = _clock()  # first, while nothing else keeps the processor busy
    probes, parts = examination.run(started, patience_s)
    probes.insert(2, clock)
    for (kind, part), some in parts.items():
        required = part == examination.source if kind == "frame source" else part == choice.device
        probes += [replace(p, required=required or p.required) for p in some]
    verdicts = tuple(_verdict(spec, parts, examination.source, examination.device) for _, spec in examination.games)
    path = examination.picture if examination.picture.exists() else None
    return Diagnosis(tuple(probes), verdicts, path, round(time.monotonic() - started, 2))


class _Examination:
    """What is to be tried, and trying it: games and frame sources first, then devices, the rest meanwhile."""

    def __init__(self, registry: Registry, home: Home, choice: DeviceChoice, game: Game | None) -> None:
        self._registry, self._home, self._choice = registry, home, choice
        screen = (game.spec.screen if game else None) or ScreenSpec()
        self.device = choice.device or screen.device
        self.source = chosen_source(registry, choice) or screen.frame_source
        if self.source is None and choice.settings != SourceSettings():
            self.source = "screen"
        self.games = [(p, s) for p, s in registry.provided("game") if game is None or s.name == game.spec.name]
        self.picture = home.root / "doctor" / "picture.png"
        settings = Desktop(game, home, choice).settings if game else choice.settings
        if settings.window == "click" != choice.settings.window:
            settings = replace(settings, window=None)  # the whole screen: nobody is asked unless they said so
        self._settings = replace(settings, background=True, folder=str(home.granted))

    def _first(self) -> list[_Part]:
        """Return the parts that are tried first: games, and frame sources, which take a picture."""
        registry, look = self._registry, {"settings": asdict(self._settings), "picture": str(self.picture)}
        sources = [(p, s) for p, s in registry.provided("frame source") if s.probe]
        if self.source is not None:
            sources = [registry.find("frame source", self.source)]
        probed = [(p, s) for p, s in self.games if s.simulator and s.simulator.probe]
        unread = [(p, s) for p, s in self.games if not (s.screen and s.screen.reader)]
        parts: list[_Part] = [("game", p, s, {}) for p, s in probed]
        parts += [("by hand", p, s, {}) for p, s in unread if not ((p, s) in probed and s.bindings)]
        return parts + [("frame source", p, s, look) for p, s in sources]

    def _second(self) -> list[_Part]:
        """Return the devices: afterwards, because a device's own window would be in the picture."""
        devices = [(p, s) for p, s in self._registry.provided("device") if s.probe]
        if self._choice.device and all(s.name != self._choice.device for _, s in devices):
            devices.append(self._registry.find("device", self._choice.device))
        return [("device", p, s, {}) for p, s in devices]

    def run(self, begun: float, patience_s: float) -> tuple[list[Probe], dict[tuple[str, str], list[Probe]]]:
        """Try all within `patience_s`; return what was found of this machine, and of each kind and part."""
        with contextlib.suppress(OSError):
            self.picture.unlink()
        base = {"home": str(self._home.root), "safe_mode": self._registry.safe_mode, "patience": patience_s}
        begun += CLICK_S if self._settings.window == "click" else 0
        parts: dict[tuple[str, str], list[Probe]] = {}
        with contextlib.ExitStack() as stack:

            def start(part: str, **job: Any) -> _Job:
                return stack.enter_context(_Job(part, base | job))

            jax, disk = start("JAX", do="jax"), start("disk", do="disk")
            for kinds, share in ((self._first(), SEEN), (self._second(), 1.0)):
                jobs = [(kind, start(s.name, do=kind, name=f"{p.dist}:{s.name}", **more)) for kind, p, s, more in kinds]
                parts |= {(kind, job.part): job.probes(begun + share * patience_s) for kind, job in jobs}
            rest = begun + patience_s
            return [_python(), *disk.probes(rest), *jax.probes(rest), *_plugins(self._registry)], parts


def _verdict(
    spec: GameSpec, parts: dict[tuple[str, str], list[Probe]], source: str | None, device: str | None
) -> GameVerdict:
    """Join what was found to what a game needs; a game that brings a part itself names none."""
    screen = spec.screen or ScreenSpec()

    def lack(*needs: tuple[str, str | None]) -> tuple[str | None, bool]:
        bad = [p for kind, name in needs for p in parts.get((kind, name or ""), ()) if not p.ok]
        worst = min(bad, key=lambda p: isinstance(p, NoAnswer), default=None)
        return None if worst is None else f"{worst.name}: {worst.detail}", isinstance(worst, NoAnswer)

    seen = ("frame source", screen.frame_source and (source or screen.frame_source))
    record = lack(("game", spec.name), ("by hand", spec.name), seen, ("device", screen.reader))
    needs = [seen, ("device", screen.device and (device or screen.device))]
    clocks = spec.simulator.clocks if spec.simulator else ()
    if "lockstep" in clocks:  # it gives its frames and takes its controls itself; its window is for a human
        needs = [("game", spec.name)] if "wall" in clocks else []
    drive = lack(*needs)
    unknown = tuple(name for name, (_, slow) in (("record", record), ("drive", drive)) if slow)
    return GameVerdict(spec.name, record[0], drive[0], unknown)


class _Job:
    """One probe in a process of its own, which is killed at the end, whatever happens."""

    def __init__(self, part: str, job: dict[str, Any]) -> None:
        self.part, self._job, self._begun = part, job, time.monotonic()
        self._process = subprocess.Popen(  # noqa: S603 - our own module; -P: none of the current folder
            [sys.executable, "-P", "-m", "autopilot_setup.doctor", json.dumps(job)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            text=True,
        )

    def __enter__(self) -> _Job:
        return self

    def __exit__(self, *exc: object) -> None:
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()

    def probes(self, until: float) -> list[Probe]:
        """Return the answer; after `until` (monotonic seconds), that there is none."""
        try:
            out, _ = self._process.communicate(timeout=max(0.02, until - time.monotonic()))
            return [Probe(**p) for p in json.loads(out)]
        except subprocess.TimeoutExpired:
            owner = self._job.get("name", "").partition(":")[0]
            fix = "the machine is busy, or something hangs: --patience 60 waits longer"
            if self._job["patience"] >= LONG_S:
                fix = "close what keeps the machine busy; where nothing does, this hangs: "
                fix += f"report it to {owner}" if owner else "install it again"
            return [NoAnswer(self.part, False, f"no answer in {time.monotonic() - self._begun:.1f} s", fix)]
        except ValueError:
            status = self._process.returncode
            return [Probe(self.part, False, f"crashed (exit status {status})", "install it again", self.part == "JAX")]


def main(job: dict[str, Any]) -> list[Probe]:
    """Do one job of `examine`."""
    if job["do"] == "jax":
        with contextlib.suppress(AttributeError):  # Windows
            os.nice(19)  # it computes for the longest, and is waited for last
        return [_jax()]
    if job["do"] == "disk":
        return [_disk(Home(Path(job["home"])))]
    registry = Registry(job["safe_mode"], home=lambda: Path(job["home"]))
    plugin, spec = registry.find("game" if job["do"] == "by hand" else job["do"], job["name"])
    try:
        return _PARTS[job["do"]](registry, plugin.dist, spec, job)
    except Exception as e:  # noqa: BLE001 - a probe of a plugin may fail in any way
        what = str(e) if isinstance(e, PluginError) else " ".join(f"{type(e).__name__}: {e}".split())
        return [Probe(spec.name, False, what, f"report this to {plugin.dist}")]


def _ask(registry: Registry, kind: str, job: dict[str, Any], target: str | None) -> list[Probe]:
    """Return what a plugin's own probe says."""
    found: list[Probe] = registry.load(kind, job["name"], target, list[Probe])() if target else []
    return found


def _game(registry: Registry, dist: str, spec: GameSpec, job: dict[str, Any]) -> list[Probe]:
    return _ask(registry, "game", job, spec.simulator.probe if spec.simulator else None)


def _device(registry: Registry, dist: str, spec: DeviceSpec, job: dict[str, Any]) -> list[Probe]:
    probes = _ask(registry, "device", job, spec.probe) if spec.probe else [_opens(spec)]
    if spec.trial and all(p.ok for p in probes):
        probes.append(_there_and_back(registry, job["name"], spec, job["patience"] / ALL_S))
    return probes


def _source(registry: Registry, dist: str, spec: FrameSourceSpec, job: dict[str, Any]) -> list[Probe]:
    probes = _ask(registry, "frame source", job, spec.probe)
    if all(p.ok for p in probes):
        settings: Any = {n: tuple(v) if isinstance(v, list) else v for n, v in job["settings"].items()}
        probes += _picture(registry, dist, spec, SourceSettings(**settings), Path(job["picture"]))
    return probes


def _by_hand(registry: Registry, dist: str, spec: GameSpec, job: dict[str, Any]) -> list[Probe]:
    """Find out, by the game's own rule, whether a human can play where only the opened world may bring a reader."""
    label = f"{spec.name} by hand"
    try:
        Worlds(Game(registry, job["name"]), Home(Path(job["home"]))).check_human()
    except PluginError:
        raise
    except AutopilotError as e:
        return [Probe(label, False, str(e), "let a demonstrator or a network drive it")]
    return [Probe(label, True, "the game itself reads what you hold")]


def _picture(registry: Registry, dist: str, spec: FrameSourceSpec, settings: SourceSettings, path: Path) -> list[Probe]:
    """Watch a frame source for a second: size, rate, black or frozen; keep its last picture."""
    import cv2
    import numpy as np

    label = f"{spec.name} picture"
    source, begun = None, 0.0
    count = changes = 0
    try:
        source = registry.load("frame source", f"{dist}:{spec.name}", spec.open, FrameSource)(settings)
        image = source.read().image  # the first one loads libraries
        begun = time.monotonic()
        while (took := time.monotonic() - begun) < LOOK_S or not count:
            time.sleep(0.002)  # not to take the processor from the parts tried beside this one
            last, image = image, source.read().image
            count, changes = count + 1, changes + (not np.array_equal(last, image))
    except EOFError:
        if not begun:
            return [Probe(label, False, "was over before it gave a picture", "name another --source or --video")]
        took = max(time.monotonic() - begun, 1e-3)
    except PluginError:
        raise
    except AutopilotError as e:
        what, _, fix = str(e).replace("; ", ": ").partition(": ")
        return [Probe(label, False, what, fix)]
    finally:
        if source is not None:
            source.close()
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), cv2.cvtColor(image, cv2.COLOR_RGB2BGR))
    detail = f"{image.shape[1]}x{image.shape[0]}, grabbed {count / took:.0f} times a second"
    if int(image.max()) <= BLACK:
        fix = "show the game; if it is shown, use an X11 session, allow screen recording, or --source video"
        fix = "name another --video" if spec.films else fix  # never the option that was given
        return [Probe(label, False, f"{detail}, all black", fix)]
    if not changes:
        fix = "right for a picture at rest; if the game moves, this is not its window"
        return [Probe(label, True, f"{detail}, frozen: nothing changed in {took:.1f} s", fix)]
    return [Probe(label, True, f"{detail}, {changes / took:.0f} of them new")]


def _opens(spec: DeviceSpec) -> Probe:
    try:
        if spec.backend:
            Emitter(spec.backend, {}, 5, f"device {spec.name!r}").close()
    except AutopilotError as e:
        what, _, fix = str(e).partition("; ")
        return Probe(spec.name, False, what, fix)
    return Probe(spec.name, True, "opens")


def _there_and_back(registry: Registry, name: str, spec: DeviceSpec, wait_s: float) -> Probe:
    """Press by the real emitter, and see it come to a window and to the reader: not as the human's.

    Each way may take `wait_s` seconds.
    """
    label = f"{spec.name}, there and back"
    if not (spec.trial and spec.backend and spec.reader):
        return Probe(label, False, "a trial needs a backend and a reader", "name them in the plugin")
    read = registry.load("device", name, spec.reader, Reader)
    test = frozenset({"test"})
    with contextlib.ExitStack() as stack:
        try:
            trial: Trial = stack.enter_context(registry.load("device", name, spec.trial)())
            bindings = {"test": trial.name}
            emitter = stack.enter_context(contextlib.closing(Emitter(spec.backend, bindings, patience_s=5)))
            anybody = stack.enter_context(contextlib.closing(read(bindings, {}, frozenset)))
            human = stack.enter_context(contextlib.closing(read(bindings, {}, emitter.ours)))
        except PluginError:
            raise
        except AutopilotError as e:
            what, _, fix = str(e).partition("; ")
            return Probe(label, False, what, fix)
        arrived = trial.arrived or (lambda down: True)
        begun = time.monotonic()
        emitter.hold(test)
        checks = [("does not come to a window", _soon(lambda: arrived(True), wait_s))]
        window_ms = (time.monotonic() - begun) * 1e3
        checks.append(("is not seen by the reader", _soon(lambda: anybody.held() == test, wait_s)))
        reader_ms = (time.monotonic() - begun) * 1e3
        checks.append(("is taken for the human's", not human.held()))
        emitter.release_all()
        checks.append(("stays down", _soon(lambda: arrived(False) and not anybody.held(), wait_s)))
    failed = next((what for what, fine in checks if not fine), None)
    if failed is not None:
        fix = "close a screen lock or a menu, touch nothing meanwhile, and try again"
        return Probe(label, False, f"{trial.name} is pressed but {failed}", fix)
    window = f"came to a window of its own after {window_ms:.1f} ms, " if trial.arrived else ""
    return Probe(label, True, f"{trial.name} {window}was read back after {reader_ms:.1f} ms and told from the human's")


def _soon(condition: Callable[[], bool], seconds: float) -> bool:
    until = time.monotonic() + seconds
    while not (fine := condition()) and time.monotonic() < until:
        time.sleep(0.001)
    return fine


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
    return Probe("clock", True, detail, "" if worst < 5 else "close what keeps the CPU busy before you drive")


def _instants() -> Iterator[tuple[int, int]]:
    for _ in range(200):
        a = time.monotonic_ns()
        b = time.monotonic_ns()
        while b == a:
            b = time.monotonic_ns()
        yield a, b


RUNTIME = "install Microsoft's Visual C++ runtime: https://aka.ms/vs/17/release/vc_redist.x64.exe"
"""What jaxlib's wheel needs of Windows and does not bring."""


def _jax() -> Probe:
    try:
        from autopilot.learn.network import engine

        return Probe("JAX", True, engine(), required=True)
    except Exception as e:  # noqa: BLE001 - a broken installation fails in its own way
        fix = RUNTIME if sys.platform == "win32" and isinstance(e, ImportError) else "install again"
        return Probe("JAX", False, f"{type(e).__name__}: {e}", fix, required=True)


def _plugins(registry: Registry) -> Sequence[Probe]:
    return [
        Probe(p.dist, False, p.faults[0].message, "see `autopilot plugins --errors`")
        for p in registry.plugins
        if p.faults
    ]


_PARTS: dict[str, Callable[..., list[Probe]]] = {
    "game": _game,
    "by hand": _by_hand,
    "frame source": _source,
    "device": _device,
}
"""Which part of a plugin is tried -> what tries it."""


if __name__ == "__main__":
    # The answer alone goes to standard output: not what a driver prints, nor held open by a grandchild.
    answer = os.fdopen(os.dup(1), "w")
    job = json.loads(sys.argv[1])
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    if job.get("settings", {}).get("window") != "click":  # which asks for the click there
        os.dup2(1, 2)
    json.dump([asdict(p) for p in main(job)], answer)
    answer.close()
