"""Checks of a game: a short drive, opened twice, and what its frames, clock, referee and demonstrator did meanwhile."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import pairwise
from pathlib import Path

import numpy as np
from autopilot.api import (
    AutopilotError,
    Frame,
    Game,
    GameSpec,
    Held,
    PluginError,
    Reading,
    UserError,
    World,
    WorldRequest,
)

from autopilot_kit.subject import Missing, Subject, soon

STEPS, AGAIN = 30, 10
"""Decisions of the first drive, and of the second, which repeats it."""

SAME = 0.02
"""So much of a picture may differ where the same was done: digits of the machine's clock do."""

CLOSE_S = 2.0
"""How long after it is closed a world may take to end its threads and processes."""


@dataclass
class Drive:
    """What happened in one world, as far as it came."""

    frames: list[Frame] = field(default_factory=list)
    copies: list[np.ndarray] = field(default_factory=list)
    readings: list[Reading] = field(default_factory=list)
    decided: list[Held] = field(default_factory=list)
    held: list[Held] = field(default_factory=list)
    moved_alone: bool = False
    lockstep: bool = True
    lacks: list[str] = field(default_factory=list)
    took_s: float = 0.0
    ended: bool = False
    error: Exception | None = None
    closing: Exception | None = None
    left: list[str] = field(default_factory=list)

    def see(self, frame: Frame) -> None:
        """Keep a frame, and what it shows now."""
        self.frames.append(frame)
        self.copies.append(frame.image.copy())


