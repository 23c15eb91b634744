"""The sitting: play, lessons beside it, the wheel handed to and fro, until there is a driver."""

from __future__ import annotations

import shutil
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Protocol

import filelock
from autopilot.api.errors import AutopilotError, SessionError, UserError
from autopilot.api.game import Game
from autopilot.api.types import Reading, Step, WorldRequest
from autopilot.bundle.selector import Selector
from autopilot.drive.drivers import PolicyDriver
from autopilot.drive.recorder import SessionRecorder, new_info
from autopilot.drive.run import BY_HOTKEY, Ending, Observer, Run
from autopilot.drive.timing import Timing
from autopilot.drive.world import OpenWorld, Worlds
from autopilot.sessions.home import check_name
from autopilot.sessions.session import Session

from autopilot_coach.lessons import Classroom, Lesson, Task
from autopilot_coach.people import Lagged, Person, Player, Scripted
from autopilot_coach.state import State, Stint
from autopilot_coach.wheel import Wheel

if TYPE_CHECKING:
    from autopilot.commands.opened import OpenHome
    from autopilot.desktop.desktop import DeviceChoice
    from autopilot.learn.policy import Policy

STAND_INS = ("demonstrator", "lagged")
BEAT_S = 0.5
"""How often the sitting looks after its lesson, and shows how it goes."""


@dataclass(frozen=True)
class CoachOptions:
    """How to hold a sitting.

    `human` is `demonstrator`, `lagged` or a person's name. `minutes` of game time are played in all, one lap on each
    of the `tracks` in turn where a simulator makes them; networks are tried on those of the `exam`. The first lesson
    begins after `first_s` seconds of the person's driving, another one when that is over and the person has driven for
    `more_s` since; `samples` are how much the first lesson, the others and the last one go over. `before_s` are the
    seconds before a correction that are labelled as its first frame. A network that had the wheel for `trial_s` is
    taken back if the share in which it was corrected is greater by `WORSE` than that of the one before. A game
    without races is recorded in pieces of `stint_s`. A stand-in plays in real time unless `quick`; then so much play
    passes before a network drives as its lesson took seconds of one core, or `lesson_s`. With `corrects` False the
    network never drives: the person plays all the time.
    """

    name: str
    game: str
    model: str = "nvidia"
    human: str = "me"
    tracks: tuple[str, ...] = ()
    exam: tuple[str, ...] = ()
    minutes: float = 10.0
    first_s: float = 90.0
    more_s: float = 10.0
    samples: tuple[int, int, int] = (12_000, 8_000, 40_000)
    corrections: float = 2.0
    before_s: float = 0.2
    trial_s: float = 60.0
    stint_s: float = 60.0
    seed: int = 0
    quick: bool = False
    lesson_s: float | None = None
    corrects: bool = True

    @property
    def stand_in(self) -> bool:
        """Whether nobody sits there."""
        return self.human in STAND_INS


WORSE = 0.1
"""By how much more often than the one before a network may be corrected, as a share of the time."""


class Listener(Protocol):
    """Hears how a sitting goes."""

    def say(self, line: str) -> None:
        """Tell of something that happened."""

    def show(self, sitting: Sitting, step: Step | None) -> None:
        """Show how it goes; there is no step during the last lessons."""


