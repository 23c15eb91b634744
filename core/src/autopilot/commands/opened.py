"""A home, opened: what the command line does, as methods. A script or a notebook calls `autopilot.open`."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self, Unpack
from weakref import WeakSet

from autopilot.api.errors import UserError
from autopilot.api.game import Game
from autopilot.api.registry import Registry
from autopilot.sessions.home import Home, check_name, check_output, is_scripted, new_folder, read_json, write_json

if TYPE_CHECKING:
    from autopilot.commands.arrays import SessionArrays
    from autopilot.commands.asking import NamedPolicy
    from autopilot.commands.keywords import DriveKeywords, RaceKeywords, RecordKeywords, TrainKeywords
    from autopilot.desktop.desktop import DeviceChoice
    from autopilot.drive.drive import Drive, DriveReport
    from autopilot.drive.lineup import Lineup
    from autopilot.drive.run import Observer
    from autopilot.drive.stepping import SteppedWorld
    from autopilot.learn.cluster import ClusterConfig
    from autopilot.learn.options import Choose, TrainProgress
    from autopilot.learn.policy import Policy
    from autopilot.learn.train import TrainResult
    from autopilot.race.race import Elsewhere, Race
    from autopilot.race.result import RaceResult
    from autopilot.sessions.info import SessionInfo

_log = logging.getLogger("autopilot")

CANDIDATES = 5
"""So many epochs are tried where driving chooses, unless it is said how many."""
HOW = ("select", "temperature", "engine")


def open(folder: str | Path | None = None, safe_mode: bool = False) -> OpenHome:
    """Open a home: the folder, or as the command line does the one of `AUTOPILOT_HOME`, or of the system's user data.

    Nothing is read or made before it is needed; `safe_mode` loads no plugin.
    """
    return OpenHome(folder, safe_mode)


class OpenHome:
    """A home and the plugins of this environment: sessions and bundles as data; record, train, drive, race.

    `folders` says where things live, `registry` knows the plugins. What a call leaves out is the only game, network
    or bundle that there is, or the newest bundle. All errors that a user can mend are one-line `UserError`s, which
    name options as the command line has them; what else there is to know is logged, as `autopilot`.
    """

    def __init__(self, folder: str | Path | None = None, safe_mode: bool = False) -> None:
        self.given, self.safe_mode, self.closed = folder, safe_mode, False
        self._worlds: WeakSet[SteppedWorld] = WeakSet()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the worlds that are still open; every other call raises UserError from then on."""
        for world in list(self._worlds):
            world.close()
        self.closed = True
        for name in ("folders", "registry"):
            self.__dict__.pop(name, None)

    def _check_open(self) -> None:
        if self.closed:
            raise UserError("this home was closed: open it again by autopilot.open()")

    @cached_property
    def folders(self) -> Home:
        """The folders of sessions, bundles, races and runs."""
        self._check_open()
        return Home.find(None if self.given is None else str(self.given))

    @cached_property
    def registry(self) -> Registry:
        """All plugins, loaded once."""
        self._check_open()
        return Registry(self.safe_mode, home=lambda: self.folders.root)

    # --- what a command line does otherwise

    def say(self, line: str) -> None:
        """Tell of something besides the result."""
        _log.info("%s", line)

    def lost(self, line: str) -> None:
        """Tell what could not be written while the rest goes on."""
        _log.warning("autopilot: %s", line)

    def ask(self, option: str, names: Sequence[str]) -> str | None:
        """Return which of several a person chooses, None where there is nobody to ask."""
        return None

    # --- sessions and bundles

    def session(self, id: str) -> SessionArrays:
        """Return a session; raises UserError for one that does not exist, SessionError for a broken one."""
        from autopilot.commands.arrays import SessionArrays
        from autopilot.sessions.store import SessionStore

        return SessionArrays(SessionStore.of(self.folders).open(id), self.folders.cache)

    def sessions(self, game: str | None = None) -> list[SessionArrays]:
        """Return all sessions, or those of a game, oldest first; broken ones are told of and left out."""
        from autopilot.commands.arrays import SessionArrays
        from autopilot.sessions.store import SessionStore

        every, broken = SessionStore.of(self.folders).all()
        for id, fault in broken:
            self.lost(f"session {id} is left out: {fault}")
        return [SessionArrays(s, self.folders.cache) for s in every if game in (None, s.info.game)]

    def bundle(self, name: str) -> Path:
        """Return the folder of a bundle, which may not exist; a ready-trained one is copied into the home first."""
        from autopilot.commands import zoo

        return zoo.bundle(self, name)

    def policy(
        self, bundle: str | None = None, game: str | None = None, *, select: str | None = "argmax", engine: str = "jax"
    ) -> NamedPolicy:
        """Return a bundle, the newest one by default, ready to be asked about pictures of its game.

        With `select` None its actions are selected as it says itself.
        Raises BundleError for one that does not exist, is damaged, or does not fit the game.
        """
        from autopilot.commands.asking import NamedPolicy
        from autopilot.commands.choices import game_of, newest_bundle

        bundle = bundle or newest_bundle(self, game)
        its = Game(self.registry, game or game_of(self, [bundle]))
        return NamedPolicy(self.lineup(its, select, engine=engine).find(bundle))

    def lineup(
        self, game: Game, select: str | None = None, temperature: float | None = None, engine: str = "jax"
    ) -> Lineup:
        """Return who can drive a game, bundles among them, which JAX or a plugin's engine computes.

        Without `select` and `temperature` a bundle's actions are selected as it says itself.
        """
        from autopilot.drive.lineup import Lineup

        if engine != "jax":
            self.registry.find("engine", engine)

        def load(name: str) -> Policy:
            from autopilot.learn.policy import load_policy

            return load_policy(self.bundle(name), game, engine, self.say)

        return Lineup(game, load, select, temperature)

    # --- worlds

    def world(
        self,
        game: str,
        track: str | None = None,
        *,
        mode: str | None = None,
        laps: int | None = None,
        seed: int = 0,
        demonstrator: str = "demonstrator",
    ) -> SteppedWorld:
        """Open a race of a game that runs in lock-step, to be driven step by step.

        It goes over one lap, unless the game is scored or `laps` says otherwise; 0 never ends. Raises UserError for a
        game that waits for no step, and for a track, a mode or a demonstrator that it lacks.
        """
        from autopilot.api.types import WorldRequest
        from autopilot.desktop.desktop import DeviceChoice
        from autopilot.drive.stepping import SteppedWorld
        from autopilot.drive.world import Worlds

        its = Game(self.registry, game, mode)
        if its.demonstrators:
            its.check_demonstrator(demonstrator)
        tracks, clocks = its.tracks(track), its.spec.simulator.clocks if its.spec.simulator else ()
        laps = its.laps(int(not its.spec.race.scored) if laps is None else laps)
        if len(tracks) > 1 or min(laps, seed) < 0:
            raise UserError("a world has one track, and laps and a seed of 0 or more")
        request = WorldRequest(tracks[0], its.mode(mode), its.spec.hz, laps, seed, demonstrator=demonstrator)
        choice = DeviceChoice(clock="lockstep" if "lockstep" in clocks else None)
        self._worlds.add(world := SteppedWorld(Worlds(its, self.folders, choice), request))
        return world

    # --- what the commands do

    def record(
        self,
        driver: str = "human",
        game: str | None = None,
        *,
        devices: DeviceChoice | None = None,
        watching: Callable[[Drive], Sequence[Observer]] = lambda drive: (),
        **options: Unpack[RecordKeywords],
    ) -> list[DriveReport]:
        """Record a human, a demonstrator, or a bundle that a teacher labels: a session for each track; return reports.

        A demonstrator, or with a teacher, drives one lap unless `laps` or `max_s` say otherwise. `watching` gives
        who is told of each drive. Raises UserError where the options do not fit the game.
        """
        from autopilot.commands.choices import game_of
        from autopilot.commands.keywords import RecordKeywords
        from autopilot.desktop.desktop import DEFAULTS
        from autopilot.drive.drive import Drive, DriveOptions, each_track
        from autopilot.drive.world import Worlds
        from autopilot.learn.options import check_values

        given = check_values(RecordKeywords, options)
        select, actions, hz = given.pop("select", None), given.pop("actions", None), given.pop("hz", None)
        teacher: str | None = given.get("teacher")
        by_itself = [driver] * (teacher is not None or is_scripted(driver))
        its = Game(self.registry, game or game_of(self, by_itself), given.get("mode"))
        given["laps"] = its.laps(given.get("laps", 0))
        if given.get("max_s") is None and (teacher is not None or driver in its.demonstrators):
            given["laps"] = given["laps"] or int(not its.spec.race.scored)
            given["max_s"] = None if teacher is None else its.spec.race.lap_limit_s * max(given["laps"], 1)
        if given.get("noise") and its.spec.simulator is not None:
            given["mode"] = given.get("mode") or its.spec.simulator.noise_mode
        window, workers, resume = given.pop("show", False), given.pop("workers", 1), given.pop("resume", False)
        chosen = DriveOptions(**given, window=window, record=True, takeover=None if teacher is None else "off")
        lineup, worlds = self.lineup(its, select), Worlds(its, self.folders, devices or DEFAULTS)
        entrant = lineup.scripted(driver, actions, hz) if teacher is None else lineup.find(driver)
        drives = [Drive(worlds, entrant, one) for one in each_track(its, chosen)]
        elsewhere = self._elsewhere(workers, {"select": select}, (actions, hz))
        return self._reports(self._unrecorded(drives, resume), watching, elsewhere)

    def _unrecorded(self, drives: list[Drive], resume: bool) -> list[Drive]:
        """Return the drives; to resume, those that were not recorded to the end before."""
        from autopilot.sessions.store import SessionStore

        every = [session.info for session in SessionStore.of(self.folders).all()[0]] if resume else []
        return [drive for drive in drives if not (drive.recorder and any(map(drive.recorder.same, every)))]

    def _reports(
        self, drives: list[Drive], watching: Callable[[Drive], Sequence[Observer]], elsewhere: Elsewhere | None
    ) -> list[DriveReport]:
        """Make the drives, here in turn or elsewhere."""
        from autopilot.drive.drive import drive_in_turn

        if elsewhere is not None:
            return [report for report, _ in elsewhere(drives)]
        return [report for _, report in drive_in_turn(drives, watching)]

    def _elsewhere(
        self,
        workers: int | Literal["ray"],
        lineup: Mapping[str, Any],
        scripted: tuple[str | None, float | None] | None = None,
    ) -> Elsewhere | None:
        """Return what makes drives in lock-step by several workers; it raises UserError for others. None for one."""
        if workers == 1:
            return None
        from autopilot.commands.workers import Job, carry_out_all
        from autopilot.drive.overlay import unheard

        def job(drive: Drive) -> Job:
            if drive.entrant.human or not drive.worlds.lockstep():
                raise UserError("--workers: only what a simulator waits for is driven many times at once")
            worlds, driver = drive.worlds, drive.entrant.name
            where = (self.folders.root, self.safe_mode, worlds.game.spec.name, worlds.choice)
            options = replace(drive.options, screens=replace(drive.options.screens, lost=unheard))
            return Job(*where, driver, options, lineup, None if options.teacher else scripted)

        return lambda drives: carry_out_all([job(drive) for drive in drives], workers)

    def train(
        self,
        model: str | None = None,
        game: str | None = None,
        *,
        on_progress: Callable[[TrainProgress], object] = lambda progress: None,
        cluster: ClusterConfig | None = None,
        **options: Unpack[TrainKeywords],
    ) -> TrainResult:
        """Train a network on recorded sessions and write a bundle; `on_progress` is called after each step.

        What `on_progress` raises ends it; called again, it goes on from its last checkpoint, which is made at the
        end of an epoch, after a minute, and at Ctrl-C. Raises as `learn.train.train`.
        """
        from autopilot.learn import memory

        memory.keep_freed()
        from autopilot.commands.choices import choose_training
        from autopilot.commands.keywords import TrainKeywords
        from autopilot.learn.cluster import train_in_cluster
        from autopilot.learn.options import Invocation, TrainListener, TrainOptions, check_values
        from autopilot.learn.train import train

        given = check_values(TrainKeywords, options)
        how = Invocation(**{k: given.pop(k) for k in ("restart", "check", "average_epochs") if k in given})
        chooses = {k: given.pop(k) for k in ("choose_by", "choose_tracks", "choose_seed") if k in given}
        model, game = choose_training(self, model, game, given.get("start"), given.get("sessions", ()))
        driving = chooses.pop("choose_by", "loss") == "driving"
        given["keep_best"] = given.get("keep_best") or (CANDIDATES if driving else 1)
        spec = self.registry.get("model", model)
        given["learning_rate"] = given.get("learning_rate") or spec.learning_rate
        chosen = TrainOptions(model, game, **given)
        self._tell_lag(chosen.label_shift, chosen.games)
        listener = TrainListener(on_progress, self.say)
        if driving:
            if cluster is not None or how.average_epochs is not None or len(chosen.games) > 1:
                raise UserError("--choose-by driving: leave out --average-epochs, --coordinator, and further games")
            how = replace(how, choose=self._choosing(Game(self.registry, game), **chooses))
        try:
            if cluster is None:
                return train(self.registry, self.folders, chosen, how, listener)
            return train_in_cluster(cluster, self.safe_mode, self.folders, chosen, how, listener)
        except KeyboardInterrupt as e:
            leads = cluster is None or cluster.process == 0
            e.add_note(_kept(self.folders.runs / chosen.bundle) if leads else "process 0 keeps what was trained")
            raise

    def _choosing(self, game: Game, choose_tracks: str | None = None, choose_seed: int = 5000) -> Choose:
        """Return what chooses among trained bundles by letting them race."""
        from autopilot.drive.world import Worlds
        from autopilot.race.choosing import Course, choose_by_driving

        course = Course(Worlds(game, self.folders), choose_tracks, choose_seed)

        def choose(folders: Sequence[Path], sessions: Sequence[SessionInfo]) -> tuple[int, dict[str, Any]]:
            from autopilot.learn.policy import Policy

            policies = [Policy.load(folder, self.registry) for folder in folders]
            return choose_by_driving(course, policies, [info.track for info in sessions], self.say)

        return choose

    def _tell_lag(self, label_shift: float, games: Sequence[str]) -> None:
        """Offer what was measured of games on the screen: who drives well without a shift needs none."""
        from autopilot.desktop.bindings import UserBindings

        for spec in (self.registry.get("game", game) for game in games if not label_shift):
            lag = UserBindings(self.folders.bindings, spec).screen.lag_ms if spec.screen else None
            if lag:
                self.say(f"{spec.name} shows what was held {lag:.0f} ms later: try --label-shift {lag:.0f}, too")

    def drive(
        self,
        driver: str | None = None,
        game: str | None = None,
        *,
        devices: DeviceChoice | None = None,
        watching: Callable[[Drive], Sequence[Observer]] = lambda drive: (),
        **options: Unpack[DriveKeywords],
    ) -> list[DriveReport]:
        """Let a bundle, a demonstrator or chance drive, `races` times, and return a report for each race.

        `watching` gives who is told of each. Raises UserError where the options do not fit the game or each other.
        """
        from autopilot.commands.choices import game_of, newest_bundle
        from autopilot.commands.keywords import DriveKeywords
        from autopilot.desktop.desktop import DEFAULTS
        from autopilot.drive.drive import Drive, DriveOptions, drive_in_turn, each_race
        from autopilot.drive.overlay import Screens
        from autopilot.drive.world import Worlds
        from autopilot.learn.options import check_values
        from autopilot.sessions.laps import LapRule

        given = check_values(DriveKeywords, options)
        film: Path | None = given.pop("film", None)
        force, races, rule = given.pop("force", False), given.pop("races", 1), given.pop("keep_laps", None)
        if film is not None:
            check_output(film, force)
        driver = driver or newest_bundle(self, game)
        its = Game(self.registry, game or game_of(self, [driver]), given.get("mode"))
        how = {name: given.pop(name) for name in HOW if name in given}
        screens = Screens(film, given.pop("show", False), self.lost)
        laps = None if rule is None else LapRule.parse(rule, "keep-laps", ranked=False)
        chosen = DriveOptions(**given, keep_laps=laps, screens=screens)
        worlds, entrant = Worlds(its, self.folders, devices or DEFAULTS), self.lineup(its, **how).find(driver)
        drives = [Drive(worlds, entrant, one) for one in each_race(its, chosen, races)]
        try:
            return [report for _, report in drive_in_turn(drives, watching)]
        except KeyboardInterrupt as e:
            if film is not None and film.exists():
                e.add_note(f"the film as far as it came is {film}")
            if not hasattr(e, "__notes__"):
                e.add_note("nothing is held, and nothing of this drive is kept (--record keeps a drive)")
            raise

    def race(
        self,
        drivers: Sequence[str] | None = None,
        game: str | None = None,
        *,
        devices: DeviceChoice | None = None,
        watching: Callable[[Drive, int], Sequence[Observer]] = lambda drive, number: (),
        **options: Unpack[RaceKeywords],
    ) -> RaceResult:
        """Let each driver race on each track, and return all runs; they are written into a folder of races too.

        Without `drivers` the newest bundle races, after its game's demonstrator in lock-step. `watching` gives who
        is told of each run and its number. Raises UserError as `Race`.
        """
        from autopilot.commands.choices import game_of, newest_bundle
        from autopilot.commands.keywords import RaceKeywords
        from autopilot.desktop.desktop import DEFAULTS
        from autopilot.drive.drive import DriveOptions
        from autopilot.drive.overlay import Screens
        from autopilot.drive.world import Worlds
        from autopilot.learn.options import check_values
        from autopilot.race.race import Race, RaceOptions
        from autopilot.race.report import save_reports

        given = check_values(RaceKeywords, options)
        name, force, resume = given.pop("name", None), given.pop("force", False), given.pop("resume", False)
        names = [newest_bundle(self, game)] if drivers is None else list(drivers)
        its = Game(self.registry, game or game_of(self, names), given.get("mode"))
        worlds = Worlds(its, self.folders, devices or DEFAULTS)
        if drivers is None and "demonstrator" in its.demonstrators and worlds.lockstep():
            names.insert(0, "demonstrator")
        how = {name: given.pop(name) for name in HOW if name in given}
        driving = {name: given.pop(name) for name in ("seed", "recover", "mode") if name in given}
        with ExitStack() as stack:
            folder = self._race_folder(stack, name, force, its.spec.name, resume)
            drive = DriveOptions(**driving, screens=Screens(lost=self.lost))
            films, workers = folder if given.pop("films", False) else None, given.pop("workers", 1)
            race = Race(worlds, self.lineup(its, **how), RaceOptions(tuple(names), **given, drive=drive, films=films))
            self._resume(race, folder, resume)
            elsewhere = self._elsewhere(workers, how)
            try:
                result = race.go(watching, lambda r: self._save_race(folder, r), self.say, elsewhere)
            except KeyboardInterrupt as e:
                there = (folder / "race.json").exists()
                e.add_note(f"the runs that were over are in {folder / 'race.json'}" if there else "no run was over yet")
                raise
        self._save_race(folder, result, save_reports)
        return replace(result, folder=folder)

    def _resume(self, race: Race, folder: Path, resume: bool) -> None:
        """Begin a race after the runs that its folder has."""
        if resume and (kept := folder / "race.json").exists():
            race.resume(read_json(kept.read_bytes()))

    def _race_folder(self, stack: ExitStack, name: str | None, force: bool, game: str, resume: bool) -> Path:
        if resume and name is None:
            raise UserError("--resume: say which race by --name")
        if name is None:
            return stack.enter_context(new_folder(self.folders.races, f"{datetime.now():%Y%m%d-%H%M%S}-{game}"))
        folder = self.folders.races / check_name(name, "race")
        check_output(folder / "race.json", force or resume)
        return folder

    def _save_race(
        self, folder: Path, result: RaceResult, save: Callable[[RaceResult, Path], object] | None = None
    ) -> None:
        try:
            if save is None:
                write_json(folder / "race.json", result.to_json())
            else:
                save(result, folder)
        except OSError as e:
            self.lost(f"the race cannot be kept in {folder} ({e.strerror or e}): free space; here is its result")


def _kept(run: Path) -> str:
    """Say what an interrupted training keeps."""
    steps = [int(path.name.partition("-")[0]) for path in (run / "checkpoints").glob("*-*.safetensors")]
    if not steps:
        return "no step of this training was kept yet"
    return f"the training is kept as it was after step {max(steps)}: the same command, without --restart, goes on"