class GameChecks(Subject):
    """A game, by the first of its clocks."""

    checks = (
        *("descriptor", "runs", "frames", "clock", "referee", "demonstrator", "repeats", "closes", "leaves_nothing"),
        "prints_nothing",
    )
    spec: GameSpec

    # --- the descriptor

    def descriptor(self) -> Iterator[str]:
        """Its parts name one another rightly."""
        spec, game = self.spec, Game(self.registry, self.name)
        for control in sorted(_controls(spec) - set(spec.controls)):
            yield f"{control!r} is no control of the game, but bound or held; add it to controls, or mend the word"
        for key in sorted(spec.hotkeys.keys() - {"pause", "save", "quit", "discard"}):
            yield f"hotkey {key!r} is not known; there are pause, save, quit and discard"
        for x, y, width, height in spec.hidden:
            if min(x, y, width, height) < 0 or max(x + width, y + height) > 1.001:
                yield f"hidden {(x, y, width, height)} is not in the picture; give x, y, width, height as shares of it"
        if spec.simulator is None and spec.screen is None:
            yield "has neither a simulator nor a screen; give it a SimulatorSpec or a ScreenSpec"
        elif spec.simulator is not None and spec.simulator.noise_mode is not None:
            game.mode(spec.simulator.noise_mode)
        for name in (spec.label_map, *game.demonstrators.values()):
            game.label_map_name(name)
        yield from self._names(game)

    def _names(self, game: Game) -> Iterator[str]:
        """Find what it names: the axis that is corrected, a frame source, devices."""
        steering, space = self.spec.steering, game.label_map().action_space
        if steering is not None:
            values = next((axis.values for axis in space.axes if axis.name == steering.axis), ())
            if not set(steering.values) <= set(values):
                yield f"steering names {steering.axis}: {' '.join(steering.values)}, but there is {space}; mend it"
        if screen := self.spec.screen:
            named = (("frame source", screen.frame_source), ("device", screen.device), ("device", screen.reader))
            for kind, name in named:
                if name:
                    self.registry.get(kind, name)

    # --- the drive

    @cached_property
    def drive(self) -> Drive:
        """The first drive."""
        return self._drive(STEPS, None)

    @cached_property
    def again(self) -> Drive:
        """The second one, by what was held in the first."""
        return self._drive(AGAIN, self.drive.held[:AGAIN])

    def _request(self) -> WorldRequest:
        game, simulator = Game(self.registry, self.name), self.spec.simulator
        if simulator is None:
            raise Missing("played on the screen: its descriptor and label maps alone can be checked")
        return WorldRequest(
            game.tracks(None)[0],
            game.mode(None),
            self.spec.hz,
            seed=1,
            lockstep=simulator.clocks[0] == "lockstep",
            demonstrator=next(iter(simulator.demonstrators), "demonstrator"),
        )

    def _drive(self, steps: int, held: Sequence[Held] | None) -> Drive:
        request, drive, simulator = self._request(), Drive(), self.spec.simulator
        assert simulator is not None
        before = running()
        try:
            world: World = self.load(simulator.open_world, World)(request, **simulator.config, **simulator.options)
        except PluginError as e:
            drive.error = e
            return drive
        except UserError as e:
            raise Missing(f"not here: {e}") from e
        self._turn(drive, world, steps, held)
        drive.closing = _closed(world)
        soon(lambda: not running() - before, CLOSE_S)
        drive.left = sorted(running() - before)
        return drive

    def _turn(self, drive: Drive, world: World, steps: int, held: Sequence[Held] | None) -> None:
        """Drive, and keep what happens."""
        source, device, clock = world.source, world.device, world.clock
        if world.referee is None and world.hud is None:
            drive.lacks.append("referee")
        if world.demonstrator is None:
            drive.lacks.append("demonstrator")
        if source is None or device is None or clock is None:
            return
        drive.lockstep = clock.lockstep
        try:
            drive.see(source.read())
            time.sleep(0.05)
            again, first = source.read(), drive.frames[0]
            drive.moved_alone = again.t_ns != first.t_ns or not np.array_equal(again.image, first.image)
            begun = time.monotonic()
            for wanted in held or self._decisions(drive, world, steps):
                drive.held.append(wanted)
                device.hold(wanted)
                clock.tick()
                drive.took_s = time.monotonic() - begun
                drive.see(source.read())
        except EOFError:
            drive.ended = True
        except Exception as e:  # noqa: BLE001 - foreign code; told by the check `runs`
            drive.error = e

    def _decisions(self, drive: Drive, world: World, steps: int) -> Iterator[Held]:
        """Yield what to hold in each step: what the demonstrator decides, or each action for a while."""
        labels = Game(self.registry, self.name).label_map()
        space = labels.action_space
        for step in range(steps):
            if world.referee is not None:
                drive.readings.append(world.referee.reading())
            if world.demonstrator is not None:
                drive.decided.append(world.demonstrator.decide())
            yield drive.decided[-1] if drive.decided else labels.held(space.split(step // 5 % space.joint_size))

    def _driven(self) -> Drive:
        """Return the drive, where there was one."""
        if len(self.drive.frames) < 2:
            raise Missing("not tried: no step was made" if self.drive.error else "its frames come from the screen")
        return self.drive

    # --- what came of it

    def runs(self) -> Iterator[str]:
        """It opens, and every call answers with what its protocol says."""
        if self.drive.error is not None:
            yield self.told(self.drive.error)
        elif self.drive.ended and len(self.drive.frames) < STEPS // 2:
            yield f"is over after {len(self.drive.frames)} frames; raise EOFError when the race is over, not before"

    def frames(self) -> Iterator[str]:
        """They lie as the game's, show something that changes, and are nobody else's memory."""
        drive = self._driven()
        height, width = drive.copies[0].shape[:2]
        wide, high = self.spec.frame_size
        if (height - width) * (high - wide) < 0:
            yield f"frames are {width}x{height}, and frame_size is {wide}x{high}; turn them, or swap frame_size"
        if not any(copy.any() for copy in drive.copies):
            yield "all frames are black; let read() return what is drawn"
        elif all(np.array_equal(drive.copies[0], copy) for copy in drive.copies):
            yield f"no frame changes in {len(drive.copies)} steps; let read() draw what tick() moved"
        reused = [i for i, frame in enumerate(drive.frames) if not np.array_equal(frame.image, drive.copies[i])]
        if reused:
            yield "a later read() changes the picture of an earlier one; return a copy: image.copy()"

    def clock(self) -> Iterator[str]:
        """In lock-step only `tick` moves the game, by one decision; a wall clock keeps its rate."""
        drive = self._driven()
        assert self.spec.simulator is not None
        wanted = self.spec.simulator.clocks[0] == "lockstep"
        if drive.lockstep != wanted:
            yield f"its clock's lockstep is {drive.lockstep}, clocks say {self.spec.simulator.clocks[0]}; mend either"
        times = [frame.t_ns / 1e9 for frame in drive.frames]
        passed, due = times[-1] - times[0], (len(times) - 1) / self.spec.hz
        if any(b < a for a, b in pairwise(times)):
            yield "t_ns goes backwards; count it from the steps of the clock"
        elif abs(passed - due) > 0.05 * due + (0 if wanted else 0.2):
            yield f"t_ns moves on by {passed:.2f} s in {len(times) - 1} ticks, not {due:.2f}; let a tick be 1/hz s"
        if drive.lockstep and drive.moved_alone:
            yield "two reads without a tick between give different frames; move the game in tick() alone"
        if not drive.lockstep and not 0.7 * due < drive.took_s < 1.5 * due + 0.5:
            yield f"{len(times) - 1} ticks take {drive.took_s:.2f} s, not {due:.2f}; let tick() wait for 1/hz seconds"

    def referee(self) -> Iterator[str]:
        """Laps, times and the race's clock only grow, and agree with each other."""
        drive = self._driven()
        if self.spec.race.referee and "referee" in drive.lacks:
            yield "RaceSpec says referee=True, but the World has none; give it one, or leave that out"
        for reading in drive.readings:
            if fault := _odd(reading):
                yield fault
                return
        for before, after in pairwise(drive.readings):
            if fault := _back(before, after):
                yield fault
                return
        times = [r.race_time_s for r in drive.readings if r.race_time_s is not None]
        due = (len(times) - 1) / self.spec.hz
        if drive.lockstep and len(times) > 5 and abs(times[-1] - times[0] - due) > 0.2 * due:
            passed = times[-1] - times[0]
            yield f"race_time_s grows by {passed:.2f} s in {due:.2f} s; count seconds of the race, from its start"

    def demonstrator(self) -> Iterator[str]:
        """What it holds is controls of the game, and means something to its label map."""
        drive = self._driven()
        game = Game(self.registry, self.name)
        if game.demonstrators and "demonstrator" in drive.lacks:
            yield "SimulatorSpec names a demonstrator, but the World has none; give it one, or leave that out"
        if not drive.decided:
            return
        if unknown := frozenset().union(*drive.decided) - set(self.spec.controls):
            yield f"it holds {min(unknown)!r}, which is no control of the game; add it to controls, or mend the word"
        if not game.demonstrators:
            yield "the World has a demonstrator that SimulatorSpec.demonstrators does not name; name it there"
            return
        labels = game.label_map(next(iter(game.demonstrators.values())))
        if all(labels.action(held) is None for held in drive.decided):
            name = next(iter(game.demonstrators.values()))
            yield f"all that it holds means nothing to label map {name!r}; name one that knows what it holds"

    def repeats(self) -> Iterator[str]:
        """The same request and the same controls give the same frames, but for what a clock in the picture says."""
        drive = self._driven()
        if not drive.lockstep:
            raise Missing("by the wall clock no two races are the same")
        again = self.again
        if again.error is not None:
            yield f"opened a second time: {self.told(again.error)}"
        for step, (one, two) in enumerate(zip(drive.copies, again.copies, strict=False)):
            share = (one != two).any(axis=-1).mean() if one.shape == two.shape else 1.0
            if share > SAME:
                yield (
                    f"opened again with one seed, {100 * share:.0f} % of frame {step} is other; draw all chance from "
                    "WorldRequest.seed"
                )
                return

    def closes(self) -> Iterator[str]:
        """Closing is quiet, twice as well."""
        if self.drive.closing is not None:
            error = self.drive.closing
            yield f"{error if isinstance(error, AutopilotError) else self.told(error)}; let close() do no harm twice"

    def leaves_nothing(self) -> Iterator[str]:
        """No thread or process goes on after it was closed."""
        for what in self.drive.left:
            yield f"{what} goes on {CLOSE_S:.0f} s after close(); end it there, and wait for it"


def _controls(spec: GameSpec) -> set[str]:
    """Return all that a game binds to keys or holds by itself."""
    manoeuvres = [spec.race.restart, *(spec.race.recovery.manoeuvres if spec.race.recovery else ())]
    held = {control for manoeuvre in manoeuvres for controls, _ in manoeuvre for control in controls}
    return held | {control for profiles in spec.bindings.values() for keys in profiles.values() for control in keys}


def _odd(r: Reading) -> str:
    """Return what one reading contradicts, in words."""
    if not 0 <= r.confidence <= 1:
        return f"confidence is {r.confidence:g}; give 0 to 1"
    if r.lap < 0 or len(r.lap_times_s) > r.lap:
        return f"lap is {r.lap} with {len(r.lap_times_s)} lap times; count completed laps, a time for each"
    if any(t <= 0 for t in r.lap_times_s):
        return f"a lap took {min(r.lap_times_s):g} s; give seconds above 0"
    if r.race_time_s is not None and (r.race_time_s < 0 or sum(r.lap_times_s) > r.race_time_s + 0.5):
        return f"race_time_s is {r.race_time_s:g}, and its laps took {sum(r.lap_times_s):g}; count it from the start"
    return ""


def _back(before: Reading, after: Reading) -> str:
    """Return what went backwards between two readings, in words."""
    if after.lap < before.lap:
        return f"lap falls from {before.lap} to {after.lap}; count completed laps up"
    if after.lap_times_s[: len(before.lap_times_s)] != before.lap_times_s:
        return "lap_times_s changes times that were known; add a lap's time at its end"
    if None not in (before.race_time_s, after.race_time_s) and after.race_time_s < before.race_time_s:  # type: ignore[operator]
        return f"race_time_s falls from {before.race_time_s:g} to {after.race_time_s:g}; let it grow"
    if before.finished and not after.finished:
        return "finished becomes False again; let it stay"
    return ""


def _closed(world: World) -> Exception | None:
    """Close all parts, twice; return the first error."""
    error: Exception | None = None
    parts = [part for part in (world.device, world.reader, world.source) if part is not None]
    for close in [*(part.close for part in (*parts, *parts)), *([world.on_close] if world.on_close else [])]:
        try:
            close()
        except Exception as e:  # noqa: BLE001 - foreign code; told by the check `closes`
            error = error or e
    return error


def running() -> set[str]:
    """Return the threads of this process, and its child processes where the system tells them."""
    threads = {f"thread {t.name!r}" for t in threading.enumerate() if t.name not in ("watchdog", "check")}
    children = Path(f"/proc/self/task/{os.getpid()}").parent.glob("*/children")
    return threads | {f"process {pid}" for file in children for pid in _words(file)}


def _words(file: Path) -> list[str]:
    try:
        return [pid for pid in file.read_text().split() if not _zombie(pid)]
    except OSError:
        return []


def _zombie(pid: str) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].startswith("Z")
    except OSError:
        return True