class Sitting:
    """Holds a sitting. One of the same name goes on.

    Raises UserError for a stand-in that the game lacks, a sitting of another game, and one that is being held.
    """

    def __init__(self, home: OpenHome, devices: DeviceChoice, options: CoachOptions, listener: Listener) -> None:
        self.options, self._home, self._listener = options, home, listener
        self.game = game = Game(home.registry, options.game)
        simulator = game.spec.simulator
        if options.stand_in and "demonstrator" not in game.demonstrators:
            raise UserError(f"{game.spec.name} ships no demonstrator to play in a person's place: play yourself")
        if simulator is not None and "wall" in simulator.clocks and not options.stand_in:
            devices = replace(devices, clock="wall")
        self._worlds = Worlds(game, home.folders, devices)
        self._lockstep = self._worlds.lockstep()
        if options.stand_in and not self._lockstep:
            raise UserError(f"{game.spec.name}: a stand-in plays in lock-step only; play yourself")
        self.has_referee = game.spec.race.referee or self._worlds.desktop.hud_reader() is not None
        self._labels_name = game.label_map_name()
        self._labels = game.label_map(self._labels_name)
        self.folder = home.folders.root / "coach" / check_name(options.name, "bundle")
        self._classroom = Classroom(home.folders, self.folder / "lesson", beside=not options.quick)
        self._ready: list[tuple[float, Lesson]] = []
        self._policy: tuple[str, Policy] | None = None
        self._loading: threading.Thread | None = None
        self._wheel: Wheel | None = None
        self._watch: Watch | None = None
        self._hands_off, self._begun = False, time.monotonic()
        self.state = State(game.spec.name, options.human, game.spec.hz, options.model)

    # --- what there is to see

    @property
    def stint(self) -> Stint | None:
        """What is being recorded."""
        stint = None if self._watch is None else self._watch.stint
        return None if stint is None or stint in self.state.stints else stint

    @property
    def trusted(self) -> bool:
        """Whether the network has the wheel unless it is corrected."""
        return self._wheel is not None and self._wheel.trusted

    def learning(self) -> str:
        """Return what is being trained, in words."""
        busy = self._classroom.busy
        return "nothing just now" if busy is None else f"{busy.name}, {self._classroom.progress()}"

    # --- the whole of it

    def go(self) -> State:
        """Sit until the time is up, a hotkey or Ctrl-C ends it; the last lessons follow, and the bundle.

        What has come of it is kept whatever happens. Raises as `Run.go`, and UserError where it cannot be kept.
        """
        name = self.options.name
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            with filelock.FileLock(self.folder / ".lock", timeout=0):
                self._resume()
                self._begun = time.monotonic() - self.state.wall_s
                try:
                    self._play()
                    self._graduate()
                    self._keep()
                except AutopilotError as e:
                    if not self.state.stints:
                        raise
                    raise UserError(f"{e}; the sitting {name} is kept, the same command goes on") from e
                finally:
                    self._classroom.close()
                    if self._loading is not None:  # JAX must not be compiling while Python ends
                        self._loading.join()
                    with suppress(UserError):  # the error on its way out is the one to report
                        self._keep()
        except filelock.Timeout:
            raise UserError(f"a sitting called {name} is being held: end it, or choose another --name") from None
        except OSError as e:
            raise UserError(f"cannot write {self.folder} ({e.strerror or e}): free space, or choose --home") from e
        return self.state

    def _resume(self) -> None:
        """Take up what was kept, and the session that was being recorded when the process was killed."""
        kept, options = State.load(self.folder / "sitting.json"), self.options
        if kept is None:
            return
        if (kept.game, kept.model, kept.hz) != (self.state.game, self.state.model, self.state.hz):
            raise UserError(f"the sitting {options.name} is of {kept.game} with {kept.model}: choose another --name")
        self.state = kept
        if kept.open is not None:
            with suppress(AutopilotError):
                rows = Session.open(self._home.folders.sessions / kept.open[0]).remaining()
                if len(rows):
                    kept.stints.append(Stint(*kept.open, len(rows), int((rows.action >= 0).sum())))
            kept.open = None
        if kept.champion is not None:
            self._load(kept.champion, wait=True)
        self._listener.say(f"going on with {options.name} after {kept.game_s / 60:.1f} minutes")

    def _keep(self) -> None:
        self.state.wall_s = round(time.monotonic() - self._begun, 1)
        try:
            self.state.save(self.folder / "sitting.json")
        except OSError as e:
            raise UserError(f"cannot write {self.folder} ({e.strerror or e}): free space") from e

    # --- playing

    def _left_s(self) -> float:
        return self.options.minutes * 60 - self.state.game_s

    def _play(self) -> None:
        """Drive one race after another until the time is up or a hotkey ends it."""
        for track in self._tracks():
            if self._left_s() < 1:
                return
            self.state.over = False
            if self._race(track) in BY_HOTKEY:
                return

    def _tracks(self) -> Iterator[str]:
        tracks = self.options.tracks
        while True:
            yield tracks[len(self.state.stints) % len(tracks)]

    def _race(self, track: str) -> Ending:
        """Open a world and drive in it until its race is over, or given up."""
        options, race, number = self.options, self.game.spec.race, len(self.state.stints)
        person = not options.stand_in
        request = WorldRequest(
            track=track,
            mode=self.game.mode(None),
            hz=self.game.spec.hz,
            laps=1 if self._lockstep and not race.scored else 0,
            seed=options.seed + number,
            human=person and self._lockstep,  # of a game on the screen the keys must be pressed
        )
        limit_s = race.lap_limit_s if self._lockstep else float("inf")
        with self._worlds.open(request, watched=not options.quick) as world:
            self._wheel = Wheel(self._person(world, number), world.emitter is None, self._lockstep)
            self._watch = watch = Watch(self)
            try:
                while True:
                    ending = self._stint(world, request, watch, min(limit_s, self._left_s()))
                    limit_s -= self.state.stints[-1].frames / request.hz
                    if ending != "limit" or limit_s < 1 or self._left_s() < 1:
                        return ending
            finally:
                self._hands_off = self._wheel.person.trusts
                self._wheel = self._watch = None

    def _person(self, world: OpenWorld, number: int) -> Person:
        if not self.options.stand_in:
            if world.reader is None:
                raise UserError(f"{self.game.spec.name}: nothing reads your keys here")
            player = Player(world.reader)
            player.trusts = self._hands_off
            return player
        assert world.demonstrator is not None
        reading = world.referee.reading if world.referee else lambda: None
        drives = self._policy is None
        if self.options.human == "lagged":
            seed = self.options.seed * 1000 + number
            return Lagged(world.demonstrator, self._labels, reading, self.game.spec.hz, seed, drives)
        return Scripted(world.demonstrator, self._labels, reading, self.game.spec.hz, drives)

    def _stint(self, world: OpenWorld, request: WorldRequest, watch: Watch, most_s: float) -> Ending:
        """Record a piece of driving as a session, and note what came of it, whatever ends it."""
        options, state = self.options, self.state
        info = new_info(self.game, request, options.human, self._labels_name, self._labels, policy=True)
        recorder = SessionRecorder(self._home.folders.sessions, info, self._labels)
        timing = Timing(request.hz, world.clock.lockstep)
        watch.begin_stint(recorder, request.track)
        self._give()
        size, most = self.game.spec.frame_size, max(1, round(min(most_s, options.stint_s) * request.hz))
        run = Run(world, self._wheel_now, timing, size, (recorder, watch), most)
        try:
            ending = run.go()
        finally:
            if recorder.frames:
                watch.stint.late = timing.report()["overruns"] if not options.quick else 0
                with suppress(SessionError):  # of a full disk, say: the rows are there, which matters more
                    self._label_before(watch.stint.session, recorder.human)
                state.stints.append(watch.stint)
            state.open = None
            self._take_back()
        self.beat(0.0)
        self._keep()
        return ending

    @property
    def _wheel_now(self) -> Wheel:
        assert self._wheel is not None
        return self._wheel

    def _label_before(self, id: str, human: list[tuple[int, int]]) -> None:
        """Label what led to each correction as the correction began: the person saw it coming, and was late."""
        rows = round(self.options.before_s * self.game.spec.hz)
        session = Session.open(self._home.folders.sessions / id)
        previous = 0
        for start, stop in human if rows else ():
            if start > max(previous, 0):
                held = session.row(start).held
                if (action := self._labels.action(held)) is not None:
                    session.relabel(max(previous, start - rows), start, held, action)
            previous = stop

    # --- networks

    def beat(self, played_s: float) -> None:
        """Between two frames: take in a lesson that is over, begin the next, take the network that was loaded."""
        state, now = self.state, self.state.game_s + played_s
        if not self.options.quick and (lesson := self._classroom.over()) is not None:
            self._ready.append((now, lesson))
        while self._ready and self._ready[0][0] <= now:
            self._judge(self._ready.pop(0)[1])
        if self._wheel is not None and self._wheel.fault is not None and state.networks:
            self._listener.say(f"{self._wheel.fault}")
            self._drop()
        if played_s == 0:
            self._teach()
        self._give()

    def _give(self) -> None:
        """Give the wheel the network that was loaded last, if it has another one."""
        if self._policy is None or self._wheel is None or not self.options.corrects:
            return
        name, policy = self._policy
        if name == self.state.champion != self._wheel.name:
            select = Selector(policy.manifest.select, policy.manifest.temperature, self.options.seed)
            self._wheel.give(name, PolicyDriver(policy, select, self._labels, Timing(self.state.hz, lockstep=True)))

    def _load(self, name: str, wait: bool = False) -> None:
        """Make a network ready beside the game."""
        home, game = self._home, self.game

        def load() -> None:
            from autopilot.learn.policy import load_policy

            try:
                self._policy = name, load_policy(home.folders.bundle(name), game)
            except AutopilotError as e:
                self._listener.say(f"network {name} cannot be loaded: {e}")

        self._loading = threading.Thread(target=load, daemon=True)
        self._loading.start()
        if wait or self.options.quick:
            self._loading.join()

    def _take_back(self) -> None:
        """Let the network before drive again, where the last one has to be corrected more often."""
        state = self.state
        if len(state.networks) < 2:
            return
        (before, _), (last, _) = state.networks[-2:]
        seconds, share = state.corrected(last)
        seconds_before, share_before = state.corrected(before)
        if min(seconds, seconds_before) >= self.options.trial_s and share > share_before + WORSE:
            said = f"it was corrected {100 * share:.0f} % of the time, {before} {100 * share_before:.0f} %"
            self._listener.say(f"network {last} is taken back: {said}")
            self._drop()

    def _drop(self) -> None:
        state = self.state
        state.taken_back.append(state.networks.pop()[0])
        if state.champion is not None:
            self._load(state.champion)
        else:
            self._policy = None

    # --- lessons

    def _teach(self) -> None:
        """Begin a lesson where there is enough that is new."""
        options, state = self.options, self.state
        if self._classroom.busy is not None or self._ready or self._left_s() < 1 or not options.corrects:
            return
        known = max((lesson["human_frames"] for lesson in state.lessons), default=0)
        wanted = options.more_s if state.lessons else options.first_s
        if (state.human_frames - known) / state.hz < wanted:
            return
        self._begin(self._task(options.samples[1 if state.networks else 0], state.champion))
        if options.quick and (lesson := self._wait()) is not None:
            takes = lesson.cpu_s if options.lesson_s is None else options.lesson_s
            self._ready.append((state.game_s + takes, lesson))

    def _begin(self, task: Task) -> None:
        try:
            self._classroom.begin(task)
        except OSError as e:
            self._listener.say(f"no lesson can begin ({e.strerror or e}): free space")

    def _wait(self) -> Lesson | None:
        """Wait for the lesson that goes on, if one does."""
        while self._classroom.busy is not None:
            if (lesson := self._classroom.over(BEAT_S)) is not None:
                return lesson
            self._listener.show(self, None)
        return None

    def _task(self, samples: int, start: str | None) -> Task:
        options, state = self.options, self.state
        number = len(state.lessons) + 1
        return Task(
            game=self.game.spec.name,
            model=options.model,
            name=f"{options.name}-{number}",
            sessions=state.taught(),
            samples=samples,
            start=start,
            exam=self._exam(),
            corrections=options.corrections,
            seed=options.seed,
        )

    def _exam(self) -> tuple[str, ...]:
        """Return the tracks of the exam, none where there is no race in lock-step with a referee."""
        examines = self.game.spec.race.referee and Worlds(self.game, self._home.folders).lockstep()
        return self.options.exam if examines else ()

    def _judge(self, lesson: Lesson) -> None:
        """Let a candidate drive that did as well in its exam as who drives now."""
        state, task = self.state, lesson.task
        adopted = not lesson.fault and lesson.mark is not None and lesson.mark.better(state.mark)
        taught = sum(stint.by_human for stint in state.stints if stint.session in task.sessions)
        at = {"game_s": round(state.game_s, 1), "wall_s": round(time.monotonic() - self._begun, 1)}
        entry = {"name": task.name, "adopted": adopted, "human_frames": taught, "started_from": task.start, **at}
        state.lessons.append(entry | {k: v for k, v in asdict(lesson).items() if k != "task"})
        if lesson.fault:
            self._listener.say(f"lesson {task.name} came to nothing: {lesson.fault}")
            self._leave_out(lesson)
        elif adopted and lesson.mark is not None:
            state.networks.append((task.name, lesson.mark))
            while len(state.networks) > 2:  # one to drive, one to go back to
                self._forget(state.networks.pop(0)[0])
            state.first_network = state.first_network or at
            waits = self._wheel is not None and not self._wheel.person.trusts
            what = "is ready, the pause key lets it drive" if waits else "drives from now on"
            self._listener.say(f"network {task.name} {what}: {lesson.mark}")
            self._load(task.name)
        else:
            self._listener.say(f"network {task.name} drives no better, the one before goes on: {lesson.mark}")
        if not adopted:
            self._forget(task.name)

    def _leave_out(self, lesson: Lesson) -> None:
        """Give the next lessons without the session that this one could not use; it stays, to be looked at."""
        named = [id for id in lesson.task.sessions if id in lesson.fault]
        if named:  # the first one is meant; others may be suggested in its place
            first = min(named, key=lambda id: (lesson.fault.index(id), -len(id)))
            self.state.left_out.append(first)
            self._listener.say(f"the next lessons go without session {first}")

    def _forget(self, name: str) -> None:
        for folder in (self._home.folders.bundles, self._home.folders.runs):
            shutil.rmtree(folder / name, ignore_errors=True)

    def _graduate(self) -> None:
        """Give the last lessons, one from the start and one that goes on, and keep the best network as the bundle."""
        state, options = self.state, self.options
        if (lesson := self._wait()) is not None:
            self._ready.append((state.game_s, lesson))
        while self._ready:
            self._judge(self._ready.pop(0)[1])
        if state.over or not state.human_frames:
            return
        for number, start in ((2, None), (1, state.champion)):
            self._begin(self._task(options.samples[number], start))
            if (lesson := self._wait()) is not None:
                self._judge(lesson)
        if state.champion is not None:
            target = self._home.folders.bundle(options.name)
            shutil.rmtree(target, ignore_errors=True)
            shutil.copytree(self._home.folders.bundle(state.champion), target)
            state.over = True


class Watch(Observer):
    """Counts what happens in a stint, and lets the sitting act between two frames."""

    def __init__(self, sitting: Sitting) -> None:
        self._sitting = sitting
        self._lap = 0
        self._helped = self._during = False
        self.stint = Stint("", "", 0, 0)

    def begin_stint(self, recorder: SessionRecorder, track: str) -> None:
        """Begin to count anew; the lap that is being driven goes on."""
        self._recorder, self.stint = recorder, Stint("", track, 0, 0)

    def begin(self, run: Run) -> None:
        """Note the session, so that it counts even if this process is killed."""
        stint, sitting = self.stint, self._sitting
        stint.session = self._recorder.writer.path.name
        sitting.state.open = (stint.session, stint.track)
        sitting._keep()

    def step(self, step: Step) -> None:
        """Count it, and every so often let the sitting look around."""
        sitting, stint, by_human = self._sitting, self.stint, step.decision.by_human
        stint.frames += 1
        stint.by_human += by_human
        if sitting._wheel is not None and sitting._wheel.trusted:
            if stint.network != sitting._wheel.name:  # what another one did is not this one's
                stint.network, stint.trusted, stint.corrected = sitting._wheel.name, 0, 0
            stint.trusted += 1
            stint.corrected += by_human
        self._helped |= by_human
        if step.reading is not None:
            self._read(step.reading)
        hz = sitting.game.spec.hz
        if stint.frames % max(1, round(BEAT_S * hz)) == 0:
            sitting.beat(stint.frames / hz)
            sitting._listener.show(sitting, step)

    def _read(self, reading: Reading) -> None:
        stint, state = self.stint, self._sitting.state
        stint.incidents += reading.incident and not self._during
        self._during = reading.incident
        if reading.lap > self._lap:
            stint.laps_s += reading.lap_times_s[self._lap : reading.lap]
            stint.alone += not self._helped
            if not self._helped and state.first_lap_alone is None:
                game_s = round(state.game_s + stint.frames / state.hz, 1)
                wall_s = round(time.monotonic() - self._sitting._begun, 1)
                state.first_lap_alone = {"game_s": game_s, "wall_s": wall_s}
                self._sitting._listener.say(f"its first lap alone, after {game_s / 60:.1f} minutes of play")
            self._helped = False
        self._lap = reading.lap
